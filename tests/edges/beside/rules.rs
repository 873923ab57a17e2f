//! What is said in `http[]`, and the layers that do it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use tower::Layer as _;
use tower_mesh::body::BoxError;
use tower_mesh::context::ResponseFlags;
use tower_mesh::cors_policy::{CorsLayer, CorsPolicy};
use tower_mesh::direct_response::{DirectResponseLayer, DirectResponsePolicy};
use tower_mesh::endpoint::Endpoint;
use tower_mesh::fault::{Abort, FaultLayer, FaultPolicy};
use tower_mesh::headers::{
    HeaderOperations, RequestHeaders, RequestHeadersLayer, ResponseHeaders, ResponseHeadersLayer,
};
use tower_mesh::mirror::{MirrorLayer, MirrorPolicy};
use tower_mesh::percent::Percent;
use tower_mesh::redirect::{RedirectLayer, RedirectPolicy};
use tower_mesh::retries::{RetryLayer, RetryOn, RetryPolicy};
use tower_mesh::rewrite::{MatchedPath, RewriteLayer, RewritePolicy};
use tower_mesh::timeout::{TimeoutLayer, TimeoutPolicy};

use super::{ANY, ROUTE, Upstream, answer, both, boxed, expect_row, mesh, row};

#[tokio::test(start_paused = true)]
async fn what_is_late_is_given_up() -> Result<(), BoxError> {
    let row = row!(
        "timeout: 2s",
        TimeoutLayer::new(TimeoutPolicy::new(Duration::from_secs(2)))
    );
    for service in both(row, &Upstream::new(|_| std::future::pending())) {
        let start = tokio::time::Instant::now();
        let (status, flags, ..) = answer(&service, "").await;
        assert_eq!(status, 504);
        assert_eq!(flags, ResponseFlags::UPSTREAM_REQUEST_TIMEOUT);
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again() -> Result<(), BoxError> {
    let row = row!(
        r#"retries: {attempts: 2, retryOn: "5xx,reset"}"#,
        RetryLayer::new(RetryPolicy::new(2, RetryOn::parse("5xx,reset")?))
    );
    let (upstream, calls) = Upstream::counted(StatusCode::BAD_GATEWAY);
    for service in both(row, &upstream) {
        assert_eq!(answer(&service, "").await.0, 502);
        assert_eq!(calls.swap(0, Ordering::Relaxed), 3);
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn faults_are_injected() -> Result<(), BoxError> {
    let row = row!(
        "fault: {abort: {httpStatus: 503, percentage: {value: 100}}}",
        FaultLayer::new(FaultPolicy::default().abort(
            Percent::from_whole(100),
            Abort::http_status(StatusCode::SERVICE_UNAVAILABLE)?
        ))
    );
    for service in both(row, &Upstream::echo()) {
        let (status, flags, _, text) = answer(&service, "").await;
        assert_eq!((status, text.as_str()), (503, "fault filter abort"));
        assert_eq!(flags, ResponseFlags::FAULT_INJECTED);
    }
    let row = row!(
        "fault: {delay: {fixedDelay: 5s, percentage: {value: 100}}}",
        FaultLayer::new(
            FaultPolicy::default().delay(Percent::from_whole(100), Duration::from_secs(5))
        )
    );
    for service in both(row, &Upstream::echo()) {
        let start = tokio::time::Instant::now();
        assert_eq!(answer(&service, "").await.0, 200);
        assert_eq!(start.elapsed(), Duration::from_secs(5));
    }
    Ok(())
}

#[tokio::test]
async fn rules_answer_themselves() -> Result<(), BoxError> {
    let row = row!(
        "directResponse: {status: 410, body: {string: gone}}",
        DirectResponseLayer::new(DirectResponsePolicy::new(StatusCode::GONE, "gone")?)
    );
    for service in both(row, &Upstream::echo()) {
        let (status, _, _, text) = answer(&service, "").await;
        assert_eq!((status, text.as_str()), (410, "gone"));
    }
    let row = row!(
        "redirect: {uri: /new}",
        RedirectLayer::new(RedirectPolicy::new().uri("/new")?)
    );
    for service in both(row, &Upstream::echo()) {
        let (status, _, location, _) = answer(&service, "location").await;
        assert_eq!((status, location.as_str()), (301, "http://shop/new"));
    }
    Ok(())
}

#[tokio::test]
async fn requests_and_responses_are_changed() -> Result<(), BoxError> {
    let row = row!(
        "match: [{uri: {exact: /cart}}], rewrite: {uri: /new}",
        RewriteLayer::new(RewritePolicy::new().uri("/new").matched(MatchedPath::Exact))
    );
    for service in both(row, &Upstream::echo()) {
        assert_eq!(answer(&service, "").await.3, "/new None");
    }
    let row = row!(
        "headers: {request: {set: {x-tier: gold}}}",
        RequestHeadersLayer::new(RequestHeaders::new(HeaderOperations::new().set(
            HeaderName::from_static("x-tier"),
            HeaderValue::from_static("gold")
        )))
    );
    for service in both(row, &Upstream::echo()) {
        assert_eq!(answer(&service, "").await.3, "/cart Some(\"gold\")");
    }
    let row = row!(
        "headers: {response: {set: {x-tier: gold}}}",
        ResponseHeadersLayer::new(ResponseHeaders::new(HeaderOperations::new().set(
            HeaderName::from_static("x-tier"),
            HeaderValue::from_static("gold")
        )))
    );
    for service in both(row, &Upstream::echo()) {
        assert_eq!(answer(&service, "x-tier").await.2, "gold");
    }
    let row = row!(
        r#"corsPolicy: {allowOrigins: [{exact: "https://shop"}]}"#,
        CorsLayer::new(CorsPolicy::new().allow_origin("https://shop"))
    );
    for service in both(row, &Upstream::echo()) {
        let allowed = answer(&service, "access-control-allow-origin").await.2;
        assert_eq!(allowed, "https://shop");
    }
    Ok(())
}

#[tokio::test]
async fn requests_are_copied() -> Result<(), BoxError> {
    let (shadow, copies) = Upstream::counted(StatusCode::OK);
    let at_shadow = shadow.clone();
    let (rule, layer) = row!(
        "mirrors: [{destination: {host: shadow}, percentage: {value: 100}}]",
        MirrorLayer::new(MirrorPolicy::new(Percent::from_whole(100)), shadow)
    );
    let by_rule = mesh(&format!("{rule}, {ROUTE}"), ANY);
    let by_rule = by_rule.forward_with(move |endpoint: &Endpoint| {
        match endpoint.address().to_string().starts_with("10.0.0.9") {
            true => at_shadow.clone(),
            false => Upstream::echo(),
        }
    });
    for service in [boxed(by_rule), boxed(layer.layer(Upstream::echo()))] {
        assert_eq!(answer(&service, "").await.3, "/cart None");
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(copies.swap(0, Ordering::Relaxed), 1);
    }
    Ok(())
}
