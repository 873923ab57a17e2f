//! From `HTTPFaultInjection` as written to a policy.

use http::StatusCode;

use super::policy::{Abort, FaultPolicy};
use crate::api::{HttpFaultAbort, HttpFaultDelay, HttpFaultInjection, Percentage};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::duration;
use crate::percent::Percent;

/// Compiles a rule's faults; nothing where no request can ever be harmed.
pub(crate) fn compile(
    written: &HttpFaultInjection,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Option<FaultPolicy> {
    if written.delay.is_none() && written.abort.is_none() {
        let message = "HTTP fault injection must have an abort and/or a delay";
        found.push(Diagnostic::new(Code::MissingField, at, message));
    }
    let mut policy = FaultPolicy::default();
    if let Some(written) = &written.delay {
        policy = delay(written, policy, at.field("delay"), found);
    }
    if let Some(written) = &written.abort {
        policy = abort(written, policy, at.field("abort"), found);
    }
    (!policy.is_empty()).then_some(policy)
}

fn delay(
    written: &HttpFaultDelay,
    policy: FaultPolicy,
    at: At<'_>,
    found: &mut Diagnostics,
) -> FaultPolicy {
    if written.exponential_delay.is_some() {
        let at = at.field("exponentialDelay");
        let message = "exponentialDelay not supported yet";
        found.push(Diagnostic::new(Code::InvalidValue, at, message));
    }
    if written.percent.is_some() {
        let at = at.field("percent");
        let message = r#"using deprecated setting "percent", use "percentage" instead"#;
        found.push(Diagnostic::new(Code::Deprecated, at, message));
    }
    let share = match (&written.percentage, written.percent) {
        (Some(written), _) => share(written, at, found),
        (None, Some(percent)) => match u32::try_from(percent) {
            Ok(percent) => Some(Percent::from_whole(percent)),
            Err(_) => {
                let message = format!("percent {percent} < 0");
                let at = at.field("percent");
                found.push(Diagnostic::new(Code::InvalidValue, at, message));
                None
            }
        },
        (None, None) => {
            never_fires("delay", at, found);
            None
        }
    };
    let Some(fixed) = written.fixed_delay else {
        if written.exponential_delay.is_none() {
            let message = "delay configured, but fixedDelay not set: it never fires";
            found.push(Diagnostic::new(Code::NeverFires, at, message));
        }
        return policy;
    };
    if let Some(refusal) = duration::refusal(fixed) {
        let at = at.field("fixedDelay");
        found.push(Diagnostic::new(Code::InvalidValue, at, refusal));
        return policy;
    }
    match share {
        Some(share) => policy.delay(share, fixed),
        None => policy,
    }
}

fn abort(
    written: &HttpFaultAbort,
    policy: FaultPolicy,
    at: At<'_>,
    found: &mut Diagnostics,
) -> FaultPolicy {
    let share = match &written.percentage {
        Some(written) => share(written, at, found),
        None => {
            never_fires("abort", at, found);
            None
        }
    };
    match (failure(written, at, found), share) {
        (Some(failure), Some(share)) => policy.abort(share, failure),
        _ => policy,
    }
}

fn failure(written: &HttpFaultAbort, at: At<'_>, found: &mut Diagnostics) -> Option<Abort> {
    let HttpFaultAbort {
        http_status,
        grpc_status,
        http2_error,
        percentage: _,
    } = written;
    let grpc = !grpc_status.is_empty();
    let http2 = !http2_error.is_empty();
    if [http_status.is_some(), grpc, http2]
        .iter()
        .filter(|it| **it)
        .count()
        > 1
    {
        let message = "only one of httpStatus, grpcStatus and http2Error may be set";
        found.push(Diagnostic::new(Code::Exclusive, at, message));
        return None;
    }
    let (field, result) = if let Some(status) = *http_status {
        ("httpStatus", from_http_status(status))
    } else if grpc {
        ("grpcStatus", from_grpc_status(grpc_status))
    } else if http2 {
        let message = "HTTP/2 abort fault injection not supported yet";
        ("http2Error", Err(message.to_owned()))
    } else {
        let message = "abort configured, but error type not set: it never fires";
        found.push(Diagnostic::new(Code::NeverFires, at, message));
        return None;
    };
    let report = |message| Diagnostic::new(Code::InvalidValue, at.field(field), message);
    result
        .map_err(|message: String| found.push(report(message)))
        .ok()
}

fn from_http_status(status: i32) -> Result<Abort, String> {
    let code = u16::try_from(status).ok();
    code.and_then(|it| StatusCode::from_u16(it).ok())
        .and_then(|it| Abort::http_status(it).ok())
        .ok_or_else(|| format!("HTTP status {status} is not in range 200-599"))
}

fn from_grpc_status(name: &str) -> Result<Abort, String> {
    /// By their numbers.
    const NAMES: [&str; 17] = [
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
    match (0..).zip(NAMES).find(|(_, it)| *it == name) {
        Some((code, _)) => Ok(Abort::grpc_status(code)),
        None => Err(format!(
            "gRPC status {name:?} is not supported. See \
             https://github.com/grpc/grpc/blob/master/doc/statuscodes.md for a list of supported \
             codes, for example 'NOT_FOUND'"
        )),
    }
}

fn share(written: &Percentage, at: At<'_>, found: &mut Diagnostics) -> Option<Percent> {
    let at = at.field("percentage");
    let report = |error| Diagnostic::new(Code::InvalidValue, at.field("value"), error);
    Percent::from_percentage(written.value)
        .map_err(|error| found.push(report(error.to_string())))
        .ok()
}

/// Istio takes a missing percentage for none at all, which is hardly ever meant.
fn never_fires(fault: &str, at: At<'_>, found: &mut Diagnostics) {
    let message = format!("without a percentage the {fault} never fires");
    let hint = "for every request write percentage: {value: 100}";
    found.push(Diagnostic::new(Code::NeverFires, at, message).hint(hint));
}
