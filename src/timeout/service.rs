//! The layer that answers for an inner service that takes too long.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};

use super::grpc::grpc_timeout;
use super::policy::TimeoutPolicy;
use crate::reply::{FromLocalReply, LocalReply, is_grpc};
use crate::request_body::{Carry, RequestBody, RequestEnd};
use crate::rt::{Timer, drop_late};
use crate::select::{Own, Select};

/// Wraps services in [`Timeout`].
#[derive(Clone, Debug)]
pub struct TimeoutLayer<K = Own<TimeoutPolicy>> {
    policy: K,
    deadline_exceeded: bool,
}

impl TimeoutLayer {
    /// A layer that gives each request this time.
    #[must_use]
    pub fn new(policy: TimeoutPolicy) -> Self {
        Self::selecting(Own::new(policy))
    }
}

impl<K> TimeoutLayer<K> {
    /// A layer that gives each request the time `policy` finds for it.
    pub(crate) const fn selecting(policy: K) -> Self {
        let deadline_exceeded = false;
        Self {
            policy,
            deadline_exceeded,
        }
    }

    /// Whether a late gRPC call is answered `DEADLINE_EXCEEDED` (4) instead of `UNAVAILABLE` (14);
    /// not unless told.
    #[must_use]
    pub const fn grpc_deadline_exceeded(mut self, exceeded: bool) -> Self {
        self.deadline_exceeded = exceeded;
        self
    }
}

impl<S, K: Clone> Layer<S> for TimeoutLayer<K> {
    type Service = Timeout<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        Timeout {
            inner,
            policy: self.policy.clone(),
            deadline_exceeded: self.deadline_exceeded,
        }
    }
}

/// Answers `504` for an inner service that takes too long.
///
/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Timeout<S, K = Own<TimeoutPolicy>> {
    inner: S,
    policy: K,
    deadline_exceeded: bool,
}

/// How the deadline goes on over a response's body.
///
/// Used alone ([`Own`]) it ends with the response's head: the body is the inner service's own
/// type, and nothing is wrapped around it.
pub trait LimitBody<R> {
    /// The body must have ended by then.
    fn limit(&self, body: &mut R, deadline: Instant);
}

impl<P, R> LimitBody<R> for Own<P> {
    fn limit(&self, _: &mut R, _: Instant) {}
}

impl<S, B, R, K> Service<Request<B>> for Timeout<S, K>
where
    K: Select<TimeoutPolicy, B> + Carry<B> + LimitBody<R> + Clone,
    K::Inner: Body<Data = Bytes>,
    S: Service<Request<RequestBody<K::Inner, K::Note>>, Response = Response<R>>,
    R: FromLocalReply,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, K>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let written = self.policy.get(&request).copied().unwrap_or_default();
        let noted = match self.policy.in_place(&mut request) {
            Some(body) => self.policy.is_grpc(body),
            None => None,
        };
        let grpc = noted.unwrap_or_else(|| is_grpc(request.headers()));
        let policy = match grpc {
            true => written.for_grpc(grpc_timeout(request.headers())),
            false => written,
        };
        let policy = Some(policy).filter(|it| it.limit().is_some());
        let mut watch = None;
        let request = match (policy, self.policy.in_place(&mut request)) {
            (Some(policy), Some(body)) => {
                watch = Some(self.watch(policy, grpc, body.track()));
                self.policy.carry(request)
            }
            (Some(policy), None) => {
                let mut request = self.policy.carry(request);
                watch = Some(self.watch(policy, grpc, request.body_mut().track()));
                request
            }
            (None, _) => self.policy.carry(request),
        };
        ResponseFuture {
            inner: Some(self.inner.call(request)),
            watch,
            timer: None,
        }
    }
}

impl<S, K: Clone> Timeout<S, K> {
    fn watch(&self, policy: TimeoutPolicy, grpc: bool, end: RequestEnd) -> Watch<K> {
        Watch {
            policy,
            grpc,
            deadline_exceeded: self.deadline_exceeded,
            sent: end.is_past().then(Instant::now),
            end,
            select: self.policy.clone(),
        }
    }
}

/// The future of a [`Timeout`].
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F, K> {
    // Gone once the time is up.
    #[pin]
    inner: Option<F>,
    watch: Option<Watch<K>>,
    // Armed for a request that has gone out and is not answered at once.
    timer: Option<Timer>,
}

#[derive(Debug)]
struct Watch<K> {
    policy: TimeoutPolicy,
    grpc: bool,
    deadline_exceeded: bool,
    end: RequestEnd,
    /// When the request had gone out whole, once that is known.
    sent: Option<Instant>,
    select: K,
}

impl<K> Watch<K> {
    /// When the time is up; pending while the request is still going out, and where that is never.
    fn poll_deadline(&mut self, cx: &Context<'_>) -> Poll<Instant> {
        let sent = match self.sent {
            Some(sent) => sent,
            None => {
                ready!(self.end.poll(cx));
                let sent = self.end.at().unwrap_or_else(Instant::now);
                *self.sent.insert(sent)
            }
        };
        self.policy
            .deadline(sent)
            .map_or(Poll::Pending, Poll::Ready)
    }

    /// Ready once the time is up, armed when that is first known.
    fn poll_late(&mut self, timer: &mut Option<Timer>, cx: &Context<'_>) -> Poll<()> {
        let timer = match timer {
            Some(timer) => timer,
            None => timer.insert(Timer::at(ready!(self.poll_deadline(cx)))),
        };
        timer.poll(cx)
    }

    fn limit_body<R>(&self, response: &mut Response<R>)
    where
        K: LimitBody<R>,
    {
        if let Some(deadline) = self.sent.and_then(|sent| self.policy.deadline(sent)) {
            self.select.limit(response.body_mut(), deadline);
        }
    }

    fn reply<R: FromLocalReply>(&self) -> Response<R> {
        LocalReply::upstream_request_timeout("response_timeout", self.deadline_exceeded)
            .into_response(self.grpc)
    }
}

impl<F, R, E, K> Future for ResponseFuture<F, K>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: FromLocalReply,
    K: LimitBody<R>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // The inner future goes first: an answer that comes together with the deadline counts.
        let mut polled = match this.inner.as_mut().as_pin_mut() {
            Some(inner) => inner.poll(cx),
            None => Poll::Pending,
        };
        let Some(watch) = this.watch else {
            return polled;
        };
        match &mut polled {
            // The same deadline goes on over the body; of a response that came at once, before
            // there was a reason to look at the clock, it is not known and as good as whole.
            Poll::Ready(Ok(response)) => watch.limit_body(response),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                if watch.poll_late(this.timer, cx).is_ready() {
                    drop_late(|| this.inner.set(None));
                    polled = Poll::Ready(Ok(watch.reply()));
                }
            }
        }
        polled
    }
}
