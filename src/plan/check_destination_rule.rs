//! What Istio would refuse in a DestinationRule, in Istio's words, beside what each concept says.

use std::collections::HashSet;

use super::not_built;
use crate::api;
use crate::connection_pool;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::load_balancer;
use crate::outlier_detection;

pub(super) fn check(written: &api::DestinationRule, at: At<'_>, found: &mut Diagnostics) {
    if written.host.is_empty() {
        let message = "a destination rule must have a host";
        let at = at.field("host");
        found.push(Diagnostic::new(Code::MissingField, at, message));
    }
    if let Some(selector) = &written.workload_selector {
        check_selector(selector, &written.export_to, at, found);
    }
    if let Some(policy) = &written.traffic_policy {
        check_policy(policy, at.field("trafficPolicy"), found);
    }
    let mut names = HashSet::new();
    let subsets = at.field("subsets");
    for (n, subset) in written.subsets.iter().enumerate() {
        let at = subsets.item(n);
        let name = &subset.name;
        let refusal = match name.as_str() {
            "" => Some("subset name cannot be empty".to_owned()),
            _ if !is_label(name) => Some(format!("subset name is invalid: {name}")),
            _ if !names.insert(name) => Some(format!("duplicate subset names: {name}")),
            _ => None,
        };
        if let Some(message) = refusal {
            let at = at.field("name");
            found.push(Diagnostic::new(Code::InvalidValue, at, message));
        }
        if let Some(policy) = &subset.traffic_policy {
            check_policy(policy, at.field("trafficPolicy"), found);
        }
    }
    not_built::destination_rule(written, at, found);
}

fn check_selector(
    selector: &api::ClientSelector,
    export_to: &[String],
    at: At<'_>,
    found: &mut Diagnostics,
) {
    let refusal = match export_to {
        [] => None,
        [only] if only == "." => None,
        [_] => Some(
            "destination rule with workload selector cannot have exportTo beyond current namespace",
        ),
        _ => {
            Some("destination rule with workload selector cannot have multiple entries in exportTo")
        }
    };
    if let Some(message) = refusal {
        let at = at.field("exportTo");
        found.push(Diagnostic::new(Code::InvalidValue, at, message));
    }
    let at = at.field("workloadSelector");
    let labels = at.field("matchLabels");
    for (key, value) in &selector.match_labels {
        let refusal = if key.is_empty() {
            "empty key is not supported in selector"
        } else if key.contains('*') || value.contains('*') {
            "wildcard is not supported in selector"
        } else {
            continue;
        };
        let at = labels.key(key);
        found.push(Diagnostic::new(Code::InvalidValue, at, refusal));
    }
}

fn check_policy(written: &api::TrafficPolicy, at: At<'_>, found: &mut Diagnostics) {
    if *written == api::TrafficPolicy::default() {
        let message = "traffic policy must have at least one field";
        found.push(Diagnostic::new(Code::MissingField, at, message));
    }
    if let Some(pool) = &written.connection_pool {
        connection_pool::check(pool, at.field("connectionPool"), found);
    }
    if let Some(budget) = &written.retry_budget {
        connection_pool::check_budget(budget, at.field("retryBudget"), found);
    }
    if let Some(balancer) = &written.load_balancer {
        load_balancer::compile(balancer, at.field("loadBalancer"), found);
    }
    if let Some(outliers) = &written.outlier_detection {
        outlier_detection::compile(outliers, at.field("outlierDetection"), found);
    }
    let settings = at.field("portLevelSettings");
    for (n, port) in written.port_level_settings.iter().enumerate() {
        let at = settings.item(n);
        let number = port.port.as_ref().map_or(0, |it| it.number);
        if !u16::try_from(number).is_ok_and(|it| it > 0) {
            let message = "portTrafficPolicy must have valid port";
            let at = at.field("port");
            found.push(Diagnostic::new(Code::InvalidValue, at, message));
        }
        if let Some(pool) = &port.connection_pool {
            connection_pool::check(pool, at.field("connectionPool"), found);
        }
        if let Some(balancer) = &port.load_balancer {
            load_balancer::compile(balancer, at.field("loadBalancer"), found);
        }
        if let Some(outliers) = &port.outlier_detection {
            outlier_detection::compile(outliers, at.field("outlierDetection"), found);
        }
        let mut rest = port.clone();
        rest.port = None;
        if rest == api::PortTrafficPolicy::default() {
            let message = "port traffic policy must have at least one field";
            found.push(Diagnostic::new(Code::MissingField, at, message));
        }
    }
}

/// A DNS label: letters, digits and dashes, none of them at an end, at most 63 together.
fn is_label(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte != b'-');
    name.len() <= 63
        && name.bytes().all(word)
        && edge(name.bytes().next())
        && edge(name.bytes().next_back())
}
