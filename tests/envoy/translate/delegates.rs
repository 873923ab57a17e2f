//! A root's rules with those of its delegates in their place.

use std::collections::BTreeSet;

use tower_mesh::api::{Delegate, VirtualService};
use tower_mesh::api::{HttpMatchRequest, HttpRoute, Resource, Resources, Spec, StringMatch};

use super::is_visible;

/// All rules in order, each with the resource that wrote its destinations.
///
/// Source: `virtualservice.go mergeVirtualServicesIfNeeded`; HTTPRoute.delegate.
pub(super) fn expand<'r>(
    resources: &'r Resources,
    root: &'r Resource,
    rules: &VirtualService,
) -> Vec<(&'r Resource, HttpRoute)> {
    let mut all = Vec::new();
    for rule in &rules.http {
        match &rule.delegate {
            None => all.push((root, rule.clone())),
            // A delegate that cannot be taken: only the entry vanishes.
            Some(name) => {
                let Some((delegate, theirs)) = find(resources, root, name) else {
                    continue;
                };
                let merged = theirs.http.iter().filter_map(|it| merge(rule, it));
                all.extend(merged.map(|it| (delegate, it)));
            }
        }
    }
    all
}

/// A delegate has no hosts, and is exported to the namespace of the root, not to the client's.
///
/// Source: `virtualservice.go mergeVirtualServicesIfNeeded`; Delegate.name and .namespace,
/// VirtualService reference, exportTo.
fn find<'r>(
    resources: &'r Resources,
    root: &Resource,
    name: &Delegate,
) -> Option<(&'r Resource, &'r VirtualService)> {
    let home = root.metadata.namespace_or_default();
    let namespace = match name.namespace.as_str() {
        "" => home,
        own => own,
    };
    resources.iter().find_map(|it| {
        let Spec::VirtualService(rules) = &it.spec else {
            return None;
        };
        let named =
            it.metadata.name == name.name && it.metadata.namespace_or_default() == namespace;
        let usable = rules.hosts.is_empty() && is_visible(&rules.export_to, namespace, home);
        (named && usable).then_some((it, &**rules))
    })
}

/// Route fields: the delegate's where it has them, else the root's, as whole objects.
///
/// Source: `virtualservice.go mergeHTTPRoute`.
fn merge(root: &HttpRoute, delegate: &HttpRoute) -> Option<HttpRoute> {
    let mut rule = root.clone();
    rule.delegate = None;
    rule.r#match = matches(&root.r#match, &delegate.r#match)?;
    rule.name = joined(&root.name, &delegate.name);
    rule.route = delegate.route.clone();
    rule.redirect = delegate.redirect.clone();
    rule.rewrite = delegate.rewrite.clone().or(rule.rewrite);
    rule.direct_response = delegate.direct_response.clone().or(rule.direct_response);
    rule.timeout = delegate.timeout.or(rule.timeout);
    rule.retries = delegate.retries.clone().or(rule.retries);
    rule.fault = delegate.fault.clone().or(rule.fault);
    rule.mirror = delegate.mirror.clone().or(rule.mirror);
    rule.mirror_percent = delegate.mirror_percent.or(rule.mirror_percent);
    rule.mirror_percentage = delegate
        .mirror_percentage
        .clone()
        .or(rule.mirror_percentage);
    rule.cors_policy = delegate.cors_policy.clone().or(rule.cors_policy);
    rule.headers = delegate.headers.clone().or(rule.headers);
    if !delegate.mirrors.is_empty() {
        rule.mirrors = delegate.mirrors.clone();
    }
    Some(rule)
}

/// Source: `virtualservice.go mergeHTTPRoute`, `mergeHTTPMatchRequest` (names).
fn joined(root: &str, delegate: &str) -> String {
    let parts = [root, delegate];
    let parts: Vec<&str> = parts.into_iter().filter(|it| !it.is_empty()).collect();
    parts.join("-")
}

/// Match merge: the cross product, the delegate's blocks outer, without the pairs that conflict;
/// a block of the delegate that conflicts with all of the root's drops the rule.
///
/// Source: `virtualservice.go mergeHTTPMatchRequests`.
fn matches(
    root: &[HttpMatchRequest],
    delegate: &[HttpMatchRequest],
) -> Option<Vec<HttpMatchRequest>> {
    if root.is_empty() {
        return Some(delegate.to_vec());
    }
    if delegate.is_empty() {
        return Some(root.to_vec());
    }
    let mut all = Vec::new();
    for inner in delegate {
        let fitting: Vec<_> = root.iter().filter(|it| !conflict(it, inner)).collect();
        if fitting.is_empty() {
            return None;
        }
        all.extend(fitting.into_iter().map(|outer| block(outer, inner)));
    }
    Some(all)
}

/// Merged match: the delegate's values, the root's where it has none.
///
/// Source: `virtualservice.go mergeHTTPMatchRequest`.
fn block(root: &HttpMatchRequest, delegate: &HttpMatchRequest) -> HttpMatchRequest {
    let mut it = root.clone();
    it.name = joined(&root.name, &delegate.name);
    it.ignore_uri_case = delegate.ignore_uri_case;
    for (to, from) in [
        (&mut it.uri, &delegate.uri),
        (&mut it.scheme, &delegate.scheme),
        (&mut it.method, &delegate.method),
        (&mut it.authority, &delegate.authority),
    ] {
        if from.is_some() {
            to.clone_from(from);
        }
    }
    for (to, from) in [
        (&mut it.headers, &delegate.headers),
        (&mut it.without_headers, &delegate.without_headers),
        (&mut it.query_params, &delegate.query_params),
    ] {
        for (name, value) in from {
            to.insert(name.clone(), value.clone());
        }
    }
    for (name, value) in &delegate.source_labels {
        it.source_labels.insert(name.clone(), value.clone());
    }
    if delegate.port.is_some_and(|port| port != 0) {
        it.port = delegate.port;
    }
    if !delegate.source_namespace.is_empty() {
        it.source_namespace = delegate.source_namespace.clone();
    }
    if !delegate.gateways.is_empty() {
        it.gateways = delegate.gateways.clone();
    }
    it
}

/// Source: `virtualservice.go hasConflict`.
fn conflict(root: &HttpMatchRequest, delegate: &HttpMatchRequest) -> bool {
    let single = [
        (&root.uri, &delegate.uri),
        (&root.scheme, &delegate.scheme),
        (&root.method, &delegate.method),
        (&root.authority, &delegate.authority),
    ];
    let single = single
        .into_iter()
        .filter_map(|(root, leaf)| Some((root.as_ref()?, leaf.as_ref()?)));
    let maps = [
        (&root.headers, &delegate.headers),
        (&root.without_headers, &delegate.without_headers),
        (&root.query_params, &delegate.query_params),
    ];
    // Maps: only keys both sides have.
    let shared = maps.into_iter().flat_map(|(root, leaf)| {
        root.iter()
            .filter_map(|(name, value)| Some((value, leaf.get(name)?)))
    });
    if single
        .chain(shared)
        .any(|(root, leaf)| texts_conflict(root, leaf))
    {
        return true;
    }
    let (port, own_port) = (root.port.unwrap_or(0), delegate.port.unwrap_or(0));
    let mut labels = root.source_labels.iter();
    let labels = labels.any(|(key, value)| {
        delegate
            .source_labels
            .get(key)
            .is_some_and(|own| own != value)
    });
    let outer: BTreeSet<&String> = root.gateways.iter().collect();
    let gateways =
        !root.gateways.is_empty() && delegate.gateways.iter().any(|it| !outer.contains(it));
    root.ignore_uri_case != delegate.ignore_uri_case
        || (port != 0 && own_port != 0 && port != own_port)
        || (!root.source_namespace.is_empty() && root.source_namespace != delegate.source_namespace)
        || labels
        || gateways
}

/// Conflict per StringMatch, both sides being there.
///
/// Source: `virtualservice.go stringMatchConflict`.
fn texts_conflict(root: &StringMatch, leaf: &StringMatch) -> bool {
    let exact = match leaf {
        StringMatch::Exact(text) => text.as_str(),
        _ => "",
    };
    let prefix = match leaf {
        StringMatch::Prefix(text) => text.as_str(),
        _ => "",
    };
    match root {
        StringMatch::Exact(text) if !text.is_empty() => exact != text,
        StringMatch::Prefix(text) if !text.is_empty() => {
            let own = if exact.is_empty() { prefix } else { exact };
            own.is_empty() || !own.starts_with(text.as_str())
        }
        _ => true,
    }
}
