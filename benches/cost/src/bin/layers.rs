//! What each layer costs by itself, over a service that answers with its second poll: a program
//! `ci/perf` runs.
//!
//! ```text
//! layers LAYER N       N requests through a layer, for callgrind to count the instructions of
//! ```
//!
//! Apart from `cost`, because what is compiled together changes what is inlined.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a program for ci may stop at what cannot be, and uses a part of the scenarios"
)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use tower::{Layer as _, Service};
use tower_mesh::access_log::{AccessLogEntry, AccessLogLayer};
use tower_mesh::api::{HttpRoute, Resources, VirtualService};
use tower_mesh::balance::BalanceLayer;
use tower_mesh::connection_pool::ConnectionPoolLayer;
use tower_mesh::context::{Connection, MatchedPath};
use tower_mesh::cors_policy::{CorsLayer, CorsPolicy};
use tower_mesh::direct_response::{DirectResponseLayer, DirectResponsePolicy};
use tower_mesh::endpoint::{Address, Endpoint};
use tower_mesh::fault::{FaultLayer, FaultPolicy};
use tower_mesh::headers::{
    HeaderOperations, RequestHeaders, RequestHeadersLayer, ResponseHeaders, ResponseHeadersLayer,
};
use tower_mesh::limits::{Limits, MostAtATime};
use tower_mesh::load_balancer::LoadBalancerPolicy;
use tower_mesh::mesh::{EdgeLayer, Inbound, Mesh};
use tower_mesh::mirror::{MirrorLayer, MirrorPolicy};
use tower_mesh::outlier_detection::OutlierDetectionPolicy;
use tower_mesh::percent::Percent;
use tower_mesh::redirect::{RedirectLayer, RedirectPolicy};
use tower_mesh::reply::ReplyBodyLayer;
use tower_mesh::retries::{HedgeLayer, HedgePolicy, RetryLayer, RetryOn, RetryPolicy};
use tower_mesh::rewrite::{RewriteLayer, RewritePolicy};
use tower_mesh::timeout::{TimeoutLayer, TimeoutPolicy};

use tower_mesh_cost::{Leaf, request, runtime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The layers by name; `nothing` is the service without one, `connected` the same with requests that
/// say where they come from, and `mesh` what an access log goes around.
const LAYERS: [&str; 23] = [
    "nothing",
    "connected",
    "mesh",
    "fault",
    "redirect",
    "direct-response",
    "cors",
    "request-headers",
    "response-headers",
    "rewrite",
    "timeout",
    "retry",
    "mirror-none",
    "mirror",
    "connection-pool",
    "balance",
    "balance-outliers",
    "hedge",
    "reply-body",
    "inbound",
    "inbound-strict",
    "edge",
    "access-log",
];

type Body = Full<bytes::Bytes>;

/// Sends `count` requests through one layer; nothing for a name that is none.
async fn drive_layer(name: &str, count: u64) -> Option<()> {
    let header = || {
        let value = HeaderValue::from_static("1");
        HeaderOperations::new().set(HeaderName::from_static("x-mesh"), value)
    };
    match name {
        "nothing" => send(Leaf, count).await,
        "connected" => send_each(Leaf, connected, count).await,
        "mesh" => send(inbound(false), count).await,
        "fault" => send(FaultLayer::new(FaultPolicy::default()).layer(Leaf), count).await,
        "redirect" => send(RedirectLayer::new(RedirectPolicy::new()).layer(Leaf), count).await,
        "direct-response" => {
            let policy = DirectResponsePolicy::new(StatusCode::OK, "hello").unwrap();
            send(DirectResponseLayer::new(policy).layer(Leaf), count).await;
        }
        "cors" => send(CorsLayer::new(CorsPolicy::new()).layer(Leaf), count).await,
        "request-headers" => {
            let layer = RequestHeadersLayer::new(RequestHeaders::new(header()));
            send(layer.layer(Leaf), count).await;
        }
        "response-headers" => {
            let layer = ResponseHeadersLayer::new(ResponseHeaders::new(header()));
            send(layer.layer(Leaf), count).await;
        }
        "rewrite" => {
            let policy = RewritePolicy::new().uri("/v2");
            let layer = RewriteLayer::new(policy.matched(MatchedPath::Prefix(2)));
            send(layer.layer(Leaf), count).await;
        }
        "timeout" => {
            let layer = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_secs(5)));
            send(layer.layer(Leaf), count).await;
        }
        "retry" => {
            let policy = RetryPolicy::new(2, RetryOn::istio_default());
            send(RetryLayer::new(policy).layer(Leaf), count).await;
        }
        "mirror-none" | "mirror" => {
            let share = Percent::from_whole(if name == "mirror" { 100 } else { 0 });
            send(
                MirrorLayer::new(MirrorPolicy::new(share), Leaf).layer(Leaf),
                count,
            )
            .await;
        }
        "connection-pool" => {
            let mut most = MostAtATime::default();
            most.requests = Some(1024);
            send(
                ConnectionPoolLayer::new(Limits::new(most)).layer(Leaf),
                count,
            )
            .await;
        }
        "balance" | "balance-outliers" => {
            let endpoint = |port| Endpoint::new(Address::new("10.0.0.1", port), Default::default());
            let endpoints: Vec<_> = (1..=4).map(endpoint).collect();
            let mut layer = BalanceLayer::new(LoadBalancerPolicy::default(), endpoints);
            if name == "balance-outliers" {
                layer = layer.outlier_detection(OutlierDetectionPolicy::default());
            }
            send(layer.layer(|_: &Endpoint| Leaf), count).await;
        }
        "hedge" => {
            let policy = HedgePolicy::new(1, Duration::from_secs(5));
            send(HedgeLayer::new(policy).layer(Leaf), count).await;
        }
        "reply-body" => send(ReplyBodyLayer::new().layer(Leaf), count).await,
        "inbound" => send(inbound(false), count).await,
        "inbound-strict" => send(inbound(true), count).await,
        "edge" => send_each(EdgeLayer::new().layer(Leaf), connected, count).await,
        "access-log" => {
            let log = AccessLogLayer::new(|entry: &AccessLogEntry| {
                black_box(entry);
            });
            send(log.layer(inbound(false)), count).await;
        }
        _ => return None,
    }
    Some(())
}

/// A mesh of one rule around the service.
fn inbound(strict: bool) -> Inbound<Leaf> {
    let rule = HttpRoute::to("service-100.example.com");
    let rules = VirtualService::of_hosts(["service-100.example.com"]).http([rule]);
    let resources = Resources::new().with("it", rules);
    let (mesh, _) = Mesh::builder()
        .resources(resources)
        .lenient(true)
        .build()
        .unwrap();
    mesh.inbound_layer().strict(strict).layer(Leaf)
}

/// A request that says where it comes from, as servers behind an edge note it.
fn connected() -> Request<Body> {
    let mut request = request();
    request.extensions_mut().insert(Connection {
        remote: SocketAddr::from(([10, 0, 0, 9], 4711)),
        local: SocketAddr::from(([10, 0, 0, 1], 80)),
    });
    request
}

async fn send<S>(service: S, count: u64)
where
    S: Service<Request<Body>>,
{
    send_each(service, request, count).await;
}

async fn send_each<S>(mut service: S, request: fn() -> Request<Body>, count: u64)
where
    S: Service<Request<Body>>,
{
    for _ in 0..count {
        let sent = service.call(request()).await;
        black_box(sent.is_ok());
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [layer, count] if LAYERS.contains(&layer.as_str()) => {
            runtime().block_on(drive_layer(layer, count.parse().unwrap()));
        }
        // As a bench in test mode: everything once.
        _ => {
            for layer in LAYERS {
                runtime().block_on(drive_layer(layer, 2)).unwrap();
            }
        }
    }
}
