//! What becomes of a request while it is tried: answers, delays and failures by a script, under
//! retries and timeouts. Compared are the answer, how often the endpoint was asked, flags, details
//! and the time it took.

mod http1;
mod http2;
mod policies;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::cases::translated;
use super::exchange::{Request, marker_of};
use super::generate;
use super::process;
use super::say;
use super::scripted::{Scripted, Speaks, Step};
use super::sidecar::Sidecar;
use super::wire::{self, Connection};

/// How far apart the two sides' times may be.
const TOLERANCE: Duration = Duration::from_millis(350);
/// Envoy waits so long before it closes a connection whose answer breaks off.
const DELAYED_CLOSE: Duration = Duration::from_secs(1);
/// How often a scenario is played again that a clock may have decided.
const AGAIN: usize = 4;
/// How long log lines may take.
const LOG_PATIENCE: Duration = Duration::from_secs(3);
/// Between the requests of one scenario, so that the end of a connection is noticed.
const BETWEEN: Duration = Duration::from_millis(120);
/// How many scenarios are played at a time.
const AT_ONCE: usize = 12;

/// A rule, what the endpoint does, and what is asked.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    speaks: Speaks,
    /// What the rule says beside its destination.
    rule: &'static str,
    /// What is said of the destination.
    policy: &'static str,
    steps: &'static [Step],
    send: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: Option<&'static str>,
    requests: usize,
}

const fn over_http1(name: &'static str, rule: &'static str, steps: &'static [Step]) -> Scenario {
    Scenario {
        name,
        speaks: Speaks::Http1,
        rule,
        policy: "",
        steps,
        send: "GET /",
        headers: &[],
        body: None,
        requests: 1,
    }
}

const fn over_http2(name: &'static str, rule: &'static str, steps: &'static [Step]) -> Scenario {
    Scenario {
        speaks: Speaks::Http2,
        ..over_http1(name, rule, steps)
    }
}

const fn refused(name: &'static str, rule: &'static str) -> Scenario {
    Scenario {
        speaks: Speaks::Nothing,
        ..over_http1(name, rule, &[])
    }
}

const fn grpc(name: &'static str, rule: &'static str, steps: &'static [Step]) -> Scenario {
    Scenario {
        send: "POST /a.B/C",
        headers: &[("content-type", "application/grpc"), ("te", "trailers")],
        body: Some("\0\0\0\0\0"),
        ..over_http2(name, rule, steps)
    }
}

const fn sent(scenario: Scenario, send: &'static str, body: Option<&'static str>) -> Scenario {
    Scenario {
        send,
        body,
        ..scenario
    }
}

const fn times(scenario: Scenario, requests: usize) -> Scenario {
    Scenario {
        requests,
        ..scenario
    }
}

/// All scenarios.
fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    let all = [http1::SCENARIOS, http2::SCENARIOS, policies::SCENARIOS];
    all.into_iter().flatten()
}

fn scenario(number: usize) -> &'static Scenario {
    scenarios().nth(number).expect("one of them")
}

/// What was seen of one scenario.
#[derive(Debug, PartialEq)]
struct Told {
    /// Request by request: the answer, and what the log says.
    requests: Vec<Vec<String>>,
    seen: usize,
}

fn yaml(endpoints: &[Scripted], protocol: fn(Speaks) -> &'static str) -> String {
    let mut yaml = String::new();
    for (number, (scenario, endpoint)) in scenarios().zip(endpoints).enumerate() {
        let comma = if scenario.rule.is_empty() { "" } else { ", " };
        let also = if scenario.policy.is_empty() { "" } else { ", " };
        yaml += &format!(
            "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: s{number}}}
spec:
  hosts: [s{number}.test]
  ports: [{{number: 80, name: web, protocol: {}}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{web: {}}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: s{number}}}
spec: {{host: s{number}.test, trafficPolicy: {{loadBalancer: {{simple: RANDOM}}{also}{}}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: s{number}}}
spec:
  hosts: [s{number}.test]
  http: [{{name: s{number}, route: [{{destination: {{host: s{number}.test}}}}]{comma}{}}}]
---
",
            protocol(scenario.speaks),
            endpoint.port,
            scenario.policy,
            scenario.rule
        );
    }
    yaml.trim_end_matches("---\n").to_owned()
}

/// Envoy, and the `gateway` program. Istio says HTTP/2 in a cluster's protocol options.
fn both(endpoints: &[Scripted]) -> [Sidecar; 2] {
    let client = generate::client(true);
    let all_alike = yaml(endpoints, |_| "HTTP");
    let mut translation = translated("over_time", &all_alike, &client);
    for (number, scenario) in scenarios().enumerate() {
        let name = format!("outbound|80||s{number}.test");
        let mut clusters = translation.clusters.iter_mut();
        let cluster = clusters.find(|it| it["name"] == name.as_str());
        if scenario.speaks == Speaks::Http2 {
            cluster.expect("a cluster each")["typed_extension_protocol_options"] = json!({
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}},
                },
            });
        }
    }
    let spoken = yaml(endpoints, |speaks| match speaks {
        Speaks::Http2 => "HTTP2",
        Speaks::Http1 | Speaks::Nothing => "HTTP",
    });
    let envoy = Sidecar::envoy('e', &translation);
    [envoy, Sidecar::gateway('g', &spoken, &client)]
}

/// What a client notices, without what differs from one request to the next.
fn answer(answer: Result<wire::Answer, String>) -> Vec<String> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return vec![error],
    };
    let mut told = vec![answer.status.to_string(), wire::text(&answer.body)];
    for name in ["content-type", "grpc-status", "grpc-message", "connection"] {
        told.extend(answer.header(name).map(|value| format!("{name}: {value}")));
    }
    told
}

/// Plays scenarios on one side, some at a time; what is told of each, and how long it took.
fn play(side: &mut Sidecar, endpoints: &[Scripted], which: &[usize]) -> Vec<(Told, Duration)> {
    let (address, letter) = (side.address, side.letter);
    let one = |number: usize| {
        let (scenario, endpoint) = (scenario(number), &endpoints[number]);
        endpoint.begin(scenario.steps);
        let (method, target) = scenario.send.split_once(' ').expect("method and target");
        let headers = scenario.headers.iter();
        let request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            host: Some(format!("s{number}.test")),
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: scenario.body.map(str::to_owned),
            ..Request::default()
        };
        let mut connection = Connection::new(address);
        let began = Instant::now();
        let mut answers = Vec::new();
        for at in 0..scenario.requests {
            if at > 0 {
                std::thread::sleep(BETWEEN);
            }
            let text = request.text(&format!("comparison/{letter}-{number}-{at}"));
            answers.push(answer(connection.exchange(&wire::bytes(&text))));
        }
        (answers, began.elapsed(), endpoint.seen())
    };
    let mut played = Vec::new();
    for some in which.chunks(AT_ONCE) {
        played.extend(std::thread::scope(|scope| {
            let all: Vec<_> = some
                .iter()
                .map(|number| scope.spawn(move || one(*number)))
                .collect();
            all.into_iter()
                .map(|it| it.join().expect("a scenario"))
                .collect::<Vec<_>>()
        }));
    }
    let wanted: usize = played.iter().map(|(answers, ..)| answers.len()).sum();
    let lines = log(side, wanted);
    let told = which
        .iter()
        .zip(played)
        .map(|(number, (mut requests, took, seen))| {
            for (at, request) in requests.iter_mut().enumerate() {
                let line = lines.get(&format!("comparison/{letter}-{number}-{at}"));
                request.extend(line.map_or_else(|| vec!["no line in the log".to_owned()], logged));
            }
            (Told { requests, seen }, took)
        });
    told.collect()
}

/// The lines of the log by their markers, once there are so many.
fn log(side: &mut Sidecar, wanted: usize) -> HashMap<String, Map<String, Value>> {
    let mut lines = HashMap::new();
    process::poll(LOG_PATIENCE, || {
        for line in side.read_log() {
            let agent = line["user_agent"].as_str().unwrap_or_default().to_owned();
            lines.insert(marker_of(&[(String::new(), agent)]), line);
        }
        (lines.len() >= wanted).then_some(())
    });
    lines
}

fn logged(line: &Map<String, Value>) -> Vec<String> {
    let keys = [
        "response_code",
        "response_flags",
        "response_code_details",
        "upstream_request_attempt_count",
        "upstream_cluster",
        "bytes_sent",
        "bytes_received",
    ];
    let say = |key: &str| match &line[key] {
        Value::String(text) => format!("{key}: {text}"),
        Value::Null => format!("{key}: -"),
        other => format!("{key}: {other}"),
    };
    keys.into_iter().map(say).collect()
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn requests_fare_alike_from_try_to_try() {
    let endpoints: Vec<_> = scenarios().map(|it| Scripted::start(it.speaks)).collect();
    let mut sides = both(&endpoints);
    let mut open: Vec<usize> = (0..scenarios().count()).collect();
    let mut differing = Vec::new();
    for _ in 0..=AGAIN {
        differing.clear();
        let [theirs, ours] = sides.each_mut().map(|side| play(side, &endpoints, &open));
        let mut still = Vec::new();
        for (number, (theirs, ours)) in open.iter().zip(theirs.into_iter().zip(ours)) {
            let apart = theirs.1.abs_diff(ours.1);
            let answers = theirs.0.requests.iter();
            let broken = answers.filter(|it| it[0].contains("the connection broke"));
            let broken = u32::try_from(broken.count()).expect("a few");
            let allowed = TOLERANCE + DELAYED_CLOSE * broken;
            if theirs.0 != ours.0 || apart > allowed {
                still.push(*number);
                differing.push(format!(
                    "{}\n   envoy:   {:?} after {:?}\n   gateway: {:?} after {:?}",
                    scenario(*number).name,
                    theirs.0,
                    theirs.1,
                    ours.0,
                    ours.1
                ));
            }
        }
        open = still;
        if open.is_empty() {
            break;
        }
    }
    say(&format!(
        "over time: compared {} scenarios, differing {}",
        scenarios().count(),
        open.len()
    ));
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
