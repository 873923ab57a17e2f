//! From `HTTPRoute.timeout` as written to a policy.

use std::time::Duration;

use super::policy::TimeoutPolicy;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::duration;

/// Compiles a rule's timeout; zero, as older files have it, switches the limit off.
pub(crate) fn compile(
    written: Duration,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Option<TimeoutPolicy> {
    if written.is_zero() {
        return None;
    }
    if let Some(refusal) = duration::refusal(written) {
        found.push(Diagnostic::new(Code::InvalidValue, at, refusal));
        return None;
    }
    Some(TimeoutPolicy::new(written))
}
