//! What is asked of every service: cut off at any place it leaves nothing behind and goes on.

use std::fmt::Debug;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::poll;
use http::{Request, Response};
use http_body::Body;
use tower::{Service, ServiceExt as _};

use crate::mock::{Frames, Mock};

/// More polls than any of the requests here needs.
const MANY: usize = 100;

/// The most services there are at once: a readied one may keep its permit for the next request.
const SERVICES: usize = 2;

/// What time passes between one poll and the next.
const STEP: Duration = Duration::from_millis(10);

/// One kind of request through one service.
pub(crate) struct Case<'a> {
    pub(crate) name: &'a str,
    pub(crate) mock: Mock,
    pub(crate) request: fn(Frames) -> Request<Frames>,
    pub(crate) status: u16,
    /// How many tries reach the inner service.
    pub(crate) calls: usize,
    /// Whether nothing counts as under way any more, for what the mock cannot see.
    pub(crate) idle: &'a dyn Fn() -> bool,
}

impl Case<'_> {
    fn nothing_lives(&self, when: &str) {
        let name = self.name;
        assert_eq!(self.mock.live.count(), 0, "{name}: left alive {when}");
        assert!((self.idle)(), "{name}: counts as under way {when}");
        let permits = self.mock.permits.count();
        assert!(permits <= SERVICES, "{name}: permits kept {when}");
    }

    /// Sends a request and polls its future up to `most` times.
    async fn send<S, R>(&self, service: &mut S, most: usize) -> Option<(Response<R>, usize)>
    where
        S: Service<Request<Frames>, Response = Response<R>, Error: Debug>,
    {
        let service = service.ready().await.expect("it becomes ready");
        self.mock.begin();
        let mut future = pin!(service.call((self.request)(self.mock.upload())));
        for polls in 1..=most {
            if let std::task::Poll::Ready(result) = poll!(future.as_mut()) {
                return Some((result.expect("a response"), polls));
            }
            tokio::time::advance(STEP).await;
        }
        None
    }

    /// A whole request, read to its end.
    async fn succeeds<S, R>(&self, service: &mut S, when: &str)
    where
        S: Service<Request<Frames>, Response = Response<R>, Error: Debug>,
        R: Body<Error: Debug>,
    {
        let before = self.mock.calls.load(Ordering::SeqCst);
        let answer = self.send(service, MANY).await;
        let (response, _) = answer.unwrap_or_else(|| panic!("{}: no answer {when}", self.name));
        let calls = self.mock.calls.load(Ordering::SeqCst) - before;
        let status = response.status();
        assert_eq!(status, self.status, "{}: {calls} tries {when}", self.name);
        assert_eq!(calls, self.calls, "{}: tries {when}", self.name);
        let (body, ended) = read(Box::pin(response.into_body()), MANY);
        assert!(ended, "{}: the body goes on {when}", self.name);
        // What has ended counts no more, though its body is still held.
        assert!((self.idle)(), "{}: counts at its end", self.name);
        drop(body);
        self.nothing_lives("after a whole request");
    }

    /// Holds the service to all of it; gives the polls a response took and the polls its body took.
    pub(crate) async fn holds<S, R>(&self, make: impl Fn(Mock) -> S) -> (usize, usize)
    where
        S: Service<Request<Frames>, Response = Response<R>, Error: Debug> + Clone,
        R: Body<Error: Debug>,
    {
        let mut service = make(self.mock.clone());
        self.succeeds(&mut service, "the first time").await;
        self.succeeds(&mut service, "the second time").await;
        let mut clone = service.clone();
        self.succeeds(&mut clone, "by a clone").await;
        drop(clone);

        // Readied, and then not called.
        service.ready().await.expect("it becomes ready");
        drop(service);
        self.nothing_lives("after a service that was not called");
        assert_eq!(self.mock.permits.count(), 0, "{}: permits", self.name);

        let mut service = make(self.mock.clone());
        let mut head = MANY;
        for most in 0..MANY {
            let answer = self.send(&mut service, most).await;
            let answered = answer.map(|(_, polls)| polls);
            self.nothing_lives(&format!("after {most} polls"));
            self.succeeds(&mut service, &format!("after {most} polls"))
                .await;
            if let Some(polls) = answered {
                head = polls;
                break;
            }
        }
        let mut whole = MANY;
        for most in 0..MANY {
            let answer = self.send(&mut service, MANY).await;
            let (response, _) = answer.expect("a response");
            let (body, ended) = read(Box::pin(response.into_body()), most);
            drop(body);
            self.nothing_lives(&format!("after {most} polls of the body"));
            self.succeeds(&mut service, "after a body that was dropped")
                .await;
            if ended {
                whole = most;
                break;
            }
        }
        drop(service);
        assert_eq!(self.mock.permits.count(), 0, "{}: permits", self.name);
        (head, whole)
    }
}

/// Polls a body up to `most` times; says whether it has come to its end.
fn read<R: Body<Error: Debug>>(mut body: Pin<Box<R>>, most: usize) -> (Pin<Box<R>>, bool) {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..most {
        match body.as_mut().poll_frame(&mut cx) {
            std::task::Poll::Ready(None) => return (body, true),
            std::task::Poll::Ready(Some(frame)) => drop(frame.expect("a frame")),
            std::task::Poll::Pending => {}
        }
    }
    (body, false)
}
