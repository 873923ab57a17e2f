//! What putting rules into force costs, and what they take while they are: a program `ci/perf` runs.
//!
//! ```text
//! load compile N         compiles N VirtualServices of three routes, for callgrind to count
//! load resources N       makes the same resources and compiles none, to be taken off
//! load bytes             bytes a route and an endpoint take in a mesh, without the resources
//! ```
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for ci talks to its reader and may stop at what cannot be"
)]

use std::fmt::Write as _;
use std::hint::black_box;

use tower_mesh::api::{Resource, Resources, Spec, StringMatch};
use tower_mesh::mesh::Mesh;

/// A service with as many endpoints as asked for.
fn service(endpoints: usize) -> Resources {
    let mut yaml = String::from(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: it}\nspec:\n  \
         hosts: [it.example.com]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  \
         resolution: STATIC\n  endpoints:\n  - {address: 10.9.9.9}\n",
    );
    for n in 0..endpoints {
        let (a, b) = (n / 250, n % 250);
        writeln!(yaml, "  - {{address: 10.0.{a}.{b}}}").unwrap();
    }
    Resources::from_yaml("it.yaml", &yaml)
}

/// VirtualServices with a host of their own and two prefix rules and a default each.
fn resources(count: usize) -> Resources {
    let mut resources = service(4);
    let template = Resources::from_yaml(
        "it.yaml",
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: it}
spec:
  hosts: [it]
  http:
  - match: [{uri: {prefix: /a}}]
    timeout: 5s
    route: [{destination: {host: it.example.com}}]
  - match: [{uri: {prefix: /b}}]
    route: [{destination: {host: it.example.com}}]
  - route: [{destination: {host: it.example.com}}]
",
    );
    let template = template.iter().next().unwrap();
    resources.extend((0..count).map(|n| own(template.clone(), n)));
    resources
}

fn own(mut resource: Resource, n: usize) -> Resource {
    resource.metadata.name = format!("it-{n}");
    if let Spec::VirtualService(it) = &mut resource.spec {
        it.hosts = vec![format!("service-{n}.example.com")];
        for (rule, letter) in it.http.iter_mut().zip(["a", "b"]) {
            let prefix = format!("/service-{n}/{letter}/");
            rule.r#match[0].uri = Some(StringMatch::Prefix(prefix));
        }
    }
    resource
}

fn mesh(resources: &Resources) -> Mesh {
    let built = Mesh::builder().resources(resources.clone()).build();
    built.unwrap().0
}

/// Bytes that stay in use for a mesh of these resources.
fn bytes_of(resources: Resources) -> f64 {
    let mut made = None;
    let counted = allocation_counter::measure(|| made = Some(mesh(&resources)));
    black_box(made);
    counted.bytes_current as f64
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["bytes"] => {
            let routes = bytes_of(resources(10_000)) - bytes_of(resources(0));
            println!("route {:.0}", routes / 30_000.0);
            // As many as one ServiceEntry may have, nearly.
            let endpoints = bytes_of(service(4_000)) - bytes_of(service(0));
            println!("endpoint {:.0}", endpoints / 4_000.0);
        }
        ["compile", count] => drop(black_box(mesh(&resources(count.parse().unwrap())))),
        ["resources", count] => drop(black_box(resources(count.parse().unwrap()).clone())),
        // Everything once.
        _ => drop((mesh(&resources(3)), bytes_of(resources(1)))),
    }
}
