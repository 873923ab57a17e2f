//! `Gateway`: its servers, their ports and hosts.

use std::collections::HashSet;

use super::names::{check_labels, domain_fault, is_dns_label, shortened};
use super::{check_port, exclusive, invalid, missing, server_tls, tell};
use crate::api::{self, ServerTlsMode};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::host;

const PROTOCOLS: [&str; 10] = [
    "HTTP", "HTTPS", "GRPC", "GRPC-WEB", "HTTP2", "MONGO", "TCP", "TLS", "REDIS", "MYSQL",
];

pub(super) fn check(written: &api::Gateway, name: &str, at: At<'_>, found: &mut Diagnostics) {
    if !name.is_empty() && !is_dns_label(name) {
        let at = At::Top.field("metadata");
        let message = format!("invalid gateway name: {:?}", shortened(name));
        invalid(found, at.field("name"), message);
    }
    check_labels(&written.selector, at.field("selector"), found);
    let at = at.field("servers");
    if written.servers.is_empty() {
        missing(found, at, "gateway must have at least one server");
    }
    let mut names = HashSet::new();
    for (n, server) in written.servers.iter().enumerate() {
        let at = at.item(n);
        check_hosts(&server.hosts, at.field("hosts"), found);
        check_bind(server, at, found);
        if !server.default_endpoint.is_empty() {
            let message = "Istio does not act on defaultEndpoint: it has no effect";
            tell(
                found,
                Code::NeverFires,
                at.field("defaultEndpoint"),
                message,
            );
        }
        let Some(port) = &server.port else {
            missing(found, at.field("port"), "port is required");
            continue;
        };
        let protocol = port.protocol.to_ascii_uppercase();
        check_server_port(port, &protocol, at.field("port"), found);
        if !port.name.is_empty() && !names.insert(port.name.as_str()) {
            let message = format!(
                "port names in servers must be unique: duplicate name {}",
                shortened(&port.name)
            );
            invalid(found, at.field("port").field("name"), message);
        }
        check_tls(server, &protocol, at, found);
    }
}

fn check_server_port(port: &api::ServerPort, protocol: &str, at: At<'_>, found: &mut Diagnostics) {
    if port.name.is_empty() {
        missing(found, at.field("name"), "port name must be set");
    }
    if protocol.is_empty() {
        missing(found, at.field("protocol"), "port protocol must be set");
    } else if !PROTOCOLS.contains(&protocol) {
        let message = format!(
            "invalid protocol {:?}, supported protocols are {}",
            shortened(&port.protocol),
            PROTOCOLS.join(", ")
        );
        invalid(found, at.field("protocol"), message);
    }
    if port.target_port.is_some() {
        let message = "targetPort has no impact on Gateways";
        tell(found, Code::Deprecated, at.field("targetPort"), message);
    }
}

fn check_bind(server: &api::Server, at: At<'_>, found: &mut Diagnostics) {
    let number = server.port.as_ref().map(|it| it.number);
    let at_port = at.field("port");
    if server.bind.starts_with("unix://") {
        if number.is_some_and(|it| it != 0) {
            let message = "port number must be 0 for unix domain socket";
            invalid(found, at_port.field("number"), message);
        }
        let path = server.bind.trim_start_matches("unix://");
        if !path.starts_with(['/', '@']) {
            let message = "a unix socket is unix:///path or unix://@name";
            invalid(found, at.field("bind"), message);
        }
        return;
    }
    if let Some(number) = number {
        check_port(number, at_port.field("number"), found);
    }
    if !server.bind.is_empty() && !host::is_address(&server.bind) {
        let message = format!("{:?} is not a valid IP", shortened(&server.bind));
        invalid(found, at.field("bind"), message);
    }
}

fn check_hosts(hosts: &[String], at: At<'_>, found: &mut Diagnostics) {
    if hosts.is_empty() {
        missing(found, at, "server config must contain at least one host");
    }
    for (n, written) in hosts.iter().enumerate() {
        let at = at.item(n);
        let (namespace, name) = match written.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, written.as_str()),
        };
        if let Some(namespace) = namespace
            && !["*", "."].contains(&namespace)
            && !is_dns_label(namespace)
        {
            let namespace = shortened(namespace);
            let message = format!("invalid namespace value {namespace:?} in gateway");
            invalid(found, at, message);
        }
        if name == "*" || host::is_address(name) {
            continue;
        }
        let shown = shortened(name);
        let plain = name.strip_prefix("*.").unwrap_or(name);
        if name.contains('*') && plain.contains('*') {
            invalid(found, at, format!("partial wildcard {shown:?} not allowed"));
        } else if let Some(fault) = domain_fault(plain, false) {
            invalid(found, at, fault);
        } else if !name.contains('.') {
            let message = format!("short names (non FQDN) are not allowed: {shown:?}");
            let hint = format!("write {shown}.<namespace>.svc.cluster.local");
            found.push(Diagnostic::new(Code::InvalidValue, at, message).hint(hint));
        }
    }
}

fn check_tls(server: &api::Server, protocol: &str, at: At<'_>, found: &mut Diagnostics) {
    let at_tls = at.field("tls");
    let secure = ["HTTPS", "TLS"].contains(&protocol);
    let plain = ["HTTP", "HTTP2", "GRPC", "GRPC-WEB"].contains(&protocol);
    let Some(tls) = &server.tls else {
        if secure {
            let message = "server must have TLS settings for HTTPS/TLS protocols";
            missing(found, at_tls, message);
        }
        return;
    };
    let bare = tls.mode == ServerTlsMode::Passthrough && !server_tls::has_certificates(tls);
    if plain && !bare {
        let message = "server cannot have TLS settings for plain text HTTP ports";
        exclusive(found, at_tls, message);
    } else if !plain && !secure && !protocol.is_empty() {
        let message = "server cannot have TLS settings for non HTTPS/TLS ports";
        exclusive(found, at_tls, message);
    }
    let others = api::ServerTlsSettings {
        https_redirect: None,
        ..tls.clone()
    };
    if plain && bare && others != api::ServerTlsSettings::default() {
        let message = "a plain HTTP server does not end TLS: only httpsRedirect has an effect";
        tell(found, Code::NeverFires, at_tls, message);
    }
    if tls.https_redirect == Some(true) && !plain {
        let message = "tls.httpsRedirect should only be used with http servers";
        tell(
            found,
            Code::NeverFires,
            at_tls.field("httpsRedirect"),
            message,
        );
    }
    server_tls::check(tls, at_tls, found);
}
