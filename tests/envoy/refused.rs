//! Requests that are odd on the wire: what Envoy refuses, the `gateway` program refuses in the same
//! way, but for what ARCHITECTURE.md tells of.

use super::cases::translated;
use super::refusals;
use super::sidecar::Sidecar;
use super::translate::Client;
use super::upstream::fill_in;
use super::wire::{self, Connection};

const RULES: &str = r#"
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {http: ${alpha}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.com]
  http:
  - match: [{uri: {prefix: /up}}]
    headers: {response: {set: {x-rule: rule}}}
    corsPolicy: {allowOrigins: [{exact: "https://ok.test"}]}
    route: [{destination: {host: a.com}, headers: {response: {set: {x-to: to}}}}]
  - directResponse: {status: 200, body: {string: routed}}
"#;

fn both() -> [Sidecar; 2] {
    let client = Client {
        namespace: "default".to_owned(),
        labels: Default::default(),
        port: 80,
        registry_only: true,
    };
    let yaml = fill_in(RULES);
    let envoy = Sidecar::envoy('e', &translated("refused", &yaml, &client));
    [envoy, Sidecar::gateway('g', &yaml, &client)]
}

/// The status, and the body; the status is 0 where there is no answer.
fn ask(side: &Sidecar, request: &[u8]) -> (u16, String) {
    match Connection::new(side.address).exchange(request) {
        Ok(answer) => (answer.status, wire::text(&answer.body)),
        Err(error) => (0, error),
    }
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn odd_requests_are_refused_in_the_same_way() {
    let [envoy, gateway] = both();
    let mut wrong = Vec::new();
    for row in refusals::rows() {
        for (side, want) in [(&envoy, row.envoy), (&gateway, row.ours)] {
            let got = ask(side, &row.request);
            if (got.0, &*got.1) != want {
                wrong.push(format!(
                    "{} {}: {got:?}, not {want:?}",
                    side.letter, row.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn what_is_refused_before_its_route_is_known_is_not_dressed() {
    let long = "x".repeat(61 << 10);
    for side in both() {
        for (version, line, status) in [
            ("1.1", "x: y", 200),
            ("1.1", &*format!("x: {long}"), 431),
            ("1.1", "content-length: a", 400),
            ("1.0", "x: y", 426),
            ("1.1", "transfer-encoding: gzip, chunked", 501),
        ] {
            let head = format!("GET /up HTTP/{version}\r\nhost: a.com\r\norigin: https://ok.test");
            let request = format!("{head}\r\nuser-agent: comparison/refused\r\n{line}\r\n\r\n");
            let answer = Connection::new(side.address).exchange(request.as_bytes());
            let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", side.letter));
            assert_eq!(answer.status, status, "{}: {line:.20}", side.letter);
            for name in ["x-rule", "x-to", "access-control-allow-origin"] {
                let dressed = answer.header(name).is_some();
                assert_eq!(dressed, status == 200, "{}: {status} {name}", side.letter);
            }
        }
    }
}
