//! The retries of a rule as Envoy's retry policy.

use serde_json::{Value, json};
use tower_mesh::api::HttpRetry;

use super::actions::seconds;

/// Retries: two, on failures where nothing was sent and on gRPC servers that are away, unless the
/// rule says otherwise; a block without attempts switches them off. Status codes among the
/// conditions become a list of their own. Hosts tried before are avoided, five times over.
pub(super) fn retry_policy(retries: Option<&HttpRetry>) -> Option<Value> {
    const DEFAULT: &str =
        "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
    let mut policy = json!({
        "retry_on": DEFAULT,
        "num_retries": 2,
        "retry_host_predicate": [{
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
        }],
        "host_selection_retry_max_attempts": 5,
    });
    let Some(retries) = retries else {
        return Some(policy);
    };
    if retries.attempts <= 0 {
        return None;
    }
    policy["num_retries"] = json!(retries.attempts);
    if !retries.retry_on.is_empty() {
        let is_code = |word: &&str| word.parse::<u32>().is_ok();
        let (codes, mut words): (Vec<&str>, Vec<&str>) =
            retries.retry_on.split(',').partition(is_code);
        if !codes.is_empty() && !words.contains(&"retriable-status-codes") {
            words.push("retriable-status-codes");
        }
        let codes: Vec<u32> = codes.iter().filter_map(|code| code.parse().ok()).collect();
        policy["retry_on"] = json!(words.join(","));
        policy["retriable_status_codes"] = json!(codes);
    }
    if retries.retry_ignore_previous_hosts == Some(false)
        && let Some(policy) = policy.as_object_mut()
    {
        policy.remove("retry_host_predicate");
    }
    if let Some(limit) = retries.per_try_timeout {
        policy["per_try_timeout"] = json!(seconds(limit));
    }
    if let Some(base) = retries.backoff {
        policy["retry_back_off"] =
            json!({"base_interval": seconds(base), "max_interval": seconds(base * 10)});
    }
    Some(policy)
}
