//! The layer that answers for an inner service that takes too long.

use std::any::Any;
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
use crate::rt::{Left, Timer, drop_late};
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

    /// Notes on the answer to a request that was late what its tries `left` when they were dropped.
    fn late(&self, _left: Option<Box<dyn Any>>, _reply: &mut Response<R>) {}
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

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let written = self.policy.get(&request).copied().unwrap_or_default();
        let mut request = self.policy.carry(request);
        let watch = Watch::begin(
            written,
            &self.policy,
            self.deadline_exceeded,
            self.policy.is_grpc(request.body().note()),
            &mut request,
        );
        ResponseFuture::new(self.inner.call(request), watch)
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
}

impl<F, K> ResponseFuture<F, K> {
    const fn new(inner: F, watch: Option<Watch<K>>) -> Self {
        Self {
            inner: Some(inner),
            watch,
        }
    }
}

/// What is known of a request whose time is limited.
#[derive(Debug)]
pub(crate) struct Watch<K> {
    policy: TimeoutPolicy,
    grpc: bool,
    deadline_exceeded: bool,
    select: K,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// The request is still going out.
    Sending(RequestEnd),
    /// It has gone out; armed for one that is not answered at once, nothing where its time is
    /// never up.
    Sent(Option<Timer>),
}

impl<K> Watch<K> {
    /// What the layer does to a request before it is handed on; nothing where there is no limit.
    #[inline]
    pub(crate) fn begin<B, N>(
        written: TimeoutPolicy,
        select: &K,
        deadline_exceeded: bool,
        grpc: Option<bool>,
        request: &mut Request<RequestBody<B, N>>,
    ) -> Option<Self>
    where
        K: Clone,
        B: Body<Data = Bytes>,
    {
        let grpc = grpc.unwrap_or_else(|| is_grpc(request.headers()));
        let policy = match grpc {
            true => written.for_grpc(grpc_timeout(request.headers())),
            false => written,
        };
        policy.limit()?;
        let end = request.body_mut().track();
        let phase = match end.is_past() {
            true => Phase::Sent(policy.deadline(Instant::now()).map(Timer::at)),
            false => Phase::Sending(end),
        };
        Some(Self {
            policy,
            grpc,
            deadline_exceeded,
            select: select.clone(),
            phase,
        })
    }

    /// Ready once the time is up; pending while the request is still going out, and where that is
    /// never.
    pub(crate) fn poll_late(&mut self, cx: &Context<'_>) -> Poll<()> {
        if let Phase::Sending(end) = &self.phase {
            ready!(end.poll(cx));
            let sent = end.at().unwrap_or_else(Instant::now);
            self.phase = Phase::Sent(self.policy.deadline(sent).map(Timer::at));
        }
        match &mut self.phase {
            Phase::Sent(Some(timer)) => timer.poll(cx),
            Phase::Sent(None) | Phase::Sending(_) => Poll::Pending,
        }
    }

    /// The same deadline goes on over the body; of a response that came before the request had gone
    /// out it is not known and as good as whole.
    #[inline]
    pub(crate) fn limit_body<R>(&self, response: &mut Response<R>)
    where
        K: LimitBody<R>,
    {
        if let Phase::Sent(Some(timer)) = &self.phase {
            self.select.limit(response.body_mut(), timer.deadline());
        }
    }

    /// The answer once the time is up, with what its tries left.
    pub(crate) fn reply<R: FromLocalReply>(&self, left: Left) -> Response<R>
    where
        K: LimitBody<R>,
    {
        let exceeded = self.deadline_exceeded;
        let reply = LocalReply::upstream_request_timeout("response_timeout", exceeded);
        let mut response = reply.into_response(self.grpc);
        self.select.late(left, &mut response);
        response
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
            Poll::Ready(Ok(response)) => watch.limit_body(response),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                ready!(watch.poll_late(cx));
                let left = drop_late(|| this.inner.set(None));
                polled = Poll::Ready(Ok(watch.reply(left)));
            }
        }
        polled
    }
}
