//! Rules whose compilation and size are counted.

use std::fmt::Write as _;

use tower_mesh::api::{Resource, Resources, Spec, StringMatch};
use tower_mesh::mesh::Mesh;

/// A service with as many endpoints as asked for.
pub fn service(endpoints: usize) -> Resources {
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

/// So many services with an endpoint each.
pub fn services(count: usize) -> Resources {
    let template = service(0);
    let template = template.iter().next().unwrap();
    let one = |n| {
        let mut resource = template.clone();
        resource.metadata.name = format!("it-{n}");
        if let Spec::ServiceEntry(it) = &mut resource.spec {
            it.hosts = vec![format!("it-{n}.example.com")];
        }
        resource
    };
    let mut resources = Resources::default();
    resources.extend((0..count).map(one));
    resources
}

/// VirtualServices with a host of their own and two prefix rules and a default each.
pub fn resources(count: usize) -> Resources {
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

/// The text of the same VirtualServices.
pub fn text(count: usize) -> String {
    let mut yaml = String::new();
    for n in 0..count {
        write!(
            yaml,
            "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: it-{n}}}
spec:
  hosts: [service-{n}.example.com]
  http:
  - match: [{{uri: {{prefix: /service-{n}/a/}}}}]
    timeout: 5s
    route: [{{destination: {{host: it.example.com}}}}]
  - match: [{{uri: {{prefix: /service-{n}/b/}}}}]
    route: [{{destination: {{host: it.example.com}}}}]
  - route: [{{destination: {{host: it.example.com}}}}]
"
        )
        .unwrap();
    }
    yaml
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

pub fn mesh(resources: &Resources) -> Mesh {
    let built = Mesh::builder().resources(resources.clone()).build();
    built.unwrap().0
}
