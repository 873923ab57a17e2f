//! `tcp[]` and `tls[]`: rules for connections that carry no HTTP to be read.

use std::net::IpAddr;

use super::http::{SoundHost, check_destination};
use super::names::{check_gateways, check_host, check_labels, is_dns_label, shortened};
use super::{check_port, invalid, missing, tell};
use crate::api;
use crate::diagnostic::{At, Code, Diagnostics};
use crate::host;

pub(super) fn check_tls(written: &api::VirtualService, at: At<'_>, found: &mut Diagnostics) {
    for (n, rule) in written.tls.iter().enumerate() {
        let at = at.item(n);
        if rule.r#match.is_empty() {
            let message = "TLS route must have at least one match condition";
            missing(found, at.field("match"), message);
        }
        let at_match = at.field("match");
        for (n, block) in rule.r#match.iter().enumerate() {
            let at = at_match.item(n);
            check_sni_hosts(written, &block.sni_hosts, at.field("sniHosts"), found);
            check_subnets(
                &block.destination_subnets,
                at.field("destinationSubnets"),
                found,
            );
            check_block(
                block.port,
                &block.source_labels,
                &block.gateways,
                &block.source_namespace,
                at,
                found,
            );
        }
        check_route(
            &rule.route,
            "TLS route is required",
            at.field("route"),
            found,
        );
    }
}

pub(super) fn check_tcp(written: &api::VirtualService, at: At<'_>, found: &mut Diagnostics) {
    for (n, rule) in written.tcp.iter().enumerate() {
        let at = at.item(n);
        let at_match = at.field("match");
        for (n, block) in rule.r#match.iter().enumerate() {
            let at = at_match.item(n);
            check_subnets(
                &block.destination_subnets,
                at.field("destinationSubnets"),
                found,
            );
            if !block.source_subnet.is_empty() {
                let message = "Istio does not act on sourceSubnet: it has no effect";
                tell(found, Code::NeverFires, at.field("sourceSubnet"), message);
            }
            check_block(
                block.port,
                &block.source_labels,
                &block.gateways,
                &block.source_namespace,
                at,
                found,
            );
        }
        check_route(
            &rule.route,
            "TCP route is required",
            at.field("route"),
            found,
        );
    }
}

fn check_block(
    port: Option<u32>,
    labels: &indexmap::IndexMap<String, String>,
    gateways: &[String],
    namespace: &str,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    if let Some(port) = port {
        check_port(port, at.field("port"), found);
    }
    check_labels(labels, at.field("sourceLabels"), found);
    check_gateways(gateways, at.field("gateways"), found);
    if !namespace.is_empty() && !is_dns_label(namespace) {
        let message = format!("sourceNamespace match {} is invalid", shortened(namespace));
        invalid(found, at.field("sourceNamespace"), message);
    }
}

/// Whether a gateway of another mesh is asked for a host by this name, which is no domain: gateways
/// that pass TLS on name their hosts so.
pub(super) fn is_passed_on(written: &api::VirtualService, name: &str) -> bool {
    let mut blocks = written.tls.iter().flat_map(|it| &it.r#match);
    name.starts_with("outbound_.")
        && written.gateways.iter().any(|it| it != "mesh")
        && blocks.any(|it| it.sni_hosts.iter().any(|it| it == name))
}

fn check_sni_hosts(
    written: &api::VirtualService,
    names: &[String],
    at: At<'_>,
    found: &mut Diagnostics,
) {
    let hosts = &written.hosts;
    if names.is_empty() {
        missing(found, at, "TLS match must have at least one SNI host");
    }
    for (n, name) in names.iter().enumerate() {
        let at = at.item(n);
        if !is_passed_on(written, name) {
            check_host(name, at, found);
        }
        if host::is_address(name) {
            let message = format!("no client names {name:?}: a server name is never an address");
            tell(found, Code::NeverMatches, at, message);
            continue;
        }
        let within =
            |it: &String| host::is_subset_of(&name.to_ascii_lowercase(), &it.to_ascii_lowercase());
        if !hosts.iter().any(within) {
            let some: Vec<_> = hosts.iter().take(5).map(|it| shortened(it)).collect();
            let message = format!(
                "SNI host {:?} is not a compatible subset of any of the virtual service hosts: \
                 [{}]",
                shortened(name),
                some.join(", ")
            );
            invalid(found, at, message);
        }
    }
}

/// Refuses what is neither an address nor a network.
pub(super) fn check_subnets(written: &[String], at: At<'_>, found: &mut Diagnostics) {
    for (n, text) in written.iter().enumerate() {
        if !is_subnet(text) {
            let message = format!("{:?} is not a valid CIDR block", shortened(text));
            invalid(found, at.item(n), message);
        }
    }
}

/// Whether this is an address, or one with the length of a prefix.
pub(super) fn is_subnet(text: &str) -> bool {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let longest = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.is_none_or(|it| it.parse::<u8>().is_ok_and(|it| it <= longest))
}

fn check_route(
    route: &[api::RouteDestination],
    required: &str,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    if route.is_empty() {
        missing(found, at, required);
    }
    let mut sum: i64 = 0;
    for (n, item) in route.iter().enumerate() {
        let at = at.item(n);
        match &item.destination {
            None => missing(found, at.field("destination"), "destination is required"),
            Some(it) => {
                check_destination(
                    it,
                    &mut SoundHost::default(),
                    at.field("destination"),
                    found,
                );
            }
        }
        if item.weight < 0 {
            invalid(
                found,
                at.field("weight"),
                format!("weight {} < 0", item.weight),
            );
        }
        sum += i64::from(item.weight.max(0));
    }
    if route.len() > 1 && sum == 0 {
        invalid(found, at, "total destination weight = 0");
    }
}
