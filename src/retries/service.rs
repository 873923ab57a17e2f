//! The layer: plain when off; what later tries need is one box when on.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project::pin_project;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use super::attempts::Attempts;
use super::head::Head;
use super::policy::RetryPolicy;
use crate::context::ResponseFlags;
use crate::failure::Failure;
use crate::limits::Permit;
use crate::reply::{FromLocalReply, LocalReply, is_grpc};
use crate::request_body::{Carry, Filled, Replay, RequestBody};
use crate::rt::{Rng, Timer, drop_late};
use crate::select::{Own, Select};

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
    K: Select<RetryPolicy, B> + Carry<B> + Attempts<R, S::Error, K::Note> + Clone,
    K::Inner: Body<Data = Bytes>,
    S: Service<Request<RequestBody<K::Inner, K::Note>>, Response = Response<R>> + Clone,
    R: FromLocalReply,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, K, K::Held, K::Inner, K::Note, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let policy = self.policy.hold(&request);
        let mut request = self.policy.carry(request);
        let armed = policy.map(|policy| {
            let head = Head::of(&request);
            let grpc = self.policy.is_grpc(request.body());
            let note = request.body().note();
            let tells_time = self.policy.tells_time(note);
            let mut per_try = policy.per_try_timeout;
            let time = match tells_time || per_try.is_some() {
                true => self.policy.time(note, request.headers()),
                false => None,
            };
            // A time for each try that is not shorter than the time for all says nothing.
            per_try = per_try.filter(|it| time.is_none_or(|time| *it < time));
            let replay = request.body_mut().arm(policy.limit);
            Box::new(Armed {
                per_try,
                sent: time
                    .filter(|_| tells_time && !replay.is_tracked())
                    .map(|_| Instant::now()),
                deadline_exceeded: self.deadline_exceeded,
                service: self.inner.clone(),
                select: self.policy.clone(),
                dice: self.dice.clone(),
                grpc: grpc.unwrap_or_else(|| is_grpc(request.headers())),
                replay,
                retries: 0,
                permit: None,
                late: None,
                head,
                policy,
            })
        });
        let call = self.inner.call(request);
        ResponseFuture {
            state: State::Try { call },
            armed,
        }
    }
}

/// The future of a [`Retry`].
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<S, K, H, B, N, F> {
    #[pin]
    state: State<F>,
    armed: Option<ArmedBox<S, K, H, B, N>>,
}

/// In a box, so that requests without retries do not carry the room for it.
type ArmedBox<S, K, H, B, N> = Box<Armed<S, K, H, B, N>>;

#[pin_project(project = StateProjected)]
#[derive(Debug)]
enum State<F> {
    /// A try is under way.
    Try {
        #[pin]
        call: F,
    },
    /// The wait before the next.
    Wait { timer: Timer },
    /// The next try's service is being readied.
    Ready,
}

/// What later tries need.
#[derive(Debug)]
struct Armed<S, K, H, B, N> {
    service: S,
    select: K,
    policy: H,
    dice: Rng,
    grpc: bool,
    head: Head,
    replay: Replay<B, N>,
    retries: u32,
    /// The time for each try.
    per_try: Option<Duration>,
    /// When the request was sent, where it has no body and endpoints are told what is left of its
    /// time.
    sent: Option<Instant>,
    deadline_exceeded: bool,
    /// Counts a retry from the moment it is meant to be made until it has been judged.
    permit: Option<Permit>,
    /// Ends a try that takes too long; armed when the try is first waited for.
    late: Option<Timer>,
}

impl<S, K, H, B, N> Armed<S, K, H, B, N>
where
    H: Deref<Target = RetryPolicy>,
{
    /// The answer to a try that took too long, once it has.
    fn poll_late<R, E>(&mut self, cx: &mut Context<'_>) -> Poll<Response<R>>
    where
        K: Attempts<R, E, N>,
        R: FromLocalReply,
    {
        let Some(limit) = self.per_try else {
            return Poll::Pending;
        };
        let timer = self.late.get_or_insert_with(|| Timer::after(limit));
        ready!(timer.poll(cx));
        let details = "upstream_per_try_timeout";
        let reply = LocalReply::upstream_request_timeout(details, self.deadline_exceeded);
        let mut response = reply.into_response(self.grpc);
        self.select.late(self.replay.note(), &mut response);
        Poll::Ready(response)
    }

    /// Reads the body on while the next try is awaited; the answer, where that shows that there
    /// can be none.
    fn poll_body<R, E>(&mut self, cx: &mut Context<'_>) -> Poll<Response<R>>
    where
        K: Attempts<R, E, N>,
        B: Body<Data = Bytes>,
        R: FromLocalReply,
    {
        let reply = match ready!(self.replay.poll_fill(cx)) {
            Filled::Whole => return Poll::Pending,
            Filled::TooLong => LocalReply::body_too_long_to_retry(),
            Filled::Failed => LocalReply::for_failure(Failure::LocalReset, false),
        };
        let mut response = reply.into_response(self.grpc);
        self.select.late(self.replay.note(), &mut response);
        Poll::Ready(response)
    }

    /// Why no further try is made, as the flags of the last one say it; nothing where one is, which
    /// then counts as under way.
    fn refuses<R, E>(
        &mut self,
        result: &Result<Response<R>, E>,
        late: bool,
    ) -> Option<ResponseFlags>
    where
        K: Attempts<R, E, N>,
        B: Body<Data = Bytes>,
        N: Clone,
    {
        // A body that was not kept whole cannot be sent again.
        if !self.retries(result, late) || self.replay.is_lost() {
            return Some(ResponseFlags::NONE);
        }
        if self.retries >= self.policy.attempts {
            return Some(ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED);
        }
        if let Some(limits) = self.select.limits(self.replay.note()) {
            let Some(permit) = limits.retry() else {
                return Some(ResponseFlags::UPSTREAM_OVERFLOW);
            };
            self.permit = Some(permit);
        }
        None
    }

    /// Whether a result is one to try again on.
    fn retries<R, E>(&self, result: &Result<Response<R>, E>, late: bool) -> bool
    where
        K: Attempts<R, E, N>,
    {
        let on = &self.policy.on;
        if late {
            return on.retries_late_try();
        }
        match (self.select.failure(result), result) {
            (Some(failure), _) => on.retries_failure(&failure),
            // A reply of our own that no upstream's failure is behind: no endpoint, no destination.
            (None, Ok(response)) if LocalReply::of(response).is_some() => false,
            (None, Ok(response)) => on.retries_response(response.status(), response.headers()),
            (None, Err(_)) => false,
        }
    }
}

impl<S, K, H, B, N, R> Future for ResponseFuture<S, K, H, B, N, S::Future>
where
    K: Attempts<R, S::Error, N>,
    H: Deref<Target = RetryPolicy>,
    B: Body<Data = Bytes>,
    N: Clone,
    S: Service<Request<RequestBody<B, N>>, Response = Response<R>>,
    R: FromLocalReply,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // Without retries the answer passes through where it lies.
        if this.armed.is_none()
            && let StateProjected::Try { call } = this.state.as_mut().project()
        {
            return call.poll(cx);
        }
        loop {
            match this.state.as_mut().project() {
                StateProjected::Try { call } => {
                    let (result, late) = match (call.poll(cx), this.armed.as_deref_mut()) {
                        (Poll::Ready(result), _) => (result, false),
                        (Poll::Pending, None) => return Poll::Pending,
                        (Poll::Pending, Some(armed)) => {
                            (Ok(ready!(armed.poll_late::<R, S::Error>(cx))), true)
                        }
                    };
                    let Some(armed) = this.armed.as_deref_mut() else {
                        return Poll::Ready(result);
                    };
                    armed.late = None;
                    armed.permit = None;
                    if late {
                        drop_late(|| this.state.set(State::Ready));
                    }
                    if let Some(why) = armed.refuses(&result, late) {
                        return Poll::Ready(armed.select.last(result, armed.retries, why));
                    }
                    armed.retries += 1;
                    let sent = armed.sent.or_else(|| armed.replay.sent());
                    armed.select.again(armed.replay.note_mut(), &result, sent);
                    let wait = armed.policy.wait(armed.retries, armed.dice.next_u64());
                    // The failed try, and the response it brought, end here.
                    drop(result);
                    armed.replay.give_up();
                    let timer = Timer::after(wait);
                    this.state.set(State::Wait { timer });
                }
                StateProjected::Wait { timer } => {
                    if let Some(armed) = this.armed.as_deref_mut()
                        && let Poll::Ready(reply) = armed.poll_body::<R, S::Error>(cx)
                    {
                        return Poll::Ready(Ok(reply));
                    }
                    ready!(timer.poll(cx));
                    this.state.set(State::Ready);
                }
                StateProjected::Ready => {
                    // Waiting and readying are states of an armed future only.
                    let Some(armed) = this.armed.as_deref_mut() else {
                        return Poll::Pending;
                    };
                    ready!(armed.service.poll_ready(cx))?;
                    let Some(body) = armed.replay.again() else {
                        return Poll::Pending;
                    };
                    let call = armed.service.call(armed.head.request(body));
                    this.state.set(State::Try { call });
                }
            }
        }
    }
}
