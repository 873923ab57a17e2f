//! What resources can say across rooms and is left out on purpose; a room refuses its own.
//!
//! Each is an error, or a warning when read leniently, instead of a silent
//! difference from the sidecar.

use crate::api;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

pub(super) fn virtual_service(written: &api::VirtualService, at: At<'_>, found: &mut Diagnostics) {
    for (field, written) in [
        ("tls", !written.tls.is_empty()),
        ("tcp", !written.tcp.is_empty()),
    ] {
        if written {
            let message = format!("{field} rules are for connections; this library sees requests");
            let hint = "on purpose: leave them to a proxy, in a resource this mesh is not given";
            found.push(Diagnostic::new(Code::NotBuilt, at.field(field), message).hint(hint));
        }
    }
}

pub(super) fn destination_rule(
    written: &api::DestinationRule,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    if let Some(policy) = &written.traffic_policy {
        traffic_policy(policy, at.field("trafficPolicy"), found);
    }
    let subsets = at.field("subsets");
    for (n, subset) in written.subsets.iter().enumerate() {
        if let Some(policy) = &subset.traffic_policy {
            let at = subsets.item(n);
            traffic_policy(policy, at.field("trafficPolicy"), found);
        }
    }
}

fn traffic_policy(written: &api::TrafficPolicy, at: At<'_>, found: &mut Diagnostics) {
    if written.tunnel.is_some() {
        let message = "a tunnel is for TCP and TLS routes; requests are not sent through it, by a sidecar neither";
        found.push(Diagnostic::new(
            Code::NeverFires,
            at.field("tunnel"),
            message,
        ));
    }
}

pub(super) fn gateway(written: &api::Gateway, at: At<'_>, found: &mut Diagnostics) {
    let servers = at.field("servers");
    for (n, server) in written.servers.iter().enumerate() {
        let at = servers.item(n);
        let Some(tls) = &server.tls else { continue };
        // That has its effect; that it is for plain HTTP only, the validation says.
        if tls.https_redirect != Some(true) {
            let message = "connections are accepted in front of this library, and TLS ends there";
            let hint = "on purpose: declare the server as plain HTTP, and let what listens end TLS";
            found.push(Diagnostic::new(Code::NotBuilt, at.field("tls"), message).hint(hint));
        }
    }
}
