//! The rules a request meets in these programs: ten routes, a split, a timeout, a header each way.

use std::fmt::Write as _;

use tower_mesh::mesh::Mesh;

/// A mesh for one host whose destinations are all at one address of this machine.
pub fn mesh(host: &str, gateway: bool, port: u16) -> Mesh {
    let mut yaml = String::new();
    for destination in ["first.example.com", "second.example.com"] {
        writeln!(
            yaml,
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {destination}}}\n\
             spec:\n  hosts: [{destination}]\n  ports: [{{number: 80, name: http, protocol: HTTP, \
             targetPort: {port}}}]\n  resolution: STATIC\n  endpoints: [{{address: 127.0.0.1}}]\n---"
        )
        .unwrap();
    }
    if gateway {
        writeln!(
            yaml,
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: edge}}\nspec:\n  servers:\n  \
             - {{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ['*']}}\n---"
        )
        .unwrap();
    }
    let gateways = if gateway { "[edge]" } else { "[mesh]" };
    writeln!(
        yaml,
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: it}}\nspec:\n  \
         hosts: [{host}]\n  gateways: {gateways}\n  http:"
    )
    .unwrap();
    for n in (0..10).rev() {
        let path = match n {
            0 => "/".to_owned(),
            n => format!("/route-{n}/"),
        };
        writeln!(
            yaml,
            "  - match: [{{uri: {{prefix: {path}}}}}]\n    timeout: 5s\n    headers:\n      \
             request: {{set: {{x-mesh: '1'}}}}\n      response: {{set: {{x-served: '1'}}}}\n    route:\n    \
             - {{destination: {{host: first.example.com}}, weight: 90}}\n    \
             - {{destination: {{host: second.example.com}}, weight: 10}}"
        )
        .unwrap();
    }
    let builder = Mesh::builder().lenient(true).yaml(&yaml);
    let builder = if gateway {
        builder.gateway("default/edge")
    } else {
        builder
    };
    builder.build().unwrap().0
}
