//! What becomes of a destination's endpoints and limits from one request to the next: ejections,
//! priorities that fail over, refusals for want of room.
//!
//! [`translate`](super::translate) knows nothing of these settings, so each scenario says what
//! Istio writes into Envoy's cluster for them.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::cases::translated;
use super::exchange::Request;
use super::process;
use super::sidecar::Sidecar;
use super::translate::Client;
use super::upstream::{count, fill_in};
use super::wire::{self, Answer, Connection};

/// How long Envoy's workers may take to learn of an ejection.
const LEARNS: Duration = Duration::from_millis(1500);

/// How long the copy of a request is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// `a.test` with these endpoints, tried once, and its `trafficPolicy`.
fn yaml(endpoints: &str, policy: &str) -> String {
    fill_in(&format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: a}}
spec:
  hosts: [a.test]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{endpoints}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: mirror}}
spec:
  hosts: [mirror.test]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{http: ${{bravo}}}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: a}}
spec:
  hosts: [a.test]
  http:
  - name: mirrored
    match: [{{uri: {{prefix: /mirrored}}}}]
    retries: {{attempts: 0}}
    mirror: {{host: mirror.test}}
    route: [{{destination: {{host: a.test}}}}]
  - name: rest
    retries: {{attempts: 0}}
    headers: {{response: {{set: {{x-rule: rule}}}}}}
    corsPolicy: {{allowOrigins: [{{exact: 'https://ok.test'}}]}}
    route: [{{destination: {{host: a.test}}, headers: {{response: {{set: {{x-to: to}}}}}}}}]
{policy}"
    ))
}

fn endpoint(name: &str, more: &str) -> String {
    format!("{{address: 127.0.0.1, ports: {{http: ${{{name}}}}}{more}}}")
}

/// Envoy, and the `gateway` program; `write` does to Envoy's cluster what Istio does for `policy`.
fn both(endpoints: &str, policy: &str, write: impl FnOnce(&mut Value)) -> [Sidecar; 2] {
    let client = Client {
        namespace: "default".to_owned(),
        labels: [("tier".to_owned(), "near".to_owned())].into(),
        port: 80,
        registry_only: true,
    };
    let rule = format!(
        "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: a}}
spec: {{host: a.test, trafficPolicy: {{{policy}}}}}
"
    );
    let mut translation = translated("ejection", &yaml(endpoints, ""), &client);
    let mut clusters = translation.clusters.iter_mut();
    let cluster = clusters.find(|it| it["name"] == "outbound|80||a.test");
    write(cluster.expect("the cluster"));
    let envoy = Sidecar::envoy('e', &translation);
    let gateway = Sidecar::gateway('g', &yaml(endpoints, &rule), &client);
    [envoy, gateway]
}

/// The outlier detection Istio writes, with these fields of Envoy's.
fn outliers(cluster: &mut Value, fields: &Value) {
    let mut written = json!({
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "base_ejection_time": "60s",
    });
    for (name, value) in fields.as_object().expect("fields") {
        written[name] = value.clone();
    }
    cluster["outlier_detection"] = written;
    cluster["common_lb_config"] = json!({"healthy_panic_threshold": {"value": 0}});
}

fn send(side: &Sidecar, headers: &[(&str, &str)]) -> Result<Answer, String> {
    send_as(side, "/", "comparison/ejection", headers)
}

fn send_as(
    side: &Sidecar,
    target: &str,
    marker: &str,
    headers: &[(&str, &str)],
) -> Result<Answer, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let request = Request {
        method: "GET".to_owned(),
        target: target.to_owned(),
        host: Some("a.test".to_owned()),
        headers: headers.iter().map(owned).collect(),
        ..Request::default()
    };
    let text = request.text(marker);
    Connection::new(side.address).exchange(&wire::bytes(&text))
}

/// The status; who answered, or what is said instead; and whether that is for want of room.
fn told(answer: Result<Answer, String>) -> String {
    let answer = answer.expect("an answer");
    let body = wire::text(&answer.body);
    let body = match serde_json::from_str::<Value>(&body) {
        Ok(body) => body["endpoint"].as_str().unwrap_or_default().to_owned(),
        Err(_) => body,
    };
    let overloaded = match answer.header("x-envoy-overloaded") {
        Some(value) => format!(" overloaded {value}"),
        None => String::new(),
    };
    format!("{} {body}{overloaded}", answer.status)
}

/// The statuses asked of the only endpoint, and whether it is out afterwards.
fn check(policy: &str, fields: &Value, endpoint_name: &str, statuses: &[&str], out: bool) {
    let only = endpoint(endpoint_name, "");
    let policy = format!("outlierDetection: {{{policy}}}");
    for side in both(&only, &policy, |it| outliers(it, fields)) {
        for status in statuses {
            let answer = told(send(&side, &[("x-up-status", status)]));
            assert!(
                !answer.contains("no healthy"),
                "{policy}: {answer} too early"
            );
        }
        thread::sleep(LEARNS);
        let answer = told(send(&side, &[]));
        let is_out = answer == "503 no healthy upstream";
        assert_eq!(
            is_out, out,
            "{}: {policy} after {statuses:?}: {answer}",
            side.letter
        );
    }
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn rows_of_errors_eject() {
    let all = "maxEjectionPercent: 100, consecutive5xxErrors: 3";
    let fields = json!({"max_ejection_percent": 100, "consecutive_5xx": 3, "enforcing_consecutive_5xx": 100});
    check(all, &fields, "alpha", &["500", "503", "502"], true);
    check(
        all,
        &fields,
        "alpha",
        &["500", "500", "404", "500", "500"],
        false,
    );
    // A refused connection counts as 503.
    check(all, &fields, "dead", &["", "", ""], true);
    let few = json!({"consecutive_5xx": 1, "enforcing_consecutive_5xx": 100});
    check(
        "consecutive5xxErrors: 1",
        &few,
        "alpha",
        &["503", "503"],
        false,
    );
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn rows_of_gateway_errors_eject() {
    let gateway = "maxEjectionPercent: 100, consecutiveGatewayErrors: 2, consecutive5xxErrors: 0";
    let fields = json!({
        "max_ejection_percent": 100, "consecutive_5xx": 0, "enforcing_consecutive_5xx": 0,
        "consecutive_gateway_failure": 2, "enforcing_consecutive_gateway_failure": 100,
    });
    check(gateway, &fields, "alpha", &["504", "502"], true);
    check(
        gateway,
        &fields,
        "alpha",
        &["500", "500", "502", "500", "503"],
        false,
    );
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn failures_on_this_side_eject_by_themselves_where_they_are_split() {
    let split = "maxEjectionPercent: 100, splitExternalLocalOriginErrors: true, \
                 consecutiveLocalOriginFailures: 2, consecutive5xxErrors: 0";
    let fields = json!({
        "max_ejection_percent": 100, "consecutive_5xx": 0, "enforcing_consecutive_5xx": 0,
        "split_external_local_origin_errors": true, "consecutive_local_origin_failure": 2,
        "enforcing_consecutive_local_origin_failure": 100,
    });
    check(split, &fields, "dead", &["", ""], true);
    check(split, &fields, "dead", &[""], false);
    check(split, &fields, "alpha", &["503", "503", "503"], false);
}

/// One of two endpoints of the first priority is left: it counts as 1.4, so 70 of 100 stay.
#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn a_priority_that_has_lost_half_keeps_seventy_percent() {
    let near = ", labels: {tier: near}";
    let endpoints = [
        endpoint("dead", near),
        endpoint("alpha", near),
        endpoint("gamma", ", labels: {tier: far}"),
    ];
    let policy = "outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 40, baseEjectionTime: 60s}, \
                  loadBalancer: {localityLbSetting: {enabled: true, failoverPriority: [tier]}}";
    let sides = both(&endpoints.join(", "), policy, |cluster| {
        let fields = json!({
            "max_ejection_percent": 40, "consecutive_5xx": 1, "enforcing_consecutive_5xx": 100,
        });
        outliers(cluster, &fields);
        let list = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"].take();
        let list = list.as_array().expect("three endpoints");
        let (first, second) = list.split_at(2);
        cluster["load_assignment"]["endpoints"] = json!([
            {"priority": 0, "lb_endpoints": first},
            {"priority": 1, "lb_endpoints": second},
        ]);
    });
    for side in sides {
        // As many as it takes to ask the one that is down.
        for _ in 0..20 {
            told(send(&side, &[]));
        }
        thread::sleep(LEARNS);
        let mut after: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..400 {
            *after.entry(told(send(&side, &[]))).or_default() += 1;
        }
        let stay = after.get("200 alpha").copied().unwrap_or_default();
        // Five standard deviations of 70 % of 400.
        assert!(
            after.len() == 2 && stay.abs_diff(280) < 46,
            "{}: {after:?}",
            side.letter
        );
    }
}

/// Which headers of the rule, of its destination and of CORS an answer has.
fn dressed(answer: &Answer) -> String {
    let kinds = ["x-rule", "x-to", "access-control-allow-origin"].into_iter();
    let there: Vec<_> = kinds.filter(|it| answer.header(it).is_some()).collect();
    format!("{} {}", answer.status, there.join(" "))
}

/// Requests one after the other, a third of a second apart, each answered after a second and a half.
fn at_once(side: &Sidecar, count: u64) -> Vec<String> {
    thread::scope(|scope| {
        let ask = |n: u64| {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(300 * n));
                told(send(side, &[("x-up-delay", "1500")]))
            })
        };
        let asked: Vec<_> = (0..count).map(ask).collect();
        let told = asked.into_iter().map(|it| it.join().expect("an answer"));
        told.collect()
    })
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn requests_beyond_a_limit_are_refused_in_the_same_words() {
    let refused = "503 upstream connect error or disconnect/reset before headers. reset reason: \
                   overflow overloaded true";
    let limits = |cluster: &mut Value, limits: &[&str]| {
        for limit in limits {
            cluster["circuit_breakers"]["thresholds"][0][*limit] = json!(1);
        }
    };
    let only = endpoint("alpha", "");
    let policy = "connectionPool: {http: {http2MaxRequests: 1}}";
    for side in both(&only, policy, |it| limits(it, &["max_requests"])) {
        assert_eq!(at_once(&side, 2), ["200 alpha", refused], "{}", side.letter);
    }
    let policy = "connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}";
    let set = ["max_connections", "max_pending_requests"];
    for side in both(&only, policy, |it| limits(it, &set)) {
        let told = at_once(&side, 3);
        assert_eq!(told, ["200 alpha", "200 alpha", refused], "{}", side.letter);
    }
}

const OVERFLOW: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: overflow";

/// `tests/order.rs` keeps the answers.
#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn a_refusal_for_want_of_room_is_dressed_as_others_of_the_router() {
    let policy = "connectionPool: {http: {http2MaxRequests: 1}}";
    let sides = both(&endpoint("alpha", ""), policy, |cluster| {
        cluster["circuit_breakers"]["thresholds"][0]["max_requests"] = json!(1);
    });
    for side in sides {
        thread::scope(|scope| {
            let first = scope.spawn(|| send(&side, &[("x-up-delay", "1500")]));
            thread::sleep(Duration::from_millis(500));
            let with_cors = "503 x-rule x-to access-control-allow-origin";
            for (origin, method, want) in [
                ("https://ok.test", "", with_cors),
                ("https://no.test", "", "503 x-rule x-to"),
                ("https://ok.test", "grpc", with_cors),
            ] {
                let mut headers = vec![("origin", origin)];
                if method == "grpc" {
                    headers.push(("content-type", "application/grpc"));
                }
                let answer = send(&side, &headers).expect("an answer");
                let want = want.replace("503", if method == "grpc" { "200" } else { "503" });
                assert_eq!(dressed(&answer), want, "{} {headers:?}", side.letter);
                assert_eq!(answer.header("x-envoy-overloaded"), Some("true"));
                if method == "grpc" {
                    assert_eq!(answer.header("grpc-status"), Some("14"));
                    assert_eq!(answer.header("grpc-message"), Some(OVERFLOW));
                    assert_eq!(answer.header("content-type"), Some("application/grpc"));
                    assert!(answer.body.is_empty(), "{}: trailers only", side.letter);
                }
            }
            // There is nothing to copy where nobody was asked.
            let full = format!("comparison/full{}", side.letter);
            let mirrored = send_as(&side, "/mirrored", &full, &[]);
            assert_eq!(mirrored.expect("an answer").status, 503);
            let first = first.join().expect("it does not panic").expect("an answer");
            assert_eq!(dressed(&first), "200 x-rule x-to", "{}", side.letter);
            let room = format!("comparison/room{}", side.letter);
            let mirrored = send_as(&side, "/mirrored", &room, &[]);
            assert_eq!(mirrored.expect("an answer").status, 200);
            let copies = |marker: &str| count(marker, |it| it.endpoint == "bravo");
            let copied = process::poll(PATIENCE, || (copies(&room) == 1).then_some(()));
            assert!(copied.is_some(), "{}: no copy", side.letter);
            assert_eq!(copies(&full), 0, "{}", side.letter);
        });
    }
}
