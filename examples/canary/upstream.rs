//! One version of the service: an HTTP server on a free port that counts what it serves.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A running version.
pub(crate) struct Upstream {
    pub(crate) version: &'static str,
    pub(crate) port: u16,
    served: Arc<AtomicU64>,
}

impl Upstream {
    /// Starts it on the loopback interface.
    pub(crate) async fn start(version: &'static str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let served = Arc::new(AtomicU64::new(0));
        let count = served.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let count = count.clone();
                let service = service_fn(move |request| answer(version, count.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self {
            version,
            port,
            served,
        })
    }

    /// How many requests it has served since it was last asked.
    pub(crate) fn take_served(&self) -> u64 {
        self.served.swap(0, Ordering::Relaxed)
    }

    /// How many it has served so far.
    pub(crate) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

async fn answer(
    version: &'static str,
    served: Arc<AtomicU64>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    served.fetch_add(1, Ordering::Relaxed);
    let hold = request.headers().get("x-hold-millis");
    let millis = hold.and_then(|it| it.to_str().ok()?.parse().ok());
    tokio::time::sleep(Duration::from_millis(millis.unwrap_or(1))).await;
    Ok(Response::new(Full::from(version)))
}
