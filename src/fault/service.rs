//! The layer that holds requests back and answers some of them with a failure.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use pin_project::pin_project;
use tokio::time::{Sleep, sleep};
use tower::{Layer, Service};

use super::policy::{Abort, FaultPolicy};
use crate::context::ResponseFlags;
use crate::reply::{FromLocalReply, is_grpc};
use crate::rt::Rng;
use crate::select::{Own, Select};

/// Wraps services in [`Fault`].
#[derive(Clone, Debug)]
pub struct FaultLayer<K = Own<FaultPolicy>> {
    policy: K,
    dice: Rng,
}

impl FaultLayer {
    /// A layer that injects these faults into the requests that come through.
    #[must_use]
    pub fn new(policy: FaultPolicy) -> Self {
        Self::selecting(Own::new(policy), Rng::default())
    }
}

impl<K> FaultLayer<K> {
    /// A layer that injects the faults `policy` finds for a request.
    pub(crate) const fn selecting(policy: K, dice: Rng) -> Self {
        Self { policy, dice }
    }

    /// The same with other dice, such as seeded ones.
    #[must_use]
    pub fn rng(mut self, dice: Rng) -> Self {
        self.dice = dice;
        self
    }
}

impl<S, K: Clone> Layer<S> for FaultLayer<K> {
    type Service = Fault<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        Fault {
            inner,
            policy: self.policy.clone(),
            dice: self.dice.clone(),
        }
    }
}

/// Holds requests back and answers some with a failure.
///
/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Fault<S, K = Own<FaultPolicy>> {
    inner: S,
    policy: K,
    dice: Rng,
}

impl<S, B, R, K> Service<Request<B>> for Fault<S, K>
where
    K: Select<FaultPolicy, B>,
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: FromLocalReply,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(policy) = self.policy.get(&request) else {
            return ResponseFuture::through(self.inner.call(request));
        };
        let verdict = policy.decide(&self.dice);
        let Some(delay) = verdict.delay else {
            return match verdict.abort {
                None => ResponseFuture::through(self.inner.call(request)),
                Some(abort) => ResponseFuture {
                    step: Step::Abort {
                        abort,
                        grpc: is_grpc(request.headers()),
                    },
                    delayed: false,
                },
            };
        };
        // The service that was readied is the one to call.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        ResponseFuture {
            step: Step::Hold(Box::pin(Held {
                delay,
                timer: None,
                abort: verdict.abort,
                waiting: Some((inner, request)),
            })),
            delayed: true,
        }
    }
}

/// The future of a [`Fault`].
#[pin_project]
pub struct ResponseFuture<S, B, F> {
    #[pin]
    step: Step<S, B, F>,
    delayed: bool,
}

#[pin_project(project = StepProjected)]
enum Step<S, B, F> {
    Through(#[pin] F),
    Abort { abort: Abort, grpc: bool },
    Hold(Pin<Box<Held<S, B>>>),
}

/// A request held back, with all that is needed to go on.
#[pin_project]
struct Held<S, B> {
    delay: Duration,
    // Begins to run at the first poll.
    #[pin]
    timer: Option<Sleep>,
    abort: Option<Abort>,
    waiting: Option<(S, Request<B>)>,
}

impl<S, B, F> ResponseFuture<S, B, F> {
    const fn through(inner: F) -> Self {
        Self {
            step: Step::Through(inner),
            delayed: false,
        }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B, S::Future>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: FromLocalReply,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.step.as_mut().project() {
                StepProjected::Through(inner) => {
                    let mut result = ready!(inner.poll(cx));
                    if *this.delayed
                        && let Ok(response) = &mut result
                    {
                        ResponseFlags::DELAY_INJECTED.note(response);
                    }
                    return Poll::Ready(result);
                }
                StepProjected::Abort { abort, grpc } => {
                    let mut reply = abort.reply();
                    if *this.delayed {
                        reply.flags = reply.flags.union(ResponseFlags::DELAY_INJECTED);
                    }
                    return Poll::Ready(Ok(reply.into_response(*grpc)));
                }
                StepProjected::Hold(held) => match ready!(held.as_mut().poll(cx)) {
                    Some((mut inner, request)) => match held.abort {
                        None => Step::Through(inner.call(request)),
                        Some(abort) => Step::Abort {
                            abort,
                            grpc: is_grpc(request.headers()),
                        },
                    },
                    // Taken but once: the step changes with it.
                    None => return Poll::Pending,
                },
            };
            this.step.set(next);
        }
    }
}

impl<S, B> Held<S, B> {
    /// Ready when the time is up.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<(S, Request<B>)>> {
        let mut this = self.project();
        if this.timer.is_none() {
            this.timer.set(Some(sleep(*this.delay)));
        }
        if let Some(timer) = this.timer.as_pin_mut() {
            ready!(timer.poll(cx));
        }
        Poll::Ready(this.waiting.take())
    }
}

impl<S, B, F> fmt::Debug for ResponseFuture<S, B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match self.step {
            Step::Through(_) => "through",
            Step::Abort { .. } => "abort",
            Step::Hold(_) => "hold",
        };
        f.debug_struct("ResponseFuture")
            .field("step", &step)
            .field("delayed", &self.delayed)
            .finish()
    }
}
