//! What is asked of every service: cut off at any place it leaves nothing behind and goes on.

use std::fmt::{self, Debug};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::mock::{Mock, MockBody};

/// More polls than a request may need.
const MANY: usize = 100;

/// The most services there are at once: a readied one may keep its permit for the next request.
const SERVICES: usize = 2;

/// What time passes between one poll and the next.
const STEP: Duration = Duration::from_millis(10);

/// One kind of request through one service, which may be cut off anywhere.
///
/// See the [module documentation](super).
pub struct Contract<'a> {
    name: String,
    mock: Mock,
    request: Box<dyn Fn(MockBody) -> Request<MockBody> + 'a>,
    status: u16,
    calls: usize,
    idle: Box<dyn Fn() -> bool + 'a>,
}

/// How often a service had to be polled, for tests that want to know that it did wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Polls {
    /// Polls until the response was there.
    pub response: usize,
    /// Polls until its body had ended.
    pub body: usize,
}

impl Debug for Contract<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<'a> Contract<'a> {
    /// A `POST /` with a body of three frames, which reaches the [`Mock`] once and is answered with
    /// 200; failures name it so.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            mock: Mock::new(),
            request: Box::new(post),
            status: 200,
            calls: 1,
            idle: Box::new(|| true),
        }
    }

    /// The same with the request that is made of this body.
    #[must_use]
    pub fn request(mut self, make: impl Fn(MockBody) -> Request<MockBody> + 'a) -> Self {
        self.request = Box::new(make);
        self
    }

    /// The same with a mock that does something else.
    #[must_use]
    pub fn mock(mut self, mock: Mock) -> Self {
        self.mock = mock;
        self
    }

    /// The same with the status the response is to have.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with how many tries are to reach the mock: 0 for a layer that answers itself.
    #[must_use]
    pub const fn calls(mut self, calls: usize) -> Self {
        self.calls = calls;
        self
    }

    /// The same with a question that is to be answered with yes whenever no request is under way:
    /// for counts the mock cannot see.
    #[must_use]
    pub fn idle(mut self, idle: impl Fn() -> bool + 'a) -> Self {
        self.idle = Box::new(idle);
        self
    }

    fn nothing_lives(&self, when: &str) {
        let name = &self.name;
        assert_eq!(self.mock.alive(), 0, "{name}: left alive {when}");
        assert!((self.idle)(), "{name}: counts as under way {when}");
        let permits = self.mock.readied();
        assert!(permits <= SERVICES, "{name}: permits kept {when}");
    }

    /// Sends a request and polls its future up to `most` times.
    async fn send<S, R>(&self, service: &mut S, most: usize) -> Option<(Response<R>, usize)>
    where
        S: Service<Request<MockBody>, Response = Response<R>, Error: Debug>,
    {
        ready(service).await;
        self.mock.begin();
        let mut future = pin!(service.call((self.request)(self.mock.upload())));
        for polls in 1..=most {
            if let Poll::Ready(result) = poll_once(future.as_mut()).await {
                return Some((result.expect("a response"), polls));
            }
            tokio::time::sleep(STEP).await;
        }
        None
    }

    /// A whole request, read to its end.
    async fn succeeds<S, R>(&self, service: &mut S, when: &str)
    where
        S: Service<Request<MockBody>, Response = Response<R>, Error: Debug>,
        R: Body<Error: Debug>,
    {
        let before = self.mock.calls();
        let answer = self.send(service, MANY).await;
        let (response, _) = answer.unwrap_or_else(|| panic!("{}: no answer {when}", self.name));
        let calls = self.mock.calls() - before;
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

    /// Holds the service `make` puts around the mock to all of it.
    ///
    /// # Panics
    ///
    /// When the service breaks the contract; the message says where.
    pub async fn holds<S, R>(&self, make: impl Fn(Mock) -> S) -> Polls
    where
        S: Service<Request<MockBody>, Response = Response<R>, Error: Debug> + Clone,
        R: Body<Error: Debug>,
    {
        let mut service = make(self.mock.clone());
        self.succeeds(&mut service, "the first time").await;
        self.succeeds(&mut service, "the second time").await;
        let mut clone = service.clone();
        self.succeeds(&mut clone, "by a clone").await;
        drop(clone);

        // Readied, and then not called.
        ready(&mut service).await;
        drop(service);
        self.nothing_lives("after a service that was not called");
        assert_eq!(self.mock.readied(), 0, "{}: permits", self.name);

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
        assert_eq!(self.mock.readied(), 0, "{}: permits", self.name);
        Polls {
            response: head,
            body: whole,
        }
    }
}

/// Polls a body up to `most` times; says whether it has come to its end.
fn read<R: Body<Error: Debug>>(mut body: Pin<Box<R>>, most: usize) -> (Pin<Box<R>>, bool) {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..most {
        match body.as_mut().poll_frame(&mut cx) {
            Poll::Ready(None) => return (body, true),
            Poll::Ready(Some(frame)) => drop(frame.expect("a frame")),
            Poll::Pending => {}
        }
    }
    (body, false)
}

fn post(body: MockBody) -> Request<MockBody> {
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    request
}

async fn ready<S>(service: &mut S)
where
    S: Service<Request<MockBody>, Error: Debug>,
{
    let ready = poll_fn(|cx| service.poll_ready(cx)).await;
    ready.expect("it becomes ready");
}

/// Polls a future once, and says what came of it.
async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}
