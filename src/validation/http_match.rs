//! `http[].match[]`: one block of conditions, and conditions that no request meets.

use super::names::{check_gateways, check_labels, is_dns_label, shortened};
use super::{check_port, invalid, tell};
use crate::api::{self, StringMatch};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

pub(super) fn check(
    block: &api::HttpMatchRequest,
    only_mesh: bool,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    check_labels(&block.source_labels, at.field("sourceLabels"), found);
    if !block.source_namespace.is_empty() && !is_dns_label(&block.source_namespace) {
        let namespace = shortened(&block.source_namespace);
        let message = format!("sourceNamespace match {namespace} is invalid");
        invalid(found, at.field("sourceNamespace"), message);
    }
    check_gateways(&block.gateways, at.field("gateways"), found);
    if let Some(port) = block.port {
        check_port(port, at.field("port"), found);
    }
    if only_mesh {
        for (field, headers) in [
            ("headers", &block.headers),
            ("withoutHeaders", &block.without_headers),
        ] {
            let claims = |name: &&String| name.starts_with("@request.auth.claims");
            for name in headers.keys().filter(claims) {
                let key = shortened(name);
                let message = format!(
                    "JWT claim based routing (key: {key}) is only supported for gateway, found no \
                     gateways: []"
                );
                invalid(found, at.field(field).key(name), message);
            }
        }
    }
    warn_of_path(block, at, found);
    warn_of_method(block, at, found);
    warn_of_client(block, at, found);
    for (name, value) in &block.without_headers {
        if let StringMatch::Regex(pattern) = value
            && pattern == ".*"
        {
            let message = "every header, a missing one too, matches .*: this never holds";
            let hint = "write {} for \"the header is not there\"";
            let at = at.field("withoutHeaders");
            let warning = Diagnostic::new(Code::NeverMatches, at.key(name), message);
            found.push(warning.hint(hint));
        }
    }
}

/// Warns of paths that no request has.
fn warn_of_path(block: &api::HttpMatchRequest, at: At<'_>, found: &mut Diagnostics) {
    let (field, text) = match &block.uri {
        Some(StringMatch::Exact(text)) => ("exact", text),
        Some(StringMatch::Prefix(text)) if !text.is_empty() => ("prefix", text),
        _ => return,
    };
    let at = at.field("uri");
    let at = at.field(field);
    let shown = shortened(text);
    let mut warn = |message: String, hint: Option<String>| {
        let warning = Diagnostic::new(Code::NeverMatches, at, message);
        found.push(match hint {
            Some(hint) => warning.hint(hint),
            None => warning,
        });
    };
    if !text.starts_with('/') && text.contains("://") {
        let hint = "write the path alone; the host goes into hosts or authority";
        let message = format!("no path is {shown:?}: a uri is matched by its path");
        warn(message, Some(hint.to_owned()));
    } else if !(text.starts_with('/') || field == "exact" && text == "*") {
        let message = format!("no path is like {shown:?}: paths begin with /");
        warn(message, Some(format!("write /{shown}")));
    } else if (text.bytes()).fold(false, |told, byte| told | matches!(byte, b'?' | b'#')) {
        let message = format!("no path is like {shown:?}: the query is not part of the path");
        warn(message, Some("use queryParams".to_owned()));
    }
    if field == "prefix" && text.len() > 1 && text.ends_with('*') {
        let message = format!("in {shown:?} the star is a character like any other");
        let plain = text.trim_end_matches('*');
        warn(message, Some(format!("write {:?}", shortened(plain))));
    }
}

/// Warns of methods in the wrong case: they are compared as written.
fn warn_of_method(block: &api::HttpMatchRequest, at: At<'_>, found: &mut Diagnostics) {
    const METHODS: [&str; 9] = [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
    ];
    let Some(StringMatch::Exact(method)) = &block.method else {
        return;
    };
    let upper = method.to_ascii_uppercase();
    if upper != *method && METHODS.contains(&&*upper) {
        let message = format!("no method is {method:?}: methods are compared as written");
        let at = at.field("method");
        let warning = Diagnostic::new(Code::NeverMatches, at.field("exact"), message);
        found.push(warning.hint(format!("write {upper}")));
    }
}

/// Warns of conditions that are not looked at.
fn warn_of_client(block: &api::HttpMatchRequest, at: At<'_>, found: &mut Diagnostics) {
    if !block.gateways.is_empty() {
        for (field, written) in [
            ("sourceLabels", !block.source_labels.is_empty()),
            ("sourceNamespace", !block.source_namespace.is_empty()),
        ] {
            if written {
                let message = format!("{field} is not looked at where gateways is set");
                tell(found, Code::NeverFires, at.field(field), message);
            }
        }
    }
    let folds = matches!(
        &block.uri,
        Some(StringMatch::Exact(_) | StringMatch::Prefix(_))
    );
    if block.ignore_uri_case && !folds {
        let message = "ignoreUriCase is for an exact or prefix uri: it has no effect here";
        tell(found, Code::NeverFires, at.field("ignoreUriCase"), message);
    }
}
