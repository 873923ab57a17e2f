//! Allocations a request of an axum application, alone and behind a mesh: a program `ci/perf` runs.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use tower::{Layer as _, Service, ServiceExt as _};
use tower_mesh_hop::mesh;

/// Allocations of each request, setting up left out by a second run.
fn allocations<S, B>(service: &S) -> f64
where
    S: Service<Request<Body>, Response = http::Response<B>, Error = std::convert::Infallible>
        + Clone,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let measure = |count: u32| {
        let send = || {
            runtime.block_on(async {
                for _ in 0..count {
                    let mut request = Request::new(Body::empty());
                    *request.uri_mut() = http::Uri::from_static("/cart?id=7");
                    let host = http::HeaderValue::from_static("shop.example.com");
                    request.headers_mut().insert("host", host);
                    let response = service.clone().oneshot(request).await.unwrap();
                    assert_eq!(response.status(), 200);
                }
            });
        };
        allocation_counter::measure(send).count_total
    };
    measure(1);
    (measure(20_000) - measure(10_000)) as f64 / 10_000.0
}

fn main() {
    let app = Router::new().route("/cart", get(|| async { "cart" }));
    let edge = mesh("shop.example.com", true, 80);
    let inbound = edge.inbound_layer().layer(app.clone());
    println!("alone {:.2}", allocations(&app));
    println!("inbound {:.2}", allocations(&inbound));
}
