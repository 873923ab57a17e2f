//! What outlier detection counts, by rows: answers and failures in a certain order, and whether the
//! endpoint is out afterwards. All rows are destinations of one Envoy and of one `gateway`.

mod rows;

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::cases::translated;
use super::exchange::Request;
use super::generate;
use super::sidecar::Sidecar;
use super::upstream::{self, fill_in};
use super::wire::{self, Connection};
use rows::{Row, row, rows};

/// How long Envoy's worker may take to learn of an ejection.
const LEARNS: Duration = Duration::from_millis(1500);

/// A host with these endpoints, and a rule for it.
pub(crate) fn served(number: usize, endpoints: &[String], rule: &str) -> String {
    let endpoints = endpoints.join(", ");
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: r{number}}}
spec:
  hosts: [r{number}.test]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{endpoints}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: r{number}}}
spec:
  hosts: [r{number}.test]
  http: [{{{rule}, route: [{{destination: {{host: r{number}.test}}}}]}}]
"
    )
}

fn yaml(rows: &[Row], with_rules: bool) -> String {
    let mut yaml = String::new();
    for (number, row) in rows.iter().enumerate() {
        let endpoints: Vec<_> = row
            .endpoints
            .iter()
            .map(|it| format!("{{address: 127.0.0.1, ports: {{http: ${{{it}}}}}}}"))
            .collect();
        yaml += &served(number, &endpoints, "retries: {attempts: 0}, timeout: 0.4s");
        if with_rules {
            yaml += &format!(
                "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: r{number}}}
spec:
  host: r{number}.test
  trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN}}, outlierDetection: {{{}}}}}
",
                row.policy
            );
        }
    }
    fill_in(yaml.trim_start_matches("---\n"))
}

/// What Istio writes into Envoy's cluster.
fn write(cluster: &mut Value, fields: &Value) {
    let mut written = json!({
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "base_ejection_time": "60s",
    });
    for (name, value) in fields.as_object().expect("fields") {
        match name.as_str() {
            "panic" | "codes" => {}
            _ => written[name] = value.clone(),
        }
    }
    cluster["lb_policy"] = json!("ROUND_ROBIN");
    cluster["outlier_detection"] = written;
    let panic = fields.get("panic").cloned().unwrap_or(json!(0));
    // Its workers are told of each change at once, and not once a second.
    cluster["common_lb_config"] = json!({
        "healthy_panic_threshold": {"value": panic}, "update_merge_window": "0s",
    });
    if let Some(codes) = fields["codes"].as_array() {
        let is = |code: &Value| {
            json!({"http_response_headers_match": {"headers": [
                {"name": ":status", "string_match": {"exact": code}},
            ]}})
        };
        let rules: Vec<_> = codes.iter().map(is).collect();
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
                "outlier_detection": {"error_matcher": {"or_match": {"rules": rules}}},
            },
        });
    }
}

/// The status, and who answered or what is said instead.
fn send(side: &Sidecar, row: usize, headers: &[(&str, String)]) -> String {
    let owned = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
    let request = Request {
        method: "GET".to_owned(),
        target: "/".to_owned(),
        host: Some(format!("r{row}.test")),
        headers: headers.iter().map(owned).collect(),
        ..Request::default()
    };
    let marker = format!("comparison/outliers{}", side.letter);
    let bytes = wire::bytes(&request.text(&marker));
    let answer = Connection::new(side.address).exchange(&bytes);
    upstream::take(&marker);
    let answer = answer.expect("an answer");
    let body = wire::text(&answer.body);
    let body = match serde_json::from_str::<Value>(&body) {
        Ok(body) => body["endpoint"].as_str().unwrap_or_default().to_owned(),
        Err(_) => body,
    };
    format!("{} {body}", answer.status)
}

const NOBODY: &str = "503 no healthy upstream";

/// How many endpoints are used; one that is down is told by what is said of it.
fn used(side: &Sidecar, row: usize) -> usize {
    let mut seen: Vec<String> = (0..8).map(|_| send(side, row, &[])).collect();
    seen.sort_unstable();
    seen.dedup();
    seen.iter().filter(|it| *it != NOBODY).count()
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn what_counts_and_how_many_may_be_out() {
    let rows = rows();
    let client = generate::client(true);
    let mut translation = translated("outliers", &yaml(&rows, false), &client);
    for (number, row) in rows.iter().enumerate() {
        let name = format!("outbound|80||r{number}.test");
        let mut clusters = translation.clusters.iter_mut();
        let cluster = clusters.find(|it| it["name"] == name.as_str());
        write(cluster.expect("a cluster each"), &row.fields);
    }
    let envoy = Sidecar::envoy('e', &translation);
    let gateway = Sidecar::gateway('g', &yaml(&rows, true), &client);
    let mut differing = Vec::new();
    for side in [envoy, gateway] {
        thread::scope(|scope| {
            let side = &side;
            let rows: Vec<_> = rows.iter().enumerate().collect();
            for some in rows.chunks(rows.len().div_ceil(4)) {
                let some = some.to_vec();
                scope.spawn(move || {
                    for (number, row) in some {
                        for step in &row.steps {
                            send(side, number, step);
                        }
                    }
                });
            }
        });
        thread::sleep(LEARNS);
        for (number, row) in rows.iter().enumerate() {
            let left = used(&side, number);
            if left != row.left {
                let (letter, name, want) = (side.letter, &row.name, row.left);
                differing.push(format!("{letter}: {name}: {left} left, not {want}"));
            }
        }
    }
    super::say(&format!("outliers: {} rows", rows.len()));
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// An endpoint that fails once is out for a time, the next time for twice that, and after a quiet
/// while for the first time again; all of it up to the next sweep.
#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn ejections_grow_and_shrink_alike() {
    let policy = "consecutive5xxErrors: 1, interval: 0.2s, baseEjectionTime: 0.6s";
    let fields = json!({
        "consecutive_5xx": 1, "enforcing_consecutive_5xx": 100,
        "interval": "0.2s", "base_ejection_time": "0.6s",
    });
    let rows = [row("times", policy, &fields, 1)];
    let client = generate::client(true);
    let mut translation = translated("times", &yaml(&rows, false), &client);
    let mut clusters = translation.clusters.iter_mut();
    let cluster = clusters.find(|it| it["name"] == "outbound|80||r0.test");
    write(cluster.expect("a cluster"), &rows[0].fields);
    let envoy = Sidecar::envoy('e', &translation);
    let gateway = Sidecar::gateway('g', &yaml(&rows, true), &client);
    let out = |side: &Sidecar| {
        send(side, 0, &[("x-up-status", "503".to_owned())]);
        let began = Instant::now();
        let mut was_out = false;
        loop {
            let nobody = send(side, 0, &[]) == NOBODY;
            if was_out && !nobody {
                return began.elapsed();
            }
            was_out |= nobody;
            assert!(
                began.elapsed() < Duration::from_secs(9),
                "never out, or for ever"
            );
            thread::sleep(Duration::from_millis(10));
        }
    };
    let times = |side: &Sidecar| {
        let first = [out(side), out(side), out(side)];
        // Ten quiet intervals take back more than three ejections.
        thread::sleep(Duration::from_secs(2));
        [first[0], first[1], first[2], out(side)]
    };
    let (theirs, ours) = thread::scope(|scope| {
        let theirs = scope.spawn(|| times(&envoy));
        (times(&gateway), theirs.join().expect("it does not panic"))
    });
    for (n, want) in [600, 1200, 1800, 600].into_iter().enumerate() {
        for (side, took) in [("e", theirs[n]), ("g", ours[n])] {
            let want = Duration::from_millis(want);
            // Up to a sweep later, and as long as it takes to learn of it.
            let most = want + Duration::from_millis(600);
            let took_so = format!("{side}: {n}: {took:?}, not {want:?}");
            assert!(
                took + Duration::from_millis(20) >= want && took < most,
                "{took_so}"
            );
        }
    }
}
