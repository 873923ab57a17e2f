//! `zoneAwareLbSetting`: how much of the traffic stays in the client's zone, and where the rest goes,
//! for several layouts of clients and endpoints.
//!
//! Envoy learns where its like is from a cluster of its own, the `gateway` program by its options.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cases::translated;
use super::counted::{self, Counted};
use super::generate;
use super::say;
use super::sidecar::Sidecar;

const REQUESTS: usize = 5_000;
/// So many standard deviations off has a probability of one in a million.
const MOST_DEVIATIONS: f64 = 4.9;
/// More than take turns on any machine this is run on.
const THREADS: usize = 16;

/// Where the clients are, zone `a` being this one's, where the endpoints are, how many of them there
/// must be, and the share of each zone.
struct Layout {
    clients: &'static [&'static str],
    endpoints: &'static [&'static str],
    least: u32,
    shares: &'static [(&'static str, f64)],
}

const LAYOUTS: &[Layout] = &[
    // As many endpoints in the zone as clients, or more: all stay.
    Layout {
        clients: &["a", "b"],
        endpoints: &["a", "a", "b"],
        least: 3,
        shares: &[("a", 1.0)],
    },
    // A third of the endpoints for half of the clients.
    Layout {
        clients: &["a", "b"],
        endpoints: &["a", "a", "b", "b", "b", "b"],
        least: 6,
        shares: &[("a", 0.6666), ("b", 0.3334)],
    },
    // The rest goes where endpoints are left over: nowhere but to `c`.
    Layout {
        clients: &["a", "a", "b"],
        endpoints: &["a", "b", "c"],
        least: 3,
        shares: &[("a", 0.5), ("c", 0.5)],
    },
    // Left over are a tenth in `b` and a twentieth in `c`.
    Layout {
        clients: &["a", "a", "b", "b", "c"],
        endpoints: &["a", "b", "b", "c"],
        least: 4,
        shares: &[("a", 0.625), ("b", 0.25), ("c", 0.125)],
    },
    // Nobody at home.
    Layout {
        clients: &["a", "b"],
        endpoints: &["c", "d", "d"],
        least: 3,
        shares: &[("c", 0.3333), ("d", 0.6667)],
    },
    // Too few endpoints: zones do not count.
    Layout {
        clients: &["a", "b"],
        endpoints: &["a", "b", "b", "b"],
        least: 5,
        shares: &[("a", 0.25), ("b", 0.75)],
    },
    // All endpoints in one zone, which is not this one's.
    Layout {
        clients: &["a", "b"],
        endpoints: &["b", "b"],
        least: 1,
        shares: &[("b", 1.0)],
    },
    // Clients only elsewhere, as far as anybody knows.
    Layout {
        clients: &["b", "c"],
        endpoints: &["a", "b", "b", "b"],
        least: 1,
        shares: &[("a", 0.25), ("b", 0.75)],
    },
    // All clients in one zone.
    Layout {
        clients: &["a", "a"],
        endpoints: &["a", "b", "b", "b"],
        least: 1,
        shares: &[("a", 0.25), ("b", 0.75)],
    },
];

fn place(zone: &str) -> Value {
    json!({"region": "r", "zone": zone, "sub_zone": ""})
}

/// What a list has, by zone, the zones in the order of their names.
fn by_zone<T>(zones: &[&str], of: impl Fn(usize) -> T) -> BTreeMap<String, Vec<T>> {
    let mut there: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for (n, zone) in zones.iter().enumerate() {
        there.entry((*zone).to_owned()).or_default().push(of(n));
    }
    there
}

/// Endpoints by locality, as EDS has them.
fn assignment(zones: &[&str], address: impl Fn(usize) -> (String, u16)) -> Value {
    let endpoint = |n: usize| {
        let (address, port) = address(n);
        json!({"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}})
    };
    let localities = by_zone(zones, endpoint).into_iter();
    let localities: Vec<Value> = localities
        .map(|(zone, list)| json!({"locality": place(&zone), "lb_endpoints": list}))
        .collect();
    json!({"cluster_name": "it", "endpoints": localities})
}

/// Envoy as Istio sets it up, with its own service as the cluster it compares with.
fn envoy(layout: &Layout, endpoints: &[Counted]) -> Sidecar {
    let written: Vec<String> = endpoints.iter().map(|it| it.written("")).collect();
    let yaml = counted::service("one.test", &written);
    let yaml = yaml.trim_end_matches("---\n");
    let mut translation = translated("zones", yaml, &generate::client(true));
    let mut clusters = translation.clusters.iter_mut();
    let cluster = clusters.find(|it| it["name"] == "outbound|80||one.test");
    let cluster = cluster.expect("the cluster");
    cluster["load_assignment"] = assignment(layout.endpoints, |n| {
        (endpoints[n].address.clone(), endpoints[n].port)
    });
    cluster["lb_policy"] = json!("ROUND_ROBIN");
    cluster["common_lb_config"] =
        json!({"zone_aware_lb_config": {"min_cluster_size": layout.least}});
    let clients = |n: usize| ("127.0.0.2".to_owned(), 1 + n as u16);
    let home = json!({
        "node": {"locality": place("a")},
        "cluster_manager": {"local_cluster_name": "home"},
        "static_resources": {"clusters": [{
            "name": "home",
            "type": "STATIC",
            "load_assignment": assignment(layout.clients, clients),
        }]},
    });
    Sidecar::envoy_at('e', &translation, &home)
}

/// The `gateway` program, told where it and its like are.
fn gateway(layout: &Layout, endpoints: &[Counted]) -> Sidecar {
    let placed = endpoints.iter().zip(layout.endpoints);
    let written = placed.map(|(it, zone)| it.written(&format!(", locality: r/{zone}")));
    let yaml = counted::service("one.test", &written.collect::<Vec<_>>());
    let least = layout.least;
    let rule = format!(
        "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: it}}
spec:
  host: one.test
  trafficPolicy:
    loadBalancer: {{simple: ROUND_ROBIN, zoneAwareLbSetting: {{minClusterSize: {least}}}}}
"
    );
    let mut more = vec!["--locality".to_owned(), "r/a".to_owned()];
    more.push("--instances".to_owned());
    let clients = by_zone(layout.clients, |_| ()).into_iter();
    more.extend(clients.map(|(zone, list)| format!("r/{zone}={}", list.len())));
    Sidecar::gateway_at('g', &(yaml + &rule), &generate::client(true), &more)
}

/// Which of the endpoints each request goes to.
fn picks(side: &Sidecar) -> Vec<usize> {
    let request = "GET / HTTP/1.1\r\nhost: one.test\r\n\r\n".to_owned();
    let answers = counted::answers(side, &vec![request; REQUESTS]);
    let number = |it| usize::from(counted::endpoint(it).expect("all are answered"));
    answers.iter().map(|it| number(it) - 1).collect()
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn zones_keep_and_pass_on_as_much() {
    let endpoints: Vec<Counted> = (1..=6).map(Counted::start).collect();
    let mut off = Vec::new();
    for (n, layout) in LAYOUTS.iter().enumerate() {
        let count = layout.endpoints.len();
        let endpoints = &endpoints[..count];
        for side in [envoy(layout, endpoints), gateway(layout, endpoints)] {
            let (side, picks) = (side.letter, picks(&side));
            let shares: BTreeMap<&str, f64> = layout.shares.iter().copied().collect();
            let zones = by_zone(layout.endpoints, |n| n);
            for (zone, members) in zones {
                let share = shares.get(&*zone).copied().unwrap_or_default();
                let hits = picks.iter().filter(|it| members.contains(it)).count();
                let requests = REQUESTS as f64;
                let deviation = (requests * share * (1.0 - share)).sqrt();
                let by = hits as f64 - requests * share;
                say(&format!(
                    "{side}: layout {n}, zone {zone}: {hits} of {REQUESTS} for {share}"
                ));
                if by.abs() > MOST_DEVIATIONS * deviation {
                    off.push(format!(
                        "{side}: layout {n}, zone {zone}: {hits} for {share}"
                    ));
                }
                // Within a zone they take turns, at the program one turn for each thread.
                let each = members
                    .iter()
                    .map(|it| picks.iter().filter(|to| *to == it).count());
                let each: Vec<usize> = each.collect();
                let (least, most) = (each.iter().min(), each.iter().max());
                if let (Some(least), Some(most)) = (least, most)
                    && most - least > 2 * THREADS
                {
                    off.push(format!("{side}: layout {n}, zone {zone}: turns {each:?}"));
                }
            }
        }
    }
    assert!(off.is_empty(), "{}", off.join("\n"));
}
