//! From `OutlierDetection` as written to a policy.

use std::time::Duration;

use super::policy::OutlierDetectionPolicy;
use crate::api;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::duration;

/// Compiles a destination's outlier detection; whatever is wrong is told to `found`.
pub(crate) fn compile(
    written: &api::OutlierDetection,
    at: At<'_>,
    found: &mut Diagnostics,
) -> OutlierDetectionPolicy {
    let unless_told = OutlierDetectionPolicy::default();
    let split = written
        .split_external_local_origin_errors
        .unwrap_or_default();
    if written
        .consecutive_local_origin_failures
        .is_some_and(|it| it > 0)
        && !split
    {
        let message = "outlier detection consecutive local origin failures is specified, but \
                       split external local origin errors is set to false";
        let at = at.field("consecutiveLocalOriginFailures");
        found.push(Diagnostic::new(Code::InvalidValue, at, message));
    }
    let old = old_errors(written, at, found);
    let errors = match old {
        Some(_) => 0,
        None => unless_told.consecutive_5xx_errors,
    };
    let base = time(
        written.base_ejection_time,
        unless_told.base_ejection_time,
        at.field("baseEjectionTime"),
        found,
    );
    let most = percent(
        written.max_ejection_percent,
        at.field("maxEjectionPercent"),
        found,
    );
    OutlierDetectionPolicy {
        consecutive_5xx_errors: written.consecutive_5xx_errors.unwrap_or(errors),
        consecutive_gateway_errors: written
            .consecutive_gateway_errors
            .or(old)
            .unwrap_or_default(),
        split_external_local_origin_errors: split,
        consecutive_local_origin_failures: written
            .consecutive_local_origin_failures
            .unwrap_or(unless_told.consecutive_local_origin_failures),
        interval: time(
            written.interval,
            unless_told.interval,
            at.field("interval"),
            found,
        ),
        base_ejection_time: base,
        max_ejection_time: unless_told.max_ejection_time.max(base),
        max_ejection_percent: match most {
            0 => unless_told.max_ejection_percent,
            told => told,
        },
        min_health_percent: percent(
            written.min_health_percent,
            at.field("minHealthPercent"),
            found,
        ),
        http_error_codes: codes(&written.outlier_detection_http_error_codes, at, found),
        eject_at_least_one: false,
        max_ejection_time_jitter: unless_told.max_ejection_time_jitter,
        success_rate: None,
        failure_percentage: None,
    }
}

/// The field that `consecutiveGatewayErrors` has replaced, which many files still have.
fn old_errors(written: &api::OutlierDetection, at: At<'_>, found: &mut Diagnostics) -> Option<u32> {
    let count = written.consecutive_errors?;
    let message = "outlier detection consecutive errors is deprecated, use \
                   consecutiveGatewayErrors or consecutive5xxErrors instead";
    let at = at.field("consecutiveErrors");
    let hint = "it counts as consecutiveGatewayErrors, where a sidecar of today overlooks it";
    found.push(Diagnostic::new(Code::Deprecated, at, message).hint(hint));
    u32::try_from(count).ok()
}

fn time(
    written: Option<Duration>,
    unless_told: Duration,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Duration {
    let Some(written) = written else {
        return unless_told;
    };
    if let Some(refusal) = duration::refusal(written) {
        found.push(Diagnostic::new(Code::InvalidValue, at, refusal));
        return unless_told;
    }
    written
}

fn percent(written: Option<i32>, at: At<'_>, found: &mut Diagnostics) -> u32 {
    let written = written.unwrap_or_default();
    match u32::try_from(written) {
        Ok(percent @ 0..=100) => percent,
        _ => {
            let message = format!("percentage {written} is not in range 0..100");
            found.push(Diagnostic::new(Code::InvalidValue, at, message));
            0
        }
    }
}

fn codes(written: &[u32], at: At<'_>, found: &mut Diagnostics) -> Vec<u16> {
    let at = at.field("outlierDetectionHttpErrorCodes");
    let mut codes = Vec::with_capacity(written.len());
    for (n, code) in written.iter().enumerate() {
        match u16::try_from(*code) {
            Ok(code @ 100..=599) => codes.push(code),
            _ => {
                let message = format!("status {code} is not in range 100..599");
                found.push(Diagnostic::new(Code::InvalidValue, at.item(n), message));
            }
        }
    }
    codes
}
