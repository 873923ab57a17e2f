//! Corner cases of who owns a host, each as Istio decides it.

use tower_mesh::mesh::Mesh;

use crate::support::{build, get, mesh, service, virtual_service, who};

fn to(name: &str, hosts: &str, host: &str) -> String {
    let spec =
        format!("  hosts: {hosts}\n  http: [{{route: [{{destination: {{host: {host}}}}}]}}]");
    virtual_service(name, &spec)
}

#[tokio::test]
async fn a_destination_without_a_port_has_the_one_dialled() {
    let mesh = mesh(&(service("x.com", 8080, &[1]) + &to("it", "[u.com]", "x.com")));
    assert_eq!(get(&mesh, "http://u.com/", &[]).await, "503 NC ");
}

#[tokio::test]
async fn the_requests_host_stands_for_a_wildcard_that_is_resolved() {
    let yaml = service("*.wiki.org", 80, &[]).replace("STATIC\n  endpoints:", "NONE");
    assert_eq!(
        who(&mesh(&yaml), "http://en.wiki.org/", &[]).await,
        "en.wiki.org:80"
    );
}

#[tokio::test]
async fn a_wildcard_that_owns_no_service_of_a_port_brings_nothing_there() {
    let yaml = service("a.foo.com", 8080, &[1])
        + &service("x.com", 8080, &[2])
        + &to("exact", "[a.foo.com]", "a.foo.com")
        + &to("wild", "['*.foo.com', undeclared.com]", "x.com");
    let mesh = build(Mesh::builder().registry_only(true), &yaml);
    assert_eq!(who(&mesh, "http://undeclared.com:8080/", &[]).await, "502");
}

#[tokio::test]
async fn a_host_declared_for_tcp_is_no_undeclared_host() {
    let database = service("db.com", 80, &[1]).replace("protocol: HTTP", "protocol: TCP");
    let yaml = service("x.com", 80, &[2]) + &database + &to("it", "[db.com]", "x.com");
    let mesh = build(Mesh::builder().registry_only(true), &yaml);
    assert_eq!(who(&mesh, "http://db.com/", &[]).await, "502");
}

#[tokio::test]
async fn a_wildcard_inside_a_services_wildcard_owns_nothing() {
    let yaml = service("*.foo.com", 80, &[1])
        + &service("x.com", 80, &[2])
        + &to("it", "['*.en.foo.com']", "x.com");
    assert_eq!(
        who(&mesh(&yaml), "http://a.en.foo.com/", &[]).await,
        "10.0.0.1:80"
    );
}

#[tokio::test]
async fn an_alias_never_takes_a_full_name() {
    let yaml = service("foo.bar.svc.cluster.local", 80, &[1]) + &service("foo.bar", 80, &[2]);
    assert_eq!(
        who(&mesh(&yaml), "http://foo.bar/", &[]).await,
        "10.0.0.2:80"
    );
}

#[tokio::test]
async fn private_rules_come_first() {
    let rule = |name: &str, export_to: &str, host: &str| {
        let spec = format!(
            "  exportTo: {export_to}\n  hosts: [one.com]\n  \
             http: [{{route: [{{destination: {{host: {host}}}}}]}}]"
        );
        virtual_service(name, &spec)
    };
    let two = service("one.com", 80, &[1]) + &service("two.com", 80, &[2]);
    let check = async |first: &str, second: &str| {
        let yaml = two.clone() + &rule("a", first, "one.com") + &rule("b", second, "two.com");
        who(&mesh(&yaml), "http://one.com/", &[]).await
    };
    assert_eq!(check("['*']", "['.']").await, "10.0.0.2:80");
    assert_eq!(check("['*']", "['*']").await, "10.0.0.1:80");
    assert_eq!(check("[default]", "['.']").await, "10.0.0.1:80");
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn https_is_not_sent_in_the_clear() {
    use http::Request;
    use tower_mesh::body::Body;
    use tower_mesh::mesh::ErrorKind;

    let mesh = mesh(&service("a.com", 443, &[1]));
    let request = Request::get("https://a.com/secret")
        .body(Body::empty())
        .unwrap();
    let error = mesh.client().send(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(
        error.to_string().contains("without the feature `tls`"),
        "{error}"
    );
}

#[test]
fn a_gateway_nobody_declares_and_rules_nobody_can_reach_are_told() {
    let codes = |builder: tower_mesh::mesh::MeshBuilder, yaml: &str| {
        let (_, report) = builder.yaml(yaml).build().unwrap();
        let codes: Vec<_> = report
            .diagnostics()
            .iter()
            .map(|it| it.code().as_str())
            .collect();
        codes.join(" ")
    };
    let one = service("one.com", 80, &[1]);
    let unknown = Mesh::builder().gateway("default/no-such");
    assert_eq!(codes(unknown, &one), "unknown-gateway");
    let delegate =
        one + &virtual_service("it", "  http: [{route: [{destination: {host: one.com}}]}]");
    assert_eq!(codes(Mesh::builder(), &delegate), "unreachable");
}
