//! The rules of a VirtualService as Envoy routes.

use serde_json::{Map, Value, json};
use tower_mesh::api::{
    Destination, HttpMatchRequest, HttpRetry, HttpRoute, Resource, StringMatch, VirtualService,
};

use super::hosts::complete;
use super::{Client, Result, Service};

/// Compilation of a VirtualService: one route for every match of every rule, in order.
///
/// It ends at the first rule without a match, and at the first route that takes everything.
pub(super) fn routes(
    resource: &Resource,
    rules: &VirtualService,
    client: &Client,
) -> Result<Vec<Value>> {
    if !rules.tls.is_empty() || !rules.tcp.is_empty() {
        return Err(format!("{}: tls and tcp rules", resource.id()));
    }
    let mut routes = Vec::new();
    for rule in &rules.http {
        check(resource, rule)?;
        let action = action(resource, rule, client)?;
        if rule.r#match.is_empty() {
            let all = json!({"prefix": "/"});
            routes.push(json!({"name": rule.name, "match": all, "route": action}));
            return Ok(routes);
        }
        for condition in &rule.r#match {
            if !holds_for(condition, client) {
                continue;
            }
            // Route name: the rule's, and behind a dot the match's where it has one.
            let name = match condition.name.as_str() {
                "" => rule.name.clone(),
                name => format!("{}.{name}", rule.name),
            };
            let matched = matcher(condition);
            let last = is_catch_all(&matched);
            routes.push(json!({"name": name, "match": matched, "route": action}));
            if last {
                return Ok(routes);
            }
        }
    }
    Ok(routes)
}

/// Default route of a service: everything to the whole service at the port dialled.
pub(super) fn default_route(service: &Service, client: &Client) -> Value {
    let cluster = cluster_name(u32::from(client.port), "", &service.host);
    json!({
        "name": "default",
        "match": {"prefix": "/"},
        "route": forward(json!({"cluster": cluster})),
    })
}

/// Refuses whatever a rule has beyond name, match and route.
fn check(resource: &Resource, rule: &HttpRoute) -> Result<()> {
    let mut rest = rule.clone();
    rest.name.clear();
    rest.r#match.clear();
    rest.route.clear();
    // `attempts: 0` switches retries off, which is what the translation does anyway.
    if rest.retries == Some(HttpRetry::default()) {
        rest.retries = None;
    }
    match rest == HttpRoute::default() {
        true => Ok(()),
        false => Err(format!("{}: not translated: {rest:?}", resource.id())),
    }
}

/// Static conditions: they are decided when the sidecar is configured, not by the request.
///
/// `gateways`, where it is set, is compared alone: `sourceLabels` and `sourceNamespace` are
/// not looked at then.
fn holds_for(condition: &HttpMatchRequest, client: &Client) -> bool {
    let port = condition.port.unwrap_or_default();
    if port != 0 && port != u32::from(client.port) {
        return false;
    }
    if !condition.gateways.is_empty() {
        return condition.gateways.iter().any(|gateway| gateway == "mesh");
    }
    let mut labels = condition.source_labels.iter();
    let namespace = &condition.source_namespace;
    labels.all(|(key, value)| client.labels.get(key) == Some(value))
        && (namespace.is_empty() || *namespace == client.namespace)
}

/// Route match: header conditions sorted by name, then the pseudo-headers, the query, the path.
fn matcher(condition: &HttpMatchRequest) -> Value {
    let plain = condition.headers.iter();
    let mut headers: Vec<(&str, Value)> = plain
        .map(|(name, value)| (name.as_str(), header(name, value)))
        .collect();
    for (name, value) in &condition.without_headers {
        // withoutHeaders: inverted; unless it asks for presence, a missing header counts as empty.
        let mut inverted = header(name, value);
        inverted["invert_match"] = json!(true);
        if !is_presence(value) {
            inverted["treat_missing_header_as_empty"] = json!(true);
        }
        headers.push((name, inverted));
    }
    headers.sort_by_key(|(name, _)| *name);
    let mut headers: Vec<Value> = headers.into_iter().map(|(_, header)| header).collect();
    let pseudo = [
        (":method", &condition.method),
        (":authority", &condition.authority),
        (":scheme", &condition.scheme),
    ];
    for (name, value) in pseudo {
        headers.extend(value.iter().map(|value| header(name, value)));
    }

    let mut matched = path(condition.uri.as_ref());
    // ignoreUriCase: Envoy heeds it for exact and prefix only.
    matched.insert(
        "case_sensitive".to_owned(),
        json!(!condition.ignore_uri_case),
    );
    if !headers.is_empty() {
        matched.insert("headers".to_owned(), json!(headers));
    }
    if !condition.query_params.is_empty() {
        let parameters = condition.query_params.iter();
        let parameters: Vec<Value> = parameters.map(|(name, it)| header(name, it)).collect();
        matched.insert("query_parameters".to_owned(), json!(parameters));
    }
    Value::Object(matched)
}

/// Path: no `uri`, or one that says nothing, is the prefix `/`; prefixes are by bytes.
fn path(uri: Option<&StringMatch>) -> Map<String, Value> {
    let specifier = match uri {
        Some(StringMatch::Exact(path)) => ("path", json!(path)),
        Some(StringMatch::Prefix(prefix)) => ("prefix", json!(prefix)),
        Some(StringMatch::Regex(regex)) => ("safe_regex", json!({"regex": regex})),
        _ => ("prefix", json!("/")),
    };
    let (name, value) = specifier;
    Map::from_iter([(name.to_owned(), value)])
}

/// Header and query matchers have one shape.
fn header(name: &str, value: &StringMatch) -> Value {
    match value {
        value if is_presence(value) => json!({"name": name, "present_match": true}),
        StringMatch::Exact(text) => json!({"name": name, "string_match": {"exact": text}}),
        StringMatch::Prefix(text) => json!({"name": name, "string_match": {"prefix": text}}),
        StringMatch::Regex(text) => {
            json!({"name": name, "string_match": {"safe_regex": {"regex": text}}})
        }
        other => unreachable!("an unknown kind of match: {other:?}"),
    }
}

/// Presence: nothing to compare with, or the regular expression `*`, which is no regular expression.
fn is_presence(value: &StringMatch) -> bool {
    match value {
        StringMatch::Present => true,
        StringMatch::Regex(regex) => regex == "*",
        _ => false,
    }
}

/// Catch-all: the prefix `/` or the expression `.*`, and no other condition. The empty prefix
/// takes everything too and is not recognised.
fn is_catch_all(matched: &Value) -> bool {
    let prefix = matched["prefix"] == json!("/");
    let regex = matched["safe_regex"]["regex"] == json!(".*");
    (prefix || regex)
        && matched.get("headers").is_none()
        && matched.get("query_parameters").is_none()
}

/// Destinations: one is taken whatever its weight; of several, those of weight 0 are dropped.
fn action(resource: &Resource, rule: &HttpRoute, client: &Client) -> Result<Value> {
    let mut clusters = Vec::new();
    for to in &rule.route {
        let (Some(destination), None) = (&to.destination, &to.headers) else {
            return Err(format!("{}: not translated: {to:?}", resource.id()));
        };
        let cluster = cluster(resource, destination, client);
        clusters.push((cluster, to.weight));
    }
    match clusters.as_slice() {
        [] => Err(format!("{}: a rule without destinations", resource.id())),
        [(cluster, _)] => Ok(forward(json!({"cluster": cluster}))),
        several => {
            let several = several.iter().filter(|(_, weight)| *weight > 0);
            let entry = |(name, weight): &(String, i32)| json!({"name": name, "weight": weight});
            let several: Vec<Value> = several.map(entry).collect();
            Ok(forward(json!({"weighted_clusters": {"clusters": several}})))
        }
    }
}

/// Destination: its own port; else the service's only one as this listener shows it, and
/// every service is cut down to the port dialled; else the port dialled, whether the service
/// has it or not.
fn cluster(resource: &Resource, destination: &Destination, client: &Client) -> String {
    let namespace = resource.metadata.namespace_or_default();
    let host = complete(&destination.host, namespace);
    let port = match &destination.port {
        Some(port) => port.number,
        None => u32::from(client.port),
    };
    cluster_name(port, &destination.subset, &host)
}

/// Cluster names: direction, port, subset, host.
pub(super) fn cluster_name(port: u32, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// What every forwarding route has: no timeout unless one is written, and no cap on the
/// timeout a gRPC client asks for.
fn forward(mut action: Value) -> Value {
    action["timeout"] = json!("0s");
    action["max_grpc_timeout"] = json!("0s");
    if let Some(policy) = retry_policy() {
        action["retry_policy"] = policy;
    }
    action
}

/// Retries, the one place for them: Istio retries twice unless told otherwise. The library does
/// not retry yet, so neither does Envoy here; once it does, this returns Istio's default policy
/// (and `check` lets `retries` through).
const fn retry_policy() -> Option<Value> {
    None
}
