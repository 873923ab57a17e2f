//! The layer that rewrites requests.

use std::task::{Context, Poll};

use http::Request;
use tower::Layer;
use tower_service::Service;

use super::policy::RewritePolicy;
use crate::select::{Own, Select};

/// Wraps services in [`Rewrite`].
#[derive(Clone, Debug)]
pub struct RewriteLayer<K = Own<RewritePolicy>> {
    policy: K,
}

impl RewriteLayer {
    /// A layer that rewrites every request.
    #[must_use]
    pub fn new(policy: RewritePolicy) -> Self {
        Self::selecting(Own::new(policy))
    }
}

impl<K> RewriteLayer<K> {
    pub(crate) const fn selecting(policy: K) -> Self {
        Self { policy }
    }
}

impl<S, K: Clone> Layer<S> for RewriteLayer<K> {
    type Service = Rewrite<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        Rewrite {
            inner,
            policy: self.policy.clone(),
        }
    }
}

/// Changes the path and the authority of requests.
///
/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Rewrite<S, K = Own<RewritePolicy>> {
    inner: S,
    policy: K,
}

impl<S, B, K> Service<Request<B>> for Rewrite<S, K>
where
    S: Service<Request<B>>,
    K: Select<RewritePolicy, B>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(policy) = self.policy.get(&request) {
            policy.decide(&request).apply(&mut request);
        }
        self.inner.call(request)
    }
}
