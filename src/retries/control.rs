//! `x-envoy-retry-on` and its kin, where a rule sets them: what they add to its retries.
//!
//! Asked of Envoy 1.40. Conditions and status codes join those of the rule, and the number of
//! retries is the header's. Where the rule has no retries there is one, if a condition is named.
//! Words and numbers that are none are passed over.

use http::{HeaderName, StatusCode};

use super::on::RetryOn;
use super::policy::RetryPolicy;

/// The retries of a rule whose requests carry these headers; `value_of` tells one by its name.
pub(crate) fn controlled(
    policy: Option<RetryPolicy>,
    value_of: impl Fn(&str) -> Option<String>,
) -> Option<RetryPolicy> {
    let (http, grpc) = (
        value_of("x-envoy-retry-on"),
        value_of("x-envoy-retry-grpc-on"),
    );
    if policy.is_none() && http.is_none() && grpc.is_none() {
        return None;
    }
    let mut policy = policy.unwrap_or_else(|| RetryPolicy::new(1, RetryOn::default()));
    for word in words(http.as_deref()) {
        policy.on.add_http(word);
    }
    for word in words(grpc.as_deref()) {
        policy.on.add_grpc(word);
    }
    for code in words(value_of("x-envoy-retriable-status-codes").as_deref()) {
        let code = code.parse().ok();
        if let Some(status) = code.and_then(|it| StatusCode::from_u16(it).ok()) {
            policy.on.add_status(status);
        }
    }
    for name in words(value_of("x-envoy-retriable-header-names").as_deref()) {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            policy.on.add_header(name);
        }
    }
    let most = value_of("x-envoy-max-retries");
    if let Some(most) = most.and_then(|it| it.trim().parse().ok()) {
        policy.attempts = most;
    }
    policy.on.is_any().then_some(policy)
}

fn words(list: Option<&str>) -> impl Iterator<Item = &str> {
    let words = list.unwrap_or_default().split(',');
    words.map(str::trim).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What retries with these headers come to: how many, on what.
    fn check(before: Option<(u32, &str)>, headers: &[(&str, &str)], want: Option<(u32, &str)>) {
        let before = before.map(|(attempts, on)| RetryPolicy::new(attempts, on_of(on)));
        let value_of = |name: &str| {
            let mut headers = headers.iter();
            let (_, value) = headers.find(|(it, _)| format!("x-envoy-{it}") == name)?;
            Some((*value).to_owned())
        };
        let policy = controlled(before, value_of);
        let got = policy.map(|it| (it.attempts, it.on.to_string()));
        let want = want.map(|(attempts, on)| (attempts, on.to_owned()));
        assert_eq!(got, want, "{headers:?}");
    }

    fn on_of(text: &str) -> RetryOn {
        RetryOn::parse(text).expect("valid")
    }

    #[test]
    fn conditions_join_those_of_the_rule() {
        let reset = Some((2, "reset"));
        check(reset, &[], reset);
        check(reset, &[("retry-on", "5xx")], Some((2, "5xx,reset")));
        check(
            reset,
            &[("retry-on", "nonsense, 5xx")],
            Some((2, "5xx,reset")),
        );
        check(
            reset,
            &[("retry-grpc-on", "internal")],
            Some((2, "reset,internal")),
        );
        // Each header knows its own words, and statuses are none.
        check(reset, &[("retry-on", "internal,503")], reset);
        check(reset, &[("retry-grpc-on", "5xx")], reset);
    }

    #[test]
    fn where_a_rule_has_none_a_condition_makes_one() {
        check(None, &[("retry-on", "5xx")], Some((1, "5xx")));
        check(None, &[("retry-on", "503")], None);
        check(None, &[("max-retries", "3")], None);
        check(None, &[("retriable-status-codes", "404")], None);
    }

    #[test]
    fn the_number_is_the_headers() {
        let on = Some((2, "5xx"));
        check(on, &[("max-retries", "4")], Some((4, "5xx")));
        check(on, &[("max-retries", "0")], Some((0, "5xx")));
        check(on, &[("max-retries", "x")], on);
    }

    #[test]
    fn statuses_and_headers_need_their_conditions() {
        let code = ("retriable-status-codes", "404, x,418");
        let codes = Some((2, "retriable-status-codes"));
        check(codes, &[code], Some((2, "404,418")));
        check(None, &[code, ("retry-on", "reset")], Some((1, "reset")));
        let name = ("retriable-header-names", "X-Again");
        let policy = controlled(None, |it| match it {
            "x-envoy-retry-on" => Some("retriable-headers".to_owned()),
            "x-envoy-retriable-header-names" => Some(name.1.to_owned()),
            _ => None,
        });
        let on = policy.expect("a condition").on;
        let mut headers = http::HeaderMap::new();
        assert!(!on.retries_response(StatusCode::OK, &headers));
        headers.insert("x-again", http::HeaderValue::from_static(""));
        assert!(on.retries_response(StatusCode::OK, &headers));
        assert!(!on_of("5xx").retries_response(StatusCode::OK, &headers));
    }
}
