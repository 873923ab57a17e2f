//! `VirtualService`: hosts, gateways, and which rules it may have.

use rustc_hash::{FxHashMap, FxHashSet};

use super::http::{self, SoundHost};
use super::names::{check_gateways, check_host, shortened};
use super::{export_to, invalid, l4, missing};
use crate::api;
use crate::diagnostic::{At, Diagnostics};
use crate::host;
use crate::source::Source;

pub(super) fn check(
    written: &api::VirtualService,
    namespace: &str,
    source: &Source,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    let gateways = written.gateways.as_slice();
    let on_mesh = gateways.is_empty() || gateways.iter().any(|it| it == "mesh");
    check_gateways(gateways, at.field("gateways"), found);
    export_to::check(
        &written.export_to,
        namespace,
        false,
        at.field("exportTo"),
        found,
    );
    if written.hosts.is_empty() {
        check_delegate(written, at, found);
    }
    check_hosts(
        written,
        on_mesh,
        namespace,
        source,
        at.field("hosts"),
        found,
    );
    if written.http.is_empty() && written.tcp.is_empty() && written.tls.is_empty() {
        missing(
            found,
            at,
            "http, tcp or tls must be provided in virtual service",
        );
    }
    let only_mesh = gateways.iter().all(|it| it == "mesh");
    let at_http = at.field("http");
    let delegate = written.hosts.is_empty();
    let mut sound = SoundHost::default();
    for (n, rule) in written.http.iter().enumerate() {
        let at = at_http.item(n);
        http::check(rule, delegate, only_mesh, &mut sound, at, found);
    }
    l4::check_tls(written, at.field("tls"), found);
    l4::check_tcp(written, at.field("tcp"), found);
}

/// Without hosts a VirtualService is one whose rules another takes.
fn check_delegate(written: &api::VirtualService, at: At<'_>, found: &mut Diagnostics) {
    if !written.gateways.is_empty() {
        let message = "delegate virtual service must have no gateways specified";
        invalid(found, at.field("gateways"), message);
    }
    if !written.tls.is_empty() {
        let message = "delegate virtual service must have no tls route specified";
        invalid(found, at.field("tls"), message);
    }
    if !written.tcp.is_empty() {
        let message = "delegate virtual service must have no tcp route specified";
        invalid(found, at.field("tcp"), message);
    }
}

fn check_hosts(
    written: &api::VirtualService,
    on_mesh: bool,
    namespace: &str,
    source: &Source,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    let mut exact: FxHashMap<String, &str> = FxHashMap::default();
    let mut wild: FxHashMap<String, &str> = FxHashMap::default();
    let mut full_names = Vec::new();
    for (n, name) in written.hosts.iter().enumerate() {
        let at = at.item(n);
        if name.is_empty() {
            invalid(found, at, "a host may not be empty");
            continue;
        }
        if name == "*" && on_mesh {
            let message = "wildcard host * is not allowed for virtual services bound to the mesh \
                           gateway";
            invalid(found, at, message);
        }
        if !l4::is_passed_on(written, name) {
            check_host(name, at, found);
        }
        // One name has no other to be like.
        if written.hosts.len() == 1 {
            return;
        }
        let full = host::resolve_short_name(name, namespace, &source.cluster_domain);
        let earlier = match host::wildcard_suffix(&full) {
            Some(suffix) => wild.insert(suffix.to_owned(), name),
            None => exact.insert(full.clone(), name),
        };
        if let Some(earlier) = earlier {
            let (earlier, name) = (shortened(earlier), shortened(name));
            let message = format!("duplicate hosts in virtual service: {earlier} & {name}");
            invalid(found, at, message);
        } else {
            full_names.push((n, full, name.as_str()));
        }
    }
    if wild.is_empty() {
        return;
    }
    let lengths: FxHashSet<usize> = wild.keys().map(String::len).collect();
    for (n, full, name) in full_names {
        // The star of a wildcard counts as a character of what another covers.
        let covers = lengths
            .iter()
            .filter(|length| **length < full.len())
            .find_map(|length| {
                let suffix = full.get(full.len() - length..)?;
                wild.get(suffix)
                    .filter(|_| host::wildcard_suffix(&full) != Some(suffix))
            });
        if let Some(wider) = covers {
            let (wider, name) = (shortened(wider), shortened(name));
            let message = format!("duplicate hosts in virtual service: {wider} & {name}");
            invalid(found, at.item(n), message);
        }
    }
}
