//! The layers used alone.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{Request, StatusCode};
use tower::{Layer as _, Service as _, ServiceExt};
use tower_mesh::cors_policy::{CorsLayer, CorsPolicy};
use tower_mesh::direct_response::{DirectResponseLayer, DirectResponsePolicy};
use tower_mesh::fault::{Abort, FaultLayer, FaultPolicy};
use tower_mesh::headers::{
    HeaderOperations, RequestHeaders, RequestHeadersLayer, ResponseHeaders, ResponseHeadersLayer,
};
use tower_mesh::mirror::{MirrorLayer, MirrorPolicy};
use tower_mesh::percent::Percent;
use tower_mesh::redirect::{RedirectLayer, RedirectPolicy};
use tower_mesh::retries::{RetryLayer, RetryOn, RetryPolicy};
use tower_mesh::rewrite::{MatchedPath, RewriteLayer, RewritePolicy};
use tower_mesh::rt::Rng;
use tower_mesh::timeout::{TimeoutLayer, TimeoutPolicy};

use crate::kit::Case;
use crate::mock::{Does, Frames, Mock};

/// Polls until the mock has answered: two waits of its own, four of the request's body, the answer.
const ANSWERED: usize = 7;
/// Polls until a body of three frames has ended: each of them and the end make the reader wait.
const READ: usize = 8;
/// The same for the text of an answer from this side: one frame, a wait, the end.
const TEXT: usize = 3;

fn post(body: Frames) -> Request<Frames> {
    let request = Request::post("/shop/cart").header("host", "shop");
    request.body(body).unwrap()
}

fn passes(name: &str) -> Case<'_> {
    answers(name, 200, 1)
}

fn answers(name: &str, status: u16, calls: usize) -> Case<'_> {
    Case {
        name,
        mock: Mock::default(),
        request: post,
        status,
        calls,
        idle: &|| true,
    }
}

fn doing(mut case: Case<'_>, does: Does) -> Case<'_> {
    case.mock = Mock::new(does);
    case
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
    ServiceExt::<Request<Frames>>::ready(&mut mock)
        .await
        .unwrap();
    drop(mock.clone().call(Request::new(body)));
}

#[tokio::test(start_paused = true)]
async fn the_mock_keeps_its_own_contract() {
    assert_eq!(passes("mock").holds(|mock| mock).await, (ANSWERED, READ));
}

#[tokio::test(start_paused = true)]
async fn headers_and_rewrites() {
    let layer = RequestHeadersLayer::new(RequestHeaders::new(x_tier()));
    let took = passes("request headers")
        .holds(|mock| layer.layer(mock))
        .await;
    assert_eq!(took, (ANSWERED, READ));
    let layer = ResponseHeadersLayer::new(ResponseHeaders::new(x_tier()));
    let took = passes("response headers")
        .holds(|mock| layer.layer(mock))
        .await;
    assert_eq!(took, (ANSWERED, READ));
    let policy = RewritePolicy::new().uri("/v2");
    let layer = RewriteLayer::new(policy.matched(MatchedPath::Prefix("/shop".len())));
    let took = passes("rewrite").holds(|mock| layer.layer(mock)).await;
    assert_eq!(took, (ANSWERED, READ));
}

#[tokio::test(start_paused = true)]
async fn redirects_and_direct_responses() {
    let layer = RedirectLayer::new(RedirectPolicy::new().code(308).unwrap());
    let took = answers("redirect", 308, 0)
        .holds(|mock| layer.layer(mock))
        .await;
    assert_eq!(took, (1, 1));
    let policy = DirectResponsePolicy::new(StatusCode::IM_A_TEAPOT, "closed").unwrap();
    let layer = DirectResponseLayer::new(policy);
    let took = answers("direct response", 418, 0)
        .holds(|mock| layer.layer(mock))
        .await;
    assert_eq!(took, (1, TEXT));
}

#[tokio::test(start_paused = true)]
async fn cors() {
    let policy = CorsPolicy::new().allow_origin("https://shop");
    let layer = CorsLayer::new(policy.allow_methods(["POST"]).unwrap());
    let took = passes("no origin").holds(|mock| layer.layer(mock)).await;
    assert_eq!(took, (ANSWERED, READ));
    let allowed = Case {
        request: |body| {
            let mut request = post(body);
            let origin = HeaderValue::from_static("https://shop");
            request.headers_mut().insert("origin", origin);
            request
        },
        ..passes("allowed origin")
    };
    let took = allowed.holds(|mock| layer.layer(mock)).await;
    assert_eq!(took, (ANSWERED, READ));
    let preflight = Case {
        request: |body| {
            let request = Request::options("/shop/cart").header("origin", "https://shop");
            let request = request.header("access-control-request-method", "POST");
            request.body(body).unwrap()
        },
        ..answers("preflight", 200, 0)
    };
    assert_eq!(preflight.holds(|mock| layer.layer(mock)).await, (1, 1));
}

#[tokio::test(start_paused = true)]
async fn faults() {
    let always = Percent::from_percentage(100.0).unwrap();
    let delay = FaultPolicy::default().delay(always, Duration::from_millis(25));
    let abort = Abort::http_status(StatusCode::IM_A_TEAPOT).unwrap();
    let layer = |policy| FaultLayer::new(policy).rng(Rng::seeded(1));

    let none = layer(FaultPolicy::default());
    let took = passes("no fault").holds(|mock| none.layer(mock)).await;
    assert_eq!(took, (ANSWERED, READ));
    let delayed = layer(delay.clone());
    let (polls, read) = passes("delay").holds(|mock| delayed.layer(mock)).await;
    assert!(polls > ANSWERED + 1 && read == READ, "{polls} {read}");
    let aborted = layer(FaultPolicy::default().abort(always, abort));
    let took = answers("abort", 418, 0)
        .holds(|mock| aborted.layer(mock))
        .await;
    assert_eq!(took, (1, TEXT));
    let both = layer(delay.abort(always, abort));
    let case = answers("delay and abort", 418, 0);
    let (polls, read) = case.holds(|mock| both.layer(mock)).await;
    assert!(polls > 2 && read == TEXT, "{polls} {read}");
}

/// The request goes on as if there was no mirror; and whatever becomes of it, nothing of a copy is
/// left once its task has run.
#[tokio::test(start_paused = true)]
async fn mirrors() {
    let always = || MirrorPolicy::new(Percent::from_whole(100));
    let hangs = Does {
        hangs: true,
        ..Does::default()
    };
    let fails = Does {
        failures: usize::MAX,
        errors: true,
        hangs: false,
    };
    for (does, in_flight) in [
        (Does::default(), 1024),
        (fails, 1024),
        (hangs, 3),
        (hangs, 0),
    ] {
        let shadow = Mock::new(does);
        shadow.begin();
        let layer = MirrorLayer::new(always(), shadow.clone()).max_in_flight(in_flight);
        let counts = layer.counts().clone();
        let case = passes("mirrored");
        let took = case.holds(|mock| layer.layer(mock)).await;
        assert_eq!(took, (ANSWERED, READ));
        let failing = doing(
            answers("failing", 503, 1),
            Does {
                failures: 1,
                ..Does::default()
            },
        );
        assert_eq!(
            failing.holds(|mock| layer.layer(mock)).await,
            (ANSWERED, READ)
        );
        drop(layer);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let hanging = usize::from(does.hangs) * in_flight;
        assert_eq!(counts.in_flight(), hanging, "{does:?}");
        assert_eq!(shadow.live.count(), hanging, "{does:?}");
        assert_eq!(counts.sent() == 0, in_flight == 0);
    }
    // Around retries and inside of them: each try inside is a request of its own.
    for (outside, copies) in [(true, 1), (false, 2)] {
        let shadow = Mock::default();
        let retry = RetryLayer::new(RetryPolicy::new(2, RetryOn::parse("5xx").unwrap()));
        let retry = retry.rng(Rng::seeded(1));
        let layer = MirrorLayer::new(always(), shadow.clone());
        let counts = layer.counts().clone();
        let mock = Mock::new(Does {
            failures: 1,
            ..Does::default()
        });
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
        assert_eq!((counts.in_flight(), shadow.live.count()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn timeouts() {
    let layer = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_secs(10)));
    let took = passes("in time").holds(|mock| layer.layer(mock)).await;
    assert_eq!(took, (ANSWERED, READ));
    let layer = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_millis(95)));
    let hangs = Does {
        hangs: true,
        ..Does::default()
    };
    let case = doing(answers("too late", 504, 1), hangs);
    let (polls, read) = case.holds(|mock| layer.layer(mock)).await;
    assert!(polls > ANSWERED + 5 && read == TEXT, "{polls} {read}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_late_has_ended_though_its_future_is_held() {
    let mock = Mock::new(Does {
        hangs: true,
        ..Does::default()
    });
    let layer = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_secs(1)));
    let mut service = layer.layer(mock.clone());
    ServiceExt::<Request<Frames>>::ready(&mut service)
        .await
        .unwrap();
    let mut call = Box::pin(service.call(post(mock.upload())));
    assert_eq!(call.as_mut().await.unwrap().status(), 504);
    assert_eq!(mock.live.count(), 0);
    drop(call);
}

#[tokio::test(start_paused = true)]
async fn retries() {
    let policy = || RetryPolicy::new(2, RetryOn::parse("5xx,reset").unwrap());
    let layer = RetryLayer::new(policy()).rng(Rng::seeded(1));
    let took = passes("first try").holds(|mock| layer.layer(mock)).await;
    assert_eq!(took, (ANSWERED, READ));
    for errors in [false, true] {
        let fails = |failures| Does {
            failures,
            errors,
            hangs: false,
        };
        let case = doing(answers("third try", 200, 3), fails(2));
        let (polls, read) = case.holds(|mock| layer.layer(mock)).await;
        assert!(polls > 2 * ANSWERED && read == READ, "{polls} {read}");
    }
    let fails = Does {
        failures: 3,
        ..Does::default()
    };
    let case = doing(answers("no more tries", 503, 3), fails);
    let (polls, read) = case.holds(|mock| layer.layer(mock)).await;
    assert!(polls > 2 * ANSWERED && read == READ, "{polls} {read}");
    let hangs = Does {
        hangs: true,
        ..Does::default()
    };
    let layer = RetryLayer::new(policy().per_try_timeout(Duration::from_millis(95)));
    let layer = layer.rng(Rng::seeded(1));
    let case = doing(answers("late tries", 504, 3), hangs);
    let (polls, read) = case.holds(|mock| layer.layer(mock)).await;
    assert!(polls > 2 * ANSWERED && read == TEXT, "{polls} {read}");
}
