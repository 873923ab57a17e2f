//! `zoneAwareLbSetting`: how much of the traffic stays in the client's zone, and where the rest goes,
//! for several layouts of clients and endpoints.
//!
//! Envoy learns where its like is from a cluster of its own; here the builder is told. The library's
//! side is a mesh in this process, for the `gateway` program is not told where it is.

use std::collections::BTreeMap;
use std::convert::Infallible;

use http::{Request, Response};
use serde_json::{Value, json};
use tower::service_fn;
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::Mesh;
use tower_mesh::rt::Rng;

use super::cases::translated;
use super::counted::{self, Counted};
use super::generate;
use super::say;
use super::sidecar::Sidecar;

const REQUESTS: usize = 5_000;
/// So many standard deviations off has a probability of one in a million.
const MOST_DEVIATIONS: f64 = 4.9;

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

/// Which of the endpoints each request goes to at Envoy.
fn theirs(layout: &Layout, endpoints: &[Counted]) -> Vec<usize> {
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
    let envoy = Sidecar::envoy_at('e', &translation, &home);
    let request = "GET / HTTP/1.1\r\nhost: one.test\r\n\r\n".to_owned();
    let answers = counted::answers(&envoy, &vec![request; REQUESTS]);
    let number = |it| usize::from(counted::endpoint(it).expect("all are answered"));
    answers.iter().map(|it| number(it) - 1).collect()
}

/// The same of a mesh.
fn ours(layout: &Layout) -> Vec<usize> {
    let written = layout.endpoints.iter().enumerate();
    let written = written.map(|(n, zone)| format!("{{address: 10.0.0.{n}, locality: r/{zone}}}"));
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
    let mut builder = Mesh::builder().locality("r/a").rng(Rng::seeded(1));
    for (zone, list) in by_zone(layout.clients, |_| ()) {
        builder = builder.instances(&format!("r/{zone}"), list.len() as u32);
    }
    let (mesh, _) = builder.yaml(&(yaml + &rule)).build().expect("good rules");
    let client = mesh.client_with(|endpoint: &Endpoint| {
        let address = endpoint.address().to_string();
        service_fn(move |_: Request<Body>| {
            let response = Response::builder().header("x-from", &address);
            let response = response.body(Body::empty()).expect("a response");
            std::future::ready(Ok::<_, Infallible>(response))
        })
    });
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut all = Vec::with_capacity(REQUESTS);
        for _ in 0..REQUESTS {
            let request = Request::get("http://one.test/").body(Body::empty());
            let response = client.send(request.expect("a request")).await;
            let response = response.expect("an answer");
            let from = response.headers()["x-from"].to_str().expect("text");
            let number = from.trim_start_matches("10.0.0.").trim_end_matches(":80");
            all.push(number.parse().expect("a number"));
        }
        all
    })
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn zones_keep_and_pass_on_as_much() {
    let endpoints: Vec<Counted> = (1..=6).map(Counted::start).collect();
    let mut off = Vec::new();
    for (n, layout) in LAYOUTS.iter().enumerate() {
        let count = layout.endpoints.len();
        for (side, picks) in [
            ("e", theirs(layout, &endpoints[..count])),
            ("g", ours(layout)),
        ] {
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
                // Within a zone they take turns.
                let each = members
                    .iter()
                    .map(|it| picks.iter().filter(|to| *to == it).count());
                let each: Vec<usize> = each.collect();
                let (least, most) = (each.iter().min(), each.iter().max());
                if let (Some(least), Some(most)) = (least, most)
                    && most - least > 2
                {
                    off.push(format!("{side}: layout {n}, zone {zone}: turns {each:?}"));
                }
            }
        }
    }
    assert!(off.is_empty(), "{}", off.join("\n"));
}
