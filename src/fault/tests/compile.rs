//! From YAML's words to a policy, or to what is wrong with them.

use std::time::Duration;

use super::DELAY;
use crate::api::{HttpFaultAbort, HttpFaultDelay, HttpFaultInjection, Percentage};
use crate::diagnostic::{At, Diagnostics};
use crate::fault::compile;
use crate::rt::Rng;

/// Compiles a `fault`; the policy's effect on a request and what was found, one a line.
#[track_caller]
fn check(written: &HttpFaultInjection, want: &[&str]) {
    let mut found = Diagnostics::default();
    let policy = compile(written, At::Top.field("fault"), &mut found);
    let verdict = policy.map(|it| it.decide(&Rng::seeded(7)));
    let effect = verdict.map_or("no policy".to_owned(), |it| {
        format!("delay {:?}, abort {}", it.delay, it.abort.is_some())
    });
    let mut got = vec![effect];
    got.extend(found.iter().map(ToString::to_string));
    assert_eq!(got, want);
}

fn percentage(value: f64) -> Option<Percentage> {
    Some(Percentage { value })
}

#[test]
fn compiles_what_istio_accepts() {
    let delay = HttpFaultDelay {
        fixed_delay: Some(DELAY),
        percentage: percentage(100.0),
        ..HttpFaultDelay::default()
    };
    let abort = HttpFaultAbort {
        grpc_status: "UNAVAILABLE".into(),
        percentage: percentage(100.0),
        ..HttpFaultAbort::default()
    };
    let both = HttpFaultInjection {
        delay: Some(delay.clone()),
        abort: Some(abort.clone()),
    };
    check(&both, &["delay Some(1.5s), abort true"]);
    let off = HttpFaultInjection {
        abort: Some(HttpFaultAbort {
            percentage: percentage(0.0),
            ..abort
        }),
        delay: None,
    };
    check(&off, &["no policy"]);
    let legacy = HttpFaultInjection {
        delay: Some(HttpFaultDelay {
            percentage: None,
            percent: Some(100),
            ..delay
        }),
        abort: None,
    };
    check(
        &legacy,
        &[
            "delay Some(1.5s), abort false",
            r#"warning[deprecated]: fault.delay.percent: using deprecated setting "percent", use "percentage" instead"#,
        ],
    );
}

#[test]
fn what_never_fires_is_a_warning() {
    let hint = "(for every request write percentage: {value: 100})";
    let without = HttpFaultInjection {
        delay: Some(HttpFaultDelay {
            fixed_delay: Some(DELAY),
            ..HttpFaultDelay::default()
        }),
        abort: Some(HttpFaultAbort {
            http_status: Some(500),
            ..HttpFaultAbort::default()
        }),
    };
    let of = |fault: &str| {
        format!(
            "warning[never-fires]: fault.{fault}: without a percentage the {fault} never fires {hint}"
        )
    };
    check(&without, &["no policy", &of("delay"), &of("abort")]);
    let untyped = HttpFaultInjection {
        delay: Some(HttpFaultDelay {
            percentage: percentage(1.0),
            ..HttpFaultDelay::default()
        }),
        abort: Some(HttpFaultAbort {
            percentage: percentage(1.0),
            ..HttpFaultAbort::default()
        }),
    };
    check(
        &untyped,
        &[
            "no policy",
            "warning[never-fires]: fault.delay: delay configured, but fixedDelay not set: it never fires",
            "warning[never-fires]: fault.abort: abort configured, but error type not set: it never fires",
        ],
    );
}

#[test]
fn refuses_what_istio_refuses_in_its_words() {
    check(
        &HttpFaultInjection::default(),
        &[
            "no policy",
            "error[missing-field]: fault: HTTP fault injection must have an abort and/or a delay",
        ],
    );
    let delay = |fixed, value| HttpFaultInjection {
        delay: Some(HttpFaultDelay {
            fixed_delay: Some(fixed),
            percentage: percentage(value),
            ..HttpFaultDelay::default()
        }),
        abort: None,
    };
    check(
        &delay(DELAY, 100.5),
        &[
            "no policy",
            "error[invalid-value]: fault.delay.percentage.value: percentage 100.5 is neither 0.0, nor in range [0.0001, 100.0]",
        ],
    );
    check(
        &delay(Duration::from_micros(999), 1.0),
        &[
            "no policy",
            "error[invalid-value]: fault.delay.fixedDelay: duration must be greater than 1ms",
        ],
    );
    check(
        &delay(Duration::from_micros(1001), 1.0),
        &[
            "no policy",
            "error[invalid-value]: fault.delay.fixedDelay: only durations to ms precision are supported",
        ],
    );
    let abort = |http_status, grpc_status: &str, http2_error: &str| HttpFaultInjection {
        delay: None,
        abort: Some(HttpFaultAbort {
            http_status,
            grpc_status: grpc_status.into(),
            http2_error: http2_error.into(),
            percentage: percentage(100.0),
        }),
    };
    for status in [-1, 0, 199, 600, 70_000] {
        let why = format!(
            "error[invalid-value]: fault.abort.httpStatus: HTTP status {status} is not in range 200-599"
        );
        check(&abort(Some(status), "", ""), &["no policy", &why]);
    }
    check(
        &abort(None, "Unavailable", ""),
        &[
            "no policy",
            "error[invalid-value]: fault.abort.grpcStatus: gRPC status \"Unavailable\" is not \
             supported. See https://github.com/grpc/grpc/blob/master/doc/statuscodes.md for a \
             list of supported codes, for example 'NOT_FOUND'",
        ],
    );
    check(
        &abort(None, "", "PROTOCOL_ERROR"),
        &[
            "no policy",
            "error[invalid-value]: fault.abort.http2Error: HTTP/2 abort fault injection not supported yet",
        ],
    );
    check(
        &abort(Some(500), "INTERNAL", ""),
        &[
            "no policy",
            "error[exclusive]: fault.abort: only one of httpStatus, grpcStatus and http2Error may be set",
        ],
    );
}
