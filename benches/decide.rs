//! What the mesh adds to a request, beside the transport alone.
//!
//! Times on a shared machine are for looking at; no claim rests on them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "the benchmark macros make undocumented functions"
)]

use std::convert::Infallible;
use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use futures::executor::block_on;
use http::{Request, Response};
use tower::{Service as _, service_fn};
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::Mesh;
use tower_mesh::transport::{PerEndpoint, Transport as _};

/// One host with as many prefix routes as asked for.
fn mesh(routes: usize) -> Mesh {
    let mut yaml = String::from(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: it}
spec:
  hosts: [a.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2}, {address: 10.0.0.3}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: it}
spec:
  hosts: [a.com]
  http:
",
    );
    for n in 0..routes {
        writeln!(yaml, "  - match: [{{uri: {{prefix: /service-{n}/}}}}]").unwrap();
        writeln!(yaml, "    route: [{{destination: {{host: a.com}}}}]").unwrap();
    }
    Mesh::builder().yaml(&yaml).build().unwrap().0
}

fn answer(
    _: &Endpoint,
) -> impl use<>
+ Clone
+ tower::Service<
    Request<Body>,
    Response = Response<Body>,
    Error = Infallible,
    Future = std::future::Ready<Result<Response<Body>, Infallible>>,
> {
    service_fn(|_: Request<Body>| std::future::ready(Ok(Response::new(Body::empty()))))
}

fn request(path: &str) -> Request<Body> {
    let request = Request::get(path).header("host", "a.com");
    request.body(Body::empty()).unwrap()
}

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    let endpoint = Endpoint::new(
        tower_mesh::endpoint::Address::new("10.0.0.1", 80),
        std::sync::Arc::default(),
    );
    let transport = PerEndpoint::new(answer);
    group.bench_function("none", |bencher| {
        bencher.iter(|| block_on(transport.send(&endpoint, black_box(request("/service-0/x")))));
    });
    for routes in [1, 10, 100] {
        let client = mesh(routes).client_with(answer);
        let path = format!("/service-{}/x", routes - 1);
        group.bench_function(format!("last of {routes} routes"), |bencher| {
            bencher.iter(|| block_on(client.clone().call(black_box(request(&path)))));
        });
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
