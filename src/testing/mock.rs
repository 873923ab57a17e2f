//! An inner service that insists on tower's contract and counts all of its that is alive.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use tower_service::Service;

use crate::reply::FromLocalReply;

/// How many things of a kind are alive.
#[derive(Clone, Debug, Default)]
pub(super) struct Live(Arc<AtomicUsize>);

impl Live {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(super) fn guard(&self) -> Guard {
        self.0.fetch_add(1, Ordering::SeqCst);
        Guard(self.clone())
    }
}

/// One thing that is alive.
#[derive(Debug)]
pub(super) struct Guard(Live);

impl Drop for Guard {
    fn drop(&mut self) {
        let Live(count) = &self.0;
        count.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Pending so many times, and awake again at once each time.
#[derive(Clone, Debug)]
struct Hesitation(usize);

impl Hesitation {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A service that insists on tower's contract; clones are one service, each to be readied by
/// itself.
///
/// It is ready at the second asking, waits before and after it has read the request's body, and
/// answers 200 with a body of three frames, each of which makes its reader wait once.
///
/// # Panics
///
/// When it is called without having been readied, and when the request's body fails.
#[derive(Clone, Debug, Default)]
pub struct Mock {
    does: Does,
    /// Tries of the request at hand that still have to fail.
    failing: Arc<AtomicUsize>,
    /// Tries made so far.
    calls: Arc<AtomicUsize>,
    /// Futures and bodies.
    live: Live,
    /// What being ready costs: given out by `poll_ready`, spent by `call`.
    permits: Live,
    readiness: Readiness,
}

#[derive(Clone, Copy, Debug, Default)]
struct Does {
    /// How many tries of each request it answers with 503.
    failures: usize,
    /// Whether it never answers.
    hangs: bool,
    /// Whether it answers failing tries with an error rather than with 503.
    errors: bool,
}

/// A clone has to be readied by itself.
#[derive(Debug)]
struct Readiness {
    wait: Hesitation,
    permit: Option<Guard>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            wait: Hesitation(1),
            permit: None,
        }
    }
}

impl Clone for Readiness {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Mock {
    /// One that answers every request.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, answering the first so many tries of each request with 503.
    #[must_use]
    pub const fn failing(mut self, tries: usize) -> Self {
        self.does.failures = tries;
        self
    }

    /// The same, failing with an error (a reset connection) rather than with 503.
    #[must_use]
    pub const fn by_errors(mut self) -> Self {
        self.does.errors = true;
        self
    }

    /// The same, never answering.
    #[must_use]
    pub const fn hanging(mut self) -> Self {
        self.does.hangs = true;
        self
    }

    /// A new request comes: as many of its tries fail as were asked for.
    pub fn begin(&self) {
        self.failing.store(self.does.failures, Ordering::SeqCst);
    }

    /// A body to send, three frames long.
    #[must_use]
    pub fn upload(&self) -> MockBody {
        MockBody::new(&self.live, &["one", "two", "three"])
    }

    /// How many tries have reached it.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// How many of its futures, and of the bodies it made, are alive.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.live.count()
    }

    /// How many services are readied and not called yet.
    #[must_use]
    pub fn readied(&self) -> usize {
        self.permits.count()
    }
}

impl<B> Service<Request<B>> for Mock
where
    B: Body<Data = Bytes>,
{
    type Response = Response<MockBody>;
    type Error = io::Error;
    type Future = MockFuture<B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.readiness.permit.is_none() {
            ready!(self.readiness.wait.poll(cx));
            self.readiness.permit = Some(self.permits.guard());
            self.readiness.wait = Hesitation(1);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> MockFuture<B> {
        let permit = self.readiness.permit.take();
        assert!(permit.is_some(), "called without having been readied");
        self.calls.fetch_add(1, Ordering::SeqCst);
        let fail = |left: usize| left.checked_sub(1);
        let fails = self
            .failing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fail)
            .is_ok();
        MockFuture {
            body: Some(Box::pin(request.into_body())),
            before: Hesitation(1),
            after: Hesitation(1),
            does: self.does,
            fails,
            live: self.live.clone(),
            _held: (permit, self.live.guard()),
        }
    }
}

/// The future of a [`Mock`]: waits, reads the request, waits, answers.
#[derive(Debug)]
pub struct MockFuture<B> {
    body: Option<Pin<Box<B>>>,
    before: Hesitation,
    after: Hesitation,
    does: Does,
    fails: bool,
    live: Live,
    _held: (Option<Guard>, Guard),
}

impl<B> Future for MockFuture<B>
where
    B: Body<Data = Bytes>,
{
    type Output = io::Result<Response<MockBody>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(self.before.poll(cx));
        while let Some(body) = &mut self.body {
            match ready!(body.as_mut().poll_frame(cx)) {
                Some(frame) => assert!(frame.is_ok(), "the request's body failed"),
                None => self.body = None,
            }
        }
        ready!(self.after.poll(cx));
        if self.does.hangs {
            return Poll::Pending;
        }
        if self.fails && self.does.errors {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let mut response = Response::new(MockBody::new(&self.live, &["a", "b", "c"]));
        if self.fails {
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        }
        Poll::Ready(Ok(response))
    }
}

/// A body in several frames, each of which makes its reader wait once.
#[derive(Debug)]
pub struct MockBody {
    left: VecDeque<Bytes>,
    wait: Hesitation,
    _held: Option<Guard>,
}

impl MockBody {
    fn new(live: &Live, frames: &[&'static str]) -> Self {
        Self {
            left: frames
                .iter()
                .map(|it| Bytes::from_static(it.as_bytes()))
                .collect(),
            wait: Hesitation(1),
            _held: Some(live.guard()),
        }
    }
}

impl FromLocalReply for MockBody {
    fn from_local_reply(text: Bytes) -> Self {
        Self {
            left: [text].into_iter().filter(|it| !it.is_empty()).collect(),
            wait: Hesitation(0),
            _held: None,
        }
    }
}

impl Body for MockBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.wait.poll(cx));
        self.wait = Hesitation(1);
        Poll::Ready(self.left.pop_front().map(|it| Ok(Frame::data(it))))
    }
}
