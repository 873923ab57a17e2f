//! Faults and CORS as the configuration a route gives to the HTTP filters of those names.

use serde_json::{Map, Value, json};
use tower_mesh::api::{
    CorsPolicy, HttpFaultInjection, HttpRoute, Percentage, Resource, StringMatch,
    UnmatchedPreflights,
};

use super::Result;
use super::actions::seconds;

/// The names of the gRPC statuses, by number.
const GRPC_STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The filters' configuration, by the filters' names.
///
/// Source: `route.go translateRoute` (typed_per_filter_config).
pub(super) fn of(resource: &Resource, rule: &HttpRoute) -> Result<Map<String, Value>> {
    let mut filters = Map::new();
    if let Some(written) = &rule.fault {
        let written = fault(written).map_err(|it| format!("{}: {it}", resource.id()))?;
        filters.insert("envoy.filters.http.fault".to_owned(), written);
    }
    if let Some(written) = &rule.cors_policy {
        filters.insert("envoy.filters.http.cors".to_owned(), cors(written));
    }
    Ok(filters)
}

/// Fault: a delay and an abort, each for its own share; without a share for nobody.
///
/// Source: `route.go TranslateFault`; HTTPFaultInjection.Delay and .Abort; HTTPFault of Envoy's
/// fault filter.
fn fault(written: &HttpFaultInjection) -> Result<Value> {
    let kind = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault";
    let mut filter = json!({"@type": kind});
    if let Some(delay) = &written.delay {
        let Some(fixed) = delay.fixed_delay else {
            return Err(format!("not translated: {delay:?}"));
        };
        // The deprecated whole number counts where there is no share.
        let share = match (&delay.percentage, delay.percent) {
            (None, Some(percent)) => json!({"numerator": percent, "denominator": "HUNDRED"}),
            (written, _) => share(written.as_ref()),
        };
        filter["delay"] = json!({"fixed_delay": seconds(fixed), "percentage": share});
    }
    if let Some(abort) = &written.abort {
        let mut answer = json!({"percentage": share(abort.percentage.as_ref())});
        let number = GRPC_STATUSES.iter().position(|it| *it == abort.grpc_status);
        match (abort.http_status, number) {
            (Some(status), None) => answer["http_status"] = json!(status),
            (None, Some(number)) => answer["grpc_status"] = json!(number),
            _ => return Err(format!("not translated: {abort:?}")),
        }
        filter["abort"] = answer;
    }
    Ok(filter)
}

/// A share in millionths, cut; nothing where none is written.
///
/// Source: `route.go translatePercentToFractionalPercent`; Percent.value.
fn share(written: Option<&Percentage>) -> Value {
    let numerator = written.map_or(0, |share| (share.value * 10_000.0) as u32);
    json!({"numerator": numerator, "denominator": "MILLION"})
}

/// CORS: the newer list of origins is preferred to the older, lists become one line, and
/// preflights from other origins are forwarded unless they shall be ignored.
///
/// Source: `route.go TranslateCORSPolicy`, `forwardNotMatchingPreflights`; CorsPolicy; CorsPolicy
/// of Envoy's CORS filter.
fn cors(written: &CorsPolicy) -> Value {
    let exact = |text: &String| json!({"exact": text});
    let origin = |origin: &StringMatch| match origin {
        StringMatch::Exact(text) => exact(text),
        StringMatch::Prefix(text) => json!({"prefix": text}),
        StringMatch::Regex(text) => json!({"safe_regex": {"regex": text}}),
        other => unreachable!("an origin must say something: {other:?}"),
    };
    let origins: Vec<Value> = match written.allow_origins.is_empty() {
        true => written.allow_origin.iter().map(exact).collect(),
        false => written.allow_origins.iter().map(origin).collect(),
    };
    let forwards = written.unmatched_preflights != UnmatchedPreflights::Ignore;
    let mut filter = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": origins,
        "allow_methods": written.allow_methods.join(","),
        "allow_headers": written.allow_headers.join(","),
        "expose_headers": written.expose_headers.join(","),
        "filter_enabled": {"default_value": {"numerator": 100, "denominator": "HUNDRED"}},
        "forward_not_matching_preflights": forwards,
    });
    if let Some(age) = written.max_age {
        filter["max_age"] = json!(age.as_secs().to_string());
    }
    if let Some(allowed) = written.allow_credentials {
        filter["allow_credentials"] = json!(allowed);
    }
    filter
}
