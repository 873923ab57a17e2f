//! The layer that answers preflights and dresses responses.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::{HeaderValue, ORIGIN};
use http::{HeaderMap, Request, Response, StatusCode};
use pin_project::pin_project;
use tower::Layer;
use tower_service::Service;

use super::policy::{CorsDecision, CorsPolicy};
use crate::answer::AnswerOr;
use crate::context::{Preflight, ResponseFlags};
use crate::reply::{FromLocalReply, LocalReply};
use crate::select::{Own, Select};

/// Wraps services in [`Cors`].
#[derive(Clone, Debug)]
pub struct CorsLayer<K = Own<CorsPolicy>> {
    policy: K,
}

impl CorsLayer {
    /// A layer with one policy for every request.
    #[must_use]
    pub fn new(policy: CorsPolicy) -> Self {
        Self::selecting(Own::new(policy))
    }
}

impl<K> CorsLayer<K> {
    /// A layer with the policies that `policy` finds.
    pub(crate) const fn selecting(policy: K) -> Self {
        Self { policy }
    }
}

impl<S, K: Clone> Layer<S> for CorsLayer<K> {
    type Service = Cors<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        Cors {
            inner,
            policy: self.policy.clone(),
        }
    }
}

/// Answers preflights, and tells browsers which origins may read the inner service's responses.
///
/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Cors<S, K = Own<CorsPolicy>> {
    inner: S,
    policy: K,
}

impl<S, B, R, K> Service<Request<B>> for Cors<S, K>
where
    K: Select<CorsPolicy, B>,
    S: Service<Request<B>, Response = Response<R>>,
    R: FromLocalReply,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R, K::Held>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let decision = match self.policy.get(&request) {
            Some(policy) if request.headers().contains_key(ORIGIN) => {
                policy.decide(request.method(), request.headers())
            }
            _ => CorsDecision::Forward,
        };
        let allowed = match decision {
            CorsDecision::Preflight(headers) => {
                return ResponseFuture {
                    inner: AnswerOr::answer(answer(headers)),
                    allowed: None,
                };
            }
            CorsDecision::Allow(origin) => self.policy.hold(&request).map(|it| (it, origin)),
            CorsDecision::Forward => None,
        };
        ResponseFuture {
            inner: AnswerOr::inner(self.inner.call(request)),
            allowed,
        }
    }
}

/// The answer to a preflight, the same to a gRPC client as to any other.
fn answer<R: FromLocalReply>(headers: HeaderMap) -> Response<R> {
    let reply = LocalReply::new(StatusCode::OK, ResponseFlags::NONE).details("cors_response");
    let mut response = reply.into_response(false);
    *response.headers_mut() = headers;
    response.extensions_mut().insert(Preflight);
    response
}

/// The future of a [`Cors`].
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F, R, H> {
    #[pin]
    inner: AnswerOr<F, R>,
    /// The policy and the origin it allows.
    allowed: Option<(H, HeaderValue)>,
}

impl<F, R, H, E> Future for ResponseFuture<F, R, H>
where
    F: Future<Output = Result<Response<R>, E>>,
    H: Deref<Target = CorsPolicy>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Changed where it lies: each move of a response is paid for.
        let mut polled = this.inner.poll(cx);
        if let Poll::Ready(Ok(response)) = &mut polled
            && let Some((policy, origin)) = this.allowed.take()
        {
            policy.dress(origin, response.headers_mut());
        }
        polled
    }
}
