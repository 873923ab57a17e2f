//! From `HTTPRewrite` as written to a policy.

use super::policy::RewritePolicy;
use crate::api;
use crate::context::MatchedPath;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

/// Compiles what a rule says, once for all of its blocks and destinations;
/// [`RewritePolicy::of_block`] then fits it to one of them.
pub(crate) fn compile(
    written: &api::HttpRewrite,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Option<RewritePolicy> {
    let before = found.len();
    let mut fault = |code, at: At<'_>, message: String| {
        found.push(Diagnostic::new(code, at, message));
    };
    let mut policy = RewritePolicy::new();
    match (&*written.uri, &written.uri_regex_rewrite) {
        ("", None) if written.authority.is_empty() => {
            let message = "rewrite must specify at least one of URI, UriRegexRewrite, or \
                           authority. Only one of URI or UriRegexRewrite may be specified";
            fault(Code::MissingField, at, message.to_owned());
        }
        ("", None) => {}
        (uri, None) => policy = policy.uri(uri),
        ("", Some(regex)) => {
            let at = at.field("uriRegexRewrite");
            if regex.r#match.is_empty() || regex.rewrite.is_empty() {
                let message =
                    "UriRegexRewrite requires both Rewrite and Match fields to be specified";
                fault(Code::MissingField, at, message.to_owned());
            } else {
                match policy.clone().uri_regex(&regex.r#match, &regex.rewrite) {
                    Ok(compiled) => policy = compiled,
                    Err(error) => fault(Code::InvalidValue, at.field("match"), error.to_string()),
                }
            }
        }
        (_, Some(_)) => {
            let message = "rewrite may only contain one of URI or UriRegexRewrite";
            fault(Code::Exclusive, at, message.to_owned());
        }
    }
    if !written.authority.is_empty() {
        match policy.clone().authority(&written.authority) {
            Ok(compiled) => policy = compiled,
            Err(_) => {
                let message = format!("{:?} cannot be a Host header", written.authority);
                fault(Code::InvalidValue, at.field("authority"), message);
            }
        }
    }
    let faultless = found.len() == before;
    if let Some(complaint) = policy.complaint() {
        let at = at.field("uriRegexRewrite");
        let warning = Diagnostic::new(Code::NeverFires, at.field("rewrite"), complaint);
        found.push(
            warning.hint(
                "write \\1 to \\9 for groups, \\0 for all that is found, \\\\ for a backslash",
            ),
        );
    }
    faultless.then_some(policy)
}

impl RewritePolicy {
    /// The policy of one block and one destination of a rule; nothing if it changes nothing.
    ///
    /// `route` and `destination` are the authorities that the header operations of the two set.
    /// The rule's own `rewrite.authority` beats both, and the route's beats the destination's; a
    /// `single` destination counts as the route.
    pub(crate) fn of_block(
        rule: Option<&Self>,
        matched: MatchedPath,
        route: Option<&str>,
        destination: Option<&str>,
        single: bool,
    ) -> Option<Self> {
        let mut policy = rule.cloned().unwrap_or_default().matched(matched);
        let route = if single { route.or(destination) } else { route };
        if let Some(route) = route
            && !policy.has_authority()
        {
            // Whoever checked the header operations has refused what cannot be a header.
            policy = policy.clone().authority(route).unwrap_or(policy);
        }
        if let Some(destination) = destination
            && !single
        {
            policy = policy
                .clone()
                .destination_authority(destination)
                .unwrap_or(policy);
        }
        (!policy.is_empty()).then_some(policy)
    }
}
