//! The layer: a permit for each request, which goes along with the response's body.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::failure::Failure;
use crate::limits::{Limits, RequestPermit};
use crate::reply::{FromLocalReply, GuardedBody, LocalReply, is_grpc};

/// Wraps services in [`ConnectionPool`].
#[derive(Clone, Debug)]
pub struct ConnectionPoolLayer {
    limits: Limits,
}

impl ConnectionPoolLayer {
    /// A layer that keeps to these limits; what it wraps counts together.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits }
    }
}

impl<S> Layer<S> for ConnectionPoolLayer {
    type Service = ConnectionPool<S>;

    fn layer(&self, inner: S) -> ConnectionPool<S> {
        ConnectionPool {
            inner,
            limits: self.limits.clone(),
        }
    }
}

/// Refuses requests beyond a limit. See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct ConnectionPool<S> {
    inner: S,
    limits: Limits,
}

impl<S, B, R> Service<Request<B>> for ConnectionPool<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: FromLocalReply,
{
    type Response = Response<Admitted<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Nothing is reserved here: a clone that is readied and never called would keep it.
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.limits.request() {
            Some(permit) => ResponseFuture {
                call: Some(self.inner.call(request)),
                permit: Some(permit),
                grpc: false,
            },
            None => ResponseFuture {
                call: None,
                permit: None,
                grpc: is_grpc(request.headers()),
            },
        }
    }
}

/// The future of a [`ConnectionPool`]; dropping it gives the permit back.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    /// Nothing where the request is refused.
    #[pin]
    call: Option<F>,
    permit: Option<RequestPermit>,
    grpc: bool,
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: FromLocalReply,
{
    type Output = Result<Response<Admitted<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (response, permit) = match this.call.as_pin_mut() {
            Some(call) => (ready!(call.poll(cx))?, this.permit.take()),
            None => {
                let reply = LocalReply::for_failure(Failure::Overflow, false);
                (reply.into_response(*this.grpc), None)
            }
        };
        Poll::Ready(Ok(response.map(|body| Admitted::new(body, permit))))
    }
}

/// A response's body whose request counts until it has ended or is dropped.
pub type Admitted<R> = GuardedBody<R, RequestPermit>;
