//! From `HTTPRetry` as written to a policy.

use super::on::{RetryOn, WORDS};
use super::policy::RetryPolicy;
use crate::api;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

/// Compiles a rule's retries; nothing where they are off.
pub(crate) fn compile(
    written: Option<&api::HttpRetry>,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Option<RetryPolicy> {
    let Some(written) = written else {
        return Some(RetryPolicy::istio_default());
    };
    let on = match written.retry_on.as_str() {
        "" => Some(RetryOn::istio_default()),
        text => match RetryOn::parse(text) {
            Ok(on) => Some(on),
            Err(error) => {
                let at = at.field("retryOn");
                let fault = Diagnostic::new(Code::InvalidValue, at, error.to_string());
                found.push(fault.hint(hint_for(text)));
                None
            }
        },
    };
    let Ok(attempts) = u32::try_from(written.attempts) else {
        let at = at.field("attempts");
        let message = "attempts cannot be negative";
        found.push(Diagnostic::new(Code::InvalidValue, at, message));
        return None;
    };
    if attempts == 0 {
        let more = written.per_try_timeout.is_some()
            || !written.retry_on.is_empty()
            || written.retry_remote_localities.is_some();
        if more {
            let message = "http retry policy configured when attempts are set to 0 (disabled)";
            found.push(Diagnostic::new(Code::Exclusive, at, message));
        }
        return None;
    }
    let mut policy = RetryPolicy::new(attempts, on?);
    if let Some(limit) = written.per_try_timeout.filter(|it| !it.is_zero()) {
        policy = policy.per_try_timeout(limit);
    }
    if let Some(base) = written.backoff.filter(|it| !it.is_zero()) {
        policy = policy.backoff(base);
    }
    if let Some(avoid) = written.retry_ignore_previous_hosts {
        policy = policy.avoid_tried_hosts(avoid);
    }
    if written.retry_remote_localities == Some(true) {
        policy = policy.leave_localities(true);
    }
    Some(policy)
}

/// The way out for a list with a word in it that is none.
fn hint_for(text: &str) -> String {
    if RetryOn::parse(&text.replace(' ', "")).is_ok() {
        return "leave out the blanks".to_owned();
    }
    let words = WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>();
    format!("there are {}, and statuses such as 503", words.join(", "))
}
