//! What one endpoint costs that changes among 10 000: a program `ci/perf` runs.
//!
//! ```text
//! churn NAME N     N times another endpoint in the place of one, for callgrind to count
//! ```
//!
//! `nothing` makes the lists of endpoints and gives them to nobody, to be taken off. Under `applied`
//! 4 000 endpoints are those of a ServiceEntry, and all rules are put into force again each time.
#![allow(
    clippy::unwrap_used,
    reason = "a program for ci may stop at what cannot be"
)]

use std::hint::black_box;

use tower_mesh::api::{Resources, Spec};
use tower_mesh::endpoint::{Address, Endpoint, Locality};
use tower_mesh::mesh::Mesh;
use tower_mesh::rt::Rng;
use tower_mesh_cost::rules;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HOST: &str = "it.default.svc.cluster.local";

/// A traffic policy, and what differs among its endpoints.
struct Policy {
    name: &'static str,
    written: &'static str,
    weighted: bool,
    placed: bool,
}

const fn policy(name: &'static str, written: &'static str) -> Policy {
    Policy {
        name,
        written,
        weighted: false,
        placed: false,
    }
}

const fn weighted(name: &'static str, written: &'static str) -> Policy {
    Policy {
        weighted: true,
        ..policy(name, written)
    }
}

/// Endpoints in three zones, the first of which is the client's.
const fn placed(name: &'static str, written: &'static str) -> Policy {
    Policy {
        placed: true,
        ..policy(name, written)
    }
}

const RING: &str = "consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 1024}}";
const MAGLEV: &str = "consistentHash: {httpHeaderName: x-user, maglev: {tableSize: 65537}}";

const POLICIES: [Policy; 10] = [
    policy("least-request", "simple: LEAST_REQUEST"),
    policy("round-robin", "simple: ROUND_ROBIN"),
    policy("random", "simple: RANDOM"),
    weighted("round-robin-weighted", "simple: ROUND_ROBIN"),
    weighted("least-request-weighted", "simple: LEAST_REQUEST"),
    policy("ring-hash", RING),
    policy("maglev", MAGLEV),
    placed("places", "simple: LEAST_REQUEST"),
    placed("places-ring-hash", RING),
    placed("places-maglev", MAGLEV),
];

fn mesh(policy: &str) -> Mesh {
    let yaml = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: it, namespace: default}}\n\
         spec: {{ports: [{{port: 80, name: http}}]}}\n---\n\
         apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
         metadata: {{name: it, namespace: default}}\n\
         spec: {{host: it, trafficPolicy: {{loadBalancer: {{{policy}}}, outlierDetection: {{}}}}}}\n"
    );
    // Turns by weight begin anywhere, and the way there is part of the cost: always the same ways.
    let builder = Mesh::builder()
        .rng(Rng::seeded(6))
        .locality("region/zone-0");
    builder.yaml(&yaml).build().unwrap().0
}

fn endpoint(number: u32, policy: Option<&Policy>) -> Endpoint {
    let address = Address::new(&std::net::Ipv4Addr::from(number).to_string(), 80);
    let endpoint = Endpoint::new(address, std::sync::Arc::default());
    match policy {
        Some(it) if it.weighted => endpoint.with_weight(number % 3 + 1),
        Some(it) if it.placed => {
            endpoint.with_locality(Locality::new(&format!("region/zone-{}", number % 3)))
        }
        _ => endpoint,
    }
}

/// `count` times rules with another endpoint in the place of one.
fn apply(count: u32, all: u32) {
    let resources = rules::service(all as usize);
    let mesh = Mesh::builder().resources(resources.clone()).build();
    let mesh = mesh.unwrap().0;
    let mut entry = resources.iter().next().unwrap().clone();
    for n in 0..count {
        if let Spec::ServiceEntry(it) = &mut entry.spec {
            it.endpoints[((n * 7919) % all) as usize].address = format!("10.1.0.{}", n + 1);
        }
        let mut resources = Resources::new();
        resources.push(entry.clone());
        mesh.apply(black_box(&resources)).unwrap();
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    // As a bench in test mode a few are enough.
    let (name, count, all) = match (arguments.next(), arguments.next()) {
        (Some(name), Some(count)) => (name, count.parse().unwrap(), 10_000),
        _ => ("maglev".to_owned(), 2, 10),
    };
    if name == "applied" {
        // A ServiceEntry has 4 096 endpoints at most.
        return apply(count, all.min(4000));
    }
    let policy = POLICIES.iter().find(|it| it.name == name);
    let mesh = policy.map(|it| mesh(it.written));
    let mut endpoints: Vec<Endpoint> = (1..=all).map(|n| endpoint(n, policy)).collect();
    let give = |endpoints: &[Endpoint]| {
        let endpoints = black_box(endpoints.to_vec());
        if let Some(mesh) = &mesh {
            mesh.set_endpoints(HOST, 80, endpoints);
        }
    };
    give(&endpoints);
    for n in 0..count {
        // Far from the one before, and of the same weight and place.
        let place = (n * 7919) % all;
        let number = 3 * (all + n) + (place + 1) % 3;
        endpoints[place as usize] = endpoint(number, policy);
        give(&endpoints);
    }
}
