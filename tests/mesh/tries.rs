//! Tries: what endpoints are told of their time, which are asked again, what is said in the end.

use std::collections::{BTreeSet, VecDeque};
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
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::{Forward, Mesh};
use tower_mesh::rt::Rng;
use tower_mesh::transport::PerEndpoint;

use crate::support::{build, mesh, seen, service, text, virtual_service};

/// What an endpoint does with a try.
#[derive(Clone, Copy)]
pub(crate) enum Does {
    Answer(u16),
    Fail(io::ErrorKind),
    Hang,
}

use Does::{Answer, Fail, Hang};

/// A try as its endpoint saw it: the endpoint, the time since the beginning, and what it was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Try {
    pub(crate) endpoint: String,
    pub(crate) elapsed: u64,
    expected: Option<String>,
    grpc_timeout: Option<String>,
}

/// What endpoints do, one try after the other; the last over and over.
#[derive(Clone)]
pub(crate) struct Script {
    steps: Arc<Mutex<VecDeque<Does>>>,
    tries: Arc<Mutex<Vec<Try>>>,
    pub(crate) began: Instant,
}

pub(crate) type Answering = Pin<Box<dyn Future<Output = io::Result<Response<Full<Bytes>>>> + Send>>;
pub(crate) type Scripted = tower::util::ServiceFn<Box<dyn Fn(Request<Body>) -> Answering + Send>>;
pub(crate) type Transport = PerEndpoint<Box<dyn Fn(&Endpoint) -> Scripted + Send + Sync>>;

impl Script {
    pub(crate) fn new(steps: &[Does]) -> Self {
        Self {
            steps: Arc::new(Mutex::new(steps.iter().copied().collect())),
            tries: Arc::default(),
            began: Instant::now(),
        }
    }

    fn answer(&self, endpoint: &str, request: &Request<Body>) -> Answering {
        let told = |name| {
            let value = request.headers().get(name);
            value.map(|it| it.to_str().unwrap().to_owned())
        };
        self.tries.lock().unwrap().push(Try {
            endpoint: endpoint.to_owned(),
            elapsed: u64::try_from(self.began.elapsed().as_millis()).unwrap(),
            expected: told("x-envoy-expected-rq-timeout-ms"),
            grpc_timeout: told("grpc-timeout"),
        });
        let mut steps = self.steps.lock().unwrap();
        let does = match steps.len() {
            1 => steps[0],
            _ => steps.pop_front().unwrap(),
        };
        Box::pin(async move {
            match does {
                Answer(status) => {
                    let response = Response::builder().status(status);
                    Ok(response.body(Full::default()).unwrap())
                }
                Fail(kind) => Err(kind.into()),
                Hang => std::future::pending().await,
            }
        })
    }

    pub(crate) fn proxy(&self, mesh: &Mesh) -> Forward<Transport> {
        let script = self.clone();
        mesh.forward_with(Box::new(move |endpoint: &Endpoint| {
            let (script, address) = (script.clone(), endpoint.address().to_string());
            let serve: Box<dyn Fn(Request<Body>) -> Answering + Send> =
                Box::new(move |request| script.answer(&address, &request));
            service_fn(serve)
        })
            as Box<dyn Fn(&Endpoint) -> Scripted + Send + Sync>)
    }

    pub(crate) fn tries(&self) -> Vec<Try> {
        std::mem::take(&mut self.tries.lock().unwrap())
    }
}

pub(crate) fn get(headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get("/").header("host", "a.com");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

/// One host with these endpoints, and a rule for it with more lines.
pub(crate) fn rules(numbers: &[u8], more: &str) -> String {
    let rule =
        format!("  hosts: [a.com]\n  http:\n  - route: [{{destination: {{host: a.com}}}}]\n{more}");
    service("a.com", 80, numbers) + &virtual_service("a", &rule)
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

#[tokio::test(start_paused = true)]
async fn endpoints_are_told_the_shorter_of_a_tries_time_and_what_is_left() {
    let mesh = mesh(&rules(
        &[1],
        "    timeout: 300ms\n    \
         retries: {attempts: 9, perTryTimeout: 100ms, retryOn: 5xx, backoff: 1ms}\n",
    ));
    for (headers, grpc) in [(&[][..], false), (&[GRPC][..], true)] {
        let script = Script::new(&[Hang]);
        let answer = script.proxy(&mesh).oneshot(get(headers)).await.unwrap();
        assert!(seen(&answer).ends_with(" UT"), "{}", seen(&answer));
        assert_eq!(script.began.elapsed().as_millis(), 300);
        let tries = script.tries();
        assert_eq!(tries.len(), 3);
        for it in &tries {
            let left = 100.min(300 - it.elapsed);
            assert_eq!(
                it.expected.as_deref(),
                Some(&*left.to_string()),
                "{tries:?}"
            );
            let told = grpc.then(|| format!("{left}m"));
            assert_eq!(it.grpc_timeout, told, "{tries:?}");
        }
        assert!(tries[2].elapsed > 200, "a wait is counted too: {tries:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_call_has_the_time_it_asks_for_up_to_the_rules() {
    let without = "    name: it\n";
    let with = "    timeout: 2s\n";
    for (more, asks, told, took) in [
        (without, Some("500m"), Some("500m"), Some(500)),
        (without, None, None, None),
        (with, Some("500m"), Some("500m"), Some(500)),
        (with, Some("10S"), Some("2000m"), Some(2000)),
        (with, None, Some("2000m"), Some(2000)),
        (with, Some("junk"), Some("2000m"), Some(2000)),
    ] {
        let mut headers = vec![GRPC];
        headers.extend(asks.map(|it| ("grpc-timeout", it)));
        for exceeded in [false, true] {
            let builder = Mesh::builder().grpc_deadline_exceeded(exceeded);
            let mesh = build(builder, &rules(&[1], more));
            let script = Script::new(&[Hang]);
            let answer = script.proxy(&mesh).oneshot(get(&headers));
            let answer = tokio::time::timeout(Duration::from_secs(60), answer).await;
            let tries = script.tries();
            assert_eq!(tries[0].grpc_timeout.as_deref(), told, "{more} {asks:?}");
            let Some(took) = took else {
                assert!(answer.is_err(), "there is no limit");
                continue;
            };
            assert_eq!(script.began.elapsed().as_millis(), took);
            let answer = answer.unwrap().unwrap();
            let status = if exceeded { "4" } else { "14" };
            assert_eq!(answer.headers()["grpc-status"], status);
        }
    }
    // What is no gRPC call may say so in vain.
    let mesh = mesh(&rules(&[1], without));
    let script = Script::new(&[Hang]);
    let answer = script.proxy(&mesh).oneshot(get(&[("grpc-timeout", "1m")]));
    assert!(
        tokio::time::timeout(Duration::from_secs(9), answer)
            .await
            .is_err()
    );
    assert_eq!(script.tries()[0].grpc_timeout.as_deref(), Some("1m"));
}

#[tokio::test(start_paused = true)]
async fn a_late_try_that_is_not_tried_again_is_a_deadline_too() {
    let more = "    retries: {attempts: 1, perTryTimeout: 100ms}\n";
    let mesh = build(
        Mesh::builder().grpc_deadline_exceeded(true),
        &rules(&[1], more),
    );
    let answer = Script::new(&[Hang])
        .proxy(&mesh)
        .oneshot(get(&[GRPC]))
        .await;
    assert_eq!(answer.unwrap().headers()["grpc-status"], "4");
}

/// How many of 200 requests met the same endpoint of two twice in a row.
async fn same_again(retries: &str, policy: &str) -> usize {
    let yaml = rules(&[1, 2], &format!("    retries: {{{retries}}}\n"));
    let rule = format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: it}}\n\
         spec:\n  host: a.com\n  trafficPolicy: {policy}\n"
    );
    let mesh = build(Mesh::builder().rng(Rng::seeded(7)), &(yaml + &rule));
    let script = Script::new(&[Answer(503)]);
    let mut same = 0;
    for _ in 0..200 {
        let _ = script.proxy(&mesh).oneshot(get(&[("x-user", "mia")])).await;
        let tries = script.tries();
        assert_eq!(tries.len(), 2);
        same += usize::from(tries[0].endpoint == tries[1].endpoint);
    }
    same
}

/// Avoiding is a matter of six draws, so that 1 in 64 stays; without it, 1 in 2. The bounds are
/// more than five standard deviations away.
#[tokio::test(start_paused = true)]
async fn endpoints_that_were_tried_are_avoided_unless_told_otherwise() {
    let random = "{loadBalancer: {simple: RANDOM}}";
    let retries = "attempts: 1, retryOn: 5xx";
    assert!(same_again(retries, random).await < 15);
    let told = |avoid: bool| format!("{retries}, retryIgnorePreviousHosts: {avoid}");
    assert!(same_again(&told(true), random).await < 15);
    let same = same_again(&told(false), random).await;
    assert!((60..140).contains(&same), "{same}");
    // A hash leads where it led, unless the rule says to avoid.
    let hash = "{loadBalancer: {consistentHash: {httpHeaderName: x-user}}}";
    assert_eq!(same_again(retries, hash).await, 200);
    assert_eq!(same_again(&told(false), hash).await, 200);
    // One without a key rolls for each try, and goes where it rolls.
    let keyless = "{loadBalancer: {consistentHash: {ringHash: {}}}}";
    let same = same_again(retries, keyless).await;
    assert!((60..140).contains(&same), "{same}");
    assert!(same_again(&told(true), keyless).await < 15);
}

/// A ring of three hashes: a try that goes on from one place meets each endpoint within three
/// looks, wherever it begins.
#[tokio::test(start_paused = true)]
async fn a_try_without_a_key_goes_on_along_the_ring_from_one_place() {
    let more = "    retries: {attempts: 2, retryOn: 5xx, retryIgnorePreviousHosts: true}\n";
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: it}\n\
                spec:\n  host: a.com\n  trafficPolicy:\n    loadBalancer: \
                {consistentHash: {httpHeaderName: x-none, ringHash: {minimumRingSize: 1}}}\n";
    let yaml = rules(&[1, 2, 3], more) + rule;
    let mesh = build(Mesh::builder().rng(Rng::seeded(7)), &yaml);
    let script = Script::new(&[Answer(503)]);
    for _ in 0..200 {
        let _ = script.proxy(&mesh).oneshot(get(&[])).await;
        let tries = script.tries();
        let endpoints: BTreeSet<&String> = tries.iter().map(|it| &it.endpoint).collect();
        assert_eq!(endpoints.len(), 3, "{tries:?}");
    }
}

/// `status flags body` of a request that endpoints treat so.
async fn end(more: &str, steps: &[Does]) -> String {
    let mesh = mesh(&rules(&[1], more));
    let answer = Script::new(steps)
        .proxy(&mesh)
        .oneshot(get(&[]))
        .await
        .unwrap();
    let said = seen(&answer);
    format!("{said} {}", text(answer.into_body()).await)
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_is_told_as_the_latest_of_several() {
    let more = "    retries: {attempts: 3, retryOn: connect-failure}\n";
    let refused = Fail(io::ErrorKind::ConnectionRefused);
    let reset = Fail(io::ErrorKind::ConnectionReset);
    let told = end(more, &[reset]).await;
    assert!(told.contains("before headers. reset reason:"), "{told}");
    // Not tried again, for it is of another kind; all the same it is the second.
    let told = end(more, &[refused, reset]).await;
    assert!(
        told.contains("retried and the latest reset reason:"),
        "{told}"
    );
    assert!(!told.contains("URX"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_too_many_leaves_the_answer_as_it_is_with_a_flag() {
    let yaml = rules(
        &[1],
        "    retries: {attempts: 1, retryOn: 5xx, backoff: 1s}\n",
    ) + "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: it}\n\
           spec:\n  host: a.com\n  trafficPolicy: {connectionPool: {http: {maxRetries: 1}}}\n";
    let mesh = mesh(&yaml);
    let steps = [Answer(503), Answer(503), Answer(200)];
    let script = Script::new(&steps);
    let proxy = script.proxy(&mesh);
    let (first, second) = tokio::join!(proxy.clone().oneshot(get(&[])), proxy.oneshot(get(&[])));
    assert_eq!(seen(&first.unwrap()), "200 -");
    let second = second.unwrap();
    assert_eq!(seen(&second), "503 UO");
    assert!(!second.headers().contains_key("x-envoy-overloaded"));
    assert_eq!(script.tries().len(), 3);
}
