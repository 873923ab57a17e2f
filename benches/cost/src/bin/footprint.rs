//! Bytes a route, an endpoint, and a cluster with its default route take in a mesh, without the
//! resources: a program `ci/perf` runs.
//!
//! Apart from `load`, whose instructions the counting would add to.
#![allow(clippy::print_stdout, reason = "a program for ci talks to its reader")]

use std::hint::black_box;

use tower_mesh::api::Resources;
use tower_mesh_cost::rules::{mesh, resources, service, services};

/// Bytes that stay in use for a mesh of these resources.
fn bytes_of(resources: Resources) -> f64 {
    let mut made = None;
    let counted = allocation_counter::measure(|| made = Some(mesh(&resources)));
    black_box(made);
    counted.bytes_current as f64
}

fn main() {
    // As a bench in test mode a few rules are enough.
    let (few, many) = match std::env::args().any(|it| it == "--test") {
        true => (1, 3),
        false => (10_000, 4_000),
    };
    let routes = bytes_of(resources(few)) - bytes_of(resources(0));
    println!("route {:.0}", routes / (3.0 * few as f64));
    // As many as one ServiceEntry may have, nearly.
    let endpoints = bytes_of(service(many)) - bytes_of(service(0));
    println!("endpoint {:.0}", endpoints / many as f64);
    let clusters = bytes_of(services(few)) - bytes_of(services(0));
    println!("cluster {:.0}", clusters / few as f64);
}
