//! Every layer by itself: shared between threads, in an axum router and around one.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tower::{Layer as _, ServiceExt};
use tower_mesh::access_log::{AccessLogEntry, AccessLogLayer};
use tower_mesh::balance::BalanceLayer;
use tower_mesh::connection_pool::ConnectionPoolLayer;
use tower_mesh::cors_policy::{CorsLayer, CorsPolicy};
use tower_mesh::direct_response::{DirectResponseLayer, DirectResponsePolicy};
use tower_mesh::endpoint::{Address, Endpoint};
use tower_mesh::fault::{FaultLayer, FaultPolicy};
use tower_mesh::headers::{
    HeaderOperations, RequestHeaders, RequestHeadersLayer, ResponseHeaders, ResponseHeadersLayer,
};
use tower_mesh::limits::Limits;
use tower_mesh::load_balancer::LoadBalancerPolicy;
use tower_mesh::mesh::EdgeLayer;
use tower_mesh::mirror::{MirrorLayer, MirrorPolicy};
use tower_mesh::percent::Percent;
use tower_mesh::redirect::{RedirectLayer, RedirectPolicy};
use tower_mesh::reply::ReplyBodyLayer;
use tower_mesh::retries::{HedgeLayer, HedgePolicy, RetryLayer, RetryPolicy};
use tower_mesh::rewrite::{MatchedPath, RewriteLayer, RewritePolicy};
use tower_mesh::timeout::{TimeoutLayer, TimeoutPolicy};

use crate::{Unshared, Upstream, client, fits, forward, in_memory, inbound, mesh, text};

fn endpoint() -> Endpoint {
    Endpoint::new(Address::new("10.0.0.1", 80), Arc::default())
}

fn headers() -> HeaderOperations {
    HeaderOperations::new()
}

macro_rules! each_layer {
    (|$layer:ident| $body:expr) => {{
        {
            let $layer = FaultLayer::new(FaultPolicy::default());
            $body
        }
        {
            let policy = DirectResponsePolicy::new(StatusCode::OK, "");
            let $layer = DirectResponseLayer::new(policy.unwrap());
            $body
        }
        {
            let $layer = RedirectLayer::new(RedirectPolicy::new());
            $body
        }
        {
            let $layer = CorsLayer::new(CorsPolicy::new());
            $body
        }
        {
            let $layer = RequestHeadersLayer::new(RequestHeaders::new(headers()));
            $body
        }
        {
            let $layer = ResponseHeadersLayer::new(ResponseHeaders::new(headers()));
            $body
        }
        {
            let $layer = RewriteLayer::new(RewritePolicy::new());
            $body
        }
        {
            let $layer = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_secs(1)));
            $body
        }
        {
            let $layer = RetryLayer::new(RetryPolicy::istio_default());
            $body
        }
        {
            let $layer = MirrorLayer::new(MirrorPolicy::new(Percent::from_whole(1)), Upstream);
            $body
        }
        {
            let $layer = ConnectionPoolLayer::new(Limits::default());
            $body
        }
        {
            let $layer = ReplyBodyLayer::new();
            $body
        }
        {
            let $layer = mesh().inbound_layer();
            $body
        }
    }};
}

#[test]
fn every_service_is_shared_between_threads() {
    each_layer!(|layer| {
        fits::<_, Unshared>(layer.layer(Upstream));
        fits::<_, hyper::body::Incoming>(layer.layer(Upstream));
    });
    fits::<_, Unshared>(client());
    fits::<_, Unshared>(forward());
    fits::<_, Unshared>(inbound());
    fits::<_, Unshared>(mesh().client());
    fits::<_, Unshared>(mesh().forward());
    let timeout = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_secs(1)));
    fits::<_, Unshared>(timeout.layer(client()));
    let hedge = HedgeLayer::new(HedgePolicy::new(1, Duration::from_millis(1)));
    fits::<_, Full<Bytes>>(hedge.layer(client()));
}

async fn get_from(router: Router, uri: &str) -> String {
    let request = Request::get(uri).header("host", "shop");
    let request = request.body(axum::body::Body::empty()).unwrap();
    text(router.oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn a_proxy_takes_what_an_axum_router_has_no_route_for() {
    let router = Router::new().route("/here", get(|| async { "here" }));
    let router = router.fallback_service(forward());
    assert_eq!(get_from(router.clone(), "/here").await, "here");
    assert_eq!(get_from(router.clone(), "/there").await, "upstream");
    let nested = Router::new().nest_service("/shop", forward());
    assert_eq!(get_from(nested, "/shop/cart").await, "upstream");
    let built_in: Router = Router::new().fallback_service(mesh().forward());
    drop(built_in);
}

/// Every layer within a router, where the answers of routes are axum's own, and around one.
#[tokio::test]
async fn every_layer_goes_into_an_axum_router_and_around_one() {
    let router = || Router::new().route("/here", get(|| async { "here" }));
    each_layer!(|layer| {
        let around = Router::new().fallback_service(layer.layer(router()));
        let layered = router().layer(layer);
        let answers = (
            get_from(layered, "/here").await,
            get_from(around, "/here").await,
        );
        assert_eq!(answers.0, answers.1);
    });
}

/// A proxy at an edge with an access log, in the place of what an application does not serve.
#[tokio::test]
async fn the_layers_around_a_proxy_go_into_an_axum_router_with_it() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let log = AccessLogLayer::new(move |_: &AccessLogEntry| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let edge = EdgeLayer::new();
    let router = Router::new().route("/here", get(|| async { "here" }));
    let router = router.fallback_service(edge.layer(log.layer(forward())));
    assert_eq!(get_from(router.clone(), "/there").await, "upstream");
    assert_eq!(get_from(router, "/here").await, "here");
    assert_eq!(written.load(Ordering::Relaxed), 1);
    let balance = BalanceLayer::new(LoadBalancerPolicy::default(), vec![endpoint()]);
    let balance = balance.layer(in_memory as fn(&Endpoint) -> Upstream);
    // Errors of one's own are an application's to answer.
    let balance = ServiceExt::<Request<axum::body::Body>>::map_err(
        balance,
        |error: io::Error| -> Infallible { panic!("{error}") },
    );
    let router = Router::new().fallback_service(balance);
    assert_eq!(get_from(router, "/").await, "upstream");
}

#[tokio::test]
async fn a_rewrite_around_a_router_decides_which_route_is_met() {
    let router = Router::new().route("/here", get(|| async { "here" }));
    let policy = RewritePolicy::new()
        .uri("/here")
        .matched(MatchedPath::Exact);
    let around = Router::new().fallback_service(RewriteLayer::new(policy).layer(router));
    assert_eq!(get_from(around, "/there").await, "here");
}
