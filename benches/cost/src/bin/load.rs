//! What putting rules into force costs: a program `ci/perf` runs.
//!
//! ```text
//! load compile N         compiles N VirtualServices of three routes, for callgrind to count
//! load resources N       makes the same resources and compiles none, to be taken off
//! ```
#![allow(
    clippy::unwrap_used,
    reason = "a program for ci may stop at what cannot be"
)]

use std::hint::black_box;

use tower_mesh_cost::rules::{mesh, resources};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["compile", count] => drop(black_box(mesh(&resources(count.parse().unwrap())))),
        ["resources", count] => drop(black_box(resources(count.parse().unwrap()).clone())),
        // Everything once.
        _ => drop(mesh(&resources(3))),
    }
}
