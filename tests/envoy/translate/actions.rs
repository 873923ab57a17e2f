//! What a rule does as the action of an Envoy route: forward, redirect or answer.

use std::time::Duration;

use serde_json::{Value, json};
use tower_mesh::api::{
    Destination, HttpDirectResponse, HttpRedirect, HttpRetry, HttpRewrite, HttpRoute,
    HttpRouteDestination, Percentage, RedirectPort, Resource,
};

use super::balancing::Hashes;
use super::header_operations::Operations;
use super::hosts::complete;
use super::retries::retry_policy;
use super::{Client, Result, filters};

/// Everything of a route but its name and its match.
///
/// A redirect is looked at first, then a direct response, then the destinations. Faults,
/// CORS and the rule's header operations go on the route whatever its action is.
///
/// Source: `route.go translateRoute`; HTTPRoute.redirect, .directResponse, .route, .headers,
/// .fault, .corsPolicy.
pub(super) fn action(hashes: Hashes<'_>, resource: &Resource, rule: &HttpRoute) -> Result<Value> {
    let client = hashes.client;
    let mut route = json!({});
    let mut operations = Operations::of(rule.headers.as_ref());
    if let Some(to) = &rule.redirect {
        route["redirect"] = redirect(resource, to, client)?;
    } else if let Some(answer) = &rule.direct_response {
        route["direct_response"] = direct_response(answer);
    } else {
        route["route"] = destinations(hashes, resource, rule, &mut operations)?;
    }
    operations.write(&mut route);
    let configured = filters::of(resource, rule)?;
    if !configured.is_empty() {
        route["typed_per_filter_config"] = Value::Object(configured);
    }
    Ok(route)
}

/// Destinations: one is taken whatever its weight; of several, those of weight 0 are dropped.
///
/// The header operations of a single destination join those of the rule, behind them; of
/// several, each keeps its own, which Envoy runs before the rule's. A host is rewritten as the
/// rule's `rewrite` says, else as the rule's headers say, else as the destination's do.
///
/// Source: `route.go applyHTTPRouteDestination`, `processDestination`,
/// `processWeightedDestination`; HTTPRouteDestination.weight and .headers, HTTPRewrite.authority;
/// RouteAction.host_rewrite_literal, WeightedCluster.
fn destinations(
    hashes: Hashes<'_>,
    resource: &Resource,
    rule: &HttpRoute,
    operations: &mut Operations,
) -> Result<Value> {
    let client = hashes.client;
    let target = |to: &HttpRouteDestination| match &to.destination {
        Some(destination) => Ok(cluster(resource, destination, client)),
        None => Err(format!("{}: not translated: {to:?}", resource.id())),
    };
    let mut authority = operations.authority.clone();
    let mut forwarding = match rule.route.as_slice() {
        [] => return Err(format!("{}: a rule without destinations", resource.id())),
        [to] => {
            let own = Operations::of(to.headers.as_ref());
            authority = authority.or_else(|| own.authority.clone());
            operations.join(own);
            json!({"cluster": target(to)?})
        }
        several => {
            let mut clusters = Vec::new();
            for to in several.iter().filter(|to| to.weight > 0) {
                let mut cluster = json!({"name": target(to)?, "weight": to.weight});
                let own = Operations::of(to.headers.as_ref());
                if let Some(authority) = &own.authority {
                    cluster["host_rewrite_literal"] = json!(authority);
                }
                own.write(&mut cluster);
                clusters.push(cluster);
            }
            json!({"weighted_clusters": {"clusters": clusters}})
        }
    };
    if let Some(written) = &rule.rewrite {
        rewrite(&mut forwarding, written);
        if !written.authority.is_empty() {
            authority = Some(written.authority.clone());
        }
    }
    if let Some(authority) = authority {
        forwarding["host_rewrite_literal"] = json!(authority);
    }
    let mirrors = mirrors(resource, rule, client)?;
    if !mirrors.is_empty() {
        forwarding["request_mirror_policies"] = json!(mirrors);
    }
    let named = match forwarding["cluster"].as_str() {
        Some(only) => vec![only.to_owned()],
        None => {
            let several = forwarding["weighted_clusters"]["clusters"].as_array();
            let names = several.into_iter().flatten().map(|it| it["name"].as_str());
            names.flatten().map(str::to_owned).collect()
        }
    };
    let by_hash = hashes.write(&mut forwarding, named.iter().map(String::as_str))?;
    let by_hash = by_hash && rule.route.len() == 1;
    Ok(forward(
        forwarding,
        rule.retries.as_ref(),
        rule.timeout,
        by_hash,
    ))
}

/// Mirrors: `mirror` with its percentage (the deprecated one where it has no other), then
/// `mirrors`; without a percentage every request is copied, and with 0 none is. The host of a
/// copy stays as it is.
///
/// Source: `route.go MirrorPercent`, `MirrorPercentByPolicy`, `TranslateRequestMirrorPolicy`;
/// HTTPRoute.mirror, .mirrorPercentage, .mirrorPercent, .mirrors; RequestMirrorPolicy.
fn mirrors(resource: &Resource, rule: &HttpRoute, client: &Client) -> Result<Vec<Value>> {
    let mut mirrors = Vec::new();
    // Whole percents are told in hundredths, others in millionths, cut.
    let whole = |percent: u32| (percent, "HUNDRED");
    let share = |percentage: &Percentage| ((percentage.value * 10_000.0) as u32, "MILLION");
    let mut add = |to: &Destination, (numerator, denominator): (u32, &str), is_none: bool| {
        if !is_none {
            mirrors.push(json!({
                "cluster": cluster(resource, to, client),
                "runtime_fraction": {"default_value": {"numerator": numerator, "denominator": denominator}},
                "trace_sampled": false,
                "disable_shadow_host_suffix_append": true,
            }));
        }
    };
    if let Some(to) = &rule.mirror {
        match (&rule.mirror_percentage, rule.mirror_percent) {
            (Some(written), _) => add(to, share(written), written.value <= 0.0),
            (None, Some(percent)) => add(to, whole(percent), percent == 0),
            (None, None) => add(to, whole(100), false),
        }
    }
    for mirror in &rule.mirrors {
        let Some(to) = &mirror.destination else {
            return Err(format!("{}: a mirror without a destination", resource.id()));
        };
        match &mirror.percentage {
            Some(written) => add(to, share(written), written.value <= 0.0),
            None => add(to, whole(100), false),
        }
    }
    Ok(mirrors)
}

/// Rewrite of the path: a regular expression is preferred to `uri`, and `uri` takes the place
/// of what the match has matched.
///
/// Source: `route.go applyHTTPRouteDestination`; HTTPRewrite.uri and .uriRegexRewrite;
/// RouteAction.prefix_rewrite and .regex_rewrite.
fn rewrite(forwarding: &mut Value, written: &HttpRewrite) {
    if let Some(rule) = &written.uri_regex_rewrite {
        forwarding["regex_rewrite"] = json!({
            "pattern": {"regex": rule.r#match},
            "substitution": rule.rewrite,
        });
    } else if !written.uri.is_empty() {
        forwarding["prefix_rewrite"] = json!(written.uri);
    }
}

/// Destination: its own port; else the service's only one as this listener shows it, and
/// every service is cut down to the port dialled; else the port dialled, whether the service
/// has it or not.
///
/// Source: `route.go GetDestinationCluster`; Destination.host, .port, .subset.
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
///
/// Source: `model/push_context.go BuildSubsetKey`.
pub(super) fn cluster_name(port: u32, subset: &str, host: &str) -> String {
    format!("outbound|{port}|{subset}|{host}")
}

/// What every forwarding route has: no timeout unless one is written; and what is written, or
/// no cap at all, also limits the timeout a gRPC client asks for.
///
/// Source: `route.go setTimeout`; HTTPRoute.timeout; RouteAction.timeout and .max_grpc_timeout.
pub(super) fn forward(
    mut action: Value,
    retries: Option<&HttpRetry>,
    timeout: Option<Duration>,
    by_hash: bool,
) -> Value {
    let timeout = seconds(timeout.unwrap_or_default());
    action["timeout"] = json!(timeout);
    action["max_grpc_timeout"] = json!(timeout);
    if let Some(policy) = retry_policy(retries, by_hash) {
        action["retry_policy"] = policy;
    }
    action
}

/// Redirect: an address from the request's own, with the parts that are written replaced.
///
/// The port is written, or the one of the listener where it shall be the request's. The one
/// that belongs to the scheme is left out, and a sidecar's scheme is `http` if none is written.
///
/// Source: `route.go ApplyRedirect`; HTTPRedirect; RedirectAction.
fn redirect(resource: &Resource, written: &HttpRedirect, client: &Client) -> Result<Value> {
    let refuse = || Err(format!("{}: not translated: {written:?}", resource.id()));
    let mut action = json!({"host_redirect": written.authority});
    match (written.uri.as_str(), written.prefix_rewrite.as_str()) {
        (uri, "") => action["path_redirect"] = json!(uri),
        ("", prefix) => action["prefix_rewrite"] = json!(prefix),
        _ => return refuse(),
    }
    if !written.scheme.is_empty() {
        action["scheme_redirect"] = json!(written.scheme);
    }
    let port = match (written.port, &written.derive_port) {
        (Some(port), _) => port,
        (None, Some(RedirectPort::FromRequestPort)) => u32::from(client.port),
        (None, _) => 0,
    };
    match (port, written.scheme.as_str()) {
        (80, "" | "http") | (443, "https") | (0, _) => {}
        _ => action["port_redirect"] = json!(port),
    }
    let code = match written.redirect_code {
        None | Some(0 | 301) => "MOVED_PERMANENTLY",
        Some(302) => "FOUND",
        Some(303) => "SEE_OTHER",
        Some(307) => "TEMPORARY_REDIRECT",
        Some(308) => "PERMANENT_REDIRECT",
        Some(_) => return refuse(),
    };
    action["response_code"] = json!(code);
    Ok(action)
}

/// Direct response: the status, and the body as text or as bytes.
///
/// Source: `route.go ApplyDirectResponse`; HTTPDirectResponse, HTTPBody; DirectResponseAction.
fn direct_response(written: &HttpDirectResponse) -> Value {
    let mut answer = json!({"status": written.status});
    if let Some(body) = &written.body {
        if let Some(text) = &body.string {
            answer["body"] = json!({"inline_string": text});
        } else if let Some(bytes) = &body.bytes {
            answer["body"] = json!({"inline_bytes": bytes});
        }
    }
    answer
}

/// A duration as Envoy reads it.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}
