//! One rule made of two: that of a root and one of the delegate it names.
//!
//! A pure function of what is written. The delegate's rule is what remains, with what only the
//! root says filled in, whole fields at a time.

use indexmap::IndexMap;

use crate::api::{HttpMatchRequest, HttpMirrorPolicy, HttpRoute, Percentage, StringMatch};

/// Why two rules make none: the fields on which a block of the delegate contradicts the root.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Conflict {
    /// The block's place in the delegate's rule.
    pub(super) block: usize,
    /// For each block of the root, the first field they contradict each other on.
    pub(super) fields: Vec<String>,
}

/// The rule that takes the place of the root's; in the root's `gateways`, and in the delegate's,
/// stand full names.
pub(super) fn merge(root: &HttpRoute, leaf: &HttpRoute) -> Result<HttpRoute, Conflict> {
    let blocks = merge_blocks(&root.r#match, &leaf.r#match)?;
    let mut merged = leaf.clone();
    merged.r#match = blocks;
    merged.delegate = None;
    merged.name = join(&root.name, &leaf.name);
    fill(&mut merged.rewrite, &root.rewrite);
    fill(&mut merged.direct_response, &root.direct_response);
    fill(&mut merged.timeout, &root.timeout);
    fill(&mut merged.retries, &root.retries);
    fill(&mut merged.fault, &root.fault);
    fill(&mut merged.mirror, &root.mirror);
    fill(&mut merged.mirror_percent, &root.mirror_percent);
    fill(&mut merged.mirror_percentage, &root.mirror_percentage);
    fill(&mut merged.cors_policy, &root.cors_policy);
    fill(&mut merged.headers, &root.headers);
    if merged.mirrors.is_empty() {
        merged.mirrors.clone_from(&root.mirrors);
    }
    Ok(merged)
}

/// Leaves of actions that may not stand side by side those that Istio takes.
///
/// It asks for a redirect first, then for a direct response, then for destinations; and sends
/// copies to `mirror` and to `mirrors`.
pub(super) fn settle(mut merged: HttpRoute) -> HttpRoute {
    if merged.redirect.is_some() {
        merged.direct_response = None;
        merged.rewrite = None;
    }
    if merged.redirect.is_some() || merged.direct_response.is_some() {
        merged.route.clear();
    }
    if !merged.mirrors.is_empty()
        && let Some(destination) = merged.mirror.take()
    {
        let whole = merged.mirror_percent.take().map(f64::from);
        let whole = whole.map(|value| Percentage { value });
        let first = HttpMirrorPolicy {
            destination: Some(destination),
            percentage: merged.mirror_percentage.take().or(whole),
        };
        merged.mirrors.insert(0, first);
    }
    merged
}

fn fill<T: Clone>(merged: &mut Option<T>, root: &Option<T>) {
    if merged.is_none() {
        merged.clone_from(root);
    }
}

fn join(root: &str, leaf: &str) -> String {
    match (root, leaf) {
        ("", name) | (name, "") => name.to_owned(),
        (root, leaf) => format!("{root}-{leaf}"),
    }
}

/// Every block of the delegate beside every block of the root it does not contradict.
fn merge_blocks(
    root: &[HttpMatchRequest],
    leaf: &[HttpMatchRequest],
) -> Result<Vec<HttpMatchRequest>, Conflict> {
    if root.is_empty() || leaf.is_empty() {
        return Ok([root, leaf].concat());
    }
    let mut merged = Vec::new();
    for (block, own) in leaf.iter().enumerate() {
        let mut fields = Vec::new();
        for outer in root {
            match contradiction(outer, own) {
                None => merged.push(merge_block(outer, own)),
                Some(field) => fields.push(field),
            }
        }
        if fields.len() == root.len() {
            return Err(Conflict { block, fields });
        }
    }
    Ok(merged)
}

fn merge_block(root: &HttpMatchRequest, leaf: &HttpMatchRequest) -> HttpMatchRequest {
    let mut merged = leaf.clone();
    merged.name = join(&root.name, &leaf.name);
    fill(&mut merged.uri, &root.uri);
    fill(&mut merged.scheme, &root.scheme);
    fill(&mut merged.method, &root.method);
    fill(&mut merged.authority, &root.authority);
    merged.headers = merge_maps(&root.headers, &leaf.headers);
    merged.without_headers = merge_maps(&root.without_headers, &leaf.without_headers);
    merged.query_params = merge_maps(&root.query_params, &leaf.query_params);
    merged.source_labels = merge_maps(&root.source_labels, &leaf.source_labels);
    if port(leaf) == 0 {
        merged.port = root.port;
    }
    if leaf.source_namespace.is_empty() {
        merged.source_namespace.clone_from(&root.source_namespace);
    }
    if leaf.gateways.is_empty() {
        merged.gateways.clone_from(&root.gateways);
    }
    if leaf.stat_prefix.is_empty() {
        merged.stat_prefix.clone_from(&root.stat_prefix);
    }
    merged
}

fn merge_maps<V: Clone>(
    root: &IndexMap<String, V>,
    leaf: &IndexMap<String, V>,
) -> IndexMap<String, V> {
    let mut merged = root.clone();
    merged.extend(leaf.iter().map(|(key, value)| (key.clone(), value.clone())));
    merged
}

fn port(block: &HttpMatchRequest) -> u32 {
    block.port.unwrap_or_default()
}

/// The field on which a block of the delegate may ask for what the root's does not grant.
fn contradiction(root: &HttpMatchRequest, leaf: &HttpMatchRequest) -> Option<String> {
    for (field, root, leaf) in [
        ("uri", &root.uri, &leaf.uri),
        ("scheme", &root.scheme, &leaf.scheme),
        ("method", &root.method, &leaf.method),
        ("authority", &root.authority, &leaf.authority),
    ] {
        if let (Some(root), Some(leaf)) = (root, leaf)
            && !is_within(leaf, root)
        {
            return Some(field.to_owned());
        }
    }
    for (field, root, leaf) in [
        ("headers", &root.headers, &leaf.headers),
        (
            "withoutHeaders",
            &root.without_headers,
            &leaf.without_headers,
        ),
        ("queryParams", &root.query_params, &leaf.query_params),
    ] {
        let outside = leaf.iter().find(|(key, leaf)| {
            let root = root.get(*key);
            root.is_some_and(|root| !is_within(leaf, root))
        });
        if let Some((key, _)) = outside {
            return Some(format!("{field}[{key:?}]"));
        }
    }
    if root.ignore_uri_case != leaf.ignore_uri_case {
        return Some("ignoreUriCase".to_owned());
    }
    if port(root) != 0 && port(leaf) != 0 && port(root) != port(leaf) {
        return Some("port".to_owned());
    }
    // One that says nothing is taken for another namespace.
    if !root.source_namespace.is_empty() && root.source_namespace != leaf.source_namespace {
        return Some("sourceNamespace".to_owned());
    }
    let other = |(key, value): &(&String, &String)| {
        let root = root.source_labels.get(*key);
        root.is_some_and(|root| root != *value)
    };
    if let Some((key, _)) = leaf.source_labels.iter().find(other) {
        return Some(format!("sourceLabels[{key:?}]"));
    }
    let both = !root.gateways.is_empty() && !leaf.gateways.is_empty();
    let longer = leaf.gateways.len() > root.gateways.len();
    if both && (longer || leaf.gateways.iter().any(|it| !root.gateways.contains(it))) {
        return Some("gateways".to_owned());
    }
    None
}

/// Whether whatever the delegate's match takes is taken by the root's, as far as Istio looks: a
/// match that is empty, or a regular expression, on either side is never taken to be.
fn is_within(leaf: &StringMatch, root: &StringMatch) -> bool {
    let within = match (root, leaf) {
        (StringMatch::Exact(root), StringMatch::Exact(leaf)) => root == leaf,
        (StringMatch::Prefix(root), StringMatch::Exact(leaf) | StringMatch::Prefix(leaf)) => {
            !leaf.is_empty() && leaf.starts_with(root)
        }
        _ => false,
    };
    within && !is_empty(root)
}

fn is_empty(it: &StringMatch) -> bool {
    match it {
        StringMatch::Present => true,
        StringMatch::Exact(text) | StringMatch::Prefix(text) | StringMatch::Regex(text) => {
            text.is_empty()
        }
    }
}
