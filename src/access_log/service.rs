//! The layer: one entry for each request that passes.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::body::LoggedBody;
use super::{AccessLog, CountedBody};
use crate::mesh::log::Pending;
use crate::mesh::{MeshError, ResponseBody};

/// Wraps the services of a mesh in [`AccessLogged`].
#[derive(Clone, Copy)]
pub struct AccessLogLayer<L> {
    log: L,
}

impl<L: AccessLog> AccessLogLayer<L> {
    /// A layer whose entries go to this log.
    #[must_use]
    pub const fn new(log: L) -> Self {
        Self { log }
    }
}

impl<S, L: Clone> Layer<S> for AccessLogLayer<L> {
    type Service = AccessLogged<S, L>;

    fn layer(&self, inner: S) -> Self::Service {
        AccessLogged {
            inner,
            log: self.log.clone(),
        }
    }
}

/// Tells a log of each request. See the [module documentation](super).
#[derive(Clone, Copy)]
pub struct AccessLogged<S, L> {
    inner: S,
    log: L,
}

/// An error of a mesh's service, which says what a sidecar would have answered.
pub trait AsMeshError {
    /// The error; nothing where there is none.
    fn as_mesh_error(&self) -> Option<&MeshError>;
}

impl AsMeshError for MeshError {
    fn as_mesh_error(&self) -> Option<&MeshError> {
        Some(self)
    }
}

impl AsMeshError for Infallible {
    fn as_mesh_error(&self) -> Option<&MeshError> {
        None
    }
}

impl<S, L, B, R> Service<Request<B>> for AccessLogged<S, L>
where
    S: Service<Request<CountedBody<B>>, Response = Response<ResponseBody<R>>>,
    S::Error: AsMeshError,
    L: AccessLog + Clone + Send + 'static,
    ResponseBody<R>: Body<Data = Bytes>,
{
    type Response = Response<LoggedBody<R, L>>;
    type Error = S::Error;
    type Future = AccessLogFuture<S::Future, L>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut received = None;
        let mut pending = None;
        if self.log.is_enabled() {
            let count = Arc::default();
            let log = self.log.clone();
            pending = Some(Box::new(Pending::begin(log, &request, Arc::clone(&count))));
            received = Some(count);
        }
        let request = request.map(|body| CountedBody::new(body, received));
        AccessLogFuture {
            inner: self.inner.call(request),
            pending,
        }
    }
}

/// The future of an [`AccessLogged`].
///
/// Dropping it cancels the request and writes its entry with the flag `DC`.
#[pin_project]
pub struct AccessLogFuture<F, L: AccessLog> {
    #[pin]
    inner: F,
    pending: Option<Box<Pending<L>>>,
}

impl<F, R, E, L> Future for AccessLogFuture<F, L>
where
    F: Future<Output = Result<Response<ResponseBody<R>>, E>>,
    E: AsMeshError,
    L: AccessLog + Send + 'static,
    ResponseBody<R>: Body<Data = Bytes>,
{
    type Output = Result<Response<LoggedBody<R, L>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx));
        let mut pending = this.pending.take();
        let response = match answer {
            Ok(response) => response,
            Err(error) => {
                if let Some(pending) = pending {
                    pending.failed(error.as_mesh_error());
                }
                return Poll::Ready(Err(error));
            }
        };
        if let Some(pending) = &mut pending {
            pending.answered(&response);
        }
        let pending = pending.and_then(|it| it.unless_tunnel(&response));
        Poll::Ready(Ok(response.map(|body| LoggedBody::new(body, pending))))
    }
}

impl<L> fmt::Debug for AccessLogLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogLayer").finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, L> fmt::Debug for AccessLogged<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogged")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<F: fmt::Debug, L: AccessLog> fmt::Debug for AccessLogFuture<F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLogFuture")
            .field("inner", &self.inner)
            .field("pending", &self.pending)
            .finish()
    }
}
