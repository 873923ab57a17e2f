//! What Istio's admission refuses in a resource by itself, whoever the client is.
//!
//! Rooms judge what they compile: a match, a fault, a redirect. What is left is
//! here: names, ports, durations, limits, certificates and what may not stand
//! side by side, in Istio's own words where it has any. What depends on other
//! resources is the plan's to say.
//!
//! Source: Istio's `pkg/config/validation` and the rules of its CRDs.

use std::time::Duration;

use crate::api::{Resource, Spec};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::duration;
use crate::source::Source;

mod client_tls;
mod destination_rule;
mod export_to;
mod gateway;
mod http;
mod http_match;
mod l4;
mod load_balancer;
mod locality;
mod names;
mod server_tls;
mod service_entry;
mod traffic_policy;
mod virtual_service;

/// Tells everything that is wrong with a resource by itself.
pub(crate) fn check(resource: &Resource, source: &Source, found: &mut Diagnostics) {
    let at = At::Top.field("spec");
    let namespace = resource.metadata.namespace_or_default();
    match &resource.spec {
        Spec::VirtualService(it) => virtual_service::check(it, namespace, source, at, found),
        Spec::DestinationRule(it) => destination_rule::check(it, namespace, at, found),
        Spec::ServiceEntry(it) => service_entry::check(it, namespace, at, found),
        Spec::Gateway(it) => gateway::check(it, &resource.metadata.name, at, found),
        Spec::Service(_) => {}
    }
}

fn tell(found: &mut Diagnostics, code: Code, at: At<'_>, message: impl Into<String>) {
    found.push(Diagnostic::new(code, at, message));
}

fn invalid(found: &mut Diagnostics, at: At<'_>, message: impl Into<String>) {
    tell(found, Code::InvalidValue, at, message);
}

fn missing(found: &mut Diagnostics, at: At<'_>, message: impl Into<String>) {
    tell(found, Code::MissingField, at, message);
}

fn exclusive(found: &mut Diagnostics, at: At<'_>, message: impl Into<String>) {
    tell(found, Code::Exclusive, at, message);
}

/// Refuses a duration below a millisecond, or with parts of one.
fn check_duration(written: Option<Duration>, at: At<'_>, found: &mut Diagnostics) {
    if let Some(refusal) = written.and_then(duration::refusal) {
        invalid(found, at, refusal);
    }
}

/// Refuses a number that is no port.
fn check_port(number: u32, at: At<'_>, found: &mut Diagnostics) {
    if !(1..=65_535).contains(&number) {
        invalid(found, at, "port number must be between 1 and 65535");
    }
}
