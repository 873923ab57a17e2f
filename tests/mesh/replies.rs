//! What callers get when there is no upstream to answer: at both borders, in HTTP and in gRPC.

use std::sync::Arc;

use http::Request;
use tower::ServiceExt as _;
use tower_mesh::body::Body;
use tower_mesh::mesh::{ErrorKind, Mesh, MeshError};
use tower_mesh::path::PathNormalization;

use crate::support::{build, client, mesh, proxy, seen, service, text, virtual_service};

const RULES: &str = "  hosts: [a.com]
  http:
  - match: [{uri: {exact: /no-host}}]
    route: [{destination: {host: a.com, subset: none}}]
  - match: [{uri: {exact: /no-port}}]
    route: [{destination: {host: a.com, port: {number: 81}}}]
  - match: [{uri: {exact: /empty}}]
    route: [{destination: {host: a.com, subset: empty}}]
  - match: [{uri: {exact: /v2}}]
    route: [{destination: {host: a.com, subset: v2}}]";

const SUBSETS: &str = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: it}
spec:
  host: a.com
  subsets:
  - {name: v2, labels: {version: v2}}
  - {name: empty, labels: {version: v9}}
";

fn all() -> Mesh {
    let yaml = service("a.com", 80, &[1, 2]) + &virtual_service("it", RULES) + SUBSETS;
    build(Mesh::builder().registry_only(true), &yaml)
}

async fn failure(url: &str) -> MeshError {
    let request = Request::get(url).body(Body::empty()).unwrap();
    client(&all()).send(request).await.unwrap_err()
}

#[tokio::test]
async fn a_client_gets_an_error_that_says_its_kind() {
    for (url, kind, text) in [
        (
            "http://a.com/other",
            ErrorKind::NoRoute,
            "route_not_found (404 NR)",
        ),
        (
            "http://a.com/no-host",
            ErrorKind::NoDestination,
            "cluster_not_found (503 NC)",
        ),
        (
            "http://a.com/no-port",
            ErrorKind::NoDestination,
            "cluster_not_found (503 NC)",
        ),
        (
            "http://a.com/empty",
            ErrorKind::NoHealthyUpstream,
            "no healthy upstream (503 UH)",
        ),
        (
            "http://b.com/",
            ErrorKind::UnknownHost,
            "nothing declares the host, and unknown hosts are refused (502)",
        ),
        (
            "http://a.com/%00",
            ErrorKind::InvalidRequest,
            "path_normalization_failed (400)",
        ),
        (
            "/",
            ErrorKind::InvalidRequest,
            "the request names no host, neither in its URI nor in a Host header (400)",
        ),
    ] {
        let error = failure(url).await;
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (kind, text),
            "{url}"
        );
    }
}

#[tokio::test]
async fn a_proxy_answers_with_what_a_sidecar_would_send() {
    for (url, want, body) in [
        ("http://a.com/other", "404 NR", ""),
        ("http://a.com/no-host", "503 NC", ""),
        ("http://a.com/empty", "503 UH", "no healthy upstream"),
        ("http://b.com/", "502 -", ""),
        ("http://a.com/%00", "400 -", ""),
        ("/", "400 -", ""),
    ] {
        let request = Request::get(url).body(Body::empty()).unwrap();
        let response = proxy(&all()).oneshot(request).await.unwrap();
        assert_eq!(seen(&response), want, "{url}");
        assert_eq!(response.headers()["server"], "envoy");
        assert_eq!(text(response.into_body()).await, body, "{url}");
    }
}

#[tokio::test]
async fn a_grpc_call_is_refused_in_grpcs_words_at_both_borders() {
    let request = || {
        Request::post("http://a.com/empty")
            .header("content-type", "application/grpc")
            .body(Body::from("message"))
            .unwrap()
    };
    let check = |response: http::Response<_>| {
        assert_eq!(seen(&response), "200 UH");
        assert_eq!(response.headers()["grpc-status"], "14");
        assert_eq!(response.headers()["grpc-message"], "no healthy upstream");
        assert!(
            http_body::Body::is_end_stream(&response.into_body()),
            "trailers only"
        );
    };
    check(
        proxy(&all())
            .oneshot(request())
            .await
            .unwrap()
            .map(|_| Body::empty()),
    );
    let response = client(&all()).send(request()).await.unwrap();
    assert!(
        http_body::Body::is_end_stream(response.body()),
        "trailers only"
    );
    check(response.map(|_| Body::empty()));
}

#[tokio::test]
async fn the_body_tells_how_the_request_went() {
    let request = Request::get("http://a.com/v2").body(Body::empty()).unwrap();
    let response = client(&all()).send(request).await.unwrap();
    let info = response.body().info();
    assert_eq!(info.upstream_cluster(), Some("outbound|80|v2|a.com"));
    assert_eq!(info.upstream_host().unwrap().to_string(), "10.0.0.2:80");
    assert_eq!(info.attempts(), 1);
    assert_eq!(seen(&response), "200 -");
}

/// As a refusal by the built-in transport does.
#[tokio::test]
async fn headers_of_a_refusal_tell_of_the_request_as_it_would_have_been_sent() {
    let rules = service("a.com", 80, &[1])
        + "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: it}\n\
           spec: {host: a.com, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}}\n---\n"
        + &virtual_service(
            "it",
            "  hosts: [a.com]
  http:
  - headers: {request: {set: {x-a: sent}}, response: {set: {x-told: '%REQ(x-a)%'}}}
    route: [{destination: {host: a.com}}]",
        );
    let mesh = mesh(&rules);
    let ask = || {
        let request = Request::get("http://a.com/").header("x-a", "came");
        proxy(&mesh).oneshot(request.body(Body::empty()).unwrap())
    };
    let first = ask().await.unwrap();
    let second = ask().await.unwrap();
    assert_eq!((&*seen(&first), &*seen(&second)), ("200 -", "503 UO"));
    assert_eq!(first.headers()["x-told"], "sent");
    assert_eq!(second.headers()["x-told"], "sent");
}

#[test]
fn errors_and_services_fit_where_they_are_used() {
    fn thread_safe<T: Clone + Send + Sync + 'static>(_: &T) {}
    let mesh = mesh(&service("a.com", 80, &[1]));
    thread_safe(&mesh.client());
    thread_safe(&mesh.forward());
    thread_safe(&mesh);
    fn future<F: Future + Send + 'static>(_: F) {}
    let request = || Request::new(Body::empty());
    let send = mesh.clone();
    future(async move { send.client().send(request()).await.map(drop) });
    future(mesh.forward().oneshot(request()));
    thread_safe(&Arc::new(PathNormalization::Base));
}

#[tokio::test]
async fn other_path_normalisations_can_be_chosen() {
    let yaml = service("a.com", 80, &[1]);
    let builder = Mesh::builder().path_normalization(PathNormalization::MergeSlashes);
    let mesh = build(builder, &yaml);
    let answer = crate::support::get(&mesh, "http://a.com//x///y", &[]).await;
    assert_eq!(answer, "10.0.0.1:80 GET /x/y a.com");
}

#[tokio::test]
async fn unknown_hosts_go_where_dns_says_unless_told_otherwise() {
    let mesh = mesh(&service("a.com", 80, &[1]));
    let answer = crate::support::get(&mesh, "http://elsewhere.example:8080/x", &[]).await;
    assert_eq!(
        answer,
        "elsewhere.example:8080 GET /x elsewhere.example:8080"
    );
}
