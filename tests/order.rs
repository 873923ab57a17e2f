//! Which answers get the header operations of their rule and of its destination, and which get
//! CORS headers: the order of the layers, as it is seen from outside.
//!
//! What is expected of each row was measured on Envoy 1.40; `tests/envoy/cases/layers.yaml`
//! asks a real one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "order/chain.rs"]
mod chain;
#[path = "order/pairs.rs"]
mod pairs;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use tower::{ServiceExt as _, service_fn};
use tower_mesh::body::Body;
use tower_mesh::context::ResponseFlags;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::{Forward, Mesh};
use tower_mesh::transport::PerEndpoint;

const OVERFLOW: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: overflow";
const TABLE: &str = include_str!("order/rules.yaml");

type Answer = Pin<Box<dyn Future<Output = io::Result<Response<Full<Bytes>>>> + Send>>;
type Upstream = tower::util::ServiceFn<fn(Request<Body>) -> Answer>;

/// Does as the request's `x-up` says.
fn upstream(_: &Endpoint) -> Upstream {
    service_fn(|request| {
        let wanted = request.headers().get("x-up").cloned();
        Box::pin(async move {
            match wanted.as_ref().map(|it| it.to_str().unwrap()) {
                Some("reset") => return Err(io::ErrorKind::ConnectionReset.into()),
                Some("refuse") => return Err(io::ErrorKind::ConnectionRefused.into()),
                Some("sleep") => tokio::time::sleep(Duration::from_secs(60)).await,
                _ => {}
            }
            Ok(Response::new(Full::default()))
        })
    })
}

type Proxy = Forward<PerEndpoint<fn(&Endpoint) -> Upstream>>;

fn mesh() -> Mesh {
    let built = Mesh::builder().lenient(true).yaml(TABLE).build();
    built.unwrap().0
}

fn proxy() -> Proxy {
    mesh().forward_with(upstream)
}

const OK: (&str, &str) = ("origin", "https://ok.test");
const NO: (&str, &str) = ("origin", "https://no.test");
const ASKS: (&str, &str) = ("access-control-request-method", "PUT");
const GRPC: (&str, &str) = ("content-type", "application/grpc");

/// The answer, with the number of tries in place of its body.
async fn send(line: &str, headers: &[(&str, &str)]) -> Response<u32> {
    send_to(proxy(), line, headers).await
}

async fn send_to(proxy: Proxy, line: &str, headers: &[(&str, &str)]) -> Response<u32> {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in [("host", "a.test")].iter().chain(headers) {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = proxy.oneshot(request).await.unwrap();
    response.map(|body| body.info().attempts())
}

/// `status flags`, then which of the three kinds of headers are there.
async fn seen(line: &str, headers: &[(&str, &str)]) -> String {
    told(&send(line, headers).await)
}

/// `status flags`, then which of the three kinds of headers are there.
fn told(response: &Response<u32>) -> String {
    let flags = ResponseFlags::of(response);
    let mut text = format!("{} {flags}", response.status().as_u16());
    for (name, word) in [
        ("x-rule", " rule"),
        ("x-to", " to"),
        ("access-control-allow-origin", " cors"),
    ] {
        if response.headers().contains_key(name) {
            text += word;
        }
    }
    text
}

/// A request, its headers, and what is seen of the answer.
type Row<'r> = (&'r str, &'r [(&'r str, &'r str)], &'r str);

async fn check(rows: &[Row<'_>]) {
    for (line, headers, want) in rows {
        assert_eq!(seen(line, headers).await, *want, "{line} {headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_of_an_upstream_get_both() {
    check(&[
        ("GET /up", &[OK], "200 - rule to cors"),
        ("GET /up", &[NO], "200 - rule to"),
        ("GET /up", &[], "200 - rule to"),
        ("OPTIONS /up", &[OK], "200 - rule to cors"),
        ("OPTIONS /up", &[NO, ASKS], "200 - rule to"),
        ("GET /delay", &[OK], "200 DI rule to cors"),
    ])
    .await;
}

#[tokio::test]
async fn aborts_get_header_operations_and_no_cors() {
    check(&[
        ("GET /abort", &[OK], "503 FI rule to"),
        ("GET /abort", &[OK, GRPC], "200 FI rule to"),
        ("OPTIONS /abort", &[OK, ASKS], "503 FI rule to"),
        ("GET /several", &[OK], "503 FI rule to"),
        ("OPTIONS /several", &[OK, ASKS], "503 FI rule to"),
    ])
    .await;
}

#[tokio::test]
async fn redirects_and_direct_responses_know_no_cors() {
    check(&[
        ("GET /redirect", &[OK], "301 - rule"),
        ("OPTIONS /redirect", &[OK, ASKS], "301 - rule"),
        ("GET /direct", &[OK], "200 - rule"),
        ("OPTIONS /direct", &[OK, ASKS], "200 - rule"),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn preflights_get_cors_headers_only() {
    check(&[
        ("OPTIONS /up", &[OK, ASKS], "200 - cors"),
        ("OPTIONS /unhealthy", &[OK, ASKS], "200 - cors"),
        ("OPTIONS /unknown", &[OK, ASKS], "200 - cors"),
        ("OPTIONS /delay", &[OK, ASKS], "200 DI cors"),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn replies_behind_cors_get_both() {
    check(&[
        ("GET /unhealthy", &[OK], "503 UH rule to cors"),
        ("GET /unhealthy", &[NO], "503 UH rule to"),
        ("GET /unhealthy", &[OK, GRPC], "200 UH rule to cors"),
        ("GET /unknown", &[OK], "503 NC rule to cors"),
        ("GET /unknown", &[OK, GRPC], "200 NC rule to cors"),
        (
            "GET /up",
            &[OK, ("x-up", "refuse")],
            "503 URX,UF rule to cors",
        ),
        ("GET /up", &[OK, ("x-up", "reset")], "503 UC rule to cors"),
        ("GET /up", &[NO, ("x-up", "reset")], "503 UC rule to"),
        (
            "GET /up",
            &[OK, GRPC, ("x-up", "reset")],
            "200 UC rule to cors",
        ),
        ("GET /up", &[OK, ("x-up", "sleep")], "504 UT rule to cors"),
        (
            "GET /late-try",
            &[OK, ("x-up", "sleep")],
            "504 URX,UT rule to cors",
        ),
    ])
    .await;
}

/// `tests/envoy/ejection.rs` asks a real Envoy for the same.
#[tokio::test(start_paused = true)]
async fn refusals_for_want_of_room_get_both() {
    let mesh = mesh();
    let proxy = mesh.forward_with(upstream as fn(&Endpoint) -> Upstream);
    let sleeps = [("x-up", "sleep")];
    let first = send_to(proxy.clone(), "GET /full", &sleeps);
    let others = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for (line, headers, want) in [
            ("GET /full", &[OK][..], "503 UO rule to cors"),
            ("GET /full", &[NO], "503 UO rule to"),
            ("GET /full", &[OK, GRPC], "200 UO rule to cors"),
            ("OPTIONS /full", &[OK, ASKS], "200 - cors"),
        ] {
            let answer = send_to(proxy.clone(), line, headers).await;
            assert_eq!(told(&answer), want, "{line} {headers:?}");
            if headers.contains(&GRPC) {
                let said = |name: &str| answer.headers()[name].to_str().unwrap();
                assert_eq!(said("grpc-status"), "14");
                assert_eq!(said("grpc-message"), OVERFLOW);
                assert_eq!(said("x-envoy-overloaded"), "true");
            }
        }
    };
    let (first, ()) = tokio::join!(first, others);
    assert_eq!(told(&first), "200 - rule to");
    // There is nothing to copy where nobody was asked.
    assert_eq!(mesh.mirrored().sent(), 1);
}

/// Mirroring changes no answer, and happens behind faults, CORS and the choice of an endpoint.
#[tokio::test(start_paused = true)]
async fn mirrors_come_last_and_change_nothing() {
    for (line, headers, want, copies) in [
        ("GET /mirrored", &[OK][..], "200 - rule to cors", 1),
        (
            "GET /mirrored",
            &[OK, ("x-up", "refuse")],
            "503 URX,UF rule to cors",
            1,
        ),
        ("OPTIONS /mirrored", &[OK, ASKS], "200 - cors", 0),
        ("GET /mirrored-abort", &[OK], "503 FI rule to", 0),
        ("GET /mirrored-unhealthy", &[OK], "503 UH rule to cors", 0),
    ] {
        let mesh = mesh();
        let response = send_to(mesh.forward_with(upstream), line, headers).await;
        assert_eq!(told(&response), want, "{line} {headers:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(mesh.mirrored().sent(), copies, "{line} {headers:?}");
    }
}

#[tokio::test]
async fn requests_without_a_route_get_nothing() {
    check(&[
        ("GET /other", &[OK], "404 NR"),
        ("OPTIONS /other", &[OK, ASKS], "404 NR"),
        ("GET /up/%00", &[OK], "400 -"),
        ("OPTIONS /up/%00", &[OK, ASKS], "400 -"),
        ("GET /up", &[OK, ("host", "a b")], "400 DPE"),
    ])
    .await;
    // Too much to be read, whatever it asks for; `tests/envoy/refused.rs` asks a real Envoy.
    let long = "x".repeat(61 << 10);
    check(&[
        ("GET /up", &[OK, ("x-long", &long)], "431 DPE"),
        ("OPTIONS /up", &[OK, ASKS, ("x-long", &long)], "431 DPE"),
        ("GET /abort", &[OK, ("x-long", &long)], "431 DPE"),
    ])
    .await;
}

/// All values of a header, in order.
fn values<'h>(headers: &'h HeaderMap, name: &str) -> Vec<&'h str> {
    let values = headers.get_all(name).iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn cors_has_the_last_word_on_an_upstreams_answer() {
    let allowed = send("GET /last-word", &[OK]).await;
    let get = |name| values(allowed.headers(), name);
    assert_eq!(get("access-control-allow-origin"), ["https://ok.test"]);
    assert_eq!(get("access-control-expose-headers"), ["cors"]);

    let other = send("GET /last-word", &[NO]).await;
    let get = |name| values(other.headers(), name);
    assert_eq!(get("access-control-allow-origin"), ["rule"]);
    assert_eq!(get("access-control-expose-headers"), ["rule"]);
}

#[tokio::test]
async fn what_is_answered_before_the_router_counts_no_try() {
    for (line, attempts) in [("GET /up", 1), ("GET /abort", 0), ("OPTIONS /up", 0)] {
        let answer = send(line, &[OK, ASKS]).await;
        assert_eq!(*answer.body(), attempts, "{line}");
    }
}

#[tokio::test]
async fn a_bad_request_ends_its_connection_whoever_calls_it_so() {
    for (line, closes) in [("GET /bad", true), ("GET /direct", false)] {
        let answer = send(line, &[]).await;
        assert_eq!(
            answer.headers().contains_key("connection"),
            closes,
            "{line}"
        );
    }
}
