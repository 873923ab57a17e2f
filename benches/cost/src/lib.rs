//! The requests whose cost is counted, and the meshes they go through.
//!
//! `leaf` is the transport alone, pending once, its future boxed as hyper-util's
//! is; `none` a mesh with one route and nothing else; `full` a host of 101 with
//! 10 routes, a 90/10 split, two choices of 4 endpoints, a timeout, one header
//! set each way, and for its destinations limits and outlier detection; `retry` the
//! same with retries armed; `whole` is `full` with a CORS policy, so that requests take
//! all layers; `boxed` is `full` behind one box, cloned for each request.

pub mod rules;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};
use tower_mesh::body::Body;
use tower_mesh::endpoint::{Address, Endpoint};
use tower_mesh::mesh::{Mesh, MeshClient};
use tower_mesh::transport::{PerEndpoint, Transport as _};

pub const SCENARIOS: [&str; 6] = ["leaf", "none", "full", "retry", "boxed", "whole"];

/// The way out: pending once, then an answer.
#[derive(Clone)]
pub struct Leaf;

struct PendingOnce(bool);

impl Future for PendingOnce {
    type Output = Result<Response<Full<Bytes>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !std::mem::replace(&mut self.0, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut response = Response::new(Full::from("hello"));
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        headers.insert("content-length", HeaderValue::from_static("5"));
        Poll::Ready(Ok(response))
    }
}

impl<B> Service<Request<B>> for Leaf {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        drop(black_box(request));
        Box::pin(PendingOnce(false))
    }
}

fn leaf(_: &Endpoint) -> Leaf {
    Leaf
}

pub type Client = MeshClient<PerEndpoint<fn(&Endpoint) -> Leaf>>;

/// 101 hosts with four endpoints each; the last has ten routes as the scenario says.
fn mesh(scenario: &str) -> Mesh {
    let mut yaml = String::new();
    for n in 0..101 {
        writeln!(
            yaml,
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s{n}}}\nspec:\n  \
             hosts: [service-{n}.example.com]\n  ports: [{{number: 80, name: http, protocol: HTTP}}]\n  \
             resolution: STATIC\n  endpoints:"
        )
        .unwrap();
        for endpoint in 1..=4 {
            writeln!(yaml, "  - {{address: 10.0.0.{endpoint}}}").unwrap();
        }
        yaml += "---\n";
    }
    let retries = match scenario {
        "retry" => "{attempts: 2, retryOn: 5xx}",
        _ => "{}",
    };
    yaml += "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: it}\nspec:\n  \
             hosts: [service-100.example.com]\n  http:\n";
    for n in (0..10).rev() {
        let path = if n == 0 {
            "/".to_owned()
        } else {
            format!("/route-{n}/")
        };
        writeln!(
            yaml,
            "  - match: [{{uri: {{prefix: {path}}}}}]\n    retries: {retries}"
        )
        .unwrap();
        if scenario == "none" {
            writeln!(
                yaml,
                "    route: [{{destination: {{host: service-1.example.com}}}}]"
            )
            .unwrap();
            continue;
        }
        if scenario == "whole" {
            yaml += "    corsPolicy: {allowOrigins: [{exact: 'https://example.com'}]}\n";
        }
        yaml += "    timeout: 5s\n    headers:\n      request: {set: {x-mesh: '1'}}\n      \
                 response: {set: {x-served: '1'}}\n    route:\n    \
                 - {destination: {host: service-1.example.com}, weight: 90}\n    \
                 - {destination: {host: service-2.example.com}, weight: 10}\n";
    }
    if scenario != "none" {
        for n in 1..=2 {
            writeln!(
                yaml,
                "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: d{n}}}\nspec:\n  \
                 host: service-{n}.example.com\n  trafficPolicy:\n    \
                 connectionPool: {{http: {{http2MaxRequests: 1000, maxRetries: 10}}}}\n    \
                 outlierDetection: {{consecutive5xxErrors: 5, maxEjectionPercent: 50}}"
            )
            .unwrap();
        }
    }
    Mesh::builder().lenient(true).yaml(&yaml).build().unwrap().0
}

pub fn client(scenario: &str) -> Client {
    mesh(scenario).client_with(leaf as fn(&Endpoint) -> Leaf)
}

#[inline(never)]
pub fn request() -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = http::Uri::from_static("http://service-100.example.com/a/b?c=d");
    let headers = request.headers_mut();
    headers.reserve(12);
    for (name, value) in [
        ("host", "service-100.example.com"),
        ("user-agent", "cost/1.0"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip"),
        ("x-request-id", "0f3c2a1e-7d4b-4e1a-9a55-1c2d3e4f5a6b"),
        ("x-env", "prod"),
        ("cookie", "a=b"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    request
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// Sends `count` requests of a scenario.
pub async fn drive(scenario: &str, count: u64) {
    match scenario {
        "leaf" => {
            let transport = PerEndpoint::new(leaf);
            let endpoint = Endpoint::new(Address::new("10.0.0.1", 80), Default::default());
            for _ in 0..count {
                let request = request().map(Body::new);
                black_box(transport.send(&endpoint, request).await.unwrap());
            }
        }
        "boxed" => {
            let service = BoxCloneSyncService::new(client("full"));
            for _ in 0..count {
                black_box(service.clone().oneshot(request()).await.unwrap());
            }
        }
        scenario => {
            let mut client = client(scenario);
            send(&mut client, count).await;
        }
    }
}

pub async fn send(client: &mut Client, count: u64) {
    for _ in 0..count {
        black_box(client.call(request()).await.unwrap());
    }
}
