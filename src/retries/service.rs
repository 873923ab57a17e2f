//! The layer: plain when off; what later tries need is one box when on.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::attempts::Attempts;
use super::future::{Armed, ArmedBox, ResponseFuture};
use super::head::Head;
use super::policy::RetryPolicy;
use crate::reply::{FromLocalReply, is_grpc};
use crate::request_body::{Carry, RequestBody};
use crate::rt::Rng;
use crate::select::Own;

/// Wraps services in [`Retry`].
#[derive(Clone, Debug)]
pub struct RetryLayer<K = Own<RetryPolicy>> {
    policy: K,
    dice: Rng,
    deadline_exceeded: bool,
}

impl RetryLayer {
    /// A layer that tries again by this policy.
    #[must_use]
    pub fn new(policy: RetryPolicy) -> Self {
        Self::selecting(Own::new(policy), Rng::default())
    }
}

impl<K> RetryLayer<K> {
    pub(crate) const fn selecting(policy: K, dice: Rng) -> Self {
        let deadline_exceeded = false;
        Self {
            policy,
            dice,
            deadline_exceeded,
        }
    }

    /// The dice for the waits; seeded ones repeat.
    #[must_use]
    pub fn rng(mut self, dice: Rng) -> Self {
        self.dice = dice;
        self
    }

    /// Whether a gRPC call whose last try was late is answered `DEADLINE_EXCEEDED` (4) instead of
    /// `UNAVAILABLE` (14); not unless told.
    #[must_use]
    pub const fn grpc_deadline_exceeded(mut self, exceeded: bool) -> Self {
        self.deadline_exceeded = exceeded;
        self
    }
}

impl<S, K: Clone> Layer<S> for RetryLayer<K> {
    type Service = Retry<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry {
            inner,
            policy: self.policy.clone(),
            dice: self.dice.clone(),
            deadline_exceeded: self.deadline_exceeded,
        }
    }
}

/// Tries again what failed. See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Retry<S, K = Own<RetryPolicy>> {
    inner: S,
    policy: K,
    dice: Rng,
    deadline_exceeded: bool,
}

impl<S, B, R, K> Service<Request<B>> for Retry<S, K>
where
    K: Carry<B> + Attempts<R, S::Error, K::Note> + Clone,
    K::Inner: Body<Data = Bytes>,
    S: Service<Request<RequestBody<K::Inner, K::Note>>, Response = Response<R>> + Clone,
    R: FromLocalReply,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, K, K::Inner, K::Note, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut request = self.policy.carry(request);
        let note = request.body().note();
        let grpc = self.policy.is_grpc(note);
        let note = self.policy.policy(note).map(|_| note.clone());
        let armed = note.and_then(|note| self.arm(&note, grpc, &mut request));
        ResponseFuture::new(self.inner.call(request), armed)
    }
}

impl<S, K> Retry<S, K> {
    /// The service that makes each try.
    pub(crate) const fn inner(&self) -> &S {
        &self.inner
    }

    /// What the layer does to a request before it is handed on: keeps what later tries need, where
    /// there may be any. `grpc` says whether it came as a gRPC call, where that was noted before.
    #[inline]
    pub(crate) fn arm<I, N, M, R>(
        &self,
        note: &N,
        grpc: Option<bool>,
        request: &mut Request<RequestBody<I, M>>,
    ) -> Option<ArmedBox<S, K, I, N>>
    where
        K: Attempts<R, S::Error, N> + Clone,
        I: Body<Data = Bytes>,
        N: Clone,
        S: Service<Request<RequestBody<I, N>>, Response = Response<R>> + Clone,
    {
        let policy = self.policy.policy(note)?;
        let limit = policy.limit;
        let tells_time = self.policy.tells_time(note);
        let mut per_try = policy.per_try_timeout;
        let time = match tells_time || per_try.is_some() {
            true => self.policy.time(note, request.headers()),
            false => None,
        };
        // A time for each try that is not shorter than the time for all says nothing.
        per_try = per_try.filter(|it| time.is_none_or(|time| *it < time));
        let head = Head::of(request);
        let end = per_try.map(|_| request.body_mut().track());
        let grpc = grpc.unwrap_or_else(|| is_grpc(request.headers()));
        let replay = request.body_mut().arm_with(limit, note.clone());
        Some(Box::new(Armed {
            per_try,
            end,
            sent: time
                .filter(|_| tells_time && !replay.is_tracked())
                .map(|_| Instant::now()),
            deadline_exceeded: self.deadline_exceeded,
            service: self.inner.clone(),
            select: self.policy.clone(),
            dice: self.dice.clone(),
            grpc,
            replay,
            retries: 0,
            permit: None,
            late: None,
            leave: K::leave,
            head,
        }))
    }
}
