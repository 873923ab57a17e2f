//! The layer that answers for itself.

use std::task::{Context, Poll};

use http::{Request, Response};
use tower::Layer;
use tower_service::Service;

use super::policy::DirectResponsePolicy;
use crate::answer::AnswerOr;
use crate::reply::FromLocalReply;
use crate::select::{Own, Select};

/// Wraps services in [`DirectResponse`].
#[derive(Clone, Debug)]
pub struct DirectResponseLayer<K = Own<DirectResponsePolicy>> {
    policy: K,
}

impl DirectResponseLayer {
    /// A layer that answers every request.
    #[must_use]
    pub fn new(policy: DirectResponsePolicy) -> Self {
        Self::selecting(Own::new(policy))
    }
}

impl<K> DirectResponseLayer<K> {
    /// A layer that answers the requests `policy` finds something for.
    pub(crate) const fn selecting(policy: K) -> Self {
        Self { policy }
    }
}

impl<S, K: Clone> Layer<S> for DirectResponseLayer<K> {
    type Service = DirectResponse<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        DirectResponse {
            inner,
            policy: self.policy.clone(),
        }
    }
}

/// Gives a fixed answer instead of asking the inner service.
///
/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct DirectResponse<S, K = Own<DirectResponsePolicy>> {
    inner: S,
    policy: K,
}

impl<S, B, R, K> Service<Request<B>> for DirectResponse<S, K>
where
    K: Select<DirectResponsePolicy, B>,
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
            Some(policy) => AnswerOr::answer(policy.answer(&request)),
            None => AnswerOr::inner(self.inner.call(request)),
        }
    }
}
