//! The future of a request that may be tried again.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::attempts::Attempts;
use super::head::Head;
use super::policy::RetryPolicy;
use crate::context::ResponseFlags;
use crate::failure::Failure;
use crate::limits::Permit;
use crate::reply::{FromLocalReply, LocalReply};
use crate::request_body::{Filled, Replay, RequestBody, RequestEnd};
use crate::rt::{Left, Rng, Timer, drop_late, expect_connected, is_connecting, is_late};

/// The future of a [`Retry`](super::Retry).
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<S, K, B, N, F> {
    #[pin]
    state: State<F>,
    armed: Option<ArmedBox<S, K, B, N>>,
}

impl<S, K, B, N, F> ResponseFuture<S, K, B, N, F> {
    /// Waits for the first try, and makes more where it is armed.
    pub(crate) const fn new(call: F, armed: Option<ArmedBox<S, K, B, N>>) -> Self {
        Self {
            state: State::Try { call },
            armed,
        }
    }
}

/// In a box, so that requests without retries do not carry the room for it.
pub(crate) type ArmedBox<S, K, B, N> = Box<Armed<S, K, B, N>>;

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
pub(crate) struct Armed<S, K, B, N> {
    pub(super) service: S,
    pub(super) select: K,
    pub(super) dice: Rng,
    pub(super) grpc: bool,
    pub(super) head: Head,
    pub(super) replay: Replay<B, N>,
    pub(super) retries: u32,
    /// The time for each try, which begins when it has a connection and the request has gone out
    /// whole.
    pub(super) per_try: Option<Duration>,
    /// The latter; nothing where there is no such time.
    pub(super) end: Option<RequestEnd>,
    /// When the request was sent, where it has no body and endpoints are told what is left of its
    /// time.
    pub(super) sent: Option<Instant>,
    pub(super) deadline_exceeded: bool,
    /// Counts a retry from the moment it is meant to be made until it has been judged.
    pub(super) permit: Option<Permit>,
    /// Ends a try that takes too long; armed once its time has begun.
    pub(super) late: Option<Timer>,
    /// Leaves what is known between two tries.
    pub(super) leave: fn(&N),
}

impl<S, K, B, N> Drop for Armed<S, K, B, N> {
    fn drop(&mut self) {
        if is_late() {
            (self.leave)(self.replay.note());
        }
    }
}

impl<S, K, B, N> Armed<S, K, B, N> {
    /// Ready once a try has taken too long.
    fn poll_late(&mut self, cx: &Context<'_>) -> Poll<()> {
        let Some(limit) = self.per_try else {
            return Poll::Pending;
        };
        if self.late.is_none() {
            if is_connecting() {
                return Poll::Pending;
            }
            if let Some(end) = &self.end {
                ready!(end.poll(cx));
            }
        }
        let timer = self.late.get_or_insert_with(|| Timer::after(limit));
        timer.poll(cx)
    }

    /// The answer to a try that took too long.
    fn late_reply<R, E>(&self, left: Left) -> Response<R>
    where
        K: Attempts<R, E, N>,
        R: FromLocalReply,
    {
        let details = "upstream_per_try_timeout";
        let reply = LocalReply::upstream_request_timeout(details, self.deadline_exceeded);
        let mut response = reply.into_response(self.grpc);
        self.select.late(self.replay.note(), left, &mut response);
        response
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
        self.select.late(self.replay.note(), None, &mut response);
        Poll::Ready(response)
    }

    /// How long to wait for the next try.
    fn wait<R, E>(&self, last: &Result<Response<R>, E>) -> Duration
    where
        K: Attempts<R, E, N>,
    {
        let roll = self.dice.next_u64();
        let Some(policy) = self.select.policy(self.replay.note()) else {
            return Duration::ZERO;
        };
        if let Ok(response) = last
            && LocalReply::of(response).is_none()
        {
            if policy.on.retries_at_once(response.status()) {
                return Duration::ZERO;
            }
            if let Some(reset) = &policy.reset
                && let Some(wait) = reset.wait(response.headers(), roll)
            {
                return wait;
            }
        }
        policy.wait(self.retries, roll)
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
        let policy = self.select.policy(self.replay.note());
        let wanted = policy.filter(|policy| self.wants_another(policy, result, late));
        // A body that was not kept whole cannot be sent again.
        let Some(policy) = wanted.filter(|_| !self.replay.is_lost()) else {
            return Some(ResponseFlags::NONE);
        };
        if self.retries >= policy.attempts {
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
    fn wants_another<R, E>(
        &self,
        policy: &RetryPolicy,
        result: &Result<Response<R>, E>,
        late: bool,
    ) -> bool
    where
        K: Attempts<R, E, N>,
    {
        let on = &policy.on;
        if policy.spare_delivered && !self.head.is_idempotent() {
            let failure = self.select.failure(result);
            let failure = failure.filter(|it| !late && it.is_undelivered());
            return failure.is_some_and(|it| on.retries_failure(&it));
        }
        if late {
            return on.retries_late_try();
        }
        match (self.select.failure(result), result) {
            (Some(failure), _) => on.retries_failure(&failure),
            // A reply of our own that no upstream's failure is behind: no endpoint, no destination.
            (None, Ok(response)) if LocalReply::of(response).is_some() => false,
            (None, Ok(response)) => {
                let early = on.retries_at_once(response.status()) && self.head.has("early-data");
                !early && on.retries_response(response.status(), response.headers())
            }
            (None, Err(_)) => false,
        }
    }
}

impl<S, K, B, N, R> Future for ResponseFuture<S, K, B, N, S::Future>
where
    K: Attempts<R, S::Error, N>,
    B: Body<Data = Bytes>,
    N: Clone,
    S: Service<Request<RequestBody<B, N>>, Response = Response<R>>,
    R: FromLocalReply,
{
    type Output = Result<Response<R>, S::Error>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Without retries the answer passes through where it lies.
        if self.armed.is_none()
            && let StateProjected::Try { call } = self.as_mut().project().state.project()
        {
            return call.poll(cx);
        }
        self.poll_tries(cx)
    }
}

impl<S, K, B, N, R> ResponseFuture<S, K, B, N, S::Future>
where
    K: Attempts<R, S::Error, N>,
    B: Body<Data = Bytes>,
    N: Clone,
    S: Service<Request<RequestBody<B, N>>, Response = Response<R>>,
    R: FromLocalReply,
{
    fn poll_tries(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<R>, S::Error>> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjected::Try { call } => {
                    let per_try = this.armed.as_ref().and_then(|it| it.per_try);
                    if per_try.is_some() {
                        expect_connected();
                    }
                    // Judged where it lies: each move of a response is paid for.
                    let mut polled = call.poll(cx);
                    let Some(armed) = this.armed.as_deref_mut() else {
                        return polled;
                    };
                    let late = polled.is_pending();
                    if late {
                        ready!(armed.poll_late(cx));
                        let left = drop_late(|| this.state.set(State::Ready));
                        polled = Poll::Ready(Ok(armed.late_reply::<R, S::Error>(left)));
                    }
                    let Poll::Ready(result) = &mut polled else {
                        return Poll::Pending;
                    };
                    armed.late = None;
                    armed.permit = None;
                    if let Some(why) = armed.refuses(result, late) {
                        armed.select.last(result, armed.retries, why);
                        return polled;
                    }
                    armed.retries += 1;
                    let sent = armed.sent.or_else(|| armed.replay.sent());
                    armed.select.again(armed.replay.note_mut(), result, sent);
                    let wait = armed.wait(result);
                    // The failed try, and the response it brought, end here.
                    drop(polled);
                    armed.replay.give_up();
                    this.state.set(match wait.is_zero() {
                        true => State::Ready,
                        false => State::Wait {
                            timer: Timer::after(wait),
                        },
                    });
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
