//! Who owns a host in the mesh, and which rules a client sees.

use tower::ServiceExt as _;
use tower_mesh::mesh::Mesh;

use crate::support::{build, get, mesh, proxy, seen, service, virtual_service, who};

/// A rule without conditions to a host.
fn to(host: &str) -> String {
    format!("  http: [{{route: [{{destination: {{host: {host}}}}}]}}]")
}

fn owns(name: &str, hosts: &str, destination: &str) -> String {
    virtual_service(name, &format!("  hosts: {hosts}\n{}", to(destination)))
}

#[tokio::test]
async fn a_service_answers_to_all_its_names() {
    let yaml = service("reviews.shop.svc.cluster.local", 80, &[1]);
    let inside = build(Mesh::builder().namespace("shop").registry_only(true), &yaml);
    let outside = build(Mesh::builder().registry_only(true), &yaml);
    for name in [
        "reviews.shop.svc.cluster.local",
        "reviews.shop.svc.cluster.local.",
        "reviews.shop.svc",
        "reviews.shop",
        "REVIEWS.Shop",
    ] {
        let url = format!("http://{name}/");
        assert_eq!(who(&inside, &url, &[]).await, "10.0.0.1:80", "{name}");
        assert_eq!(who(&outside, &url, &[]).await, "10.0.0.1:80", "{name}");
    }
    assert_eq!(who(&inside, "http://reviews/", &[]).await, "10.0.0.1:80");
    assert_eq!(who(&outside, "http://reviews/", &[]).await, "502");
    let wrong_port = [("host", "reviews.shop:99999")];
    assert_eq!(
        who(&outside, "http://any/", &wrong_port).await,
        "10.0.0.1:80"
    );
}

#[tokio::test]
async fn the_first_virtual_service_owns_the_host_whole() {
    let yaml = service("a.com", 80, &[1])
        + &service("b.com", 80, &[2])
        + &virtual_service(
            "first",
            "  hosts: [a.com]\n  http:\n  - match: [{uri: {exact: /one}}]\n    \
             route: [{destination: {host: b.com}}]",
        )
        + &owns("second", "[a.com]", "a.com");
    let (mesh, report) = Mesh::builder().yaml(&yaml).build().unwrap();
    assert_eq!(who(&mesh, "http://a.com/one", &[]).await, "10.0.0.2:80");
    // Not the second's rules, and not the service's default route.
    assert_eq!(get(&mesh, "http://a.com/two", &[]).await, "404 NR ");
    let warning = report.diagnostics().iter().next().unwrap();
    assert_eq!(warning.code().as_str(), "duplicate-host");
    assert_eq!(warning.path().to_string(), "spec.hosts[0]");
    assert_eq!(warning.resource().unwrap().name, "second");
}

#[tokio::test]
async fn an_exact_host_wins_over_a_wildcard_whatever_its_age() {
    let yaml = service("a.foo.com", 80, &[1])
        + &service("b.foo.com", 80, &[2])
        + &service("x.com", 80, &[3])
        + &owns("wild", "['*.foo.com']", "x.com")
        + &owns("exact", "[a.foo.com]", "a.foo.com");
    let mesh = build(Mesh::builder().registry_only(true), &yaml);
    assert_eq!(who(&mesh, "http://a.foo.com/", &[]).await, "10.0.0.1:80");
    assert_eq!(who(&mesh, "http://b.foo.com/", &[]).await, "10.0.0.3:80");
    // The wildcard covers declared services, so it is no host of its own.
    assert_eq!(who(&mesh, "http://c.foo.com/", &[]).await, "502");
}

#[tokio::test]
async fn undeclared_hosts_exist_on_port_80_only() {
    let alone = "  hosts: [undeclared.com, '*.wild.com']\n  http: [{route: [{destination: \
                 {host: x.com, port: {number: 8080}}}]}]";
    let yaml = service("x.com", 8080, &[1]) + &virtual_service("alone", alone);
    let mesh = build(Mesh::builder().registry_only(true), &yaml);
    assert_eq!(
        who(&mesh, "http://undeclared.com/", &[]).await,
        "10.0.0.1:8080"
    );
    assert_eq!(who(&mesh, "http://a.wild.com/", &[]).await, "10.0.0.1:8080");
    assert_eq!(who(&mesh, "http://undeclared.com:8080/", &[]).await, "502");
    assert_eq!(who(&mesh, "http://undeclared.com:9999/", &[]).await, "502");

    // Beside a declared host of the same VirtualService they exist on its port too.
    let yaml = service("x.com", 8080, &[1]) + &owns("both", "[x.com, undeclared.com]", "x.com");
    let mesh = build(Mesh::builder().registry_only(true), &yaml);
    assert_eq!(
        who(&mesh, "http://undeclared.com:8080/", &[]).await,
        "10.0.0.1:8080"
    );
}

const FILTERED: &str = r"
  hosts: [a.com]
  http:
  - match: [{sourceLabels: {app: tester}}]
    route: [{destination: {host: b.com}}]
  - match: [{sourceNamespace: lab}]
    route: [{destination: {host: c.com}}]
  - match: [{port: 8080}]
    route: [{destination: {host: d.com}}]
  - match: [{gateways: [gw], uri: {prefix: /}}]
    route: [{destination: {host: d.com}}]";

fn four_services() -> String {
    let service = |(host, number): (&str, u8)| service(host, 80, &[number]);
    [("a.com", 1), ("b.com", 2), ("c.com", 3), ("d.com", 4)]
        .map(service)
        .concat()
}

#[tokio::test]
async fn rules_for_other_clients_do_not_exist() {
    let yaml = four_services() + &virtual_service("filtered", FILTERED);
    let answers = async |builder, url| who(&build(builder, &yaml), url, &[]).await;
    let tester = Mesh::builder().label("app", "tester").label("x", "y");
    assert_eq!(answers(tester, "http://a.com/").await, "10.0.0.2:80");
    let lab = Mesh::builder().namespace("lab");
    assert_eq!(answers(lab, "http://a.com/").await, "10.0.0.3:80");
    // Nothing is left of the VirtualService, so the service has its default route.
    assert_eq!(
        answers(Mesh::builder(), "http://a.com/").await,
        "10.0.0.1:80"
    );
}

#[tokio::test]
async fn gateways_in_a_match_push_labels_and_namespace_aside() {
    let spec = "  hosts: [a.com]\n  gateways: [mesh, gw]\n  http:\n  \
                - match: [{gateways: [mesh], sourceLabels: {no: such}}]\n    \
                route: [{destination: {host: b.com}}]";
    let mesh = mesh(&(four_services() + &virtual_service("it", spec)));
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.2:80");
}

#[tokio::test]
async fn nothing_follows_a_catch_all() {
    let spec = "  hosts: [a.com]\n  http:\n  \
                - match: [{uri: {prefix: /}}]\n    route: [{destination: {host: b.com}}]\n  \
                - match: [{uri: {exact: /x}}]\n    route: [{destination: {host: c.com}}]";
    let mesh = mesh(&(four_services() + &virtual_service("it", spec)));
    assert_eq!(who(&mesh, "http://a.com/x", &[]).await, "10.0.0.2:80");
}

#[tokio::test]
async fn exports_decide_who_sees_a_virtual_service() {
    let spec = format!("  exportTo: [shop]\n  hosts: [a.com]\n{}", to("b.com"));
    let yaml = four_services() + &virtual_service("it", &spec);
    let outside = build(Mesh::builder(), &yaml);
    assert_eq!(who(&outside, "http://a.com/", &[]).await, "10.0.0.1:80");
    let inside = build(Mesh::builder().namespace("shop"), &yaml);
    assert_eq!(who(&inside, "http://a.com/", &[]).await, "10.0.0.2:80");
}

#[tokio::test]
async fn the_path_is_normalised_before_it_is_matched_and_forwarded() {
    let spec = "  hosts: [a.com]\n  http:\n  \
                - match: [{uri: {prefix: /admin}}]\n    route: [{destination: {host: b.com}}]\n  \
                - route: [{destination: {host: a.com}}]";
    let mesh = mesh(&(four_services() + &virtual_service("it", spec)));
    let answer = get(&mesh, "http://a.com/x/%2e%2e/%61dmin?q=/..", &[]).await;
    assert_eq!(answer, "10.0.0.2:80 GET /admin?q=/.. a.com");
    assert_eq!(who(&mesh, "http://a.com//admin", &[]).await, "10.0.0.1:80");
}

/// As Envoy under REGISTRY_ONLY: a host nobody declares leads to a black hole, which answers 502; a
/// rule's destination nobody declares is a cluster there is not.
#[tokio::test]
async fn an_undeclared_host_is_502_and_an_undeclared_destination_503() {
    let to = |host: &str| format!("route: [{{destination: {{host: {host}}}}}]");
    let rules = format!(
        "  hosts: [a.com]\n  http:\n  - match: [{{uri: {{prefix: /gone}}}}]\n    {}\n  - {}",
        to("undeclared.com"),
        to("a.com")
    );
    let yaml = service("a.com", 80, &[1]) + &virtual_service("it", &rules);
    let mesh = build(Mesh::builder().registry_only(true), &yaml);
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
    assert_eq!(get(&mesh, "http://a.com/gone", &[]).await, "503 NC ");
    assert_eq!(who(&mesh, "http://undeclared.com/", &[]).await, "502");
    for (host, path, want) in [
        ("a.com", "/", "200"),
        ("a.com", "/gone", "503 NC"),
        ("undeclared.com", "/", "502"),
    ] {
        let request = http::Request::get(path).header("host", host);
        let request = request.body(tower_mesh::body::Body::empty()).unwrap();
        let answer = proxy(&mesh).oneshot(request).await.unwrap();
        assert!(
            seen(&answer).starts_with(want),
            "{host}{path} {}",
            seen(&answer)
        );
    }
}
