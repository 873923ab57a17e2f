//! What becomes of a destination's endpoints from one request to the next: ejections and
//! priorities that fail over. Refusals for want of room are in [`limits`](super::limits).
//!
//! [`translate`](super::translate) is not asked for these settings: each scenario says what
//! Istio writes into Envoy's cluster for them.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::cases::translated;
use super::exchange::Request;
use super::sidecar::Sidecar;
use super::translate::Client;
use super::upstream::fill_in;
use super::wire::{self, Answer, Connection};

/// How long Envoy's workers may take to learn of an ejection.
const LEARNS: Duration = Duration::from_millis(1500);

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
  - name: again
    match: [{{uri: {{prefix: /again}}}}]
    retries: {{attempts: 1, retryOn: 5xx, backoff: 1ms}}
    route: [{{destination: {{host: a.test}}}}]
  - name: rest
    retries: {{attempts: 0}}
    headers: {{response: {{set: {{x-rule: rule}}}}}}
    corsPolicy: {{allowOrigins: [{{exact: 'https://ok.test'}}]}}
    route: [{{destination: {{host: a.test}}, headers: {{response: {{set: {{x-to: to}}}}}}}}]
{policy}"
    ))
}

pub(super) fn endpoint(name: &str, more: &str) -> String {
    format!("{{address: 127.0.0.1, ports: {{http: ${{{name}}}}}{more}}}")
}

/// Envoy, and the `gateway` program; `write` does to Envoy's cluster what Istio does for `policy`.
pub(super) fn both(endpoints: &str, policy: &str, write: impl FnOnce(&mut Value)) -> [Sidecar; 2] {
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

pub(super) fn send(side: &Sidecar, headers: &[(&str, &str)]) -> Result<Answer, String> {
    send_as(side, "/", "comparison/ejection", headers)
}

pub(super) fn send_as(
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
pub(super) fn told(answer: Result<Answer, String>) -> String {
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
