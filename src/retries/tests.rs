//! Retries around a service that fails on purpose.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::time::Instant;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use super::{RetryLayer, RetryOn, RetryPolicy};
use crate::context::ResponseFlags;
use crate::reply::LocalReply;
use crate::request_body::RequestBody;
use crate::rt::Rng;

/// What an upstream does with a try.
#[derive(Clone, Copy)]
enum Does {
    Answer(u16),
    Refuse,
    Hang,
}

use Does::{Answer, Hang, Refuse};

/// A service that follows a script and insists on being readied, each clone by itself.
struct Upstream {
    script: Arc<Mutex<VecDeque<Does>>>,
    seen: Arc<Mutex<Vec<String>>>,
    ready: bool,
}

impl Clone for Upstream {
    fn clone(&self) -> Self {
        Self {
            script: self.script.clone(),
            seen: self.seen.clone(),
            ready: false,
        }
    }
}

impl Upstream {
    fn new(script: &[Does]) -> Self {
        Self {
            script: Arc::new(Mutex::new(script.iter().copied().collect())),
            seen: Arc::default(),
            ready: false,
        }
    }
}

type Answering =
    std::pin::Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, io::Error>> + Send>>;

impl Service<Request<RequestBody<Full<Bytes>>>> for Upstream {
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody<Full<Bytes>>>) -> Answering {
        assert!(
            std::mem::take(&mut self.ready),
            "called without being readied"
        );
        let does = self
            .script
            .lock()
            .expect("sound")
            .pop_front()
            .expect("no more tries");
        let seen = self.seen.clone();
        Box::pin(async move {
            let body = request
                .into_body()
                .collect()
                .await
                .expect("in memory")
                .to_bytes();
            seen.lock()
                .expect("sound")
                .push(String::from_utf8_lossy(&body).into_owned());
            match does {
                Answer(status) => {
                    let mut response = Response::new(Full::from("body"));
                    *response.status_mut() = StatusCode::from_u16(status).expect("valid");
                    Ok(response)
                }
                Refuse => Err(io::ErrorKind::ConnectionRefused.into()),
                Hang => std::future::pending().await,
            }
        })
    }
}

/// How the request ends, how many tries it took, and what each brought.
async fn check(policy: RetryPolicy, script: &[Does]) -> String {
    let upstream = Upstream::new(script);
    let seen = upstream.seen.clone();
    let service = RetryLayer::new(policy).rng(Rng::seeded(1)).layer(upstream);
    let request = Request::post("/").body(Full::from("hello")).expect("valid");
    let end = match service.oneshot(request).await {
        Ok(response) => {
            let flags = ResponseFlags::of(&response);
            format!("{} {flags}", response.status().as_u16())
        }
        Err(error) => error.kind().to_string(),
    };
    let seen = seen.lock().expect("sound");
    assert!(seen.iter().all(|body| body == "hello"), "{seen:?}");
    format!("{end}, {} tries", seen.len())
}

fn on(attempts: u32, text: &str) -> RetryPolicy {
    RetryPolicy::new(attempts, RetryOn::parse(text).expect("valid"))
}

#[tokio::test(start_paused = true)]
async fn tries_again_until_it_succeeds_or_may_not() {
    let tried = check(on(2, "5xx"), &[Answer(503), Refuse, Answer(200)]).await;
    assert_eq!(tried, "200 -, 3 tries");
    let tried = check(on(2, "5xx"), &[Answer(503), Answer(500), Answer(502)]).await;
    assert_eq!(tried, "502 URX, 3 tries");
    let tried = check(on(2, "connect-failure"), &[Refuse, Refuse, Refuse]).await;
    assert_eq!(tried, "connection refused, 3 tries");
    let tried = check(on(2, "connect-failure"), &[Answer(503)]).await;
    assert_eq!(tried, "503 -, 1 tries");
    let tried = check(RetryPolicy::istio_default(), &[Refuse, Answer(200)]).await;
    assert_eq!(tried, "200 -, 2 tries");
}

#[tokio::test(start_paused = true)]
async fn a_late_try_is_ended_and_tried_again_only_on_some_conditions() {
    let limit = Duration::from_millis(150);
    let policy = on(1, "gateway-error").per_try_timeout(limit);
    assert_eq!(check(policy, &[Hang, Answer(200)]).await, "200 -, 2 tries");
    let policy = RetryPolicy::istio_default().per_try_timeout(limit);
    let began = Instant::now();
    assert_eq!(check(policy, &[Hang]).await, "504 UT, 1 tries");
    assert_eq!(began.elapsed(), limit);
    let policy = on(1, "reset").per_try_timeout(limit);
    assert_eq!(check(policy, &[Hang, Hang]).await, "504 URX,UT, 2 tries");
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_the_limit_is_sent_once() {
    let policy = on(3, "5xx").body_limit(4);
    assert_eq!(check(policy, &[Answer(503)]).await, "503 -, 1 tries");
    let policy = on(3, "5xx").body_limit(5);
    assert_eq!(
        check(policy, &[Answer(503), Answer(200)]).await,
        "200 -, 2 tries"
    );
}

/// How a request ends whose upstream fails at once the first time and reads all of it the second;
/// its body comes a piece each second, and what is kept of it has a limit.
async fn while_waiting(limit: usize, last: Result<&'static str, io::Error>) -> String {
    let policy = on(1, "5xx")
        .backoff(Duration::from_secs(100))
        .body_limit(limit);
    let pieces = futures::stream::iter([Ok("a "), Ok("slow "), last]);
    let pieces = pieces.then(|piece| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        piece.map(|it| Frame::data(Bytes::from_static(it.as_bytes())))
    });
    let tries = AtomicU32::new(0);
    let upstream = service_fn(|request: Request<RequestBody<_>>| {
        let first = tries.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            let body = match first {
                true => Bytes::new(),
                false => request.into_body().collect().await?.to_bytes(),
            };
            let mut response = Response::new(Full::new(body));
            *response.status_mut() =
                StatusCode::from_u16(if first { 503 } else { 200 }).expect("valid");
            Ok::<_, io::Error>(response)
        }
    });
    let service = RetryLayer::new(policy).rng(Rng::seeded(1)).layer(upstream);
    let began = Instant::now();
    let response = service.oneshot(Request::new(StreamBody::new(pieces))).await;
    let response = response.expect("valid");
    let (status, flags) = (response.status().as_u16(), ResponseFlags::of(&response));
    let details = LocalReply::of(&response).map_or("-".into(), |it| it.details.clone());
    let body = response
        .into_body()
        .collect()
        .await
        .expect("in memory")
        .to_bytes();
    let body = String::from_utf8_lossy(&body);
    format!(
        "{status} {flags} {details} {body:?} {}, {} tries",
        began.elapsed().as_secs() < 4,
        tries.into_inner(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_body_is_read_on_during_the_wait_and_may_outgrow_what_is_kept() {
    assert_eq!(
        while_waiting(11, Ok("body")).await,
        r#"200 - - "a slow body" false, 2 tries"#
    );
    assert_eq!(
        while_waiting(10, Ok("body")).await,
        "507 - request_payload_exceeded_retry_buffer_limit \
         \"exceeded request buffer limit while retrying upstream\" true, 1 tries"
    );
    let failed = while_waiting(11, Err(io::ErrorKind::BrokenPipe.into())).await;
    assert!(failed.starts_with("503 LR "), "{failed}");
    assert!(failed.ends_with("true, 1 tries"), "{failed}");
}

/// Before retry k the wait is even in [0, 25 ms · 2^(k−1)), at most 250 ms.
#[test]
fn waits_double_up_to_ten_times_the_base() {
    let policy = on(9, "5xx");
    let spans = [25, 50, 100, 200, 250, 250];
    for (k, span) in (1..).zip(spans) {
        let span = Duration::from_millis(span);
        assert_eq!(policy.wait(k, 0), Duration::ZERO);
        assert!(policy.wait(k, u64::MAX) < span);
        assert!(policy.wait(k, u64::MAX) > span - Duration::from_micros(1));
        let half = policy.wait(k, u64::MAX / 2);
        assert!(
            half.abs_diff(span / 2) < Duration::from_micros(1),
            "{k}: {half:?}"
        );
    }
    assert!(policy.wait(99, u64::MAX) < Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_not_readied_is_not_called() {
    // The upstream of every test here panics otherwise; this one is readied by hand.
    let upstream = Upstream::new(&[Answer(503), Answer(200)]);
    let mut service = RetryLayer::new(on(1, "5xx")).layer(upstream);
    std::future::poll_fn(|cx| service.poll_ready(cx))
        .await
        .expect("ready");
    let request = Request::new(Full::from("hello"));
    assert_eq!(service.call(request).await.expect("answered").status(), 200);
}

/// Ready for the first try; each clone after that fails to be, until it is used up.
#[derive(Clone)]
struct Unready {
    failures: Arc<AtomicU32>,
    first: bool,
    spent: bool,
}

impl Service<Request<RequestBody<Full<Bytes>>>> for Unready {
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Response<Full<Bytes>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        assert!(!self.spent, "readied again after it had failed");
        let first = std::mem::take(&mut self.first);
        let left = self.failures.load(Ordering::Relaxed);
        if first || left == 0 {
            return Poll::Ready(Ok(()));
        }
        self.failures.store(left - 1, Ordering::Relaxed);
        self.spent = true;
        Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()))
    }

    fn call(&mut self, request: Request<RequestBody<Full<Bytes>>>) -> Self::Future {
        let noted = request.extensions().get::<&str>();
        assert_eq!(noted, Some(&"noted"), "lost on the way to a try");
        std::future::ready(match self.failures.load(Ordering::Relaxed) {
            0 => Ok(Response::new(Full::default())),
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        })
    }
}

/// How a request ends whose second, and so many later tries, cannot even be readied.
async fn unready(policy: RetryPolicy, failures: u32) -> Result<StatusCode, io::ErrorKind> {
    let service = Unready {
        failures: Arc::new(AtomicU32::new(failures)),
        first: false,
        spent: false,
    };
    let mut service = RetryLayer::new(policy).layer(Unready {
        first: true,
        ..service
    });
    std::future::poll_fn(|cx| service.poll_ready(cx))
        .await
        .expect("ready");
    let mut request = Request::new(Full::default());
    request.extensions_mut().insert("noted");
    let answer = service.call(request).await;
    answer.map(|it| it.status()).map_err(|it| it.kind())
}

#[tokio::test(start_paused = true)]
async fn a_try_that_cannot_be_readied_has_failed_like_any_other() {
    let policy = |attempts| on(attempts, "connect-failure").backoff(Duration::ZERO);
    assert_eq!(unready(policy(3), 2).await, Ok(StatusCode::OK));
    let refused = Err(io::ErrorKind::ConnectionRefused);
    assert_eq!(unready(policy(2), 2).await, refused);
    assert_eq!(
        unready(on(3, "connect-failure"), 2).await,
        Ok(StatusCode::OK)
    );
    assert_eq!(unready(on(3, "503"), 1).await, refused);
}

/// The status a request of this method ends with, and how often it was tried.
async fn spared(method: &str, script: &[Does]) -> (u16, usize) {
    let upstream = Upstream::new(script);
    let seen = upstream.seen.clone();
    let policy = on(3, "5xx,connect-failure,reset").spare_delivered(true);
    let policy = policy.per_try_timeout(Duration::from_millis(100));
    let request = Request::builder().method(method).body(Full::default());
    let answer = RetryLayer::new(policy).layer(upstream);
    let answer = answer.oneshot(request.unwrap()).await;
    let tries = seen.lock().unwrap().len();
    (answer.map_or(0, |it| it.status().as_u16()), tries)
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_done_is_not_done_again_where_a_policy_spares_it() {
    assert_eq!(spared("POST", &[Refuse, Answer(200)]).await, (200, 2));
    assert_eq!(spared("POST", &[Answer(503), Answer(200)]).await, (503, 1));
    assert_eq!(spared("POST", &[Hang, Answer(200)]).await, (504, 1));
    assert_eq!(spared("PATCH", &[Refuse, Answer(503)]).await, (503, 2));
    assert_eq!(spared("PUT", &[Answer(503), Answer(200)]).await, (200, 2));
    assert_eq!(spared("GET", &[Hang, Answer(200)]).await, (200, 2));
}
