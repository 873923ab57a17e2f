//! HTTP/1.1 and HTTP/2 over hyper, with a pool of connections for each endpoint.

mod body;
mod connection;
mod dial;
mod io;
mod pool;
mod pools;
mod proxy_protocol;
mod secured;
mod waiting;

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::Transport;
use crate::body::Body;
use crate::endpoint::{Address, Endpoint};
use crate::failure::{Failure, HttpError};
use connection::{Sender, Way};
use pool::{Lease, Leased};
use pools::Pools;
use secured::{Secured, name_for, tls_for};
use waiting::Waiting;

pub use body::HttpBody;

/// How many hosts that no rule declares are kept connections to.
const MAX_PASSING: usize = 1024;

/// Speaks HTTP/1.1 or HTTP/2 to endpoints, as their [protocol](Endpoint::protocol) says.
///
/// TLS is spoken where rules or the scheme of a client's request ask for it (feature `tls`): see
/// [`tls`](crate::tls). HTTP/2 is spoken with prior knowledge, many requests on one connection. Connections belong to
/// the endpoint: every transport uses the same, and they are closed when a change of configuration
/// takes the endpoint away. Bodies and trailers stream both ways. It never tries a request again
/// by itself; only a connection found closed before anything was written is replaced.
#[derive(Clone, Debug, Default)]
pub struct HttpTransport {
    /// Connections to hosts that are no endpoint of a rule's.
    passing: Arc<Mutex<HashMap<Address, Arc<Pools>>>>,
}

impl HttpTransport {
    /// A transport without connections yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lease(
        &self,
        endpoint: &Endpoint,
        request: &Request<Body>,
        http2: bool,
    ) -> Result<Leased, HttpError> {
        let limits = endpoint.limits();
        let way = |secured: Option<Secured>| Way {
            address: endpoint.address().clone(),
            settings: endpoint.settings().cloned(),
            secured,
        };
        let tls = tls_for(endpoint, request);
        let proxy_protocol = endpoint.settings().and_then(|it| it.proxy_protocol);
        let kept = endpoint.keep(Pools::new);
        let passing;
        let pools = match kept {
            Some(pools) => pools,
            None => {
                passing = self.passing(endpoint);
                &*passing
            }
        };
        if tls.is_none() && proxy_protocol.is_none() {
            return pools.plain(http2).lease(limits, None, || way(None));
        }
        let secured = tls.map(|tls| (tls, name_for(tls, request)));
        let (secured, pool) = pools.other(proxy_protocol, secured, kept.is_some(), http2);
        pool.lease(limits, None, || way(secured))
    }

    /// The connections to a host that is no endpoint of a rule's.
    fn passing(&self, endpoint: &Endpoint) -> Arc<Pools> {
        let mut passing = self.passing.lock().unwrap_or_else(PoisonError::into_inner);
        if passing.len() >= MAX_PASSING && !passing.contains_key(endpoint.address()) {
            // Some other goes; what is under way there ends in peace.
            let first = passing.keys().next().cloned();
            first.and_then(|first| passing.remove(&first));
        }
        let known = passing.entry(endpoint.address().clone());
        known.or_insert_with(|| Arc::new(Pools::new())).clone()
    }
}

impl Transport for HttpTransport {
    type ResponseBody = HttpBody;
    type Error = HttpError;
    type Future = HttpFuture;

    fn is_secure(&self) -> bool {
        cfg!(feature = "tls")
    }

    fn keeps_limits(&self) -> bool {
        true
    }

    fn is_connecting(sending: &HttpFuture) -> bool {
        matches!(sending.0, State::Waiting(_))
    }

    fn send(&self, endpoint: &Endpoint, mut request: Request<Body>) -> HttpFuture {
        let http2 = endpoint.protocol().is_http2(request.version());
        let leased = self.lease(endpoint, &request, http2);
        match http2 {
            false => to_http1(&mut request),
            true => to_http2(&mut request),
        }
        HttpFuture(match leased {
            Ok(leased) => State::begin(leased, request),
            Err(error) => State::Failed(Some(error)),
        })
    }
}

/// Path and query in the request line; the host in its header.
fn to_http1(request: &mut Request<Body>) {
    let target = request.uri_mut();
    if target.authority().is_some() || target.scheme().is_some() {
        let path = target.path_and_query().cloned();
        *target = path.map_or_else(Uri::default, Uri::from);
    }
    *request.version_mut() = Version::HTTP_11;
}

/// The host in `:authority`, where it is not said twice, and the scheme the request came with:
/// whether the connection is encrypted does not change it, as in Envoy.
fn to_http2(request: &mut Request<Body>) {
    let host = request.headers_mut().remove(HOST);
    let host = host.and_then(|host| Authority::from_maybe_shared(host).ok());
    let mut uri = std::mem::take(request.uri_mut()).into_parts();
    let is_https = uri.scheme == Some(Scheme::HTTPS);
    uri.scheme = Some(if is_https {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    });
    uri.authority = host.or(uri.authority);
    uri.path_and_query = uri
        .path_and_query
        .or_else(|| Some(PathAndQuery::from_static("/")));
    *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
}

/// The response to come; dropping it cancels the request.
pub struct HttpFuture(State);

enum State {
    Failed(Option<HttpError>),
    /// In a box, for most requests need not wait.
    Waiting(Box<(Waiting, Option<Request<Body>>)>),
    Sent(Answer, Option<Lease>),
}

type Answer =
    Pin<Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>> + Send>>;

impl State {
    fn begin(leased: Leased, request: Request<Body>) -> Self {
        match leased {
            Leased::Now(lease) => Self::send(lease, request),
            Leased::Later(waiting) => Self::Waiting(Box::new((waiting, Some(request)))),
        }
    }

    fn send(mut lease: Lease, mut request: Request<Body>) -> Self {
        let answer: Answer = match lease.sender() {
            Some(Sender::Http1(sender)) => {
                frame(&mut request);
                Box::pin(sender.try_send_request(request))
            }
            Some(Sender::Http2(sender)) => Box::pin(sender.try_send_request(request)),
            None => return Self::Failed(Some(HttpError::new(Failure::LocalReset))),
        };
        Self::Sent(answer, Some(lease))
    }
}

/// Says that a body of unknown length follows: hyper takes it for granted that GET and HEAD
/// have none, and would leave it out.
fn frame(request: &mut Request<Body>) {
    if !matches!(*request.method(), Method::GET | Method::HEAD) || request.body().is_end_stream() {
        return;
    }
    let is_known = request.body().size_hint().exact().is_some();
    if !is_known && !request.headers().contains_key(CONTENT_LENGTH) {
        let chunked = HeaderValue::from_static("chunked");
        request.headers_mut().insert(TRANSFER_ENCODING, chunked);
    }
}

impl Future for HttpFuture {
    type Output = Result<Response<HttpBody>, HttpError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            self.0 = match &mut self.0 {
                State::Failed(error) => {
                    return match error.take() {
                        Some(error) => Poll::Ready(Err(error)),
                        // Polled again after the end.
                        None => Poll::Pending,
                    };
                }
                State::Waiting(waiting) => {
                    let (place, request) = &mut **waiting;
                    let lease = ready!(place.poll(cx));
                    match (lease, request.take()) {
                        (Ok(lease), Some(request)) => State::send(lease, request),
                        (Err(error), _) => State::Failed(Some(error)),
                        (Ok(_), None) => State::Failed(None),
                    }
                }
                State::Sent(answer, lease) => {
                    let answer = ready!(answer.as_mut().poll(cx));
                    let lease = lease.take();
                    match (answer, lease) {
                        (Ok(response), Some(mut lease)) => {
                            self.0 = State::Failed(None);
                            lease.note_response(response.status());
                            let response = response.map(|body| HttpBody::new(body, lease));
                            return Poll::Ready(Ok(response));
                        }
                        (Err(mut error), lease) => match (error.take_message(), lease) {
                            (Some(request), Some(lease)) => begin_again(lease, request, error),
                            (_, lease) => State::Failed(Some(cut_short(error, lease))),
                        },
                        (Ok(_), None) => State::Failed(None),
                    }
                }
            };
        }
    }
}

/// Where a connection that served before was closed before a byte of the request was written,
/// another takes it.
fn begin_again(
    mut lease: Lease,
    request: Request<Body>,
    error: TrySendError<Request<Body>>,
) -> State {
    match lease.replace() {
        Some(Ok(leased)) => State::begin(leased, request),
        Some(Err(error)) => State::Failed(Some(error)),
        None => {
            let error = HttpError::caused_by(lease.why_unused(), error.into_error());
            State::Failed(Some(error))
        }
    }
}

/// Why a request that was begun has no response. Half of a response's head is no HTTP.
fn cut_short(error: TrySendError<Request<Body>>, lease: Option<Lease>) -> HttpError {
    let error = error.into_error();
    let partly = lease.is_some_and(|it| it.has_answered());
    match error.is_incomplete_message() && partly {
        true => HttpError::caused_by(Failure::Protocol, error),
        false => HttpError::before_response(error),
    }
}

impl fmt::Debug for HttpFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFuture").finish_non_exhaustive()
    }
}
