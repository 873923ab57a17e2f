//! Who owns a host at a gateway.

use tower_mesh::mesh::Mesh;

use crate::support::{build, service, virtual_service, who};

const GATEWAY: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ['*.foo.com', default/bar.com, other/closed.com]
---
";

fn rule(uri: &str, host: &str) -> String {
    format!(
        "  - match: [{{uri: {{prefix: {uri}}}}}]\n    route: [{{destination: {{host: {host}}}}}]\n"
    )
}

fn bound(name: &str, hosts: &str, rules: &str) -> String {
    let spec = format!("  gateways: [gw]\n  hosts: {hosts}\n  http:\n{rules}");
    virtual_service(name, &spec)
}

fn gateway(yaml: &str) -> Mesh {
    let services = service("one.com", 80, &[1]) + &service("two.com", 80, &[2]);
    build(
        Mesh::builder().gateway("default/gw"),
        &(GATEWAY.to_owned() + &services + yaml),
    )
}

#[tokio::test]
async fn only_hosts_that_both_sides_name_exist() {
    let mesh = gateway(&bound("all", "['*']", &rule("/", "one.com")));
    assert_eq!(who(&mesh, "http://a.foo.com/", &[]).await, "10.0.0.1:80");
    assert_eq!(who(&mesh, "http://bar.com/", &[]).await, "10.0.0.1:80");
    // Its server entry is for VirtualServices of another namespace.
    assert_eq!(who(&mesh, "http://closed.com/", &[]).await, "404");
    assert_eq!(who(&mesh, "http://one.com/", &[]).await, "404");
    assert_eq!(who(&mesh, "http://foo.com/", &[]).await, "404");
    // No server listens there.
    assert_eq!(who(&mesh, "http://a.foo.com:8080/", &[]).await, "404");
}

#[tokio::test]
async fn rules_of_several_virtual_services_stand_one_after_the_other() {
    let yaml = bound("first", "[a.foo.com]", &rule("/", "one.com"))
        + &bound("second", "[a.foo.com]", &rule("/two", "two.com"));
    let mesh = gateway(&yaml);
    // The first one's catch-all has moved to the end.
    assert_eq!(who(&mesh, "http://a.foo.com/two", &[]).await, "10.0.0.2:80");
    assert_eq!(who(&mesh, "http://a.foo.com/x", &[]).await, "10.0.0.1:80");
}

#[tokio::test]
async fn a_gateway_does_not_see_rules_of_the_mesh() {
    let spec = format!("  hosts: [a.foo.com]\n  http:\n{}", rule("/", "one.com"));
    let mesh = gateway(&virtual_service("mesh-only", &spec));
    assert_eq!(who(&mesh, "http://a.foo.com/", &[]).await, "404");
}
