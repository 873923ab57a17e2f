//! Tests of the layer; those of its compilation are in [`compile`].

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::time::Instant;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use super::{Abort, FaultLayer, FaultPolicy};
use crate::context::ResponseFlags;
use crate::percent::Percent;
use crate::reply::LocalReply;
use crate::rt::Rng;
use crate::select::Select;

mod compile;

const DELAY: Duration = Duration::from_millis(1500);
const ALWAYS: Percent = Percent::from_whole(100);

type Answer = Result<Response<Full<Bytes>>, Infallible>;

async fn no_content(_: Request<()>) -> Answer {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn delay() -> FaultPolicy {
    FaultPolicy::default().delay(ALWAYS, DELAY)
}

fn http(status: u16) -> Abort {
    let status = StatusCode::from_u16(status).expect("a status");
    Abort::http_status(status).expect("one to abort with")
}

/// What a client and an access log see of one request through the layer.
async fn send(policy: FaultPolicy, content_type: &str) -> String {
    let start = Instant::now();
    let mut request = Request::new(());
    let value = content_type.parse().expect("a header value");
    request.headers_mut().insert("content-type", value);
    let service = FaultLayer::new(policy).layer(service_fn(no_content));
    let response = service.oneshot(request).await.expect("it cannot fail");
    let took = start.elapsed().as_millis();
    let flags = ResponseFlags::of(&response);
    let details = LocalReply::of(&response).map_or("via_upstream".into(), |it| it.details.clone());
    let (parts, body) = response.into_parts();
    let grpc = |name| parts.headers.get(name).and_then(|it| it.to_str().ok());
    let grpc_status = grpc("grpc-status").unwrap_or("-");
    let message = grpc("grpc-message").unwrap_or("-");
    let body = body.collect().await.expect("in memory").to_bytes();
    let body = String::from_utf8_lossy(&body);
    let status = parts.status.as_u16();
    format!("{status} {flags} {details} {grpc_status} {message:?} {body:?} after {took} ms")
}

#[tokio::test(start_paused = true)]
async fn an_abort_is_answered_as_envoy_answers_it() {
    let abort = |failure| FaultPolicy::default().abort(ALWAYS, failure);
    let json = "application/json";
    let grpc = "application/grpc+proto";
    assert_eq!(
        send(abort(http(503)), json).await,
        r#"503 FI fault_filter_abort - "-" "fault filter abort" after 0 ms"#
    );
    assert_eq!(
        send(abort(http(503)), grpc).await,
        r#"200 FI fault_filter_abort 14 "fault filter abort" "" after 0 ms"#
    );
    assert_eq!(
        send(abort(Abort::grpc_status(5)), grpc).await,
        r#"200 FI fault_filter_abort 5 "fault filter abort" "" after 0 ms"#
    );
    assert_eq!(
        send(abort(Abort::grpc_status(5)), json).await,
        r#"200 FI fault_filter_abort - "-" "fault filter abort" after 0 ms"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_delay_comes_first_and_is_flagged() {
    assert_eq!(
        send(delay(), "text/plain").await,
        r#"204 DI via_upstream - "-" "" after 1500 ms"#
    );
    assert_eq!(
        send(delay().abort(ALWAYS, http(418)), "text/plain").await,
        r#"418 DI,FI fault_filter_abort - "-" "fault filter abort" after 1500 ms"#
    );
    assert_eq!(
        send(
            delay().abort(ALWAYS, Abort::grpc_status(7)),
            "application/grpc"
        )
        .await,
        r#"200 DI,FI fault_filter_abort 7 "fault filter abort" "" after 1500 ms"#
    );
}

#[tokio::test(start_paused = true)]
async fn half_the_requests_are_aborted_by_seeded_dice() {
    let policy = FaultPolicy::default().abort(Percent::from_whole(50), http(503));
    let layer = FaultLayer::new(policy).rng(Rng::seeded(7));
    let mut service = layer.layer(service_fn(no_content));
    let mut aborted = 0;
    for _ in 0..1000 {
        let answer = service.ready().await.expect("ready").call(Request::new(()));
        let response = answer.await.expect("it cannot fail");
        aborted += u32::from(response.status() == StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(aborted, 523, "the seed fixes the count");
}

/// Finds nothing, as a route without faults does.
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

#[tokio::test(start_paused = true)]
async fn a_request_without_a_policy_passes_at_once() {
    let service = FaultLayer::selecting(Nothing, Rng::default()).layer(service_fn(no_content));
    let answer = service.oneshot(Request::new(())).now_or_never();
    let response = answer.expect("at once").expect("it cannot fail");
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
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

impl Service<Request<()>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called before it was ready"
        );
        Box::pin(no_content(request))
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_readied_service_is_called_even_after_a_delay() {
    for policy in [FaultPolicy::default(), delay()] {
        let mut service = FaultLayer::new(policy).layer(Strict { ready: false });
        let first = service.ready().await.expect("ready").call(Request::new(()));
        let second = service.ready().await.expect("ready").call(Request::new(()));
        let (first, second) = tokio::join!(first, second);
        assert_eq!(
            first.expect("it cannot fail").status(),
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            second.expect("it cannot fail").status(),
            StatusCode::NO_CONTENT
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_aborted_request_never_reaches_the_inner_service() {
    let policy = delay().abort(ALWAYS, http(500));
    let inner = service_fn(|_: Request<()>| async { panic!("reached") as Answer });
    let response = FaultLayer::new(policy)
        .layer(inner)
        .oneshot(Request::new(()));
    let response = response.await.expect("it cannot fail");
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_drops_the_request_and_the_inner_call() {
    let token = Arc::new(());
    for policy in [FaultPolicy::default(), delay()] {
        let inner = service_fn(|request: Request<Arc<()>>| async move {
            let _held = request;
            pending::<Answer>().await
        });
        let answer = FaultLayer::new(policy)
            .layer(inner)
            .oneshot(Request::new(token.clone()));
        assert!(tokio::time::timeout(DELAY / 2, answer).await.is_err());
        assert_eq!(Arc::strong_count(&token), 1);
    }
}

#[test]
fn futures_are_send_when_their_parts_are() {
    fn send<T: Send>(_: &T) {}
    let mut service = FaultLayer::new(delay()).layer(Strict { ready: true });
    send(&service.call(Request::new(())));
}
