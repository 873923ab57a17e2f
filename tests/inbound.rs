//! The rules around a router of this process: what reaches it is answered as at a gateway.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::{get, post};
use http::{Method, Request, Response, StatusCode};
use tower::{Layer as _, ServiceExt as _};
use tower_mesh::context::ResponseFlags;
use tower_mesh::mesh::{Mesh, MeshBuilder, ResponseBody};
use tower_mesh::rt::Rng;

const RULES: &str = r#"
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  http:
  - match: [{uri: {prefix: /old}}]
    rewrite: {uri: /new}
    route: [{destination: {host: shop.example.com}}]
  - match: [{uri: {prefix: /moved}}]
    redirect: {uri: /new}
  - match: [{uri: {prefix: /teapot}}]
    directResponse: {status: 418, body: {string: short and stout}}
  - match: [{uri: {prefix: /broken}}]
    fault: {abort: {httpStatus: 500, percentage: {value: 100}}}
    route: [{destination: {host: shop.example.com}}]
  - match: [{uri: {prefix: /slow}}]
    timeout: 1s
    route: [{destination: {host: shop.example.com}}]
  - match: [{uri: {prefix: /copied}}]
    mirror: {host: shop.example.com}
    route: [{destination: {host: shop.example.com}}]
  - match: [{uri: {prefix: /flaky}}]
    retries: {attempts: 2, retryOn: 5xx}
    route: [{destination: {host: shop.example.com}}]
  - match: [{uri: {prefix: /new}}]
    corsPolicy: {allowOrigins: [{exact: "https://a.example"}], allowMethods: [GET]}
    headers:
      request: {set: {x-seen: by-rule}}
      response: {set: {x-served: by-rule}}
    route: [{destination: {host: shop.example.com}}]
"#;

fn mesh(change: impl FnOnce(MeshBuilder) -> MeshBuilder) -> Mesh {
    let builder = Mesh::builder().yaml(RULES).rng(Rng::seeded(1));
    change(builder)
        .build()
        .unwrap_or_else(|found| panic!("{found}"))
        .0
}

fn router() -> Router {
    let tries = Arc::new(AtomicU32::new(0));
    let flaky = move |body: String| async move {
        match tries.fetch_add(1, Ordering::Relaxed) {
            0 => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
            _ => (StatusCode::OK, body),
        }
    };
    let seen = |headers: http::HeaderMap| async move {
        headers
            .get("x-seen")
            .map_or("nothing", |it| it.to_str().unwrap())
            .to_owned()
    };
    let slow = || tokio::time::sleep(Duration::from_secs(2));
    Router::new()
        .route("/new", get(seen))
        .route("/slow", get(slow))
        .route("/flaky", post(flaky))
        .route("/plain", get(|| async { "plain" }))
}

async fn ask(mesh: &Mesh, request: Request<Body>) -> Response<ResponseBody<Body>> {
    let app = mesh.inbound_layer().layer(router());
    app.oneshot(request).await.unwrap()
}

fn request(host: &str, path: &str) -> Request<Body> {
    Request::get(path)
        .header("host", host)
        .body(Body::empty())
        .unwrap()
}

async fn text(response: Response<ResponseBody<Body>>) -> String {
    let body = to_bytes(Body::new(response.into_body()), 1 << 16)
        .await
        .unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

const SHOP: &str = "shop.example.com";

#[tokio::test]
async fn a_rewritten_path_decides_which_handler_is_asked() {
    let response = ask(&mesh(|it| it), request(SHOP, "/old")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(text(response).await, "nothing");
}

#[tokio::test]
async fn headers_change_both_ways_and_cors_dresses_the_answer() {
    let mut request = request(SHOP, "/new");
    request
        .headers_mut()
        .insert("origin", "https://a.example".parse().unwrap());
    let response = ask(&mesh(|it| it), request).await;
    assert_eq!(response.headers()["x-served"], "by-rule");
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://a.example"
    );
    assert_eq!(text(response).await, "by-rule");
}

#[tokio::test]
async fn rules_answer_without_the_service() {
    let mesh = mesh(|it| it);
    let moved = ask(&mesh, request(SHOP, "/moved")).await;
    assert_eq!(moved.status(), StatusCode::MOVED_PERMANENTLY);
    assert_eq!(moved.headers()["location"], "http://shop.example.com/new");
    let teapot = ask(&mesh, request(SHOP, "/teapot")).await;
    assert_eq!(teapot.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(text(teapot).await, "short and stout");
    let broken = ask(&mesh, request(SHOP, "/broken")).await;
    assert_eq!(ResponseFlags::of(&broken), ResponseFlags::FAULT_INJECTED);
    assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let mut preflight = request(SHOP, "/new");
    *preflight.method_mut() = Method::OPTIONS;
    let headers = preflight.headers_mut();
    headers.insert("origin", "https://a.example".parse().unwrap());
    headers.insert("access-control-request-method", "GET".parse().unwrap());
    let preflight = ask(&mesh, preflight).await;
    assert_eq!(preflight.headers()["access-control-allow-methods"], "GET");
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_is_answered_for() {
    let response = ask(&mesh(|it| it), request(SHOP, "/slow")).await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(
        ResponseFlags::of(&response),
        ResponseFlags::UPSTREAM_REQUEST_TIMEOUT
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_handler_is_asked_again_with_the_same_body() {
    let mut request = request(SHOP, "/flaky").map(|_| Body::from("kept"));
    *request.method_mut() = Method::POST;
    let response = ask(&mesh(|it| it), request).await;
    assert_eq!(response.body().info().attempts(), 2);
    assert_eq!(text(response).await, "kept");
}

#[tokio::test]
async fn a_host_that_no_rule_is_for_reaches_the_service() {
    for mesh in [mesh(|it| it), mesh(|it| it.registry_only(true))] {
        let response = ask(&mesh, request("other.example.com", "/plain")).await;
        assert_eq!(text(response).await, "plain");
    }
    // A host that has rules, none of which matches, is not found.
    let response = ask(&mesh(|it| it), request(SHOP, "/plain")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(ResponseFlags::of(&response), ResponseFlags::NO_ROUTE_FOUND);
}

#[tokio::test]
async fn at_a_gateway_unknown_hosts_are_not_found() {
    let gateway = mesh(|it| it.gateway("default/edge"));
    let response = ask(&gateway, request("other.example.com", "/plain")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

/// One request at a time, whichever endpoints the destination has.
const ONE_AT_A_TIME: &str = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop.example.com
  trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}
";

#[tokio::test(start_paused = true)]
async fn no_more_requests_reach_the_service_than_its_destination_allows() {
    let app = mesh(|it| it.yaml(ONE_AT_A_TIME));
    let app = app.inbound_layer().layer(router());
    let first = app.clone().oneshot(request(SHOP, "/slow"));
    let others = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        for (path, want) in [("/new", 503), ("/slow", 503), ("/teapot", 418)] {
            let answer = app.clone().oneshot(request(SHOP, path)).await.unwrap();
            assert_eq!(answer.status(), want, "{path}");
            let refused = ResponseFlags::of(&answer) == ResponseFlags::UPSTREAM_OVERFLOW;
            assert_eq!(refused, want == 503, "{path}");
        }
    };
    let (first, ()) = tokio::join!(first, others);
    assert_eq!(first.unwrap().status(), 504);
    // The body of an answer counts until it ends.
    let held = app.clone().oneshot(request(SHOP, "/new")).await.unwrap();
    assert_eq!(held.status(), 200);
    let refused = app.clone().oneshot(request(SHOP, "/new")).await.unwrap();
    assert_eq!(refused.status(), 503);
    drop(held);
    let next = app.oneshot(request(SHOP, "/new")).await.unwrap();
    assert_eq!(next.status(), 200);
}

/// It fits where axum puts layers, too; the handler is chosen before then.
#[tokio::test]
async fn it_is_a_layer_of_a_router() {
    let app = router().layer(mesh(|it| it).inbound_layer());
    let response = app.oneshot(request(SHOP, "/teapot")).await.unwrap();
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
}

#[tokio::test(start_paused = true)]
async fn a_service_gets_no_copies_of_its_own_requests() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let handler = move || async move {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let app = mesh(|it| it)
        .inbound_layer()
        .layer(Router::new().route("/copied", get(handler)));
    let request = Request::get("/copied").header("host", "shop.example.com");
    let response = app
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}
