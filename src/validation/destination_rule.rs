//! `DestinationRule`: its host, its subsets, the policies of both.

use std::collections::HashSet;

use super::names::{check_host, check_labels, is_dns_label, shortened};
use super::{export_to, invalid, missing, tell, traffic_policy};
use crate::api;
use crate::diagnostic::{At, Code, Diagnostics};

pub(super) fn check(
    written: &api::DestinationRule,
    namespace: &str,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    match written.host.as_str() {
        "" => missing(
            found,
            at.field("host"),
            "a destination rule must have a host",
        ),
        host => check_host(host, at.field("host"), found),
    }
    export_to::check(
        &written.export_to,
        namespace,
        false,
        at.field("exportTo"),
        found,
    );
    if let Some(policy) = &written.traffic_policy {
        traffic_policy::check(policy, at.field("trafficPolicy"), found);
    }
    check_subsets(written, at.field("subsets"), found);
    check_selector(written, namespace, at, found);
}

fn check_subsets(written: &api::DestinationRule, at: At<'_>, found: &mut Diagnostics) {
    let mut names = HashSet::new();
    for (n, subset) in written.subsets.iter().enumerate() {
        let at = at.item(n);
        let name = subset.name.as_str();
        if name.is_empty() {
            missing(found, at.field("name"), "subset name cannot be empty");
        } else if !is_dns_label(name) {
            let message = format!("subset name is invalid: {}", shortened(name));
            invalid(found, at.field("name"), message);
        } else if !names.insert(name) {
            let message = format!("duplicate subset names: {name}");
            invalid(found, at.field("name"), message);
        }
        check_labels(&subset.labels, at.field("labels"), found);
        if let Some(policy) = &subset.traffic_policy {
            traffic_policy::check(policy, at.field("trafficPolicy"), found);
        }
    }
}

/// A rule for some clients only stays in their namespace.
fn check_selector(
    written: &api::DestinationRule,
    namespace: &str,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    let Some(selector) = &written.workload_selector else {
        return;
    };
    match written.export_to.as_slice() {
        [] => {}
        [only] if *only == "." || *only == namespace => {}
        [_] => {
            let message = "destination rule with workload selector cannot have exportTo beyond \
                           current namespace";
            invalid(found, at.field("exportTo"), message);
        }
        _ => {
            let message = "destination rule with workload selector cannot have multiple entries \
                           in exportTo";
            invalid(found, at.field("exportTo"), message);
        }
    }
    let at = at.field("workloadSelector");
    let at = at.field("matchLabels");
    if selector.match_labels.is_empty() {
        tell(
            found,
            Code::NeverFires,
            at,
            "a selector without labels selects every client",
        );
    }
    for (key, value) in &selector.match_labels {
        if key.is_empty() {
            invalid(found, at.key(key), "empty key is not supported in selector");
        } else if key.contains('*') || value.contains('*') {
            invalid(found, at.key(key), "wildcard is not supported in selector");
        } else if value.len() > 63 {
            let message = "a label's value has at most 63 characters";
            invalid(found, at.key(key), message);
        }
    }
}
