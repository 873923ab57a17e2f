//! ServiceEntry from outside: where requests to its hosts and ports go.

use std::collections::BTreeSet;

use tower_mesh::mesh::Mesh;

use crate::support::{build, get, mesh, virtual_service, who};

/// A ServiceEntry with these further fields.
fn entry(spec: &str) -> String {
    let spec = spec.replace('\n', "\n  ");
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: it}}\n\
         spec:\n  {spec}\n---\n"
    )
}

/// Who answers forty requests for a URL.
async fn everybody(mesh: &Mesh, url: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        seen.insert(who(mesh, url, &[]).await);
    }
    seen.into_iter().collect()
}

#[tokio::test]
async fn ports_lead_where_endpoints_say_else_where_the_port_says() {
    let mesh = mesh(&entry(
        "hosts: [a.com, b.com]
ports:
- {number: 80, name: http, protocol: HTTP, targetPort: 8080}
- {number: 81, name: more, protocol: HTTP}
resolution: STATIC
endpoints:
- {address: 10.0.0.1}
- {address: 10.0.0.2, ports: {http: 9080}}
- {address: 'fd00::3', ports: {more: 9081}}",
    ));
    for host in ["a.com", "b.com", "A.com"] {
        assert_eq!(
            everybody(&mesh, &format!("http://{host}/")).await,
            ["10.0.0.1:8080", "10.0.0.2:9080", "[fd00::3]:8080"]
        );
        assert_eq!(
            everybody(&mesh, &format!("http://{host}:81/")).await,
            ["10.0.0.1:81", "10.0.0.2:81", "[fd00::3]:9081"]
        );
    }
}

/// Without a sidecar's original address a host is where DNS says it is.
#[tokio::test]
async fn without_resolution_the_host_is_where_it_is() {
    let none = |hosts: &str, target: &str| {
        mesh(&entry(&format!(
            "hosts: [{hosts}]\nports: [{{number: 80, name: http, protocol: HTTP{target}}}]"
        )))
    };
    let plain = none("a.com", "");
    assert_eq!(who(&plain, "http://a.com/", &[]).await, "a.com:80");
    let moved = none("a.com", ", targetPort: 8443");
    assert_eq!(who(&moved, "http://a.com/", &[]).await, "a.com:8443");
    let wild = none("'*.a.com'", "");
    assert_eq!(who(&wild, "http://x.a.com/", &[]).await, "x.a.com:80");
    assert_eq!(who(&wild, "http://y.a.com/", &[]).await, "y.a.com:80");
}

#[tokio::test]
async fn subsets_go_by_labels_and_by_what_places_are_called() {
    let places = "hosts: [a.com]
ports: [{number: 80, name: http, protocol: HTTP}]
resolution: STATIC
endpoints:
- {address: 10.0.0.1, labels: {version: v1}, locality: eu/a/1, network: near}
- {address: 10.0.0.2, labels: {version: v2}, locality: eu/b/1, network: near}
- {address: 10.0.0.3, labels: {version: v2, istio-locality: us.a.2}, network: far}";
    for (label, value, want) in [
        ("version", "v1", &["10.0.0.1:80"][..]),
        ("version", "v2", &["10.0.0.2:80", "10.0.0.3:80"]),
        (
            "topology.kubernetes.io/region",
            "eu",
            &["10.0.0.1:80", "10.0.0.2:80"],
        ),
        (
            "topology.kubernetes.io/zone",
            "a",
            &["10.0.0.1:80", "10.0.0.3:80"],
        ),
        ("topology.istio.io/subzone", "2", &["10.0.0.3:80"]),
        (
            "topology.istio.io/network",
            "near",
            &["10.0.0.1:80", "10.0.0.2:80"],
        ),
    ] {
        let rules = entry(places)
            + &format!(
                "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: it}}\n\
                 spec: {{host: a.com, subsets: [{{name: it, labels: {{{label}: '{value}'}}}}]}}\n---\n"
            )
            + &virtual_service(
                "it",
                "  hosts: [a.com]\n  http: [{route: [{destination: {host: a.com, subset: it}}]}]",
            );
        assert_eq!(
            everybody(&mesh(&rules), "http://a.com/").await,
            want,
            "{label}"
        );
    }
}

/// Those of the client's own network first, where a rule asks for it.
#[tokio::test]
async fn the_network_is_one_of_the_labels_of_a_place() {
    let rules = entry(
        "hosts: [a.com]
ports: [{number: 80, name: http, protocol: HTTP}]
resolution: STATIC
endpoints:
- {address: 10.0.0.1, network: near}
- {address: 10.0.0.2, network: far}",
    ) + "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: it}
spec:
  host: a.com
  trafficPolicy:
    outlierDetection: {}
    loadBalancer: {localityLbSetting: {failoverPriority: [topology.istio.io/network]}}
";
    for (network, want) in [("near", "10.0.0.1:80"), ("far", "10.0.0.2:80")] {
        let mesh = build(Mesh::builder().network(network), &rules);
        assert_eq!(everybody(&mesh, "http://a.com/").await, [want], "{network}");
    }
}

#[tokio::test]
async fn an_entry_that_is_not_exported_to_the_client_is_not_there() {
    let of = |to: &str| {
        let rules = entry(&format!(
            "hosts: [a.com]
ports: [{{number: 80, name: http, protocol: HTTP}}]
resolution: STATIC
endpoints: [{{address: 10.0.0.1}}]
exportTo: [{to}]"
        ));
        build(
            Mesh::builder().namespace("shop").registry_only(true),
            &rules,
        )
    };
    for (to, want) in [
        ("'*'", "10.0.0.1:80 GET / a.com"),
        ("shop", "10.0.0.1:80 GET / a.com"),
        ("'.'", "502 - "),
        ("other", "502 - "),
        ("'~'", "502 - "),
    ] {
        assert_eq!(get(&of(to), "http://a.com/", &[]).await, want, "{to}");
    }
}

/// Its own addresses are names of the host; ports that are not HTTP are none of a mesh's.
#[tokio::test]
async fn addresses_are_names_too() {
    let mesh = build(
        Mesh::builder().registry_only(true),
        &entry(
            "hosts: [a.com]
addresses: [10.9.9.9]
ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
resolution: STATIC
endpoints: [{address: 10.0.0.1}]",
        ),
    );
    assert_eq!(who(&mesh, "http://10.9.9.9/", &[]).await, "10.0.0.1:80");
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
    assert_eq!(get(&mesh, "http://a.com:443/", &[]).await, "502 - ");
}
