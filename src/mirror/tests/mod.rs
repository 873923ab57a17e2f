//! Tests for [`super`]: the layer over services that watch what reaches them.

mod compile;

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc;
use futures::{FutureExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::time::sleep;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use super::shadow::append_suffix;
use super::{MirrorLayer, MirrorPolicy};
use crate::context::ResponseFlags;
use crate::percent::Percent;
use crate::reply::LocalReply;
use crate::request_body::{BodyCopy, RequestBody};
use crate::rt::Rng;

type Answer = Result<Response<Full<Bytes>>, io::Error>;

/// What reached a service, a line a request: method, target, body, trailers.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn list(&self) -> Vec<String> {
        self.0.lock().expect("sound").clone()
    }

    /// Reads the whole request and writes it down.
    async fn read<B>(self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes, Error: std::fmt::Display> + Send,
    {
        let line = format!("{} {}", request.method(), request.uri());
        let end = match request.into_body().collect().await {
            Ok(read) => {
                let trailers = read.trailers().map_or(0, HeaderMap::len);
                let text = String::from_utf8_lossy(&read.to_bytes()).into_owned();
                format!("{line} {text:?} {trailers}")
            }
            Err(error) => format!("{line} {error}"),
        };
        self.0.lock().expect("sound").push(end);
        Ok(Response::new(Full::from("upstream")))
    }
}

type Shadowed = Request<RequestBody<BodyCopy>>;

fn always() -> MirrorPolicy {
    MirrorPolicy::new(Percent::from_whole(100))
}

/// Lets all tasks run until they wait for time to pass.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

fn shadow_to(
    seen: &Seen,
) -> impl tower::Service<Shadowed, Response = Response<Full<Bytes>>, Error = io::Error, Future: Send>
+ Clone
+ Send
+ 'static {
    let seen = seen.clone();
    service_fn(move |request: Shadowed| seen.clone().read(request))
}

fn post(body: &'static str) -> Request<Full<Bytes>> {
    let request = Request::post("http://shop.example/cart?n=1");
    request.body(Full::from(body)).expect("valid")
}

#[tokio::test(start_paused = true)]
async fn the_copy_is_the_request_and_its_answer_is_thrown_away() {
    let (main, copy) = (Seen::default(), Seen::default());
    let layer = MirrorLayer::new(always(), shadow_to(&copy));
    let counts = layer.counts().clone();
    let upstream = main.clone();
    let service = layer.layer(service_fn(move |it: Request<_>| upstream.clone().read(it)));
    let response = service.oneshot(post("hello")).await.expect("answered");
    assert_eq!(
        response
            .into_body()
            .collect()
            .await
            .expect("text")
            .to_bytes(),
        "upstream"
    );
    settle().await;
    assert_eq!(
        main.list(),
        [r#"POST http://shop.example/cart?n=1 "hello" 0"#]
    );
    assert_eq!(copy.list(), main.list());
    assert_eq!(
        (counts.sent(), counts.answered(), counts.in_flight()),
        (1, 1, 0)
    );
}

type Sender = mpsc::UnboundedSender<Result<Frame<Bytes>, Infallible>>;

/// A body that says what is put into the sender.
fn upload() -> (
    Sender,
    Request<impl Body<Data = Bytes, Error = Infallible> + Send>,
) {
    let (sender, receiver) = mpsc::unbounded();
    let body = StreamBody::new(receiver.boxed());
    (sender, Request::put("/up").body(body).expect("valid"))
}

fn say(sender: &Sender, text: &'static str) {
    let sent = sender.unbounded_send(Ok(Frame::data(Bytes::from_static(text.as_bytes()))));
    sent.expect("somebody reads");
}

#[tokio::test(start_paused = true)]
async fn trailers_are_copied_and_frames_come_as_they_are_sent() {
    let (main, copy) = (Seen::default(), Seen::default());
    let upstream = main.clone();
    let service = MirrorLayer::new(always(), shadow_to(&copy))
        .layer(service_fn(move |it: Request<_>| upstream.clone().read(it)));
    let (sender, request) = upload();
    say(&sender, "one");
    let trailers = HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("x"))]);
    sender
        .unbounded_send(Ok(Frame::trailers(trailers)))
        .expect("open");
    sender.close_channel();
    service.oneshot(request).await.expect("answered");
    settle().await;
    assert_eq!(copy.list(), [r#"PUT /up "one" 1"#]);
    assert_eq!(copy.list(), main.list());
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_hangs_or_fails_is_not_noticed() {
    let shadow = service_fn(|request: Shadowed| async move {
        if request.uri().path() == "/fail" {
            return Err(io::Error::other("down"));
        }
        // Neither reads the request nor answers.
        pending::<()>().await;
        Ok(Response::new(Full::<Bytes>::default()))
    });
    let layer = MirrorLayer::new(always(), shadow)
        .body_limit(8)
        .max_in_flight(2);
    let counts = layer.counts().clone();
    let mut service = layer.layer(service_fn(|request: Request<_>| {
        Seen::default().read(request)
    }));
    let mut send = async |path: &str, body: &'static str| {
        let request = Request::post(path).body(Full::from(body)).expect("valid");
        let answer = service.call(request).now_or_never().expect("at once");
        assert_eq!(answer.expect("answered").status(), 200);
        settle().await;
    };
    send("/fail", "12345678").await;
    assert_eq!(
        (counts.sent(), counts.failed(), counts.in_flight()),
        (1, 1, 0)
    );
    // One byte more than may wait, and nobody reads it.
    send("/hang", "123456789").await;
    assert_eq!((counts.bodies_lost(), counts.in_flight()), (1, 0));
    for _ in 0..3 {
        send("/hang", "12345678").await;
    }
    assert_eq!((counts.in_flight(), counts.over_limit()), (2, 1));
    assert_eq!((counts.sent(), counts.answered()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_given_up_takes_its_copy_along_unless_its_body_is_out() {
    for (whole, want) in [
        (
            false,
            "PUT /up the request was given up before its body had ended",
        ),
        (true, r#"PUT /up "one" 0"#),
    ] {
        let copy = Seen::default();
        let upstream = service_fn(|request: Request<_>| async move {
            Seen::default().read(request).await?;
            pending::<Answer>().await
        });
        let seen = copy.clone();
        // Begins to read after the request was given up.
        let shadow = service_fn(move |request: Shadowed| {
            let seen = seen.clone();
            async move {
                sleep(Duration::from_secs(2)).await;
                seen.read(request).await
            }
        });
        let layer = MirrorLayer::new(always(), shadow);
        let counts = layer.counts().clone();
        let service = layer.layer(upstream);
        let (sender, request) = upload();
        say(&sender, "one");
        if whole {
            sender.close_channel();
        }
        let call = tokio::time::timeout(Duration::from_secs(1), service.oneshot(request));
        assert!(call.await.is_err(), "it hangs");
        settle().await;
        assert_eq!(counts.in_flight(), usize::from(whole), "{want}");
        sleep(Duration::from_secs(3)).await;
        assert_eq!(counts.in_flight(), 0);
        match whole {
            true => assert_eq!(copy.list(), [want]),
            false => assert_eq!((copy.list().len(), counts.bodies_lost()), (0, 1), "{want}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_nowhere_is_not_mirrored() {
    for (flags, mirrored) in [
        (ResponseFlags::NO_HEALTHY_UPSTREAM, 0),
        (ResponseFlags::NO_CLUSTER_FOUND, 0),
        (ResponseFlags::UPSTREAM_CONNECTION_FAILURE, 1),
        (ResponseFlags::UPSTREAM_OVERFLOW, 0),
    ] {
        let copy = Seen::default();
        let upstream = service_fn(move |_: Request<RequestBody<Full<Bytes>>>| async move {
            let reply = LocalReply::new(StatusCode::SERVICE_UNAVAILABLE, flags);
            Ok::<Response<Full<Bytes>>, Infallible>(reply.into_response(false))
        });
        let layer = MirrorLayer::new(always(), shadow_to(&copy));
        let counts = layer.counts().clone();
        let request = Request::get("/").body(Full::default()).expect("valid");
        layer
            .layer(upstream)
            .oneshot(request)
            .await
            .expect("answered");
        settle().await;
        assert_eq!(copy.list().len(), mirrored, "{flags}");
        assert_eq!(counts.in_flight(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn tunnels_are_not_mirrored() {
    let copy = Seen::default();
    let service = MirrorLayer::new(always(), shadow_to(&copy))
        .layer(service_fn(|it: Request<_>| Seen::default().read(it)));
    for request in [
        Request::connect("a:1"),
        Request::get("/chat").header("upgrade", "websocket"),
    ] {
        let request = request.body(Full::from("")).expect("valid");
        service.clone().oneshot(request).await.expect("answered");
    }
    settle().await;
    assert!(copy.list().is_empty());
}

#[test]
fn without_a_runtime_nothing_is_mirrored_and_nothing_fails() {
    let layer = MirrorLayer::new(always(), shadow_to(&Seen::default()));
    let counts = layer.counts().clone();
    let mut service = layer.layer(service_fn(|it: Request<_>| Seen::default().read(it)));
    let answer = service.call(post("hello")).now_or_never().expect("at once");
    assert_eq!(answer.expect("answered").status(), 200);
    assert_eq!(
        (counts.sent(), counts.over_limit(), counts.in_flight()),
        (0, 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn the_mirrors_service_is_readied_and_only_a_clone_of_it_is_used() {
    #[derive(Default)]
    struct Picky(bool, Arc<Mutex<u32>>);
    impl Clone for Picky {
        fn clone(&self) -> Self {
            Self(false, self.1.clone())
        }
    }
    impl tower::Service<Shadowed> for Picky {
        type Response = Response<Full<Bytes>>;
        type Error = io::Error;
        type Future = std::future::Ready<Answer>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), io::Error>> {
            self.0 = true;
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Shadowed) -> Self::Future {
            assert!(std::mem::take(&mut self.0), "called without being readied");
            *self.1.lock().expect("sound") += 1;
            std::future::ready(Ok(Response::new(Full::default())))
        }
    }
    let picky = Picky::default();
    let mut service = MirrorLayer::new(always(), picky.clone())
        .layer(service_fn(|it: Request<_>| Seen::default().read(it)));
    for _ in 0..3 {
        poll_fn(|cx| service.poll_ready(cx)).await.expect("ready");
        service.call(post("hello")).await.expect("answered");
    }
    settle().await;
    assert_eq!(*picky.1.lock().expect("sound"), 3);
}

/// 100 000 requests; the alarm stands at five standard deviations, p < 1e-6.
#[test]
fn the_share_is_kept() {
    let (dice, share, n) = (Rng::seeded(3), 0.123, 100_000_u32);
    let policy = MirrorPolicy::new(Percent::from_percentage(share * 100.0).expect("valid"));
    let copied = (0..n).filter(|_| policy.copies(dice.next_u64())).count() as f64;
    let deviation = (f64::from(n) * share * (1.0 - share)).sqrt();
    assert!(
        (copied - f64::from(n) * share).abs() < 5.0 * deviation,
        "{copied}"
    );
}

#[test]
fn one_roll_decides_for_all_mirrors() {
    let policy = MirrorPolicy::of([20, 0, 50, 20].map(Percent::from_whole));
    let chosen = |roll| policy.chosen(roll).collect::<Vec<_>>();
    assert_eq!(chosen(199_999), [0, 2, 3]);
    assert_eq!(chosen(200_000), [2]);
    assert_eq!(chosen(7_000_500_000), [0_usize; 0]);
}

#[test]
fn the_suffix_stands_before_the_port() {
    let check = |host: Option<&str>, uri: &str, want: &str| {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert("host", host.parse().expect("valid"));
        }
        append_suffix(&mut headers, &uri.parse::<Uri>().expect("valid"));
        let got = headers
            .get("host")
            .map_or("", |it| it.to_str().expect("text"));
        assert_eq!(got, want);
    };
    check(Some("x.test"), "/", "x.test-shadow");
    check(Some("x.test:8080"), "/", "x.test-shadow:8080");
    check(Some("[::1]:80"), "/", "[::1]-shadow:80");
    check(Some("[::1]"), "/", "[::1]-shadow");
    check(None, "http://x.test:81/a", "x.test-shadow:81");
    check(Some("x.test"), "http://other/", "x.test-shadow");
    check(None, "/", "");
}

#[tokio::test(start_paused = true)]
async fn the_suffix_is_appended_where_it_is_asked_for() {
    for (suffix, want) in [(false, None), (true, Some("shop.example-shadow"))] {
        let (seen, mut hosts) = mpsc::unbounded();
        let shadow = service_fn(move |request: Shadowed| {
            let host = request.headers().get("host").cloned();
            let _ = seen.unbounded_send(host);
            async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
        });
        let service = MirrorLayer::new(always(), shadow)
            .host_suffix(suffix)
            .layer(service_fn(|it: Request<_>| Seen::default().read(it)));
        service.oneshot(post("hello")).await.expect("answered");
        let host = hosts.next().await.expect("a copy");
        assert_eq!(host.as_ref().map(|it| it.to_str().expect("text")), want);
    }
}
