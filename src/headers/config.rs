//! From `Headers` as written to passes.

use http::header::{HOST, HeaderName, HeaderValue};
use indexmap::IndexMap;

use super::control;
use super::format::Value;
use super::one_line::Side;
use super::policy::{HeaderOperations, RequestHeaders, ResponseHeaders};
use super::read::{Fault, Names};
use crate::api;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

/// Tells everything that is wrong with the operations of a route or of a destination; `alone` where
/// they are the route's, or those of its only destination.
pub(crate) fn check(written: &api::Headers, alone: bool, at: At<'_>, found: &mut Diagnostics) {
    for (field, operations, side) in [
        ("request", &written.request, Side::Request),
        ("response", &written.response, Side::Response),
    ] {
        let Some(operations) = operations else {
            continue;
        };
        let at = at.field(field);
        let told = &mut |place, fault| {
            let (list, entry) = match place {
                Place::Entry(list, key) => (at.field(list), Err(key)),
                Place::Removed(index) => (at.field("remove"), Ok(index)),
            };
            let at = match entry {
                Ok(index) => list.item(index),
                Err(key) => list.key(key),
            };
            found.push(match fault {
                Fault::Invalid(message) => Diagnostic::new(Code::InvalidValue, at, message),
                Fault::Idle(message) => Diagnostic::new(Code::NeverFires, at, message),
                Fault::LeftOut(message, instead) => {
                    let hint = format!("on purpose: {instead}");
                    Diagnostic::new(Code::NotBuilt, at, message).hint(hint)
                }
            });
        };
        read(operations, side, alone, Names::default(), told);
    }
}

/// The operations of a route and of one of its destinations, which is its only one if `single`.
///
/// What [`check`] finds fault with is left out.
pub(crate) fn compile(
    route: Option<&api::Headers>,
    destination: Option<&api::Headers>,
    single: bool,
    names: Names<'_>,
) -> (Option<RequestHeaders>, Option<ResponseHeaders>) {
    let authority = destination.and_then(authority_of);
    let authority = authority.and_then(|it| HeaderValue::from_str(it).ok());
    let passes = |side| {
        let read = |level: Option<&api::Headers>| {
            let level = level?;
            let operations = match side {
                Side::Request => level.request.as_ref(),
                Side::Response => level.response.as_ref(),
            };
            Some(read(operations?, side, single, names, &mut |_, _| {}))
        };
        let (route, destination) = (read(route), read(destination));
        if !single {
            // The route's values see the authority that the destination has put in place.
            let authority = match side {
                Side::Request if route.as_ref().is_some_and(|it| !it.is_plain()) => {
                    authority.clone()
                }
                _ => None,
            };
            let authority = authority.map(|it| HeaderOperations::new().set(HOST, it));
            let passes = destination.into_iter().chain(authority).chain(route);
            return passes.collect();
        }
        let mut pass = route.unwrap_or_default();
        let destination = destination.unwrap_or_default();
        pass.remove.extend(destination.remove);
        pass.set.extend(destination.set);
        pass.add.extend(destination.add);
        vec![pass]
    };
    (
        RequestHeaders::from_passes(passes(Side::Request)),
        ResponseHeaders::from_passes(passes(Side::Response)),
    )
}

/// The authority that the operations of a route or of a destination put in the place of a
/// request's own; what is set beats what is added.
pub(crate) fn authority_of(written: &api::Headers) -> Option<&str> {
    fn find(list: &IndexMap<String, String>) -> Option<&str> {
        let mut entries = list.iter().rev();
        let (_, value) = entries.find(|(name, value)| is_authority(name) && !value.is_empty())?;
        Some(value)
    }
    let request = written.request.as_ref()?;
    find(&request.set).or_else(|| find(&request.add))
}

fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}

/// Where in a `HeaderOperations` something stands.
enum Place<'w> {
    /// In `set` or `add`, by name.
    Entry(&'static str, &'w str),
    /// In `remove`, by index.
    Removed(usize),
}

fn read<'w>(
    written: &'w api::HeaderOperations,
    side: Side,
    alone: bool,
    names: Names<'_>,
    report: &mut dyn FnMut(Place<'w>, Fault),
) -> HeaderOperations {
    let mut operations = HeaderOperations {
        remove: Vec::with_capacity(written.remove.len()),
        set: read_list("set", &written.set, side, alone, names, report),
        add: read_list("add", &written.add, side, alone, names, report),
    };
    for (index, name) in written.remove.iter().enumerate() {
        if let Some(message) = name_fault(name, false) {
            report(Place::Removed(index), Fault::Invalid(message));
        } else if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            // No message has a header whose name is not one.
            operations.remove.push(name);
        }
    }
    operations
}

/// Reads `set` or `add`, in the order of the names.
fn read_list<'w>(
    field: &'static str,
    written: &'w IndexMap<String, String>,
    side: Side,
    alone: bool,
    names: Names<'_>,
    report: &mut dyn FnMut(Place<'w>, Fault),
) -> Vec<(HeaderName, Value)> {
    let mut entries: Vec<_> = written.iter().collect();
    entries.sort();
    let mut operations = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let authority = side == Side::Request && is_authority(name);
        // The authority is not formatted, so nothing in it can be idle.
        let value = Value::read(value, side, names, &mut |idle| {
            if !authority {
                report(Place::Entry(field, name), idle);
            }
        });
        let fault = name_fault(name, authority).map(Fault::Invalid);
        if let Some(fault) = fault.or_else(|| control::fault(name, &value, side, alone)) {
            report(Place::Entry(field, name), fault);
            if let Err(fault) = value {
                report(Place::Entry(field, name), fault);
            }
            continue;
        }
        match value {
            Err(Fault::LeftOut(..)) if authority => {}
            Err(fault) => report(Place::Entry(field, name), fault),
            Ok(_) if authority => {}
            Ok(value) => match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) if control::ends_here(&name, side) => {}
                Ok(name) => operations.push((name, value)),
                Err(_) => {
                    let message = format!("invalid header {name:?}: not a header name");
                    report(Place::Entry(field, name), Fault::Invalid(message));
                }
            },
        }
    }
    operations
}

/// What Istio finds wrong with a name; `authority` where that may be named.
fn name_fault(name: &str, authority: bool) -> Option<String> {
    if name.is_empty() {
        Some("header name cannot be empty".to_owned())
    } else if authority {
        None
    } else if name.eq_ignore_ascii_case("host") {
        Some(format!("invalid header {name:?}: cannot set Host header"))
    } else if name.starts_with(':') {
        Some(format!(
            "invalid header {name:?}: header cannot have \":\" prefix"
        ))
    } else {
        None
    }
}
