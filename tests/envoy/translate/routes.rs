//! The rules of a VirtualService as Envoy routes.

use serde_json::{Map, Value, json};
use tower_mesh::api::{HttpMatchRequest, HttpRoute, Resource, StringMatch, VirtualService};

use super::actions::{self, cluster_name};
use super::balancing::Hashes;
use super::{Client, Result, Service, delegates};

/// Compilation of a VirtualService: one route for every match of every rule, in order.
///
/// It ends at the first rule without a match, and at the first route that takes everything.
///
/// Source: `route.go BuildHTTPRoutesForVirtualService`, `translateRoute` (the name); VirtualService
/// reference, HTTPRoute.name and .match, HTTPMatchRequest.name.
pub(super) fn routes(
    hashes: Hashes<'_>,
    resource: &Resource,
    rules: &VirtualService,
) -> Result<Vec<Value>> {
    let client = hashes.client;
    if !rules.tls.is_empty() || !rules.tcp.is_empty() {
        return Err(format!("{}: tls and tcp rules", resource.id()));
    }
    let mut routes = Vec::new();
    for (resource, rule) in &delegates::expand(hashes.resources, resource, rules) {
        check(resource, rule)?;
        let action = actions::action(hashes, resource, rule)?;
        if rule.r#match.is_empty() {
            routes.push(named(&action, &rule.name, json!({"prefix": "/"})));
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
            routes.push(named(&action, &name, matched));
            if last {
                return Ok(routes);
            }
        }
    }
    Ok(routes)
}

/// A route is its action with a name and a match.
fn named(action: &Value, name: &str, matched: Value) -> Value {
    let mut route = action.clone();
    route["name"] = json!(name);
    route["match"] = matched;
    route
}

/// Default route of a service: everything to the whole service at the port dialled.
///
/// Source: `route.go BuildDefaultHTTPOutboundRoute`, `hashForService`.
pub(super) fn default_route(hashes: Hashes<'_>, service: &Service) -> Result<Value> {
    let port = u32::from(hashes.client.port);
    let cluster = cluster_name(port, "", &service.host);
    let mut action = json!({"cluster": cluster});
    hashes.write(&mut action, [cluster.as_str()].into_iter())?;
    Ok(json!({
        "name": "default",
        "match": {"prefix": "/"},
        // Whether it goes by hash or not, retries avoid hosts.
        "route": actions::forward(action, None, None, false),
    }))
}

/// Refuses whatever a rule has that no rule of translation speaks of.
fn check(resource: &Resource, rule: &HttpRoute) -> Result<()> {
    let mut rest = rule.clone();
    rest.name.clear();
    rest.r#match.clear();
    rest.route.clear();
    rest.redirect = None;
    rest.direct_response = None;
    rest.rewrite = None;
    rest.headers = None;
    rest.timeout = None;
    rest.fault = None;
    rest.cors_policy = None;
    rest.mirror = None;
    rest.mirrors.clear();
    rest.mirror_percentage = None;
    rest.mirror_percent = None;
    if let Some(retries) = &rest.retries
        && retries.retry_remote_localities.is_none()
    {
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
///
/// Source: `route.go translateRoute` (port), `sourceMatchHTTP`; HTTPMatchRequest.port, .gateways,
/// .sourceLabels, .sourceNamespace.
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
///
/// Source: `route.go TranslateRouteMatch`; HTTPMatchRequest.headers, .withoutHeaders, .queryParams,
/// .method, .authority, .scheme, .ignoreUriCase; RouteMatch.case_sensitive,
/// HeaderMatcher.treat_missing_header_as_empty.
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
///
/// Source: `route.go TranslateRouteMatch`; HTTPMatchRequest.uri; RouteMatch.path, .prefix,
/// .safe_regex.
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
///
/// Source: `route.go translateHeaderMatch`, `translateQueryParamMatch`; StringMatch; HeaderMatcher
/// and QueryParameterMatcher.
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
///
/// Source: `route.go canBeConvertedToPresentMatch`; HeaderMatcher.present_match.
fn is_presence(value: &StringMatch) -> bool {
    match value {
        StringMatch::Present => true,
        StringMatch::Regex(regex) => regex == "*",
        _ => false,
    }
}

/// Catch-all: the prefix `/` or the expression `.*`, and no other condition. The empty prefix
/// takes everything too and is not recognised.
///
/// Source: `route.go IsCatchAllRoute`.
fn is_catch_all(matched: &Value) -> bool {
    let prefix = matched["prefix"] == json!("/");
    let regex = matched["safe_regex"]["regex"] == json!(".*");
    (prefix || regex)
        && matched.get("headers").is_none()
        && matched.get("query_parameters").is_none()
}
