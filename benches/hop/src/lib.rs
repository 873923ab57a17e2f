//! The rules a request meets in these programs: ten routes, a split, a timeout, a header each way.

use std::fmt::Write as _;

use tower_mesh::mesh::Mesh;

/// A mesh for one host whose destinations are all at one address of this machine.
pub fn mesh(host: &str, port: u16) -> Mesh {
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
    writeln!(
        yaml,
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: it}}\nspec:\n  \
         hosts: [{host}]\n  http:"
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
    Mesh::builder().lenient(true).yaml(&yaml).build().unwrap().0
}
