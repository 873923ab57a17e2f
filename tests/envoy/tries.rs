//! Which endpoints the tries of a request go to where dice choose a place on a ring or in a table:
//! what one side often does, the other does as often.
//!
//! Drawn tables found these. Envoy rolls once for each try and goes on from there past endpoints
//! tried before; who rolls for every look comes to other endpoints, and to the same one again.

use std::collections::{BTreeMap, BTreeSet};

use super::cases::translated;
use super::exchange::{Observation, Request, exchange_many};
use super::generate;
use super::say;
use super::sidecar::Sidecar;
use super::upstream;

/// How many requests each rule gets on each side.
const REQUESTS: usize = 2_000;
/// So many standard deviations apart has a probability of one in a million.
const MOST_DEVIATIONS: f64 = 4.9;

/// A rule by its host: endpoints, ring or table, retries, destinations, and whether each try goes
/// to an endpoint of its own.
const RULES: [(&str, &str, &str, &str, bool); 7] = [
    // One destination of two goes by a cookie that nobody makes; a ring of two hashes.
    (
        "weighted.test",
        "bravo gamma",
        "httpCookie: {name: a}, ringHash: {minimumRingSize: 1}",
        "2",
        false,
    ),
    // The same among three endpoints, on a ring of three hashes: three tries meet all of them.
    (
        "three.test",
        "alpha bravo gamma",
        "httpCookie: {name: a}, ringHash: {minimumRingSize: 1}",
        "2",
        true,
    ),
    // A header that is not there, on a large ring: now and then it gives the same endpoint again.
    (
        "large.test",
        "bravo gamma",
        "httpHeaderName: x-a, ringHash: {minimumRingSize: 2048}",
        "2",
        false,
    ),
    // One destination whose rule asks for other endpoints.
    (
        "single.test",
        "alpha bravo",
        "httpQueryParameterName: k, minimumRingSize: 1",
        "3, retryIgnorePreviousHosts: true",
        false,
    ),
    // One destination whose retries stay as they are: a roll for each try.
    (
        "stays.test",
        "alpha bravo gamma",
        "httpQueryParameterName: k, minimumRingSize: 1",
        "2",
        false,
    ),
    // The same where `consistentHash` names no key at all.
    (
        "keyless.test",
        "alpha bravo gamma",
        "minimumRingSize: 1",
        "2",
        false,
    ),
    (
        "table.test",
        "alpha bravo gamma",
        "httpHeaderName: x-a, maglev: {tableSize: 7}",
        "2, retryIgnorePreviousHosts: true",
        false,
    ),
];

fn yaml() -> String {
    let mut yaml = String::new();
    for (host, endpoints, by, retries, _) in RULES {
        let endpoint = |name| {
            format!("{{address: 127.0.0.1, ports: {{http: ${{{name}}}}}, labels: {{version: v1}}}}")
        };
        let endpoints: Vec<String> = endpoints.split(' ').map(endpoint).collect();
        let endpoints = endpoints.join(", ");
        let destination = format!("destination: {{host: {host}}}");
        // Of several destinations, retries avoid endpoints without being told.
        let stays = ["stays.test", "keyless.test"].contains(&host);
        let route = match retries == "2" && !stays {
            true => format!(
                "{{{destination}, weight: 1}}, {{destination: {{host: {host}, subset: v1}}, weight: 1}}"
            ),
            false => format!("{{{destination}}}"),
        };
        yaml += &format!("apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {host}}}
spec:
  hosts: [{host}]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{endpoints}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {host}}}
spec:
  host: {host}
  trafficPolicy: {{loadBalancer: {{consistentHash: {{{by}}}}}}}
  subsets: [{{name: v1, labels: {{version: v1}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {host}}}
spec:
  hosts: [{host}]
  http: [{{name: {host}, retries: {{attempts: {retries}, retryOn: 5xx, backoff: 1ms}}, route: [{route}]}}]
---
");
    }
    upstream::fill_in(yaml.trim_end_matches("---\n"))
}

/// The endpoints of all tries, in order.
fn tries(seen: &Observation) -> Vec<&str> {
    let endpoint = |at: usize| seen.get(&format!("upstream[{at}].endpoint"));
    (0..).map_while(endpoint).map(String::as_str).collect()
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn tries_without_a_key_go_where_envoys_go() {
    let (yaml, client) = (yaml(), generate::client(true));
    let mut sides = [
        Sidecar::envoy('e', &translated("tries", &yaml, &client)),
        Sidecar::gateway('g', &yaml, &client),
    ];
    let mut off = Vec::new();
    for (host, _, _, _, each) in RULES {
        let request = Request {
            method: "GET".to_owned(),
            target: "/".to_owned(),
            host: Some(host.to_owned()),
            headers: vec![("x-up-status".to_owned(), "503".to_owned())],
            ..Request::default()
        };
        let requests = vec![request; REQUESTS];
        let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
        for (at, side) in sides.iter_mut().enumerate() {
            let letter = side.letter;
            for seen in exchange_many(side, &requests) {
                let tries = tries(&seen);
                let different: BTreeSet<&&str> = tries.iter().collect();
                if each && different.len() < tries.len() {
                    off.push(format!("{letter}: {host}: {tries:?}"));
                }
                counts.entry(tries.join(" ")).or_default()[at] += 1;
            }
        }
        for (tries, [envoy, ours]) in counts {
            let apart = envoy as f64 - ours as f64;
            let deviations = apart / ((envoy + ours) as f64).sqrt();
            say(&format!(
                "{host}: {tries}: {envoy} and {ours}, {deviations:+.1} deviations"
            ));
            if deviations.abs() > MOST_DEVIATIONS {
                off.push(format!("{host}: {tries}: {envoy} and {ours}"));
            }
        }
    }
    assert!(
        off.is_empty(),
        "{} are off, such as {:?}",
        off.len(),
        &off[..off.len().min(8)]
    );
}
