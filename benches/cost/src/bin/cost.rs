//! What a request costs in instructions, bytes and scaling: a program `ci/perf` runs.
//!
//! ```text
//! cost SCENARIO N      N requests, for callgrind to count the instructions of
//! cost sizes           bytes of the future of a request
//! cost threads         nanoseconds a request on two threads over those on one
//! ```
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for ci talks to its reader and may stop at what cannot be"
)]

use tower::Service as _;

use tower_mesh_cost::{Client, SCENARIOS, client, drive, request, runtime, send};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn threads() {
    for scenario in ["none", "full", "retry"] {
        let client = client(scenario);
        let mut ratios: Vec<f64> = (0..7)
            .map(|_| elapsed(&client, 2) / elapsed(&client, 1))
            .collect();
        ratios.sort_by(f64::total_cmp);
        println!("{scenario} {:.2}", ratios[3]);
    }
}

/// The time of 20 000 requests on each of some threads.
fn elapsed(client: &Client, threads: usize) -> f64 {
    let began = tokio::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let mut client = client.clone();
            scope.spawn(move || runtime().block_on(send(&mut client, 20_000)));
        }
    });
    began.elapsed().as_secs_f64()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sizes"] => {
            let future = |scenario| size_of_val(&client(scenario).call(request()));
            println!("full {}", future("full"));
        }
        ["threads"] => threads(),
        [scenario, count] if SCENARIOS.contains(scenario) => {
            runtime().block_on(drive(scenario, count.parse().unwrap()));
        }
        // As a bench in test mode: everything once.
        _ => {
            for scenario in SCENARIOS {
                runtime().block_on(drive(scenario, 2));
            }
        }
    }
}
