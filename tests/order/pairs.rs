//! Two concepts in one rule: which comes first, told by what the client and the upstream see.
//!
//! `tests/envoy/cases/pairs.yaml` asks a real Envoy the same.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{ServiceExt as _, service_fn};
use tower_mesh::body::Body;
use tower_mesh::context::ResponseFlags;
use tower_mesh::mesh::Mesh;

const SERVICES: &str = r#"
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: one}
spec:
  hosts: [one.test]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: mirror}
spec:
  hosts: [mirror.test]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.2}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: rules}
spec:
  hosts: [a.test]
  http:
"#;

/// One 5xx of an endpoint ejects it.
pub(super) const EJECTS: &str = r#"---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: one}
spec:
  host: one.test
  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}}
"#;

pub(super) const TO_ONE: &str = "route: [{destination: {host: one.test}}]";

/// A rule for `/p`, behind which everything else goes to one.test.
pub(super) fn rules(rule: &str) -> String {
    let head = "  - match: [{uri: {prefix: /p}}]";
    format!(
        "{SERVICES}{head}\n    {}\n  - name: rest\n    {TO_ONE}\n",
        rule.replace('\n', "\n    ")
    )
}

pub(super) fn mesh(yaml: &str) -> Mesh {
    let built = Mesh::builder().lenient(true).yaml(yaml).build();
    built.unwrap().0
}

/// What happened: the answer, how long it took, what endpoints received.
pub(super) struct Seen {
    pub(super) response: Response<()>,
    pub(super) took: Duration,
    /// Each as `host path`, then the headers that begin with `x-`, but for what a proxy adds.
    pub(super) received: Vec<String>,
    pub(super) copies: u64,
}

impl Seen {
    /// `status flags`.
    pub(super) fn answer(&self) -> String {
        let flags = ResponseFlags::of(&self.response);
        format!("{} {flags}", self.response.status().as_u16())
    }

    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.response.headers().get_all(name).iter();
        lines.map(|it| it.to_str().unwrap()).collect()
    }
}

type Answer = Pin<Box<dyn Future<Output = io::Result<Response<Full<Bytes>>>> + Send>>;
type Received = Arc<Mutex<Vec<String>>>;

/// Answers as `x-up` says, a word for each try, and writes down what came.
fn answer(request: &Request<Body>, host: &str, received: &Received) -> Answer {
    let mut line = format!("{host} {}", request.uri().path());
    let proxys = [
        "x-forwarded-proto",
        "x-request-id",
        "x-envoy-attempt-count",
        "x-up",
    ];
    for (name, value) in request.headers() {
        if name.as_str().starts_with("x-") && !proxys.contains(&name.as_str()) {
            line += &format!(" {name}={}", value.to_str().unwrap());
        }
    }
    let mut all = received.lock().unwrap();
    let nth = all.iter().filter(|it| it.starts_with(host)).count();
    all.push(line);
    let script = request.headers().get("x-up").cloned();
    Box::pin(async move {
        let script = script.as_ref().map_or("", |it| it.to_str().unwrap());
        match script.split(',').nth(nth).unwrap_or_default() {
            "503" => {
                return Ok(Response::builder()
                    .status(503)
                    .body(Full::default())
                    .unwrap());
            }
            "refuse" => return Err(io::ErrorKind::ConnectionRefused.into()),
            "sleep" => tokio::time::sleep(Duration::from_secs(60)).await,
            _ => {}
        }
        Ok(Response::new(Full::default()))
    })
}

pub(super) async fn send_all(mesh: Mesh, lines: &[(&str, &[(&str, &str)])]) -> Vec<Seen> {
    let received: Received = Arc::default();
    let proxy = mesh.forward_with({
        let received = received.clone();
        move |endpoint: &tower_mesh::endpoint::Endpoint| {
            let host = match endpoint.address().to_string() {
                it if it.starts_with("10.0.0.1") => "one",
                it if it.starts_with("10.0.0.3") => "other",
                _ => "mirror",
            };
            let received = received.clone();
            service_fn(move |request: Request<Body>| answer(&request, host, &received))
        }
    });
    let mut all = Vec::new();
    for (line, headers) in lines {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in [("host", "a.test")].iter().chain(*headers) {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let began = Instant::now();
        let response = proxy.clone().oneshot(request).await.unwrap();
        let took = began.elapsed();
        // Copies leave by themselves.
        tokio::time::sleep(Duration::from_millis(1)).await;
        all.push(Seen {
            response: response.map(drop),
            took,
            received: std::mem::take(&mut received.lock().unwrap()),
            copies: mesh.mirrored().sent(),
        });
    }
    all
}

pub(super) async fn send(rule: &str, line: &str, headers: &[(&str, &str)]) -> Seen {
    send_all(mesh(&rules(rule)), &[(line, headers)])
        .await
        .remove(0)
}

const ABORT: &str = "fault: {abort: {httpStatus: 503, percentage: {value: 100}}}";
const CORS: &str = "corsPolicy: {allowOrigins: [{exact: \"https://ok.test\"}]}";
const ORIGIN: (&str, &str) = ("origin", "https://ok.test");

#[tokio::test]
async fn the_path_is_normalised_before_it_is_matched() {
    let seen = send("directResponse: {status: 204}", "GET /other/%2e%2e/p", &[]).await;
    assert_eq!(seen.answer(), "204 -");
}

#[tokio::test]
async fn a_route_is_matched_once_whatever_a_rule_makes_of_the_request() {
    let rule = format!(
        "rewrite: {{uri: /other}}\nheaders: {{response: {{set: {{x-rule: p}}}}}}\n{TO_ONE}"
    );
    let seen = send(&rule, "GET /p/x", &[]).await;
    assert_eq!(seen.received, ["one /other/x x-envoy-original-path=/p/x"]);
    assert_eq!(seen.header("x-rule"), ["p"]);
}

#[tokio::test(start_paused = true)]
async fn a_delay_comes_before_an_abort() {
    let rule = format!(
        "fault: {{delay: {{fixedDelay: 2s, percentage: {{value: 100}}}}, abort: {{httpStatus: 503, \
         percentage: {{value: 100}}}}}}\n{TO_ONE}"
    );
    let seen = send(&rule, "GET /p", &[]).await;
    assert_eq!(
        (seen.answer().as_str(), seen.took.as_secs()),
        ("503 DI,FI", 2)
    );
    assert!(seen.received.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_abort_is_not_retried() {
    let rule = format!("{ABORT}\nretries: {{attempts: 3, retryOn: 5xx}}\n{TO_ONE}");
    let seen = send(&rule, "GET /p", &[]).await;
    assert_eq!(
        (seen.answer().as_str(), seen.took),
        ("503 FI", Duration::ZERO)
    );
    assert!(seen.received.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_no_part_of_the_timeout() {
    let rule = format!(
        "fault: {{delay: {{fixedDelay: 5s, percentage: {{value: 100}}}}}}\ntimeout: 1s\n{TO_ONE}"
    );
    let seen = send(&rule, "GET /p", &[]).await;
    assert_eq!((seen.answer().as_str(), seen.took.as_secs()), ("200 DI", 5));
    let late = send(&rule, "GET /p", &[("x-up", "sleep")]).await;
    assert_eq!(
        (late.answer().as_str(), late.took.as_secs()),
        ("504 DI,UT", 6)
    );
}

#[tokio::test]
async fn an_abort_comes_before_cors_and_the_destinations_headers_come_with_it() {
    let to = "route: [{destination: {host: one.test}, headers: {response: {set: {x-to: one}}}}]";
    let seen = send(&format!("{ABORT}\n{CORS}\n{to}"), "GET /p", &[ORIGIN]).await;
    assert_eq!(seen.answer(), "503 FI");
    assert!(seen.header("access-control-allow-origin").is_empty());
    assert_eq!(seen.header("x-to"), ["one"]);
}

#[tokio::test]
async fn an_abort_says_nothing_of_its_endpoints() {
    let yaml = rules(&format!("{ABORT}\n{TO_ONE}")) + EJECTS;
    let lines: [(&str, &[(&str, &str)]); 4] = [
        ("GET /p", &[]),
        ("GET /rest", &[]),
        ("GET /rest", &[("x-up", "503")]),
        ("GET /rest", &[]),
    ];
    let seen = send_all(mesh(&yaml), &lines).await;
    let answers: Vec<_> = seen.iter().map(Seen::answer).collect();
    assert_eq!(answers, ["503 FI", "200 -", "503 -", "503 UH"]);
}

#[tokio::test]
async fn cors_reads_the_origin_before_a_rule_removes_it() {
    let rule = format!(
        "{CORS}\nheaders: {{request: {{remove: [origin], set: {{x-o: '<%REQ(origin)%>'}}}}}}\n{TO_ONE}"
    );
    let seen = send(&rule, "GET /p", &[ORIGIN]).await;
    assert_eq!(
        seen.header("access-control-allow-origin"),
        ["https://ok.test"]
    );
    assert_eq!(seen.received, ["one /p x-o=<>"]);
}

#[tokio::test]
async fn headers_are_set_before_the_path_and_the_host_are_rewritten() {
    let rule = format!(
        "rewrite: {{uri: /new, authority: new.test}}\n\
         headers: {{request: {{set: {{x-old: '%REQ(:authority)%%REQ(:path)%'}}}}}}\n{TO_ONE}"
    );
    let seen = send(&rule, "GET /p", &[]).await;
    assert!(
        seen.received[0].contains("x-old=a.test/p"),
        "{:?}",
        seen.received
    );
    assert!(
        seen.received[0].starts_with("one /new "),
        "{:?}",
        seen.received
    );
}

#[tokio::test]
async fn a_redirect_reads_the_request_as_it_came() {
    let rule = "redirect: {prefixRewrite: /new}\nheaders: {request: {set: {x-a: b}}, response: {set: {x-r: r}}}";
    let seen = send(rule, "GET /p/x?q", &[]).await;
    assert_eq!(seen.answer(), "301 -");
    assert_eq!(seen.header("location"), ["http://a.test/new/x?q"]);
    assert_eq!(seen.header("x-r"), ["r"]);
}

#[tokio::test(start_paused = true)]
async fn every_try_sends_the_request_as_it_was_rewritten_once() {
    let rule = format!(
        "rewrite: {{uri: /p/new}}\nheaders: {{request: {{add: {{x-a: '1'}}}}}}\n\
         retries: {{attempts: 2, retryOn: 5xx}}\n{TO_ONE}"
    );
    let seen = send(&rule, "GET /p/x", &[("x-up", "503,503")]).await;
    assert_eq!(seen.answer(), "200 -");
    let one = "one /p/new/x x-a=1 x-envoy-original-path=/p/x";
    assert_eq!(seen.received, [one; 3]);
}

#[tokio::test(start_paused = true)]
async fn response_headers_dress_the_last_answer_once() {
    let rule = format!(
        "headers: {{response: {{add: {{x-r: '%REQ(x-a)%'}}}}, request: {{set: {{x-a: b}}}}}}\n\
         retries: {{attempts: 2, retryOn: 5xx}}\n{TO_ONE}"
    );
    let seen = send(&rule, "GET /p", &[("x-up", "503,503"), ("x-a", "came")]).await;
    assert_eq!(seen.header("x-r"), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn the_timeout_spans_all_tries_and_the_waits_between() {
    let rule = format!(
        "timeout: 1s\nretries: {{attempts: 10, retryOn: 5xx, perTryTimeout: 400ms, backoff: 1ms}}\n{TO_ONE}"
    );
    let seen = send(&rule, "GET /p", &[("x-up", "sleep,sleep,sleep,sleep")]).await;
    assert_eq!((seen.answer().as_str(), seen.took.as_secs()), ("504 UT", 1));
    assert_eq!(seen.received.len(), 3);
    let waits =
        format!("timeout: 1s\nretries: {{attempts: 100, retryOn: 5xx, backoff: 500ms}}\n{TO_ONE}");
    let seen = send(&waits, "GET /p", &[("x-up", &["503"; 101].join(","))]).await;
    assert_eq!((seen.answer().as_str(), seen.took.as_secs()), ("504 UT", 1));
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_made_once_of_the_request_as_it_is_sent() {
    let rule = format!(
        "mirror: {{host: mirror.test}}\nrewrite: {{uri: /new}}\nheaders: {{request: {{set: {{x-a: b}}}}}}\n\
         retries: {{attempts: 2, retryOn: 5xx}}\n{TO_ONE}"
    );
    let seen = send(&rule, "GET /p", &[("x-up", "503")]).await;
    assert_eq!((seen.answer().as_str(), seen.copies), ("200 -", 1));
    let copy: Vec<_> = seen
        .received
        .iter()
        .filter(|it| it.starts_with("mirror"))
        .collect();
    assert_eq!(copy.len(), 1);
    assert!(copy[0].starts_with("mirror /new x-a=b"), "{copy:?}");
}

#[tokio::test(start_paused = true)]
async fn a_copy_outlives_the_timeout_of_its_request() {
    let rule = format!("mirror: {{host: mirror.test}}\ntimeout: 1s\n{TO_ONE}");
    let seen = send(&rule, "GET /p", &[("x-up", "sleep")]).await;
    assert_eq!((seen.answer().as_str(), seen.copies), ("504 UT", 1));
}

#[tokio::test(start_paused = true)]
async fn a_copy_waits_for_the_delay_and_shares_the_fate_of_an_abort() {
    let delay = "fault: {delay: {fixedDelay: 3s, percentage: {value: 100}}}";
    let rule = format!("{delay}\nmirror: {{host: mirror.test}}\n{TO_ONE}");
    let seen = send(&rule, "GET /p", &[]).await;
    assert_eq!((seen.answer().as_str(), seen.copies), ("200 DI", 1));
    assert_eq!(seen.received.len(), 2);
    let rule = format!("{ABORT}\nmirror: {{host: mirror.test}}\n{TO_ONE}");
    assert_eq!(send(&rule, "GET /p", &[]).await.copies, 0);
}

#[tokio::test(start_paused = true)]
async fn cors_dresses_what_timeouts_and_retries_answer() {
    let rule = format!("{CORS}\ntimeout: 1s\nretries: {{attempts: 1, retryOn: 5xx}}\n{TO_ONE}");
    let late = send(&rule, "GET /p", &[ORIGIN, ("x-up", "sleep")]).await;
    assert_eq!(late.answer(), "504 UT");
    let failed = send(&rule, "GET /p", &[ORIGIN, ("x-up", "refuse,refuse")]).await;
    assert_eq!(failed.answer(), "503 URX,UF");
    for seen in [late, failed] {
        assert_eq!(
            seen.header("access-control-allow-origin"),
            ["https://ok.test"]
        );
    }
}

#[tokio::test]
async fn what_a_rule_answers_itself_is_neither_retried_nor_copied() {
    let rule = "directResponse: {status: 503}\nretries: {attempts: 3, retryOn: 5xx}\nmirror: {host: mirror.test}";
    let seen = send(rule, "GET /p", &[]).await;
    assert_eq!((seen.answer().as_str(), seen.copies), ("503 -", 0));
    assert!(seen.received.is_empty());
}
