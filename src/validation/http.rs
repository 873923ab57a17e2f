//! `http[]`: one rule of a VirtualService, beyond what the rooms judge.

use super::names::{check_host, is_dns_label, shortened};
use super::{check_duration, check_port, exclusive, http_match, invalid, missing, tell};
use crate::api;
use crate::diagnostic::{At, Code, Diagnostics};

pub(super) fn check<'v>(
    rule: &'v api::HttpRoute,
    in_delegate: bool,
    only_mesh: bool,
    sound: &mut SoundHost<'v>,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    let at_match = at.field("match");
    for (n, block) in rule.r#match.iter().enumerate() {
        http_match::check(block, only_mesh, at_match.item(n), found);
    }
    let at_route = at.field("route");
    for (n, item) in rule.route.iter().enumerate() {
        if let Some(destination) = &item.destination {
            let at = at_route.item(n);
            check_destination(destination, sound, at.field("destination"), found);
        }
        if item.headers.is_some() {
            let at = at_route.item(n);
            check_authority(None, item.headers.as_ref(), at.field("headers"), found);
        }
    }
    if rule.headers.is_some() {
        let rewritten = rule.rewrite.as_ref().map(|it| it.authority.as_str());
        check_authority(rewritten, rule.headers.as_ref(), at.field("headers"), found);
    }
    check_delegate(rule, in_delegate, at, found);
    check_mirrors(rule, sound, at, found);
    check_times(rule, at, found);
}

/// The host that was found to be one last: most rules of a resource name the same.
#[derive(Debug, Default)]
pub(super) struct SoundHost<'v>(&'v str);

impl<'v> SoundHost<'v> {
    fn check(&mut self, host: &'v str, at: At<'_>, found: &mut Diagnostics) {
        if self.0 == host {
            return;
        }
        let before = found.len();
        check_host(host, at.field("host"), found);
        if found.len() == before {
            self.0 = host;
        }
    }
}

/// Refuses a destination that cannot be one.
pub(super) fn check_destination<'v>(
    written: &'v api::Destination,
    sound: &mut SoundHost<'v>,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    if !written.host.is_empty() && written.host != "*" {
        sound.check(&written.host, at, found);
    }
    if !written.subset.is_empty() && !is_dns_label(&written.subset) {
        let subset = shortened(&written.subset);
        invalid(
            found,
            at.field("subset"),
            format!("subset name is invalid: {subset}"),
        );
    }
    if let Some(port) = &written.port {
        check_port(port.number, at.field("port").field("number"), found);
    }
}

/// The authority may be changed once: by the rewrite, or by what a level sets or adds.
fn check_authority(
    rewritten: Option<&str>,
    headers: Option<&api::Headers>,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    let mut have = rewritten.filter(|it| !it.is_empty());
    let Some(request) = headers.and_then(|it| it.request.as_ref()) else {
        return;
    };
    let at = at.field("request");
    for (field, operations) in [("set", &request.set), ("add", &request.add)] {
        for (name, value) in operations {
            let names = ["host", ":authority"];
            if !names.iter().any(|it| it.eq_ignore_ascii_case(name)) {
                continue;
            }
            if let Some(have) = have {
                let (have, value) = (shortened(have), shortened(value));
                let message = format!(
                    "authority header cannot be set multiple times: have {have:?}, attempting to \
                     set {value:?}"
                );
                exclusive(found, at.field(field).key(name), message);
            }
            have = Some(value);
        }
    }
}

fn check_delegate(rule: &api::HttpRoute, in_delegate: bool, at: At<'_>, found: &mut Diagnostics) {
    let Some(delegate) = &rule.delegate else {
        return;
    };
    let at_delegate = at.field("delegate");
    if in_delegate {
        exclusive(
            found,
            at_delegate,
            "delegate HTTP route cannot contain delegate",
        );
        return;
    }
    if delegate.name.is_empty() {
        missing(
            found,
            at_delegate.field("name"),
            "delegate name is required",
        );
    }
    if !delegate.namespace.is_empty() && !is_dns_label(&delegate.namespace) {
        let namespace = shortened(&delegate.namespace);
        let message = format!("invalid value for namespace: {namespace:?}");
        invalid(found, at_delegate.field("namespace"), message);
    }
    let name = shortened(&rule.name);
    if !rule.route.is_empty() {
        let message = format!("root HTTP route {name} must not specify route");
        exclusive(found, at.field("route"), message);
    }
    if rule.redirect.is_some() {
        let message = format!("root HTTP route {name} must not specify redirect");
        exclusive(found, at.field("redirect"), message);
    }
}

fn check_mirrors<'v>(
    rule: &'v api::HttpRoute,
    sound: &mut SoundHost<'v>,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    if let Some(mirror) = &rule.mirror {
        check_destination(mirror, sound, at.field("mirror"), found);
    }
    let at = at.field("mirrors");
    for (n, mirror) in rule.mirrors.iter().enumerate() {
        if let Some(destination) = &mirror.destination {
            check_destination(destination, sound, at.item(n).field("destination"), found);
        }
    }
}

fn check_times(rule: &api::HttpRoute, at: At<'_>, found: &mut Diagnostics) {
    if rule.timeout.is_some_and(|it| it.is_zero()) {
        // Files of old versions switch the limit off so; no rule of today's does.
        let message = "a timeout of 0s means no limit, and Istio refuses it today: leave it out";
        tell(found, Code::Deprecated, at.field("timeout"), message);
    }
    let Some(retries) = &rule.retries else {
        return;
    };
    let at = at.field("retries");
    check_duration(retries.per_try_timeout, at.field("perTryTimeout"), found);
    check_duration(retries.backoff, at.field("backoff"), found);
    if let (Some(whole), Some(each)) = (rule.timeout, retries.per_try_timeout)
        && !whole.is_zero()
        && each >= whole
    {
        let message = "perTryTimeout is not shorter than the route's timeout: it has no effect";
        tell(found, Code::NeverFires, at.field("perTryTimeout"), message);
    }
}
