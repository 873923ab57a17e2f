//! The retries of a rule as Envoy's retry policy.

use serde_json::{Value, json};
use tower_mesh::api::HttpRetry;

use super::actions::seconds;

/// Retries: two, on failures where nothing was sent and on gRPC servers that are away, unless the
/// rule says otherwise; a block without attempts switches them off. Status codes among the
/// conditions become a list of their own.
///
/// Hosts tried before are avoided, five times over; not where the rule's one destination has
/// `consistentHash`, with a key or without. What the rule says of it goes before both.
///
/// Source: `retry.go ConvertPolicy`, `DefaultPolicy`, `DefaultConsistentHashPolicy`,
/// `parseRetryOn`, `route.go applyHTTPRouteDestination`; HTTPRetry.attempts, .retryOn,
/// .perTryTimeout, .backoff, .retryIgnorePreviousHosts; RetryPolicy.
pub(super) fn retry_policy(retries: Option<&HttpRetry>, by_hash: bool) -> Option<Value> {
    const DEFAULT: &str =
        "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
    let mut policy = json!({
        "retry_on": DEFAULT,
        "num_retries": 2,
        "host_selection_retry_max_attempts": 5,
    });
    let own = retries.and_then(|it| it.retry_ignore_previous_hosts);
    if own.unwrap_or(!by_hash) {
        policy["retry_host_predicate"] = json!([{
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
        }]);
    }
    let Some(retries) = retries else {
        return Some(policy);
    };
    if retries.attempts <= 0 {
        return None;
    }
    policy["num_retries"] = json!(retries.attempts);
    if !retries.retry_on.is_empty() {
        // Blanks and empty words are dropped; a code is a number that has a text.
        let is_code = |word: &&str| {
            let code = word.parse::<u16>().ok();
            let code = code.and_then(|it| http::StatusCode::from_u16(it).ok());
            code.is_some_and(|it| it.canonical_reason().is_some())
        };
        let words = retries.retry_on.split(',').map(str::trim);
        let (codes, mut words): (Vec<&str>, Vec<&str>) =
            words.filter(|it| !it.is_empty()).partition(is_code);
        if !codes.is_empty() && !words.iter().any(|it| it.contains("retriable-status-codes")) {
            words.push("retriable-status-codes");
        }
        let codes: Vec<u32> = codes.iter().filter_map(|code| code.parse().ok()).collect();
        policy["retry_on"] = json!(words.join(","));
        policy["retriable_status_codes"] = json!(codes);
    }
    if let Some(limit) = retries.per_try_timeout {
        policy["per_try_timeout"] = json!(seconds(limit));
    }
    // The longest wait is Envoy's own, ten times the base (RetryPolicy.RetryBackOff.max_interval).
    if let Some(base) = retries.backoff {
        policy["retry_back_off"] = json!({"base_interval": seconds(base)});
    }
    Some(policy)
}
