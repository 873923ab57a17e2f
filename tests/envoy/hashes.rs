//! Which endpoint each of ten thousand keys leads to, on rings and tables of several sizes and
//! weights: the same on both sides.

use super::cases::translated;
use super::counted::{self, Counted};
use super::generate;
use super::say;
use super::sidecar::Sidecar;

const KEYS: usize = 10_000;
const TWELVE: &[u32] = &[1; 12];

/// Destinations: the weights of their endpoints, and what makes their ring or table.
const SETS: [(&str, &[u32], &str); 8] = [
    ("ring-two.test", &[1, 1], ""),
    ("ring-five.test", &[1, 2, 3, 4, 5], ", ringHash: {}"),
    ("ring-small.test", TWELVE, ", minimumRingSize: 1"),
    (
        "ring-large.test",
        &[10, 1, 100],
        ", ringHash: {minimumRingSize: 8192}",
    ),
    ("maglev-two.test", &[1, 1], ", maglev: {tableSize: 65537}"),
    (
        "maglev-five.test",
        &[1, 2, 3, 4, 5],
        ", maglev: {tableSize: 1009}",
    ),
    ("maglev-twelve.test", TWELVE, ", maglev: {tableSize: 97}"),
    (
        "maglev-uneven.test",
        &[10, 1, 100],
        ", maglev: {tableSize: 65537}",
    ),
];

fn yaml(endpoints: &[Counted]) -> String {
    let mut yaml = String::new();
    for (host, weights, by) in SETS {
        let weighted = endpoints.iter().zip(weights);
        let written = weighted.map(|(it, weight)| it.written(&format!(", weight: {weight}")));
        yaml += &counted::service(host, &written.collect::<Vec<_>>());
        yaml += &format!(
            "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {host}}}
spec: {{host: {host}, trafficPolicy: {{loadBalancer: {{consistentHash: {{httpHeaderName: x-key{by}}}}}}}}}
---
"
        );
    }
    yaml.trim_end_matches("---\n").to_owned()
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn a_key_leads_to_the_same_endpoint() {
    let endpoints: Vec<Counted> = (1..=12).map(Counted::start).collect();
    let (yaml, client) = (yaml(&endpoints), generate::client(true));
    let envoy = Sidecar::envoy('e', &translated("hashes", &yaml, &client));
    let gateway = Sidecar::gateway('g', &yaml, &client);
    for (host, weights, _) in SETS {
        let request =
            |key: usize| format!("GET / HTTP/1.1\r\nhost: {host}\r\nx-key: key-{key}\r\n\r\n");
        let requests: Vec<String> = (0..KEYS).map(request).collect();
        let [theirs, ours] = [&envoy, &gateway].map(|side| {
            let answers = counted::answers(side, &requests);
            let numbers = answers.iter().map(counted::endpoint);
            numbers
                .collect::<Option<Vec<u8>>>()
                .expect("all are answered")
        });
        let differing = theirs.iter().zip(&ours).filter(|(one, other)| one != other);
        let differing = differing.count();
        let used = (1..=12).filter(|number| theirs.contains(number)).count();
        say(&format!(
            "{host}: compared {KEYS} keys, differing {differing}, {used} endpoints"
        ));
        assert_eq!(differing, 0, "{host}");
        // All have their share, or the keys prove nothing.
        assert_eq!(used, weights.len(), "{host}");
    }
}
