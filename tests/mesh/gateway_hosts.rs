//! Who owns a host at a gateway.

use http::Request;
use tower::ServiceExt as _;
use tower_mesh::body::Body;
use tower_mesh::context::{Claims, ResponseFlags};
use tower_mesh::mesh::Mesh;

use crate::support::{build, proxy, service, virtual_service, who};

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

/// The same gateway, which sends plain HTTP to https.
fn redirecting(yaml: &str) -> Mesh {
    let services = service("one.com", 80, &[1]);
    let server = "    hosts: ['*.foo.com', default/bar.com, other/closed.com]\n";
    let gateway = GATEWAY.replace(
        server,
        &format!("{server}    tls: {{httpsRedirect: true}}\n"),
    );
    build(
        Mesh::builder().gateway("default/gw"),
        &(gateway + &services + yaml),
    )
}

/// Status, flags and `Location` of the answer to a request through a proxy.
async fn answer(mesh: &Mesh, line: &str, headers: &[(&str, &str)]) -> String {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let proxy = mesh.forward_with(
        crate::support::echo as fn(&tower_mesh::endpoint::Endpoint) -> crate::support::Echo,
    );
    let request = request.body(Body::empty()).unwrap();
    let response = proxy.oneshot(request).await.unwrap();
    let location = response
        .headers()
        .get("location")
        .map(|it| it.to_str().unwrap());
    let flags = ResponseFlags::of(&response);
    format!(
        "{} {flags} {}",
        response.status().as_u16(),
        location.unwrap_or_default()
    )
}

#[tokio::test]
async fn plain_http_is_sent_to_https_before_any_rule_is_looked_at() {
    let abort = "  - match: [{uri: {prefix: /x}}]\n    fault: {abort: {httpStatus: 500, percentage: {value: 100}}}\n    route: [{destination: {host: one.com}}]\n";
    let mesh = redirecting(&bound("all", "['*']", abort));
    let asked = |line, headers| answer(&mesh, line, headers);
    let host = ("host", "a.foo.com:80");
    let plain = [host];
    assert_eq!(
        asked("GET /x?q", &plain).await,
        "301 - https://a.foo.com:80/x?q"
    );
    assert_eq!(
        asked("POST /other", &plain).await,
        "301 - https://a.foo.com:80/other"
    );
    let cased = [("host", "A.foo.com")];
    assert_eq!(asked("GET /x", &cased).await, "301 - https://A.foo.com/x");
    let preflight = [
        host,
        ("origin", "o"),
        ("access-control-request-method", "PUT"),
    ];
    assert_eq!(
        asked("OPTIONS /x", &preflight).await,
        "301 - https://a.foo.com:80/x"
    );
    let grpc = [host, ("content-type", "application/grpc")];
    assert_eq!(
        asked("POST /x", &grpc).await,
        "200 - https://a.foo.com:80/x"
    );
    let secure = [host, ("x-forwarded-proto", "https")];
    assert_eq!(asked("GET /x", &secure).await, "500 FI ");
    assert_eq!(asked("GET /other", &secure).await, "404 NR ");
}

#[tokio::test]
async fn hosts_without_rules_are_sent_to_https_too() {
    let mesh = redirecting("");
    let asked = |host| {
        let mesh = mesh.clone();
        async move { answer(&mesh, "GET /x", &[("host", host)]).await }
    };
    assert_eq!(asked("a.foo.com").await, "301 - https://a.foo.com/x");
    // Named with a namespace, it is there for VirtualServices only.
    assert_eq!(asked("bar.com").await, "404 NR ");
    assert_eq!(asked("foo.com").await, "404 NR ");
    let explained = mesh.explain(
        &Request::get("http://a.foo.com/x")
            .body(())
            .unwrap()
            .into_parts()
            .0,
    );
    assert!(
        explained.to_string().contains("sends plain HTTP to https"),
        "{explained}"
    );
}

/// Whatever verifies tokens in front of the mesh tells their claims; rules go by them.
#[tokio::test]
async fn rules_go_by_the_claims_of_a_token() {
    let claim = "  - match: [{headers: {'@request.auth.claims.groups': {exact: testers}}}]\n    \
                 route: [{destination: {host: two.com}}]\n";
    let rules = format!("{claim}{}", rule("/", "one.com"));
    let mesh = gateway(&bound("claims", "[a.foo.com]", &rules));
    let ask = |groups: &[&str]| {
        let mut request = Request::get("/").header("host", "a.foo.com");
        if !groups.is_empty() {
            request = request.extension(Claims::new().claim(&["groups"], groups));
        }
        proxy(&mesh).oneshot(request.body(Body::empty()).unwrap())
    };
    for (groups, want) in [
        (&["all", "testers"][..], "outbound|80||two.com"),
        (&["all"], "outbound|80||one.com"),
        (&[], "outbound|80||one.com"),
    ] {
        let response = ask(groups).await.unwrap();
        assert_eq!(
            response.body().info().upstream_cluster(),
            Some(want),
            "{groups:?}"
        );
    }
}
