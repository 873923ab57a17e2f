//! From `CorsPolicy` as written to headers and matchers.

use super::policy::{CorsPolicy, InvalidCorsPolicy};
use crate::api::{self, StringMatch};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::string_match::TextMatch;

/// Compiles a CORS policy.
pub(crate) fn compile(
    written: &api::CorsPolicy,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Option<CorsPolicy> {
    let mut reader = Reader {
        policy: Some(CorsPolicy::new()),
        at,
        found,
    };
    reader.read_origins(written);
    reader.read_list("allowMethods", &written.allow_methods, |policy, methods| {
        policy.allow_methods(methods)
    });
    reader.read_list("allowHeaders", &written.allow_headers, |policy, names| {
        policy.allow_headers(names)
    });
    reader.read_list("exposeHeaders", &written.expose_headers, |policy, names| {
        policy.expose_headers(names)
    });
    if let Some(age) = written.max_age {
        reader.apply(at.field("maxAge"), |policy| policy.max_age(age));
    }
    let credentials = written.allow_credentials.unwrap_or_default();
    let policy = reader.policy?.allow_credentials(credentials);
    Some(policy.unmatched_preflights(written.unmatched_preflights))
}

struct Reader<'f> {
    /// Nothing once a fault is found.
    policy: Option<CorsPolicy>,
    at: At<'f>,
    found: &'f mut Diagnostics,
}

impl Reader<'_> {
    fn apply(
        &mut self,
        at: At<'_>,
        change: impl FnOnce(CorsPolicy) -> Result<CorsPolicy, InvalidCorsPolicy>,
    ) {
        match change(self.policy.clone().unwrap_or_default()) {
            // What was refused stays refused.
            Ok(policy) => self.policy = self.policy.take().and(Some(policy)),
            Err(error) => self.refuse(at, &error.to_string()),
        }
    }

    fn refuse(&mut self, at: At<'_>, message: &str) {
        self.policy = None;
        self.found
            .push(Diagnostic::new(Code::InvalidValue, at, message));
    }

    fn read_origins(&mut self, written: &api::CorsPolicy) {
        let at = self.at;
        if !written.allow_origin.is_empty() {
            let at = at.field("allowOrigin");
            let message = "allowOrigin is deprecated";
            let hint = "write allowOrigins: [{exact: …}]";
            let warning = Diagnostic::new(Code::Deprecated, at, message);
            self.found.push(warning.hint(hint));
        }
        if !written.allow_origins.is_empty() {
            let at = at.field("allowOrigins");
            for (n, origin) in written.allow_origins.iter().enumerate() {
                self.read_origin(origin, at.item(n));
            }
            return;
        }
        let at = at.field("allowOrigin");
        for (n, origin) in written.allow_origin.iter().enumerate() {
            self.warn_of(origin, at.item(n));
            let policy = self.policy.take();
            self.policy = policy.map(|policy| policy.allow_origin(origin));
        }
    }

    fn read_origin(&mut self, written: &StringMatch, at: At<'_>) {
        let text = match written {
            StringMatch::Present => "",
            StringMatch::Exact(text) | StringMatch::Prefix(text) | StringMatch::Regex(text) => text,
        };
        if text.is_empty() {
            self.refuse(at, "'' is not a valid match type for CORS allow origins");
            return;
        }
        match written {
            StringMatch::Exact(text) => self.warn_of(text, at.field("exact")),
            StringMatch::Prefix(text) => self.warn_of_prefix(text, at.field("prefix")),
            StringMatch::Present | StringMatch::Regex(_) => {}
        }
        let origin = TextMatch::compile(written, at, self.found);
        let policy = self.policy.take().zip(origin);
        self.policy = policy.map(|(policy, origin)| policy.allow_origin_match(origin));
    }

    /// Warns of an origin that no browser sends.
    fn warn_of(&mut self, origin: &str, at: At<'_>) {
        if ["", "*", "null"].contains(&origin) {
            return;
        }
        let (why, hint) = match origin.split_once("://") {
            _ if origin.contains('*') => (
                "here * is a character like any other",
                "to allow many origins write a regex".to_owned(),
            ),
            None => (
                "an Origin begins with its scheme",
                format!("write https://{origin}"),
            ),
            Some((scheme, rest)) => match rest.split_once('/') {
                Some((host, _)) => (
                    "an Origin ends with its host and port",
                    format!("write {scheme}://{host}"),
                ),
                None => return,
            },
        };
        let message = format!("no Origin is {origin:?}: {why}");
        let warning = Diagnostic::new(Code::NeverMatches, at, message);
        self.found.push(warning.hint(hint));
    }

    fn warn_of_prefix(&mut self, prefix: &str, at: At<'_>) {
        if prefix.contains('.') && !prefix.contains("://") {
            let message = format!("no Origin begins with {prefix:?}: it begins with its scheme");
            let warning = Diagnostic::new(Code::NeverMatches, at, message);
            self.found
                .push(warning.hint(format!("write https://{prefix}")));
        }
    }

    /// Reads a list, telling of each of its words apart.
    fn read_list<'w>(
        &mut self,
        field: &str,
        words: &'w [String],
        set: impl Fn(CorsPolicy, Vec<&'w str>) -> Result<CorsPolicy, InvalidCorsPolicy>,
    ) {
        let before = self.found.len();
        let at = self.at;
        let at = at.field(field);
        for (n, word) in words.iter().enumerate() {
            self.apply(at.item(n), |policy| set(policy, vec![word]));
        }
        if self.found.len() == before {
            let words = words.iter().map(String::as_str).collect();
            self.apply(at, |policy| set(policy, words));
        }
    }
}
