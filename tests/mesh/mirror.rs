//! Mirrors in a mesh: which requests are copied, what a copy looks like, and what it costs nobody.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::time::{Instant, sleep, timeout};
use tower::{ServiceExt as _, service_fn};
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::{Mesh, MeshBuilder};
use tower_mesh::rt::Rng;

use crate::support::{build, seen, service, virtual_service};

/// What reached endpoints: each one's number with method, target, host and body.
#[derive(Clone, Default)]
struct Received(Arc<Mutex<Vec<(String, Sent)>>>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Sent {
    line: String,
    headers: http::HeaderMap,
    body: String,
}

type Answer = std::pin::Pin<Box<dyn Future<Output = io::Result<Response<Full<Bytes>>>> + Send>>;
type Upstream = tower::util::ServiceFn<Box<dyn Fn(Request<Body>) -> Answer + Send>>;

impl Received {
    /// An endpoint that writes down what it gets; `10.0.0.9` never answers, `10.0.0.8` refuses,
    /// `x-fail` is answered with 503.
    fn upstream(&self, endpoint: &Endpoint) -> Upstream {
        let number = endpoint.address().to_string();
        let number = number.trim_start_matches("10.0.0.").trim_end_matches(":80");
        let (received, number) = (self.clone(), number.to_owned());
        service_fn(Box::new(move |request: Request<Body>| {
            let (received, number) = (received.clone(), number.clone());
            Box::pin(async move {
                if number == "8" {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                let (parts, body) = request.into_parts();
                let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
                let sent = Sent {
                    line: format!("{} {}", parts.method, parts.uri),
                    headers: parts.headers,
                    body: String::from_utf8_lossy(&body).into_owned(),
                };
                let fails = sent.headers.contains_key("x-fail");
                received.0.lock().unwrap().push((number.clone(), sent));
                if number == "9" {
                    std::future::pending::<()>().await;
                }
                let mut response = Response::new(Full::from(number));
                if fails {
                    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                }
                Ok(response)
            }) as Answer
        }))
    }

    /// How many requests each endpoint got since this was last asked.
    fn take(&self) -> BTreeMap<String, Vec<Sent>> {
        let mut by_number = BTreeMap::<String, Vec<Sent>>::new();
        for (number, sent) in self.0.lock().unwrap().drain(..) {
            by_number.entry(number).or_default().push(sent);
        }
        by_number
    }

    fn counts(&self) -> String {
        let taken = self.take();
        let counts = taken
            .iter()
            .map(|(it, sent)| format!("{it}:{}", sent.len()));
        counts.collect::<Vec<_>>().join(" ")
    }
}

const SUBSETS: &str = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: it}
spec:
  host: a.com
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - {name: down, labels: {version: v8}}
  - {name: hangs, labels: {version: v9}}
  - {name: empty, labels: {version: v7}}
";

fn rules(http: &str) -> Mesh {
    rules_with(Mesh::builder().rng(Rng::seeded(1)), http)
}

fn rules_with(builder: MeshBuilder, http: &str) -> Mesh {
    let spec = format!("  hosts: [a.com]\n  http:\n{http}");
    let yaml = service("a.com", 80, &[1, 2, 8, 9]) + &virtual_service("it", &spec) + SUBSETS;
    build(builder, &yaml)
}

/// A destination by its subset.
fn to(subset: &str) -> String {
    format!("{{host: a.com, subset: {subset}}}")
}

/// One rule: its destination, and a mirror.
fn rule(subset: &str, mirror: &str, more: &str) -> String {
    format!(
        "  - route: [{{destination: {}}}]\n    mirror: {}\n{more}",
        to(subset),
        to(mirror)
    )
}

async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

fn get(path: &str) -> Request<Body> {
    let request = Request::get(path).header("host", "a.com");
    request.body(Body::empty()).unwrap()
}

/// Sends a request through a proxy; `status flags`, then who got how many.
async fn outcome(mesh: &Mesh, request: Request<Body>) -> String {
    let received = Received::default();
    let shared = received.clone();
    let proxy = mesh.forward_with(move |endpoint: &Endpoint| shared.upstream(endpoint));
    let response = proxy.oneshot(request).await.unwrap();
    settle().await;
    format!("{}, {}", seen(&response), received.counts())
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_what_leaves_for_the_endpoint() {
    let more =
        "    rewrite: {uri: /v2/, authority: b.com}\n    headers: {request: {set: {x-a: b}}}\n";
    let mesh = rules(&rule("v1", "v2", more));
    let received = Received::default();
    let shared = received.clone();
    let proxy = mesh.forward_with(move |endpoint: &Endpoint| shared.upstream(endpoint));
    let request = Request::post("/cart?n=1")
        .header("host", "a.com")
        .header("te", "trailers");
    let request = request.body(Body::from("hello")).unwrap();
    assert_eq!(proxy.oneshot(request).await.unwrap().status(), 200);
    settle().await;
    let taken = received.take();
    let (sent, mut copy) = (taken["1"][0].clone(), taken["2"][0].clone());
    assert_eq!((taken["1"].len(), taken["2"].len()), (1, 1));
    // A proxy tells the mirror what it is, and nothing else is different.
    assert_eq!(copy.headers.remove("x-envoy-internal").unwrap(), "true");
    assert_eq!(copy, sent);
    assert_eq!((&*copy.line, &*copy.body), ("POST /v2/cart?n=1", "hello"));
    for (name, value) in [
        ("host", "b.com"),
        ("x-a", "b"),
        ("x-envoy-attempt-count", "1"),
    ] {
        assert_eq!(copy.headers[name], value);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_adds_nothing_to_a_copy_but_the_suffix_it_asks_for() {
    for (suffix, host) in [(false, "a.com"), (true, "a.com-shadow")] {
        let builder = Mesh::builder().shadow_host_suffix(suffix);
        let mesh = rules_with(builder, &rule("v1", "v2", ""));
        let received = Received::default();
        let shared = received.clone();
        let client = mesh.client_with(move |endpoint: &Endpoint| shared.upstream(endpoint));
        let request = Request::get("http://a.com/").body(Body::empty()).unwrap();
        client.send(request).await.unwrap();
        settle().await;
        let copy = &received.take()["2"][0];
        assert_eq!(copy.headers["host"], host);
        assert_eq!(copy.headers.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_decided_once_and_only_where_there_is_somewhere_to_go() {
    let all = |subset| {
        rules(&rule(
            subset,
            "v2",
            "    retries: {attempts: 2, retryOn: 5xx}\n",
        ))
    };
    assert_eq!(outcome(&all("v1"), get("/")).await, "200 -, 1:1 2:1");
    let mut fails = get("/");
    fails
        .headers_mut()
        .insert("x-fail", http::HeaderValue::from_static("1"));
    assert_eq!(outcome(&all("v1"), fails).await, "503 URX, 1:3 2:1");
    // Connections are refused, and endpoints are there.
    assert_eq!(outcome(&all("down"), get("/")).await, "503 URX,UF, 2:1");
    assert_eq!(outcome(&all("empty"), get("/")).await, "503 UH, ");
    assert_eq!(outcome(&all("none"), get("/")).await, "503 NC, ");
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_before_the_router_is_not_copied() {
    let abort = "    fault: {abort: {httpStatus: 503, percentage: {value: 100}}}\n";
    let mesh = rules(&rule("v1", "v2", abort));
    assert_eq!(outcome(&mesh, get("/")).await, "503 FI, ");
    let cors = "    corsPolicy: {allowOrigins: [{exact: \"https://a\"}], allowMethods: [PUT]}\n";
    let mesh = rules(&rule("v1", "v2", cors));
    let preflight = Request::options("/")
        .header("host", "a.com")
        .header("origin", "https://a");
    let preflight = preflight.header("access-control-request-method", "PUT");
    let preflight = preflight.body(Body::empty()).unwrap();
    assert_eq!(outcome(&mesh, preflight).await, "200 -, ");
}

/// A copy goes to its destination, not back through the rules, which would copy it again.
#[tokio::test(start_paused = true)]
async fn a_copy_is_not_copied() {
    // To itself.
    let mesh = rules(&rule("v1", "v1", ""));
    assert_eq!(outcome(&mesh, get("/")).await, "200 -, 1:2");
    // To a host whose own rule sends copies back.
    let spec = |own: &str, other: &str| {
        format!(
            "  hosts: [{own}]\n  http:\n  - route: [{{destination: {{host: {own}}}}}]\n    \
             mirror: {{host: {other}}}\n"
        )
    };
    let yaml = service("a.com", 80, &[1])
        + &service("b.com", 80, &[2])
        + &virtual_service("a", &spec("a.com", "b.com"))
        + &virtual_service("b", &spec("b.com", "a.com"));
    let mesh = build(Mesh::builder(), &yaml);
    assert_eq!(outcome(&mesh, get("/")).await, "200 -, 1:1 2:1");
    assert_eq!(mesh.mirrored().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_is_away_is_not_noticed() {
    for mirror in ["down", "empty", "none"] {
        let mesh = rules(&rule("v1", mirror, ""));
        assert_eq!(outcome(&mesh, get("/")).await, "200 -, 1:1", "{mirror}");
        let counts = mesh.mirrored();
        assert_eq!(
            (counts.sent(), counts.failed(), counts.in_flight()),
            (1, 1, 0)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_mirror_that_hangs_has_the_rules_timeout_and_a_limit() {
    let mesh = rules(&rule("v1", "hangs", "    timeout: 2s\n"));
    let began = Instant::now();
    assert_eq!(outcome(&mesh, get("/")).await, "200 -, 1:1 9:1");
    assert_eq!(began.elapsed(), Duration::from_millis(1));
    assert_eq!(mesh.mirrored().in_flight(), 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(
        (mesh.mirrored().in_flight(), mesh.mirrored().failed()),
        (0, 1)
    );

    let builder = Mesh::builder().max_mirrored_requests(2);
    let mesh = rules_with(builder, &rule("v1", "hangs", ""));
    for _ in 0..5 {
        timeout(Duration::from_secs(1), outcome(&mesh, get("/")))
            .await
            .unwrap();
    }
    let counts = mesh.mirrored();
    assert_eq!((counts.in_flight(), counts.over_limit()), (2, 3));
}

/// The share of copies, and the split beside it, over 5 000 requests.
#[tokio::test(start_paused = true)]
async fn shares_are_kept_and_one_roll_decides_for_all() {
    let http = format!(
        "  - route:\n    - {{destination: {}, weight: 50}}\n    - {{destination: {}, weight: 50}}\n    \
         mirrors:\n    - {{destination: {}, percentage: {{value: 25}}}}\n    \
         - {{destination: {}, percentage: {{value: 25}}}}\n    - {{destination: {}, percentage: {{value: 0}}}}\n",
        to("v1"),
        to("v1"),
        to("v2"),
        to("v2"),
        to("hangs"),
    );
    let mesh = rules(&http);
    let received = Received::default();
    let shared = received.clone();
    let client = mesh.client_with(move |endpoint: &Endpoint| shared.upstream(endpoint));
    let (n, share) = (5_000_u32, 0.25);
    for _ in 0..n {
        let request = Request::get("http://a.com/").body(Body::empty()).unwrap();
        client.send(request).await.unwrap();
        settle().await;
        // Both get one or neither does.
        assert!(
            received
                .take()
                .get("2")
                .is_none_or(|copies| copies.len() == 2)
        );
    }
    let copied = mesh.mirrored().sent() as f64 / 2.0;
    // Five standard deviations: p < 1e-6.
    let deviation = (f64::from(n) * share * (1.0 - share)).sqrt();
    assert!(
        (copied - f64::from(n) * share).abs() < 5.0 * deviation,
        "{copied}"
    );
}

#[test]
fn a_mirror_that_cannot_be_reached_is_a_warning_when_rules_are_read() {
    let spec = "  hosts: [a.com]\n  http:\n  - route: [{destination: {host: a.com}}]\n    \
                mirrors:\n    - {destination: {host: b.com}}\n    \
                - {destination: {host: a.com, subset: none}}\n    \
                - {destination: {host: a.com, port: {number: 81}}}";
    let yaml = service("a.com", 80, &[1]) + &virtual_service("it", spec);
    let (_, report) = Mesh::builder().yaml(&yaml).build().unwrap();
    let found: Vec<_> = report
        .diagnostics()
        .iter()
        .map(|it| format!("{} {}", it.code(), it.path()))
        .collect();
    assert_eq!(
        found,
        [
            "unknown-host spec.http[0].mirrors[0].destination.host",
            "unknown-subset spec.http[0].mirrors[1].destination.subset",
            "unknown-port spec.http[0].mirrors[2].destination.port",
        ]
    );
}
