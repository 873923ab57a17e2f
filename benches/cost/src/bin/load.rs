//! What putting rules into force costs: a program `ci/perf` runs.
//!
//! ```text
//! load compile N         compiles N VirtualServices of three routes, for callgrind to count
//! load resources N       makes the same resources and compiles none, to be taken off
//! load yaml N            reads N VirtualServices of three routes from their text and compiles them
//! load text N            makes the same text and reads none, to be taken off
//! load time N            milliseconds that `yaml` takes
//! load compile-time N    microseconds that each takes in `compile`, the best of ten times
//! ```
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for ci says what it counted, and may stop at what cannot be"
)]

use std::hint::black_box;

use tower_mesh::api::Resources;
use tower_mesh::mesh::Mesh;
use tower_mesh_cost::rules::{mesh, resources, service, text};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rules from their text, put into force.
fn read(text: &str) -> Mesh {
    let mut resources = service(4);
    resources.append(Resources::from_yaml("rules.yaml", text));
    Mesh::builder().resources(resources).build().unwrap().0
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["compile", count] => drop(black_box(mesh(&resources(count.parse().unwrap())))),
        ["resources", count] => drop(black_box(resources(count.parse().unwrap()).clone())),
        ["yaml", count] => drop(black_box(read(&text(count.parse().unwrap())))),
        ["text", count] => drop(black_box(text(count.parse().unwrap()))),
        ["time", count] => {
            let text = text(count.parse().unwrap());
            let began = std::time::Instant::now();
            drop(black_box(read(&text)));
            println!("{}", began.elapsed().as_millis());
        }
        ["compile-time", count] => {
            let count = count.parse().unwrap();
            let resources = resources(count);
            let best = (0..10).map(|_| {
                let resources = resources.clone();
                let began = std::time::Instant::now();
                let built = Mesh::builder().resources(resources).build();
                let took = began.elapsed();
                drop(black_box(built));
                took
            });
            let best = best.min().unwrap_or_default();
            println!("{:.1}", best.as_secs_f64() * 1e6 / count as f64);
        }
        // Everything once.
        _ => drop(mesh(&resources(3))),
    }
}
