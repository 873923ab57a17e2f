//! One version of the service: an HTTP server on a free port that counts what it serves, and is
//! slow or fails where a request asks for it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
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
    seen: Arc<Seen>,
}

/// What a version has seen in a phase.
#[derive(Default)]
struct Seen {
    served: AtomicU64,
    /// Requests it was asked to fail once, and did; as many as a phase has requests.
    failed: Mutex<HashSet<u64>>,
}

impl Seen {
    /// Whether a request is to fail now.
    fn fails(&self, number: u64) -> bool {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.insert(number)
    }
}

impl Upstream {
    /// Starts it on the loopback interface.
    pub(crate) async fn start(version: &'static str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let seen = Arc::new(Seen::default());
        let shared = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let seen = shared.clone();
                let service = service_fn(move |request| answer(version, seen.clone(), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self {
            version,
            port,
            seen,
        })
    }

    /// Counts anew.
    pub(crate) fn begin(&self) {
        self.seen.served.store(0, Ordering::Relaxed);
        let mut failed = self
            .seen
            .failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        failed.clear();
    }

    /// How many requests it has seen since.
    pub(crate) fn served(&self) -> u64 {
        self.seen.served.load(Ordering::Relaxed)
    }
}

async fn answer(
    version: &'static str,
    seen: Arc<Seen>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    seen.served.fetch_add(1, Ordering::Relaxed);
    let asked = |name: &str| request.headers().get(name)?.to_str().ok()?.parse().ok();
    tokio::time::sleep(Duration::from_millis(asked("x-hold-millis").unwrap_or(1))).await;
    let mut response = Response::new(Full::from(version));
    if asked("x-fail-once").is_some_and(|number| seen.fails(number)) {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}
