//! What a pick and the end of its request cost, without the request: a program `ci/perf` runs.
//!
//! ```text
//! balancers NAME ENDPOINTS N    N picks, for callgrind to count the instructions of
//! balancers allocations         the allocations of a pick, which are to be none
//! balancers threads             time a pick on two threads over that on one, with 100 endpoints
//! balancers outliers ENDPOINTS N
//!                               N good answers told to outlier detection; `outliers-rates` where
//!                               shares of good answers are looked at
//! ```
//!
//! `nothing` is the loop and the roll of the dice alone.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for ci says what it counted, and may stop at what cannot be"
)]

use std::hint::black_box;
use std::sync::Arc;

use tower_mesh::endpoint::{Address, Endpoint};
use tower_mesh::load_balancer::{Algorithm, LoadBalancer, LoadBalancerPolicy, Pick};
use tower_mesh::outlier_detection::{
    Outcome, OutlierDetection, OutlierDetectionPolicy, SuccessRate,
};
use tower_mesh::rt::Rng;

/// The balancers by name, each with whether its endpoints have different weights.
const BALANCERS: [(&str, Option<Algorithm>, bool); 8] = [
    ("nothing", None, false),
    ("least-request", Some(Algorithm::LeastRequest), false),
    ("round-robin", Some(Algorithm::RoundRobin), false),
    ("random", Some(Algorithm::Random), false),
    ("round-robin-weighted", Some(Algorithm::RoundRobin), true),
    (
        "least-request-weighted",
        Some(Algorithm::LeastRequest),
        true,
    ),
    (
        "ring-hash",
        Some(Algorithm::RingHash {
            minimum_ring_size: 1024,
        }),
        false,
    ),
    (
        "maglev",
        Some(Algorithm::Maglev { table_size: 65_537 }),
        false,
    ),
];

fn balancer(algorithm: Option<Algorithm>, weighted: bool, count: u32) -> LoadBalancer {
    let endpoint = |n: u32| {
        let address = Address::new(&std::net::Ipv4Addr::from(n).to_string(), 80);
        let weight = if weighted { n % 3 + 1 } else { 1 };
        Endpoint::new(address, Arc::default()).with_weight(weight)
    };
    let policy = LoadBalancerPolicy::new(algorithm.unwrap_or_default());
    let endpoints: Vec<Endpoint> = (1..=count).map(endpoint).collect();
    LoadBalancer::new(policy, endpoints, &Rng::seeded(1))
}

/// Picks, counts a request, and ends it.
fn drive(balancer: Option<&LoadBalancer>, dice: &Rng, count: u64) {
    for _ in 0..count {
        let roll = black_box(dice.next_u64());
        if let Some(balancer) = balancer {
            let pick = black_box(balancer).pick(Pick::rolled(roll));
            drop(black_box(balancer.endpoints()[pick.unwrap()].begin()));
        }
    }
}

/// Tells of good answers.
fn report(rates: bool, count: u32, answers: u64) {
    let endpoints = balancer(None, false, count).endpoints().to_vec();
    let mut policy = OutlierDetectionPolicy::default();
    policy.success_rate = rates.then(SuccessRate::default);
    let outliers = OutlierDetection::new(policy, &endpoints, tokio::time::Instant::now());
    let dice = Rng::seeded(7);
    for _ in 0..answers {
        // Of two endpoints, so that drawing one costs nothing to speak of.
        let place = (black_box(dice.next_u64()) & 1) as usize;
        let outcome = Outcome::Response(black_box(200));
        black_box(&outliers).report(&endpoints, place, outcome);
    }
}

/// The time of 200 000 picks on each of some threads.
fn elapsed(balancer: &LoadBalancer, threads: u64) -> f64 {
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for n in 0..threads {
            scope.spawn(move || drive(Some(balancer), &Rng::seeded(n), 200_000));
        }
    });
    began.elapsed().as_secs_f64()
}

fn threads() {
    for (name, algorithm, weighted) in BALANCERS.into_iter().skip(1) {
        let built = balancer(algorithm, weighted, 100);
        let mut ratios: Vec<f64> = (0..7)
            .map(|_| elapsed(&built, 2) / elapsed(&built, 1))
            .collect();
        ratios.sort_by(f64::total_cmp);
        println!("{name} {:.2}", ratios[3]);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let named = |name: &str| BALANCERS.iter().find(|(known, ..)| *known == name);
    match arguments.as_slice() {
        [name, endpoints, count] if named(name).is_some() => {
            let (_, algorithm, weighted) = named(name).unwrap();
            let built = balancer(*algorithm, *weighted, endpoints.parse().unwrap());
            drive(
                algorithm.map(|_| &built),
                &Rng::seeded(7),
                count.parse().unwrap(),
            );
        }
        [what] if what == "threads" => threads(),
        [what, endpoints, count] if what.starts_with("outliers") => {
            let rates = what.ends_with("rates");
            report(rates, endpoints.parse().unwrap(), count.parse().unwrap());
        }
        // `allocations`, and whatever else.
        _ => {
            for (name, algorithm, weighted) in BALANCERS {
                let built = balancer(algorithm, weighted, 100);
                let dice = Rng::seeded(7);
                let picks = || drive(algorithm.map(|_| &built), &dice, 1000);
                let info = allocation_counter::measure(picks);
                println!("{name} {}", info.count_total);
                assert_eq!(info.count_total, 0, "{name}");
            }
        }
    }
}
