//! The layers used alone.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{Request, StatusCode};
use tower::{Layer as _, Service as _, ServiceExt};
use tower_mesh::context::Connection;
use tower_mesh::cors_policy::{CorsLayer, CorsPolicy};
use tower_mesh::direct_response::{DirectResponseLayer, DirectResponsePolicy};
use tower_mesh::fault::{Abort, FaultLayer, FaultPolicy};
use tower_mesh::headers::{
    HeaderOperations, RequestHeaders, RequestHeadersLayer, ResponseHeaders, ResponseHeadersLayer,
};
use tower_mesh::mesh::EdgeLayer;
use tower_mesh::mirror::{MirrorLayer, MirrorPolicy};
use tower_mesh::percent::Percent;
use tower_mesh::redirect::{RedirectLayer, RedirectPolicy};
use tower_mesh::reply::ReplyBodyLayer;
use tower_mesh::retries::{RetryLayer, RetryOn, RetryPolicy};
use tower_mesh::rewrite::{MatchedPath, RewriteLayer, RewritePolicy};
use tower_mesh::rt::Rng;
use tower_mesh::testing::{Contract, Mock, MockBody, Polls};
use tower_mesh::timeout::{TimeoutLayer, TimeoutPolicy};

/// Polls until the mock has answered: two waits of its own, four of the request's body, the answer.
pub(crate) const ANSWERED: usize = 7;
/// Polls until a body of three frames has ended: each of them and the end make the reader wait.
pub(crate) const READ: usize = 8;
/// The same for the text of an answer from this side: one frame, a wait, the end.
pub(crate) const TEXT: usize = 3;

fn post(body: MockBody) -> Request<MockBody> {
    let request = Request::post("/shop/cart").header("host", "shop");
    request.body(body).unwrap()
}

pub(crate) fn passes(name: &str) -> Contract<'_> {
    answers(name, 200, 1)
}

pub(crate) fn answers(name: &str, status: u16, calls: usize) -> Contract<'_> {
    let contract = Contract::new(name).request(post);
    contract.status(status).calls(calls)
}

/// Both numbers of polls.
pub(crate) const fn both(polls: Polls) -> (usize, usize) {
    (polls.response, polls.body)
}

fn x_tier() -> HeaderOperations {
    let name = HeaderName::from_static("x-tier");
    HeaderOperations::new().set(name, HeaderValue::from_static("gold"))
}

#[test]
#[should_panic(expected = "called without having been readied")]
fn the_mock_wants_to_be_readied() {
    drop(Mock::default().call(Request::new(Mock::default().upload())));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "called without having been readied")]
async fn the_mock_wants_the_readied_one_to_be_called() {
    let mut mock = Mock::default();
    let body = mock.upload();
    ServiceExt::<Request<MockBody>>::ready(&mut mock)
        .await
        .unwrap();
    drop(mock.clone().call(Request::new(body)));
}

#[tokio::test(start_paused = true)]
async fn the_mock_keeps_its_own_contract() {
    assert_eq!(
        both(passes("mock").holds(|mock| mock).await),
        (ANSWERED, READ)
    );
}

#[tokio::test(start_paused = true)]
async fn headers_and_rewrites() {
    let layer = RequestHeadersLayer::new(RequestHeaders::new(x_tier()));
    let took = both(
        passes("request headers")
            .holds(|mock| layer.layer(mock))
            .await,
    );
    assert_eq!(took, (ANSWERED, READ));
    let layer = ResponseHeadersLayer::new(ResponseHeaders::new(x_tier()));
    let took = both(
        passes("response headers")
            .holds(|mock| layer.layer(mock))
            .await,
    );
    assert_eq!(took, (ANSWERED, READ));
    let policy = RewritePolicy::new().uri("/v2");
    let layer = RewriteLayer::new(policy.matched(MatchedPath::Prefix("/shop".len())));
    let took = both(passes("rewrite").holds(|mock| layer.layer(mock)).await);
    assert_eq!(took, (ANSWERED, READ));
}

#[tokio::test(start_paused = true)]
async fn what_only_dresses_a_request_or_a_body() {
    let connection = Connection {
        remote: "10.0.0.9:4711".parse().unwrap(),
        local: "10.0.0.1:80".parse().unwrap(),
    };
    let layer = EdgeLayer::new().trusted_hops(1);
    let edge = passes("edge").request(|body| {
        let mut request = post(body);
        request.extensions_mut().insert(connection);
        request
    });
    let took = both(edge.holds(|mock| layer.layer(mock)).await);
    assert_eq!(took, (ANSWERED, READ));
    let layer = ReplyBodyLayer::new();
    let took = both(passes("reply body").holds(|mock| layer.layer(mock)).await);
    assert_eq!(took, (ANSWERED, READ));
    // A body that nobody can make from text, given up by a layer that answers for it.
    let timeout = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_millis(95)));
    let late = answers("too late", 504, 1).mock(Mock::new().hanging());
    let took = late.holds(|mock| timeout.layer(layer.layer(mock))).await;
    // The text and the end: this body makes nobody wait.
    assert_eq!(took.body, 2);
}

#[tokio::test(start_paused = true)]
async fn redirects_and_direct_responses() {
    let layer = RedirectLayer::new(RedirectPolicy::new().code(308).unwrap());
    let took = both(
        answers("redirect", 308, 0)
            .holds(|mock| layer.layer(mock))
            .await,
    );
    assert_eq!(took, (1, 1));
    let policy = DirectResponsePolicy::new(StatusCode::IM_A_TEAPOT, "closed").unwrap();
    let layer = DirectResponseLayer::new(policy);
    let took = both(
        answers("direct response", 418, 0)
            .holds(|mock| layer.layer(mock))
            .await,
    );
    assert_eq!(took, (1, TEXT));
}

#[tokio::test(start_paused = true)]
async fn cors() {
    let policy = CorsPolicy::new().allow_origin("https://shop");
    let layer = CorsLayer::new(policy.allow_methods(["POST"]).unwrap());
    let took = both(passes("no origin").holds(|mock| layer.layer(mock)).await);
    assert_eq!(took, (ANSWERED, READ));
    let allowed = passes("allowed origin").request(|body| {
        let mut request = post(body);
        let origin = HeaderValue::from_static("https://shop");
        request.headers_mut().insert("origin", origin);
        request
    });
    let took = both(allowed.holds(|mock| layer.layer(mock)).await);
    assert_eq!(took, (ANSWERED, READ));
    let preflight = answers("preflight", 200, 0).request(|body| {
        let request = Request::options("/shop/cart").header("origin", "https://shop");
        let request = request.header("access-control-request-method", "POST");
        request.body(body).unwrap()
    });
    assert_eq!(
        both(preflight.holds(|mock| layer.layer(mock)).await),
        (1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn faults() {
    let always = Percent::from_percentage(100.0).unwrap();
    let delay = FaultPolicy::default().delay(always, Duration::from_millis(25));
    let abort = Abort::http_status(StatusCode::IM_A_TEAPOT).unwrap();
    let layer = |policy| FaultLayer::new(policy).rng(Rng::seeded(1));

    let none = layer(FaultPolicy::default());
    let took = both(passes("no fault").holds(|mock| none.layer(mock)).await);
    assert_eq!(took, (ANSWERED, READ));
    let delayed = layer(delay.clone());
    let (polls, read) = both(passes("delay").holds(|mock| delayed.layer(mock)).await);
    assert!(polls > ANSWERED + 1 && read == READ, "{polls} {read}");
    let aborted = layer(FaultPolicy::default().abort(always, abort));
    let took = both(
        answers("abort", 418, 0)
            .holds(|mock| aborted.layer(mock))
            .await,
    );
    assert_eq!(took, (1, TEXT));
    let twice = layer(delay.abort(always, abort));
    let case = answers("delay and abort", 418, 0);
    let (polls, read) = both(case.holds(|mock| twice.layer(mock)).await);
    assert!(polls > 2 && read == TEXT, "{polls} {read}");
}

/// The request goes on as if there was no mirror; and whatever becomes of it, nothing of a copy is
/// left once its task has run.
#[tokio::test(start_paused = true)]
async fn mirrors() {
    let always = || MirrorPolicy::new(Percent::from_whole(100));
    let hangs = Mock::new().hanging();
    let fails = Mock::new().failing(usize::MAX).by_errors();
    for (shadow, in_flight, hanging) in [
        (Mock::new(), 1024, 0),
        (fails, 1024, 0),
        (hangs, 3, 3),
        (Mock::new().hanging(), 0, 0),
    ] {
        shadow.begin();
        let layer = MirrorLayer::new(always(), shadow.clone()).max_in_flight(in_flight);
        let counts = layer.counts().clone();
        let case = passes("mirrored");
        let took = both(case.holds(|mock| layer.layer(mock)).await);
        assert_eq!(took, (ANSWERED, READ));
        let failing = answers("failing", 503, 1).mock(Mock::new().failing(1));
        let took = both(failing.holds(|mock| layer.layer(mock)).await);
        assert_eq!(took, (ANSWERED, READ));
        drop(layer);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(counts.in_flight(), hanging, "{shadow:?}");
        assert_eq!(shadow.alive(), hanging, "{shadow:?}");
        assert_eq!(counts.sent() == 0, in_flight == 0);
    }
    // Around retries and inside of them: each try inside is a request of its own.
    for (outside, copies) in [(true, 1), (false, 2)] {
        let shadow = Mock::default();
        let retry = RetryLayer::new(RetryPolicy::new(2, RetryOn::parse("5xx").unwrap()));
        let retry = retry.rng(Rng::seeded(1));
        let layer = MirrorLayer::new(always(), shadow.clone());
        let counts = layer.counts().clone();
        let mock = Mock::new().failing(1);
        mock.begin();
        let request = post(mock.upload());
        let status = match outside {
            true => {
                layer
                    .layer(retry.layer(mock.clone()))
                    .oneshot(request)
                    .await
            }
            false => {
                retry
                    .layer(layer.layer(mock.clone()))
                    .oneshot(request)
                    .await
            }
        };
        assert_eq!(status.unwrap().status(), 200);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let ended = (counts.sent(), counts.answered(), counts.bodies_lost());
        assert_eq!(ended, (copies, copies, 0));
        assert_eq!((counts.in_flight(), shadow.alive()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn timeouts() {
    let layer = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_secs(10)));
    let took = both(passes("in time").holds(|mock| layer.layer(mock)).await);
    assert_eq!(took, (ANSWERED, READ));
    let layer = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_millis(95)));
    let case = answers("too late", 504, 1).mock(Mock::new().hanging());
    let (polls, read) = both(case.holds(|mock| layer.layer(mock)).await);
    assert!(polls > ANSWERED + 5 && read == TEXT, "{polls} {read}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_late_has_ended_though_its_future_is_held() {
    let mock = Mock::new().hanging();
    let layer = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_secs(1)));
    let mut service = layer.layer(mock.clone());
    ServiceExt::<Request<MockBody>>::ready(&mut service)
        .await
        .unwrap();
    let mut call = Box::pin(service.call(post(mock.upload())));
    assert_eq!(call.as_mut().await.unwrap().status(), 504);
    assert_eq!(mock.alive(), 0);
    drop(call);
}

#[tokio::test(start_paused = true)]
async fn retries() {
    let policy = || RetryPolicy::new(2, RetryOn::parse("5xx,reset").unwrap());
    let layer = RetryLayer::new(policy()).rng(Rng::seeded(1));
    let took = both(passes("first try").holds(|mock| layer.layer(mock)).await);
    assert_eq!(took, (ANSWERED, READ));
    for errors in [false, true] {
        let mut mock = Mock::new().failing(2);
        if errors {
            mock = mock.by_errors();
        }
        let case = answers("third try", 200, 3).mock(mock);
        let (polls, read) = both(case.holds(|mock| layer.layer(mock)).await);
        assert!(polls > 2 * ANSWERED && read == READ, "{polls} {read}");
    }
    let case = answers("no more tries", 503, 3).mock(Mock::new().failing(3));
    let (polls, read) = both(case.holds(|mock| layer.layer(mock)).await);
    assert!(polls > 2 * ANSWERED && read == READ, "{polls} {read}");
    let layer = RetryLayer::new(policy().per_try_timeout(Duration::from_millis(95)));
    let layer = layer.rng(Rng::seeded(1));
    let case = answers("late tries", 504, 3).mock(Mock::new().hanging());
    let (polls, read) = both(case.holds(|mock| layer.layer(mock)).await);
    assert!(polls > 2 * ANSWERED && read == TEXT, "{polls} {read}");
}
