//! The policies of a rule: each concept's own compile step, and what may not stand together.

use std::sync::{Arc, LazyLock};

use super::route::Policies;
use crate::api;
use crate::context::MatchedPath;
use crate::cors_policy;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::direct_response;
use crate::fault;
use crate::headers;
use crate::redirect;
use crate::retries::{self, RetryPolicy};
use crate::timeout;

/// What a match block makes of the path, for actions that replace what was matched.
pub(super) fn matched_path(block: Option<&api::HttpMatchRequest>) -> MatchedPath {
    match block.and_then(|block| block.uri.as_ref()) {
        Some(api::StringMatch::Prefix(prefix)) => MatchedPath::Prefix(prefix.len()),
        Some(api::StringMatch::Exact(_)) => MatchedPath::Exact,
        Some(api::StringMatch::Regex(_)) => MatchedPath::Regex,
        Some(api::StringMatch::Present) | None => MatchedPath::None,
    }
}

/// The policies of rules that say nothing of any: all of them share one.
static PLAIN: LazyLock<Arc<Policies>> = LazyLock::new(|| Arc::new(Policies::istio_default()));

/// Whether a rule says nothing of policies.
fn is_plain(written: &api::HttpRoute) -> bool {
    written.redirect.is_none()
        && written.direct_response.is_none()
        && written.fault.is_none()
        && written.cors_policy.is_none()
        && written.timeout.is_none()
        && written.retries.is_none()
        && !controls_retries(written)
}

/// The operations of a rule's only destination.
fn only_destination(written: &api::HttpRoute) -> Option<&api::Headers> {
    match written.route.as_slice() {
        [only] => only.headers.as_ref(),
        _ => None,
    }
}

/// Whether a rule's headers change its retries.
fn controls_retries(written: &api::HttpRoute) -> bool {
    let levels = [written.headers.as_ref(), only_destination(written)];
    let mut levels = levels.into_iter().flatten();
    levels.any(headers::controls_retries)
}

/// A rule's retries, as its headers change them.
fn read_retries(
    written: &api::HttpRoute,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Option<RetryPolicy> {
    let policy = retries::compile(written.retries.as_ref(), at, found);
    if !controls_retries(written) {
        return policy;
    }
    let (route, only) = (written.headers.as_ref(), only_destination(written));
    retries::controlled(policy, |name| headers::value_of(route, only, name))
}

/// The policies of a rule; whatever is wrong is told to `found`.
pub(super) fn read_policies(
    written: &api::HttpRoute,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Arc<Policies> {
    if is_plain(written) {
        return PLAIN.clone();
    }
    if let Some(redirect) = &written.redirect {
        let mut blocks: Vec<_> = written.r#match.iter().map(Some).collect();
        if blocks.is_empty() {
            blocks.push(None);
        }
        for block in blocks {
            let at = at.field("redirect");
            redirect::compile(redirect, matched_path(block), 80, false, at, found);
        }
    }
    let fault = written.fault.as_ref();
    let response = written.direct_response.as_ref();
    let cors = written.cors_policy.as_ref();
    Arc::new(Policies {
        fault: fault.and_then(|it| fault::compile(it, at.field("fault"), found)),
        direct_response: response
            .and_then(|it| direct_response::compile(it, at.field("directResponse"), found)),
        cors: cors.and_then(|it| cors_policy::compile(it, at.field("corsPolicy"), found)),
        timeout: written
            .timeout
            .and_then(|it| timeout::compile(it, at.field("timeout"), found)),
        retries: read_retries(written, at.field("retries"), found),
    })
}

/// Says which actions may not stand side by side, in Istio's words.
pub(super) fn report_combinations(written: &api::HttpRoute, at: At<'_>, found: &mut Diagnostics) {
    let route = !written.route.is_empty();
    let redirect = written.redirect.is_some();
    let response = written.direct_response.is_some();
    if !redirect && !response {
        return;
    }
    for (together, field, message) in [
        (
            route && redirect,
            "redirect",
            "HTTP route cannot contain both route and redirect",
        ),
        (
            written.fault.is_some() && redirect,
            "fault",
            "HTTP route cannot contain both fault and redirect",
        ),
        (
            written.rewrite.is_some() && redirect,
            "rewrite",
            "HTTP route rule cannot contain both rewrite and redirect",
        ),
        (
            response && redirect,
            "directResponse",
            "HTTP route rule cannot contain both direct_response and redirect",
        ),
        (
            route && response,
            "directResponse",
            "HTTP route cannot contain both route and direct_response",
        ),
        (
            written.fault.is_some() && response,
            "fault",
            "HTTP route cannot contain both fault and direct_response",
        ),
        (
            written.rewrite.is_some() && response,
            "rewrite",
            "HTTP route rule cannot contain both rewrite and direct_response",
        ),
    ] {
        if together {
            found.push(Diagnostic::new(Code::Exclusive, at.field(field), message));
        }
    }
}
