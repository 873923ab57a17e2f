//! The layer that redirects.

use std::task::{Context, Poll};

use http::header::{HeaderValue, LOCATION};
use http::{Request, Response};
use tower::Layer;
use tower_service::Service;

use super::policy::RedirectPolicy;
use crate::answer::AnswerOr;
use crate::context::ResponseFlags;
use crate::reply::{FromLocalReply, LocalReply, is_grpc};
use crate::request_url::RequestUrl;
use crate::select::{Own, Select};

/// Wraps services in [`Redirect`].
#[derive(Clone, Debug)]
pub struct RedirectLayer<K = Own<RedirectPolicy>> {
    policy: K,
}

impl RedirectLayer {
    /// A layer that redirects every request.
    #[must_use]
    pub fn new(policy: RedirectPolicy) -> Self {
        Self::selecting(Own::new(policy))
    }
}

impl<K> RedirectLayer<K> {
    /// A layer that redirects the requests `policy` finds something for.
    pub(crate) const fn selecting(policy: K) -> Self {
        Self { policy }
    }
}

impl<S, K: Clone> Layer<S> for RedirectLayer<K> {
    type Service = Redirect<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        Redirect {
            inner,
            policy: self.policy.clone(),
        }
    }
}

/// Answers with another address instead of asking the inner service.
///
/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Redirect<S, K = Own<RedirectPolicy>> {
    inner: S,
    policy: K,
}

impl<S, B, R, K> Service<Request<B>> for Redirect<S, K>
where
    K: Select<RedirectPolicy, B>,
    S: Service<Request<B>, Response = Response<R>>,
    R: FromLocalReply,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = AnswerOr<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.policy.get(&request) {
            Some(policy) => AnswerOr::answer(answer(policy, &request)),
            None => AnswerOr::inner(self.inner.call(request)),
        }
    }
}

fn answer<B, R: FromLocalReply>(policy: &RedirectPolicy, request: &Request<B>) -> Response<R> {
    let reply = LocalReply::new(policy.status(), ResponseFlags::NONE).details("direct_response");
    let mut response = reply.into_response(is_grpc(request.headers()));
    let location = policy.location(&RequestUrl::of(request));
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
