//! HTTP/1.1 over hyper, with hyper-util's connection pool.

use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::Transport;
use crate::body::Body;
use crate::endpoint::Endpoint;

/// The time to connect where nothing else is written: Istio's mesh default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may lie idle: Istio's default, an hour.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// How many idle connections are kept for one endpoint.
const MAX_IDLE_PER_ENDPOINT: usize = 1024;

/// Speaks HTTP/1.1 to endpoints; clones share the pool of idle connections.
///
/// Bodies stream both ways. It never tries a request again by itself.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    client: Client<HttpConnector, Body>,
}

impl HttpTransport {
    /// A transport with an empty pool.
    #[must_use]
    pub fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_ENDPOINT)
            // A hidden second try would escape every count and limit above.
            .retry_canceled_requests(false)
            .build(connector);
        Self { client }
    }
}

impl Default for HttpTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for HttpTransport {
    type ResponseBody = hyper::body::Incoming;
    type Error = Error;
    type Future = ResponseFuture;

    fn is_secure(&self) -> bool {
        false
    }

    fn send(&self, endpoint: &Endpoint, mut request: Request<Body>) -> ResponseFuture {
        // The pool finds a connection by scheme and authority; the `Host` header goes out as it is.
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Authority::try_from(endpoint.address().to_string()).ok();
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        *request.version_mut() = http::Version::HTTP_11;
        self.client.request(request)
    }
}
