//! The layer: plain when off; what later tries need is one box when on.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::head::Head;
use super::policy::RetryPolicy;
use crate::context::ResponseFlags;
use crate::failure::{ClassifyFailure, Failure};
use crate::limits::{Limits, Permit};
use crate::reply::{FromLocalReply, LocalReply, is_grpc};
use crate::request_body::{Carry, Replay, RequestBody};
use crate::rt::{Rng, Timer, drop_late};
use crate::select::{Own, Select};

/// What retries must know of results and may note for the next try.
///
/// Used alone ([`Own`]), errors say themselves what they are and nothing is noted.
pub trait Attempts<R, E, N> {
    /// What kept the upstream from answering; nothing for an upstream's response.
    fn failure(&self, result: &Result<Response<R>, E>) -> Option<Failure>;

    /// Notes for the next try what became of the last.
    fn again(&self, note: &mut N, last: &Result<Response<R>, E>);

    /// Notes on a reply to a late try which try it was.
    fn late(&self, note: &N, reply: &mut Response<R>);

    /// What limits how many retries are under way.
    fn limits<'a>(&self, note: &'a N) -> Option<&'a Limits>;

    /// The last result when no further try is made, after `retries` of them.
    fn last(&self, result: Result<Response<R>, E>, retries: u32) -> Result<Response<R>, E>;
}

impl<P, R, E: ClassifyFailure> Attempts<R, E, ()> for Own<P> {
    fn failure(&self, result: &Result<Response<R>, E>) -> Option<Failure> {
        match result {
            Ok(response) => LocalReply::of(response)?.failure.clone(),
            Err(error) => Some(error.classify()),
        }
    }

    fn again(&self, (): &mut (), _: &Result<Response<R>, E>) {}

    fn late(&self, (): &(), _: &mut Response<R>) {}

    fn limits<'a>(&self, (): &'a ()) -> Option<&'a Limits> {
        None
    }

    fn last(&self, mut result: Result<Response<R>, E>, _: u32) -> Result<Response<R>, E> {
        if let Ok(response) = &mut result {
            ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED.note(response);
        }
        result
    }
}

/// Wraps services in [`Retry`].
#[derive(Clone, Debug)]
pub struct RetryLayer<K = Own<RetryPolicy>> {
    policy: K,
    dice: Rng,
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
        Self { policy, dice }
    }

    /// The dice for the waits; seeded ones repeat.
    #[must_use]
    pub fn rng(mut self, dice: Rng) -> Self {
        self.dice = dice;
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
        }
    }
}

/// Tries again what failed. See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Retry<S, K = Own<RetryPolicy>> {
    inner: S,
    policy: K,
    dice: Rng,
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
            Box::new(Armed {
                service: self.inner.clone(),
                select: self.policy.clone(),
                dice: self.dice.clone(),
                grpc: grpc.unwrap_or_else(|| is_grpc(request.headers())),
                replay: request.body_mut().arm(policy.limit),
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
        let Some(limit) = self.policy.per_try_timeout else {
            return Poll::Pending;
        };
        let timer = self.late.get_or_insert_with(|| Timer::after(limit));
        ready!(timer.poll(cx));
        let reply = LocalReply::upstream_request_timeout("upstream_per_try_timeout");
        let mut response = reply.into_response(self.grpc);
        self.select.late(self.replay.note(), &mut response);
        Poll::Ready(response)
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
                    if !armed.retries(&result, late) {
                        return Poll::Ready(result);
                    }
                    if armed.retries >= armed.policy.attempts {
                        return Poll::Ready(armed.select.last(result, armed.retries));
                    }
                    // A body that was not kept whole cannot be sent again.
                    if armed.replay.again().is_none() {
                        return Poll::Ready(result);
                    }
                    if let Some(limits) = armed.select.limits(armed.replay.note()) {
                        let Some(permit) = limits.retry() else {
                            return Poll::Ready(result.map(|mut response| {
                                ResponseFlags::UPSTREAM_OVERFLOW.note(&mut response);
                                response
                            }));
                        };
                        armed.permit = Some(permit);
                    }
                    armed.retries += 1;
                    armed.select.again(armed.replay.note_mut(), &result);
                    let wait = armed.policy.wait(armed.retries, armed.dice.next_u64());
                    // The failed try, and the response it brought, end here.
                    drop(result);
                    let timer = Timer::after(wait);
                    this.state.set(State::Wait { timer });
                }
                StateProjected::Wait { timer } => {
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
