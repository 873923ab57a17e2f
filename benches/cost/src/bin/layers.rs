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
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use tower::{Layer as _, Service};
use tower_mesh::context::MatchedPath;
use tower_mesh::cors_policy::{CorsLayer, CorsPolicy};
use tower_mesh::direct_response::{DirectResponseLayer, DirectResponsePolicy};
use tower_mesh::fault::{FaultLayer, FaultPolicy};
use tower_mesh::headers::{
    HeaderOperations, RequestHeaders, RequestHeadersLayer, ResponseHeaders, ResponseHeadersLayer,
};
use tower_mesh::mirror::{MirrorLayer, MirrorPolicy};
use tower_mesh::percent::Percent;
use tower_mesh::redirect::{RedirectLayer, RedirectPolicy};
use tower_mesh::retries::{RetryLayer, RetryOn, RetryPolicy};
use tower_mesh::rewrite::{RewriteLayer, RewritePolicy};
use tower_mesh::timeout::{TimeoutLayer, TimeoutPolicy};

use tower_mesh_cost::{Leaf, request, runtime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The layers by name; `nothing` is the service without one.
const LAYERS: [&str; 12] = [
    "nothing",
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
];

type Body = Full<bytes::Bytes>;

/// Sends `count` requests through one layer; nothing for a name that is none.
async fn drive_layer(layer: &str, count: u64) -> Option<()> {
    let header = || {
        let value = HeaderValue::from_static("1");
        HeaderOperations::new().set(HeaderName::from_static("x-mesh"), value)
    };
    match layer {
        "nothing" => send(Leaf, count).await,
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
            let share = Percent::from_whole(if layer == "mirror" { 100 } else { 0 });
            send(
                MirrorLayer::new(MirrorPolicy::new(share), Leaf).layer(Leaf),
                count,
            )
            .await;
        }
        _ => return None,
    }
    Some(())
}

async fn send<S>(mut service: S, count: u64)
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
