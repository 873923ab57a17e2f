//! Layers that count what is under way, or have several tries under way at once, used alone.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use tower::util::MapRequestLayer;
use tower::{Layer as _, Service, ServiceExt};
use tower_mesh::balance::BalanceLayer;
use tower_mesh::connection_pool::ConnectionPoolLayer;
use tower_mesh::endpoint::{Address, Endpoint};
use tower_mesh::limits::{Limits, MostAtATime};
use tower_mesh::load_balancer::LoadBalancerPolicy;
use tower_mesh::outlier_detection::OutlierDetectionPolicy;
use tower_mesh::reply::FromLocalReply;
use tower_mesh::retries::{HedgeLayer, HedgePolicy, RetryLayer, RetryOn, RetryPolicy};
use tower_mesh::rt::Rng;
use tower_mesh::testing::{Mock, MockBody};
use tower_mesh::timeout::{TimeoutLayer, TimeoutPolicy};

use crate::layers::{ANSWERED, READ, TEXT, answers, both, passes};

/// The same service, with 502 in the place of an error: the kit wants a response.
fn told<S, R>(
    service: S,
) -> impl Service<Request<MockBody>, Response = Response<R>, Error = S::Error> + Clone
where
    S: Service<Request<MockBody>, Response = Response<R>, Error: Send> + Clone,
    S::Future: Send,
    R: FromLocalReply,
{
    ServiceExt::<Request<MockBody>>::then(service, |answer: Result<Response<R>, S::Error>| {
        std::future::ready(Ok(answer.unwrap_or_else(|_| {
            let mut response = Response::new(R::from_local_reply(Bytes::new()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        })))
    })
}

/// Two endpoints, which outlier detection never ejects for what the mock does.
fn balanced() -> BalanceLayer {
    let endpoint = |port| Endpoint::new(Address::new("127.0.0.1", port), Arc::default());
    let endpoints = vec![endpoint(1), endpoint(2)];
    let mut policy = OutlierDetectionPolicy::default();
    policy.consecutive_5xx_errors = 1;
    policy.max_ejection_percent = 0;
    let layer = BalanceLayer::new(LoadBalancerPolicy::default(), endpoints);
    layer.outlier_detection(policy).rng(Rng::seeded(1))
}

/// A pick, a count that ends with the body, and a word to outlier detection.
#[tokio::test(start_paused = true)]
async fn balancers() {
    let layer = balanced();
    let idle = || layer.endpoints().iter().all(|it| it.active() == 0);
    let balance = |mock: Mock| layer.layer(move |_: &Endpoint| mock.clone());

    let took = both(passes("balanced").idle(idle).holds(balance).await);
    // The service of the endpoint is waited for in the future.
    assert_eq!(took, (ANSWERED + 1, READ));
    let bad = answers("a bad answer", 503, 1).mock(Mock::new().failing(1));
    let took = both(bad.idle(idle).holds(balance).await);
    assert_eq!(took, (ANSWERED + 1, READ));
    let error = answers("an error", 502, 1).mock(Mock::new().failing(1).by_errors());
    let took = both(error.idle(idle).holds(|mock| told(balance(mock))).await);
    assert_eq!(took, (ANSWERED + 1, 1));

    let timeout = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_millis(95)));
    let late = answers("too late", 504, 1).mock(Mock::new().hanging());
    let took = late
        .idle(idle)
        .holds(|mock| timeout.layer(balance(mock)))
        .await;
    assert_eq!(took.body, TEXT);
    let retry = RetryLayer::new(RetryPolicy::new(2, RetryOn::parse("5xx").unwrap()));
    let third = answers("third try", 200, 3).mock(Mock::new().failing(2));
    let took = third
        .idle(idle)
        .holds(|mock| retry.layer(balance(mock)))
        .await;
    assert_eq!(took.body, READ);

    let none = BalanceLayer::new(LoadBalancerPolicy::default(), Vec::new());
    let nobody = answers("nobody", 503, 0);
    let took = nobody
        .holds(|mock| none.layer(move |_: &Endpoint| mock.clone()))
        .await;
    assert_eq!(both(took), (1, TEXT));
}

/// One request at a time: a permit that is not given back refuses the next.
#[tokio::test(start_paused = true)]
async fn connection_pools() {
    let mut most = MostAtATime::default();
    most.requests = Some(1);
    let limits = Limits::new(most);
    let layer = ConnectionPoolLayer::new(limits.clone());
    let idle = || limits.requests() == 0;

    let case = passes("admitted").idle(idle);
    let took = both(case.holds(|mock| layer.layer(mock)).await);
    assert_eq!(took, (ANSWERED, READ));
    let error = answers("an error", 502, 1).mock(Mock::new().failing(1).by_errors());
    let took = error.idle(idle).holds(|mock| told(layer.layer(mock))).await;
    assert_eq!(both(took), (ANSWERED, 1));
    let timeout = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_millis(95)));
    let late = answers("too late", 504, 1).mock(Mock::new().hanging());
    let took = late
        .idle(idle)
        .holds(|mock| timeout.layer(layer.layer(mock)))
        .await;
    assert_eq!(took.body, TEXT);
    // Each try gives its permit back before the next asks for one.
    let retry = RetryLayer::new(RetryPolicy::new(2, RetryOn::parse("5xx").unwrap()));
    let third = answers("third try", 200, 3).mock(Mock::new().failing(2));
    let took = third
        .idle(idle)
        .holds(|mock| retry.layer(layer.layer(mock)))
        .await;
    assert_eq!(took.body, READ);

    let _held = limits.request().unwrap();
    let refused = answers("refused", 503, 0).idle(|| limits.requests() == 1);
    let took = both(refused.holds(|mock| layer.layer(mock)).await);
    assert_eq!(took, (1, TEXT));
}

/// What hedging asks of a body: a clone sends the same. All clones count as the one they are of.
#[derive(Clone)]
struct Twice {
    frames: VecDeque<&'static str>,
    /// Whether the reader waits now; it waits once before each frame and before the end.
    waits: bool,
    _counts: Arc<MockBody>,
}

impl From<MockBody> for Twice {
    fn from(body: MockBody) -> Self {
        Self {
            frames: ["one", "two", "three"].into(),
            waits: true,
            _counts: Arc::new(body),
        }
    }
}

impl Body for Twice {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.waits = !self.waits;
        if !self.waits {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let frame = self.frames.pop_front();
        Poll::Ready(frame.map(|it| Ok(Frame::data(Bytes::from_static(it.as_bytes())))))
    }
}

#[tokio::test(start_paused = true)]
async fn hedges() {
    let cloned = MapRequestLayer::new(|request: Request<MockBody>| request.map(Twice::from));
    let after = |millis| {
        let policy = HedgePolicy::new(2, Duration::from_millis(millis));
        HedgeLayer::new(policy.unless(RetryOn::parse("5xx").unwrap()))
    };
    let in_time = after(10_000);
    let took = passes("in time")
        .holds(|mock| cloned.layer(in_time.layer(mock)))
        .await;
    assert_eq!(both(took), (ANSWERED, READ));
    // The answer of the first ends the others.
    for (millis, tries) in [(35, 2), (5, 3)] {
        let late = after(millis);
        let case = answers("late", 200, tries);
        let took = case.holds(|mock| cloned.layer(late.layer(mock))).await;
        // The first is polled again whenever another is sent beside it.
        assert_eq!(both(took), (ANSWERED + 1 - tries, READ));
    }
    for mock in [Mock::new().failing(2), Mock::new().failing(2).by_errors()] {
        let bad = answers("third try", 200, 3).mock(mock);
        let took = bad.holds(|mock| cloned.layer(in_time.layer(mock))).await;
        assert!(
            took.response > 2 * ANSWERED && took.body == READ,
            "{took:?}"
        );
    }
    let bad = answers("no good answer", 503, 3).mock(Mock::new().failing(3));
    let took = bad.holds(|mock| cloned.layer(in_time.layer(mock))).await;
    assert!(
        took.response > 2 * ANSWERED && took.body == READ,
        "{took:?}"
    );
}
