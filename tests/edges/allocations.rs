//! What rules around an axum router cost it: allocations, which can be counted exactly.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use tower::{Layer as _, Service, ServiceExt};
use tower_mesh::mesh::Mesh;

const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  http:
  - match: [{uri: {prefix: /other}}]
    redirect: {uri: /}
  - timeout: 5s
    retries: {}
    headers: {request: {set: {x-a: b}}, response: {set: {x-b: c}}}
    route: [{destination: {host: shop.example.com}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
";

fn router() -> Router {
    Router::new().route("/cart", get(|| async { "a cart" }))
}

/// The allocations of one request.
fn each(app: &Router) -> f64 {
    const COUNT: u64 = 100;
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    let request = || {
        let request = Request::get("/cart").header("host", "shop.example.com");
        request.body(Body::empty()).unwrap()
    };
    let send = |count: u64| {
        for _ in 0..count {
            let request = request();
            let response = runtime.block_on(async {
                let mut app = app.clone();
                let ready = ServiceExt::<Request<Body>>::ready(&mut app).await.unwrap();
                ready.call(request).await.unwrap()
            });
            assert_eq!(response.status(), 200);
        }
    };
    // What is made once for the whole program belongs to no request.
    send(10);
    let measure = |count| allocation_counter::measure(|| send(count)).count_total;
    (measure(2 * COUNT) - measure(COUNT)) as f64 / COUNT as f64
}

#[test]
fn rules_around_a_router_add_two_allocations_at_most() {
    let (mesh, _) = Mesh::builder().yaml(RULES).build().unwrap();
    let alone = each(&Router::new().fallback_service(router()));
    let ruled = each(&Router::new().fallback_service(mesh.inbound_layer().layer(router())));
    assert!(ruled <= alone + 2.0, "{ruled} with rules, {alone} without");
}
