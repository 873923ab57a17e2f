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
    state: State<F, S>,
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
enum State<F, S> {
    /// A try is under way.
    Try {
        #[pin]
        call: F,
    },
    /// The wait before the next.
    Wait { timer: Timer },
    /// The next try's own service is being readied.
    Ready { service: S },
}

impl<F, S: Clone> State<F, S> {
    /// What comes before the next try, which a service of its own makes.
    fn next(wait: Duration, service: &S) -> Self {
        match wait.is_zero() {
            true => Self::Ready {
                service: service.clone(),
            },
            false => Self::Wait {
                timer: Timer::after(wait),
            },
        }
    }
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

    /// How long to wait for the next try after one that brought this; nothing after the last.
    fn after<R, E>(&mut self, result: &mut Result<Response<R>, E>, late: bool) -> Option<Duration>
    where
        K: Attempts<R, E, N>,
        B: Body<Data = Bytes>,
        N: Clone,
    {
        self.late = None;
        self.permit = None;
        if let Some(why) = self.refuses(result, late) {
            self.select.last(result, self.retries, why);
            return None;
        }
        self.retries += 1;
        let sent = self.sent.or_else(|| self.replay.sent());
        self.select.again(self.replay.note_mut(), result, sent);
        Some(self.wait(result))
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
    S: Service<Request<RequestBody<B, N>>, Response = Response<R>> + Clone,
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
    S: Service<Request<RequestBody<B, N>>, Response = Response<R>> + Clone,
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
                        let service = armed.service.clone();
                        let left = drop_late(|| this.state.set(State::Ready { service }));
                        polled = Poll::Ready(Ok(armed.late_reply::<R, S::Error>(left)));
                    }
                    let Poll::Ready(result) = &mut polled else {
                        return Poll::Pending;
                    };
                    let Some(wait) = armed.after(result, late) else {
                        return polled;
                    };
                    // The failed try, and the response it brought, end here.
                    drop(polled);
                    armed.replay.give_up();
                    this.state.set(State::next(wait, &armed.service));
                }
                StateProjected::Wait { timer } => {
                    if let Some(armed) = this.armed.as_deref_mut()
                        && let Poll::Ready(reply) = armed.poll_body::<R, S::Error>(cx)
                    {
                        return Poll::Ready(Ok(reply));
                    }
                    ready!(timer.poll(cx));
                    // Waiting and readying are states of an armed future only.
                    let Some(armed) = this.armed.as_deref() else {
                        return Poll::Pending;
                    };
                    let service = armed.service.clone();
                    this.state.set(State::Ready { service });
                }
                StateProjected::Ready { service } => {
                    let Some(armed) = this.armed.as_deref_mut() else {
                        return Poll::Pending;
                    };
                    if let Err(error) = ready!(service.poll_ready(cx)) {
                        // One that cannot be readied has failed like one that was sent.
                        let mut failed = Err(error);
                        let Some(wait) = armed.after(&mut failed, false) else {
                            return Poll::Ready(failed);
                        };
                        this.state.set(State::next(wait, &armed.service));
                        continue;
                    }
                    let Some(body) = armed.replay.again() else {
                        return Poll::Pending;
                    };
                    let call = service.call(armed.head.request(body));
                    this.state.set(State::Try { call });
                }
            }
        }
    }
}
