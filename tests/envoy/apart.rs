//! A deliberate difference that takes both sides at once to be seen: its test fails when it is gone,
//! and when it has grown.

use std::time::SystemTime;

use super::cases::translated;
use super::counted::service;
use super::ejection::endpoint;
use super::exchange::Request;
use super::generate;
use super::sidecar::Sidecar;
use super::upstream;
use super::wire::{self, Answer, Connection};

/// How long a fault holds requests up.
const DELAY: u64 = 800;
/// By how much a timer may be early.
const EARLY: u64 = 50;

fn both(name: &str, yaml: &str) -> [Sidecar; 2] {
    let client = generate::client(true);
    let yaml = upstream::fill_in(yaml);
    let envoy = Sidecar::envoy('e', &translated(name, &yaml, &client));
    [envoy, Sidecar::gateway('g', &yaml, &client)]
}

fn send(side: &Sidecar, marker: &str) -> Answer {
    let request = Request {
        method: "GET".to_owned(),
        target: "/".to_owned(),
        host: Some("a.test".to_owned()),
        ..Request::default()
    };
    let bytes = wire::bytes(&request.text(marker));
    let answer = Connection::new(side.address).exchange(&bytes);
    answer.expect("an answer")
}

/// Milliseconds, as `%s` and `%3f` write them one after the other.
fn milliseconds(text: Option<&str>) -> u64 {
    text.and_then(|it| it.parse().ok()).expect("a time")
}

#[allow(clippy::disallowed_methods, reason = "headers tell the time of day")]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.expect("a time").as_millis()).expect("a time")
}

/// Envoy says when the request came; here headers say when they are written, behind a delay.
#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn the_time_in_a_header_is_when_it_is_written() {
    let yaml = service("a.test", &[endpoint("alpha", "")])
        + &format!(
            "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: a}}
spec:
  hosts: [a.test]
  http:
  - fault: {{delay: {{fixedDelay: {DELAY}ms, percentage: {{value: 100}}}}}}
    headers: {{request: {{set: {{x-start: '%START_TIME(%s%3f)%'}}}}, response: {{set: {{x-start: '%START_TIME(%s%3f)%'}}}}}}
    route: [{{destination: {{host: a.test}}}}]
"
        );
    for side in both("apart", &yaml) {
        let marker = format!("comparison/apart{}", side.letter);
        let began = now();
        let answer = send(&side, &marker);
        let received = upstream::take(&marker);
        let [received] = received.as_slice() else {
            panic!("{}: {} requests", side.letter, received.len());
        };
        let mut headers = received.headers.iter();
        let told = headers.find(|(name, _)| name == "x-start");
        let told = [told.map(|(_, value)| &**value), answer.header("x-start")];
        for late in told.map(|it| milliseconds(it).saturating_sub(began)) {
            // A busy machine may take as long again.
            let expected = match side.letter {
                'e' => 0..DELAY,
                _ => DELAY - EARLY..2 * DELAY,
            };
            let is_near = expected.contains(&late);
            assert!(is_near, "{}: {late} ms after the request", side.letter);
        }
    }
}
