//! Requests whose time is up: which try it was, at which endpoint, and when a try's time begins.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::time::{Instant, Sleep, sleep};
use tower::{Service, ServiceExt as _};
use tower_mesh::access_log::{AccessLog, AccessLogEntry, AccessLogLayer};
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::Mesh;
use tower_mesh::rt::Rng;

use crate::support::{build, mesh, seen};
use crate::tries::Does::{Answer, Fail, Hang};
use crate::tries::{Does, Script, get, rules};

/// What makes a route take the layers one by one.
const CORS: &str = "    corsPolicy: {allowOrigins: [{exact: 'https://nobody'}]}\n";
const TOLD: &str = "    headers: {response: {set: {x-told: \
     '%UPSTREAM_HOST% %UPSTREAM_REQUEST_ATTEMPT_COUNT%'}}}\n";

#[derive(Clone, Default)]
struct Lines(std::sync::Arc<std::sync::Mutex<Vec<AccessLogEntry>>>);

impl AccessLog for Lines {
    fn write(&self, entry: &AccessLogEntry) {
        self.0.lock().unwrap().push(entry.clone());
    }
}

/// How a request ends under these rules, at which of its endpoints by the log and by the header,
/// and as which try.
async fn check(more: &str, steps: &[Does], want: &str, at: usize, attempts: u32) {
    for more in [more.to_owned(), format!("{more}{CORS}")] {
        for seed in 0..8 {
            let more = format!("{more}{TOLD}");
            let mesh = build(
                Mesh::builder().rng(Rng::seeded(seed)),
                &rules(&[1, 2, 3], &more),
            );
            let script = Script::new(steps);
            let lines = Lines::default();
            let proxy = tower::ServiceBuilder::new()
                .layer(AccessLogLayer::new(lines.clone()))
                .service(script.proxy(&mesh));
            let answer = proxy.oneshot(get(&[])).await.unwrap();
            let (head, body) = answer.into_parts();
            drop(body.collect().await);
            let entry = lines.0.lock().unwrap().remove(0);
            let status = head.status.as_u16();
            assert_eq!(format!("{status} {}", entry.response_flags), want, "{more}");
            let tries = script.tries();
            let host = &tries[at].endpoint;
            assert_eq!(entry.upstream_host.as_ref(), Some(host), "{more}{tries:?}");
            assert_eq!(entry.upstream_request_attempt_count, attempts, "{more}");
            let told = format!("{host} {attempts}");
            assert_eq!(head.headers["x-told"], *told, "{more}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_and_the_headers_tell_which_try_was_late() {
    let plain = "    timeout: 1s\n    retries: {attempts: 0}\n";
    check(plain, &[Hang], "504 UT", 0, 1).await;
    let retried = "    timeout: 3s\n    \
         retries: {attempts: 3, retryOn: '5xx', backoff: 1ms}\n";
    check(retried, &[Answer(503), Answer(500), Hang], "504 UT", 2, 3).await;
    let each = "    retries: {attempts: 2, perTryTimeout: 1s, retryOn: '5xx', backoff: 1ms}\n";
    check(each, &[Hang], "504 URX,UT", 2, 3).await;
    check(each, &[Hang, Answer(200)], "200 -", 1, 2).await;
}

/// Envoy's access log tells of the last try as long as the next has not begun.
#[tokio::test(start_paused = true)]
async fn while_the_next_try_is_awaited_the_last_is_told_of() {
    // The dice have it wait more than 10 ms each time.
    let more = "    timeout: 10ms\n    retries: {attempts: 3, retryOn: '5xx', backoff: 500s}\n";
    check(
        more,
        &[Fail(io::ErrorKind::ConnectionReset)],
        "504 UT",
        0,
        1,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_of_a_late_try_is_avoided_by_the_next() {
    // Five more picks, and then it is whatever comes.
    let mut same = 0;
    for seed in 0..100 {
        let more = "    retries: {attempts: 1, perTryTimeout: 1s, retryOn: '5xx', backoff: 1ms}\n";
        let mesh = build(
            Mesh::builder().rng(Rng::seeded(seed)),
            &rules(&[1, 2], more),
        );
        let script = Script::new(&[Hang, Answer(200)]);
        let answer = script.proxy(&mesh).oneshot(get(&[])).await.unwrap();
        assert_eq!(seen(&answer), "200 -");
        let tries = script.tries();
        same += usize::from(tries[0].endpoint == tries[1].endpoint);
    }
    assert!(same < 10, "{same} of 100");
}

/// Is ready after a while, reads the body whole, and then takes its time to answer.
struct Slow {
    ready: Pin<Box<Sleep>>,
    answers: Duration,
}

impl Service<Request<Body>> for Slow {
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Response<Full<Bytes>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ready.as_mut().poll(cx).map(Ok)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answers = self.answers;
        Box::pin(async move {
            request
                .into_body()
                .collect()
                .await
                .map_err(io::Error::other)?;
            sleep(answers).await;
            Ok(Response::new(Full::default()))
        })
    }
}

/// What becomes of a request with a try's time of 1 s whose endpoint is ready, whose body is sent
/// and whose answer comes after so many milliseconds each; and when.
async fn one_second(ready: u64, sends: u64, answers: u64) -> (String, u128) {
    let mesh = mesh(&rules(
        &[1],
        "    retries: {attempts: 1, perTryTimeout: 1s, retryOn: connect-failure}\n",
    ));
    let proxy = mesh.forward_with(move |_: &Endpoint| Slow {
        ready: Box::pin(sleep(Duration::from_millis(ready))),
        answers: Duration::from_millis(answers),
    });
    let began = Instant::now();
    let last = futures::stream::once(async move {
        sleep(Duration::from_millis(sends)).await;
        Ok::<_, io::Error>(Frame::data(Bytes::from("last")))
    });
    let request = Request::post("/").header("host", "a.com");
    let request = match sends {
        0 => request.body(Body::empty()).unwrap(),
        _ => request
            .body(Body::new(StreamBody::new(Box::pin(last))))
            .unwrap(),
    };
    let answer = proxy.oneshot(request).await.unwrap();
    (seen(&answer), began.elapsed().as_millis())
}

/// Envoy begins to count when the try has a connection and the request has come whole.
#[tokio::test(start_paused = true)]
async fn the_time_of_a_try_begins_with_its_connection_and_the_end_of_the_request() {
    assert_eq!(one_second(0, 0, 900).await, ("200 -".to_owned(), 900));
    assert_eq!(one_second(0, 0, 1100).await, ("504 UT".to_owned(), 1000));
    assert_eq!(one_second(3000, 0, 900).await, ("200 -".to_owned(), 3900));
    assert_eq!(one_second(3000, 0, 1100).await, ("504 UT".to_owned(), 4000));
    assert_eq!(one_second(0, 3000, 900).await, ("200 -".to_owned(), 3900));
    assert_eq!(one_second(0, 3000, 1100).await, ("504 UT".to_owned(), 4000));
    assert_eq!(one_second(2000, 3000, 900).await.0, "200 -");
}

/// Reads an answer in pieces of 64 KiB, one each 100 ms, of which there are so many at once; how many
/// it gets, and whether the answer ends well.
async fn slowly(pieces: usize) -> (usize, bool) {
    let mesh = mesh(&rules(&[1], "    timeout: 1s\n"));
    let proxy = mesh.forward_with(move |_: &Endpoint| {
        tower::service_fn(move |_: Request<Body>| async move {
            let piece = || Ok::<_, io::Error>(Frame::data(Bytes::from(vec![0; 64 << 10])));
            let pieces = futures::stream::repeat_with(piece).take(pieces);
            Ok::<_, io::Error>(Response::new(StreamBody::new(pieces)))
        })
    });
    let answer = proxy.oneshot(get(&[])).await.unwrap();
    let mut body = answer.into_body();
    let mut got = 0;
    loop {
        match body.frame().await {
            Some(Ok(_)) => got += 1,
            Some(Err(_)) => return (got, false),
            None => return (got, true),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Who never waits for an answer is late all the same, but for what could have come in time.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_slowly_ends_with_its_time() {
    assert_eq!(slowly(20).await, (20, true));
    // 11 in time, and a mebibyte after it.
    assert_eq!(slowly(1000).await, (11 + 16, false));
}
