//! Headers by which a rule speaks to the proxy itself: `x-envoy-retry-on` and its kin.
//!
//! Asked of Envoy 1.40: its router reads them after it has applied a rule's operations, and takes
//! them out before a request is sent.

use http::header::HeaderName;

use super::format::Value;
use super::one_line::Side;
use super::read::{Fault, Names};
use crate::api;

/// Those that change retries.
pub(crate) const RETRIES: [&str; 5] = [
    "x-envoy-retry-on",
    "x-envoy-retry-grpc-on",
    "x-envoy-max-retries",
    "x-envoy-retriable-status-codes",
    "x-envoy-retriable-header-names",
];

/// Those read before a rule has set them, and taken out all the same.
const TOO_LATE: [&str; 2] = [
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-upstream-rq-per-try-timeout-ms",
];

/// Those that would say something here that nothing says it by.
const LEFT_OUT: [(&str, &str); 2] = [
    (
        "x-envoy-upstream-rq-timeout-alt-response",
        "what a late request is answered with is one status, 504",
    ),
    (
        "x-envoy-upstream-stream-duration-ms",
        "write it as the rule's timeout or the time for each try",
    ),
];

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// What is wrong with a request's header of this name and value; `alone` for an operation of the
/// rule, or of its only destination.
pub(super) fn fault(
    name: &str,
    value: &Result<Value, Fault>,
    side: Side,
    alone: bool,
) -> Option<Fault> {
    if side == Side::Response {
        return None;
    }
    if is_one_of(&RETRIES, name) {
        let (message, instead) = match value {
            Ok(Value::Plain(_)) if alone => return None,
            Ok(Value::Plain(_)) => (
                format!("a {name} of one destination of several is not heeded"),
                "write it among the rule's own headers",
            ),
            _ => (
                format!("a {name} is heeded as it is written, without formatters"),
                "write the value out",
            ),
        };
        return Some(Fault::LeftOut(message, instead));
    }
    if is_one_of(&TOO_LATE, name) {
        let message = format!("a {name} that a rule sets has no effect, as under a sidecar");
        return Some(Fault::Idle(message));
    }
    let (name, instead) = LEFT_OUT
        .iter()
        .find(|(it, _)| it.eq_ignore_ascii_case(name))?;
    let message = format!("requests are not timed out by a {name} that a rule sets");
    Some(Fault::LeftOut(message, instead))
}

/// Whether a header of requests ends at the proxy, so that none is sent.
pub(super) fn ends_here(name: &HeaderName, side: Side) -> bool {
    let name = name.as_str();
    side == Side::Request
        && name.starts_with("x-envoy-")
        && (is_one_of(&RETRIES, name) || is_one_of(&TOO_LATE, name))
}

/// Whether the operations say anything about retries.
pub(crate) fn controls_retries(written: &api::Headers) -> bool {
    let Some(request) = &written.request else {
        return false;
    };
    let mut names = request.set.keys().chain(request.add.keys());
    names.any(|name| is_one_of(&RETRIES, name))
}

/// What the operations of a rule, and those of its only destination, come to for such a header;
/// nothing where they do not name it.
pub(crate) fn value_of(
    route: Option<&api::Headers>,
    only: Option<&api::Headers>,
    name: &str,
) -> Option<String> {
    let levels = [route, only].map(|it| it.and_then(|it| it.request.as_ref()));
    let find = |list: &indexmap::IndexMap<String, String>| {
        let (_, value) = list.iter().find(|(it, _)| it.eq_ignore_ascii_case(name))?;
        match Value::read(value, Side::Request, Names::default(), &mut |_| {}) {
            Ok(Value::Plain(value)) => value.to_str().ok().map(str::to_owned),
            _ => None,
        }
    };
    let levels = || levels.iter().flatten();
    let set = levels().filter_map(|it| find(&it.set)).next_back();
    let added = levels().filter_map(|it| find(&it.add));
    // The header has one line: what is added stands behind a comma.
    let values: Vec<_> = set.into_iter().chain(added).collect();
    let values: Vec<_> = values.into_iter().filter(|it| !it.is_empty()).collect();
    (!values.is_empty()).then(|| values.join(","))
}
