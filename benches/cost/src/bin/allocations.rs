//! Allocations a request, exactly, for each scenario: a program `ci/perf` runs.
//!
//! Apart from `cost`, whose instructions the counting would add to.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for ci talks to its reader and may stop at what cannot be"
)]

use tower_mesh_cost::{SCENARIOS, drive, runtime};

/// Allocations of each of `count` requests, setting up left out by a second run.
fn allocations(count: u64, send: impl Fn(u64)) -> f64 {
    let measure = |count| allocation_counter::measure(|| send(count)).count_total;
    // What is made once for the whole program belongs to no request.
    measure(1);
    (measure(2 * count) - measure(count)) as f64 / count as f64
}

fn main() {
    // As a bench in test mode a few requests are enough.
    let count = match std::env::args().any(|it| it == "--test") {
        true => 2,
        false => 30_000,
    };
    let runtime = runtime();
    for scenario in SCENARIOS {
        let each = allocations(count, |count| runtime.block_on(drive(scenario, count)));
        println!("{scenario} {each}");
    }
}
