//! What ports and addresses as written come to.

use super::{Protocol, Registry};
use crate::api::{Service, ServicePort};
use crate::connection::UpstreamProtocol;
use crate::diagnostic::{At, Diagnostics};

/// What endpoints behind a Kubernetes port of this name and `appProtocol` are spoken to in.
#[track_caller]
fn check(name: &str, app_protocol: &str, want: UpstreamProtocol) {
    let port = ServicePort {
        name: name.to_owned(),
        port: 80,
        app_protocol: app_protocol.to_owned(),
        ..ServicePort::default()
    };
    let mut service = Service::default();
    service.ports.push(port);
    let (mut registry, mut found) = (Registry::default(), Diagnostics::default());
    registry.add_service("ns", "a", "cluster.local", &service, At::Top, &mut found);
    let port = registry
        .get("a.ns.svc.cluster.local")
        .and_then(|it| it.port(80));
    let port = port.expect("just added");
    assert_eq!(port.protocol.upstream(), want, "{name} {app_protocol}");
    assert_ne!(port.protocol, Protocol::Other);
}

#[test]
fn names_of_kubernetes_ports_say_what_is_spoken() {
    use UpstreamProtocol::{AsRequested, Http1, Http2};
    for name in [
        "grpc",
        "grpc-web-not",
        "grpc-orders",
        "http2",
        "http2-web",
        "GRPC-x",
    ] {
        let want = if name.starts_with("grpc-web-") {
            Http1
        } else {
            Http2
        };
        check(name, "", want);
    }
    for name in ["http", "http-web", "grpc-web", "grpc-web-x"] {
        check(name, "", Http1);
    }
    for name in ["", "web", "httpx", "h2c"] {
        check(name, "", AsRequested);
    }
    check("http", "kubernetes.io/h2c", Http2);
    check("http", "grpc", Http2);
    check("grpc", "http", Http1);
    check("web", "kubernetes.io/ws", Http1);
}
