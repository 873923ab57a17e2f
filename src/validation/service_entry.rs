//! `ServiceEntry`: hosts, addresses, ports and endpoints, as its resolution allows them.

use super::l4::is_subnet;
use super::names::{check_host, check_labels, domain_fault, shortened};
use super::{check_port, export_to, invalid, missing, tell};
use crate::api::{self, Resolution};
use crate::diagnostic::{At, Code, Diagnostics};
use crate::host;

pub(super) fn check(
    written: &api::ServiceEntry,
    namespace: &str,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    export_to::check(
        &written.export_to,
        namespace,
        true,
        at.field("exportTo"),
        found,
    );
    check_hosts(written, at.field("hosts"), found);
    check_addresses(written, at.field("addresses"), found);
    check_ports(written, at.field("ports"), found);
    if let Some(selector) = &written.workload_selector {
        let at = at.field("workloadSelector");
        if selector.labels.is_empty() {
            let message = "a selector without labels selects every workload of the namespace";
            tell(found, Code::NeverFires, at, message);
        }
        check_labels(&selector.labels, at.field("labels"), found);
    }
    check_endpoints(written, at.field("endpoints"), found);
    check_resolution(written, at, found);
}

fn check_hosts(written: &api::ServiceEntry, at: At<'_>, found: &mut Diagnostics) {
    if written.hosts.len() > 256 {
        invalid(found, at, "a service entry has at most 256 hosts");
    }
    for (n, name) in written.hosts.iter().enumerate() {
        if !name.is_empty() && name != "*" {
            check_host(name, at.item(n), found);
        }
        if name.starts_with('*') && name.len() > 1 && !name.starts_with("*.") {
            let shown = shortened(name);
            let message =
                format!("partial wildcard {shown:?}: proxies that match whole labels skip it");
            tell(found, Code::NeverMatches, at.item(n), message);
        }
    }
}

fn check_addresses(written: &api::ServiceEntry, at: At<'_>, found: &mut Diagnostics) {
    if written.addresses.len() > 256 {
        invalid(found, at, "a service entry has at most 256 addresses");
    }
    for (n, address) in written.addresses.iter().enumerate() {
        if !is_subnet(address) {
            let message = format!("{:?} is not a valid IP or CIDR", shortened(address));
            invalid(found, at.item(n), message);
        }
    }
}

fn check_ports(written: &api::ServiceEntry, at: At<'_>, found: &mut Diagnostics) {
    let known = [
        "", "HTTP", "HTTPS", "GRPC", "GRPC-WEB", "HTTP2", "MONGO", "TCP", "TLS", "REDIS", "MYSQL",
        "UDP",
    ];
    for (n, port) in written.ports.iter().enumerate() {
        let at = at.item(n);
        if port.name.is_empty() {
            missing(found, at.field("name"), "port name must be set");
        }
        if !known.contains(&&*port.protocol.to_ascii_uppercase()) {
            let message = format!("unsupported protocol: {}", shortened(&port.protocol));
            invalid(found, at.field("protocol"), message);
        }
        check_port(port.number, at.field("number"), found);
        if let Some(target) = port.target_port.filter(|it| *it != 0) {
            check_port(target, at.field("targetPort"), found);
        }
    }
}

fn check_endpoints(written: &api::ServiceEntry, at: At<'_>, found: &mut Diagnostics) {
    if written.endpoints.len() > 4096 {
        invalid(found, at, "a service entry has at most 4096 endpoints");
    }
    for (n, endpoint) in written.endpoints.iter().enumerate() {
        let at = at.item(n);
        check_labels(&endpoint.labels, at.field("labels"), found);
        let address = endpoint.address.as_str();
        let at_address = at.field("address");
        if address.starts_with("unix:") {
            if written.ports.len() != 1 {
                let message = "exactly 1 service port required for unix endpoints";
                invalid(found, at_address, message);
            }
        } else if by_name(written.resolution)
            && !address.is_empty()
            && !host::is_address(address)
            && let Some(fault) = domain_fault(address, false)
        {
            invalid(found, at_address, fault);
        }
    }
}

const fn by_name(resolution: Resolution) -> bool {
    matches!(resolution, Resolution::Dns | Resolution::DnsRoundRobin)
}

fn check_resolution(written: &api::ServiceEntry, at: At<'_>, found: &mut Diagnostics) {
    let endpoints = &written.endpoints;
    let at_hosts = at.field("hosts");
    if by_name(written.resolution) && endpoints.is_empty() && written.workload_selector.is_none() {
        for (n, name) in written.hosts.iter().enumerate() {
            let name = name.strip_prefix("*.").unwrap_or(name);
            if !name.is_empty() && name != "*" && domain_fault(name, false).is_some() {
                let message = "hosts must be FQDN or contain only prefix wildcards if no endpoints \
                               are provided for resolution mode DNS";
                invalid(found, at_hosts.item(n), message);
            }
        }
    }
    if written.resolution == Resolution::DynamicDns {
        check_dynamic(written, at.field("ports"), found);
    }
    let raw = |it: &api::ServiceEntryPort| {
        ["TCP", "UDP", "MONGO", "REDIS", "MYSQL"].contains(&&*it.protocol.to_ascii_uppercase())
    };
    if written.hosts.len() > 1
        && written.resolution != Resolution::None
        && written.addresses.is_empty()
        && written.ports.iter().any(raw)
    {
        let message = "multiple hosts provided with non-HTTP, non-TLS ports";
        tell(found, Code::Unreachable, at_hosts, message);
    }
    if written.ports.is_empty() {
        let message = "without ports nothing can be sent to the hosts";
        tell(found, Code::Unreachable, at.field("ports"), message);
    }
}

fn check_dynamic(written: &api::ServiceEntry, at: At<'_>, found: &mut Diagnostics) {
    for (n, port) in written.ports.iter().enumerate() {
        let protocol = port.protocol.to_ascii_uppercase();
        if !["HTTP", "TLS", "GRPC", "HTTP2"].contains(&&*protocol) {
            let message = "only HTTP, TLS, GRPC and HTTP2 ports are allowed for DYNAMIC_DNS";
            invalid(found, at.item(n).field("protocol"), message);
        }
    }
}
