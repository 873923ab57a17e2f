//! Tests for [`super`].

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use tokio::time::{Instant, sleep};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use super::{LimitBody, TimeoutLayer, TimeoutPolicy};
use crate::context::ResponseFlags;
use crate::diagnostic::{At, Diagnostics};
use crate::reply::LocalReply;
use crate::request_body::{Carry, RequestBody};
use crate::select::Select;

const LIMIT: Duration = Duration::from_secs(3);

type Answer = Result<Response<Full<Bytes>>, Infallible>;

fn layer() -> TimeoutLayer {
    TimeoutLayer::new(TimeoutPolicy::new(LIMIT))
}

fn no_content() -> Answer {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// A body that comes in three pieces, two seconds apart.
fn slow() -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send {
    let pieces = futures::stream::iter([0, 2, 2]).then(|seconds| async move {
        sleep(Duration::from_secs(seconds)).await;
        Ok(Frame::data(Bytes::from_static(b"piece")))
    });
    StreamBody::new(pieces)
}

/// What a client and an access log see of a request whose upstream reads its body, then needs `delay`.
async fn send<B>(layer: TimeoutLayer, body: B, content_type: &str, delay: Duration) -> String
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send,
{
    let start = Instant::now();
    let mut request = Request::new(body);
    let value = content_type.parse().expect("a header value");
    request.headers_mut().insert("content-type", value);
    let upstream = service_fn(move |request: Request<RequestBody<B>>| async move {
        request.into_body().collect().await?;
        sleep(delay).await;
        no_content()
    });
    let answer = layer.layer(upstream).oneshot(request).await;
    let response = answer.expect("it cannot fail");
    let took = start.elapsed().as_millis();
    let flags = ResponseFlags::of(&response);
    let details = LocalReply::of(&response).map_or("via_upstream".into(), |it| it.details.clone());
    let (parts, body) = response.into_parts();
    let grpc_status = parts.headers.get("grpc-status");
    let grpc_status = grpc_status.map_or("-", |it| it.to_str().expect("text"));
    let body = body.collect().await.expect("in memory").to_bytes();
    let body = String::from_utf8_lossy(&body);
    let status = parts.status.as_u16();
    format!("{status} {flags} {details} {grpc_status} {body:?} after {took} ms")
}

const JSON: &str = "application/json";

#[tokio::test(start_paused = true)]
async fn answers_504_at_the_limit_and_not_before() {
    assert_eq!(
        send(layer(), Empty::new(), JSON, LIMIT * 10).await,
        r#"504 UT response_timeout - "upstream request timeout" after 3000 ms"#
    );
    assert_eq!(
        send(layer(), Empty::new(), "application/grpc", LIMIT * 10).await,
        r#"200 UT response_timeout 14 "" after 3000 ms"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_grpc_call_is_told_so_where_wanted() {
    let layer = layer().grpc_deadline_exceeded(true);
    assert_eq!(
        send(layer.clone(), Empty::new(), "application/grpc", LIMIT * 10).await,
        r#"200 UT response_timeout 4 "" after 3000 ms"#
    );
    assert_eq!(
        send(layer, Empty::new(), JSON, LIMIT * 10).await,
        r#"504 UT response_timeout - "upstream request timeout" after 3000 ms"#
    );
}

#[test]
fn a_grpc_call_has_what_it_asks_for_up_to_the_limit() {
    let millis = Duration::from_millis;
    let check = |limit: u64, asked: Option<Duration>, want: Option<u64>| {
        let policy = TimeoutPolicy::new(millis(limit)).for_grpc(asked);
        assert_eq!(policy.limit(), want.map(millis), "{limit} {asked:?}");
    };
    check(0, None, None);
    check(0, Some(millis(0)), None);
    check(0, Some(millis(70)), Some(70));
    check(50, None, Some(50));
    check(50, Some(millis(0)), Some(50));
    check(50, Some(millis(20)), Some(20));
    check(50, Some(millis(70)), Some(50));
    check(0, Some(Duration::from_nanos(1)), Some(1));
    check(0, Some(Duration::from_micros(1001)), Some(2));
    check(
        0,
        Some(millis(359_999_996_400_000)),
        Some(359_999_996_400_000),
    );
}

#[tokio::test(start_paused = true)]
async fn a_response_that_ties_with_the_limit_wins() {
    assert_eq!(
        send(layer(), Empty::new(), JSON, LIMIT).await,
        r#"204 - via_upstream - "" after 3000 ms"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_upload_does_not_count() {
    assert_eq!(
        send(layer(), slow(), JSON, Duration::from_millis(2500)).await,
        r#"204 - via_upstream - "" after 6500 ms"#
    );
    assert_eq!(
        send(layer(), slow(), JSON, LIMIT * 10).await,
        r#"504 UT response_timeout - "upstream request timeout" after 7000 ms"#
    );
}

#[tokio::test(start_paused = true)]
async fn zero_switches_the_limit_off() {
    let layer = TimeoutLayer::new(TimeoutPolicy::new(Duration::ZERO));
    assert_eq!(
        send(layer, Empty::new(), JSON, LIMIT * 1000).await,
        r#"204 - via_upstream - "" after 3000000 ms"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_limit_beyond_the_end_of_time_is_none() {
    let layer = TimeoutLayer::new(TimeoutPolicy::new(Duration::MAX));
    assert_eq!(
        send(layer, Empty::new(), JSON, LIMIT).await,
        r#"204 - via_upstream - "" after 3000 ms"#
    );
}

#[tokio::test(start_paused = true)]
async fn the_time_counts_from_the_call_even_if_the_future_is_polled_late() {
    let start = Instant::now();
    let inner = service_fn(|_: Request<RequestBody<Empty<Bytes>>>| pending::<Answer>());
    let answer = layer().layer(inner).call(Request::new(Empty::new()));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(answer.await.expect("it cannot fail").status(), 504);
    assert_eq!(start.elapsed(), LIMIT);
}

#[tokio::test(start_paused = true)]
async fn a_body_read_by_another_task_starts_the_clock_when_it_ends() {
    let start = Instant::now();
    let inner = service_fn(|request: Request<RequestBody<_>>| {
        tokio::spawn(request.into_body().collect());
        pending::<Answer>()
    });
    let answer = layer().layer(inner).oneshot(Request::new(slow()));
    assert_eq!(answer.await.expect("it cannot fail").status(), 504);
    assert_eq!(start.elapsed(), Duration::from_secs(4) + LIMIT);
}

/// Finds no policy, and bodies that are one type already, as a mesh does.
#[derive(Clone)]
struct Nothing;

impl<P, B> Select<P, B> for Nothing {
    type Held = Arc<P>;

    fn get<'a>(&'a self, _: &'a Request<B>) -> Option<&'a P> {
        None
    }

    fn hold(&self, _: &Request<B>) -> Option<Arc<P>> {
        None
    }
}

impl<B, N: Clone> Carry<RequestBody<B, N>> for Nothing {
    type Inner = B;
    type Note = N;

    fn carry(&self, request: Request<RequestBody<B, N>>) -> Request<RequestBody<B, N>> {
        request
    }
}

impl<R> LimitBody<R> for Nothing {
    fn limit(&self, _: &mut R, _: Instant) {}
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_policy_passes_with_its_body_as_it_is() {
    let inner = service_fn(
        |request: Request<RequestBody<Empty<Bytes>, &'static str>>| async move {
            assert_eq!(*request.body().note(), "note");
            no_content()
        },
    );
    let request = Request::new(RequestBody::new(Empty::new(), "note"));
    let service = TimeoutLayer::selecting(Nothing).layer(inner);
    let answer = service.oneshot(request).now_or_never();
    let response = answer.expect("at once").expect("it cannot fail");
    assert!(response.extensions().is_empty());
}

/// Insists on being readied before each call; clones are not ready.
struct Strict {
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false }
    }
}

impl Service<Request<RequestBody<Empty<Bytes>>>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<RequestBody<Empty<Bytes>>>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called before it was ready"
        );
        Box::pin(async { no_content() })
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_readied_service_is_called() {
    let mut service = layer().layer(Strict { ready: false }).clone();
    for _ in 0..2 {
        let request = Request::new(Empty::<Bytes>::new());
        let answer = service.ready().await.expect("ready").call(request);
        assert_eq!(
            answer.await.expect("it cannot fail").status(),
            StatusCode::NO_CONTENT
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_inner_call_is_cancelled_when_time_is_up_and_when_dropped() {
    let token = Arc::new(());
    let held = token.clone();
    let inner = service_fn(move |_: Request<RequestBody<Empty<Bytes>>>| {
        let held = held.clone();
        async move {
            let _held = held;
            pending::<Answer>().await
        }
    });
    let mut service = layer().layer(inner);
    let mut answer = Box::pin(service.call(Request::new(Empty::new())));
    assert_eq!(Arc::strong_count(&token), 3);
    assert_eq!((&mut answer).await.expect("it cannot fail").status(), 504);
    assert_eq!(Arc::strong_count(&token), 2, "cancelled at the limit");
    let answer = service.call(Request::new(Empty::new()));
    assert_eq!(Arc::strong_count(&token), 3);
    drop(answer);
    assert_eq!(Arc::strong_count(&token), 2, "cancelled when dropped");
}

/// Compiles a `timeout`; the limit and what was found.
#[track_caller]
fn check(written: Duration, want: &str) {
    let mut found = Diagnostics::default();
    let policy = super::compile(written, At::Top.field("timeout"), &mut found);
    let limit = policy.and_then(|it| it.limit());
    assert_eq!(format!("{limit:?} {found}"), want);
}

#[test]
fn compiles_what_istio_accepts_and_says_what_is_wrong() {
    check(Duration::ZERO, "None ");
    check(LIMIT, "Some(3s) ");
    check(
        Duration::from_micros(10),
        "None error[invalid-value]: timeout: duration must be greater than 1ms",
    );
    check(
        Duration::from_micros(1500),
        "None error[invalid-value]: timeout: only durations to ms precision are supported",
    );
}

#[test]
fn futures_are_send_when_their_parts_are() {
    fn send<T: Send>(_: &T) {}
    let mut service = layer().layer(Strict { ready: true });
    send(&service.call(Request::new(Empty::<Bytes>::new())));
}
