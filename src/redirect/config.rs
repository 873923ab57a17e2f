//! From `HTTPRedirect` as written to what is replaced.

use std::num::NonZeroU16;

use super::policy::{InvalidRedirect, RedirectPolicy, RedirectScheme};
use crate::api::{HttpRedirect, RedirectPort};
use crate::context::MatchedPath;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

/// Compiles a redirect for one match block on one port.
///
/// `port` is the listener's, `tls` whether its server has a `tls` block. A fault that `found` holds
/// already is not told again, so that a rule with several blocks may be compiled for each.
pub(crate) fn compile(
    written: &HttpRedirect,
    matched: MatchedPath,
    port: u16,
    tls: bool,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Option<RedirectPolicy> {
    let mut reader = Reader {
        policy: Some(RedirectPolicy::new()),
        at,
        found,
    };
    reader.check_whole(written);
    match written.redirect_code {
        None | Some(0) => {}
        Some(code) => reader.apply("redirectCode", |policy| policy.code(code)),
    }
    let scheme = reader.scheme(written);
    let own = match tls {
        true => RedirectScheme::Https,
        false => RedirectScheme::Http,
    };
    let port = reader.port(written, port);
    // A port that goes without saying is not said.
    if let Some(port) = port.filter(|port| port.get() != scheme.unwrap_or(own).default_port()) {
        reader.policy = reader.policy.map(|policy| policy.port(port));
    }
    if !written.authority.is_empty() {
        reader.apply("authority", |it| it.authority(written.authority.as_str()));
    }
    if !written.uri.is_empty() {
        reader.apply("uri", |it| it.uri(written.uri.as_str()));
    } else if !written.prefix_rewrite.is_empty() {
        reader.apply("prefixRewrite", |it| {
            it.prefix_rewrite(matched, written.prefix_rewrite.as_str())
        });
    }
    reader.policy
}

struct Reader<'f> {
    /// Nothing once a fault is found.
    policy: Option<RedirectPolicy>,
    at: At<'f>,
    found: &'f mut Diagnostics,
}

impl Reader<'_> {
    fn refuse(&mut self, diagnostic: Diagnostic) {
        self.policy = None;
        if !self.found.iter().any(|it| *it == diagnostic) {
            self.found.push(diagnostic);
        }
    }

    fn apply(
        &mut self,
        field: &str,
        change: impl FnOnce(RedirectPolicy) -> Result<RedirectPolicy, InvalidRedirect>,
    ) {
        match change(self.policy.clone().unwrap_or_default()) {
            // What was refused stays refused.
            Ok(policy) => self.policy = self.policy.take().and(Some(policy)),
            Err(error) => {
                let at = self.at;
                let fault = Diagnostic::new(Code::InvalidValue, at.field(field), error.to_string());
                self.refuse(match error {
                    InvalidRedirect::UnsupportedCode(_) => {
                        fault.hint("301, 302, 303, 307 and 308 are those that work")
                    }
                    _ => fault,
                });
            }
        }
    }

    fn check_whole(&mut self, written: &HttpRedirect) {
        let at = self.at;
        let HttpRedirect {
            uri,
            prefix_rewrite,
            authority,
            scheme,
            ..
        } = written;
        let texts = [uri, prefix_rewrite, authority, scheme];
        let says_port = written.port.is_some() || written.derive_port.is_some();
        if texts.iter().all(|it| it.is_empty()) && !says_port {
            let message = "redirect must specify URI, authority, scheme, or port";
            self.refuse(Diagnostic::new(Code::MissingField, at, message));
        }
        if !uri.is_empty() && !prefix_rewrite.is_empty() {
            let message = "redirect may only specify one of uri or prefix_rewrite";
            let at = at.field("prefixRewrite");
            self.refuse(Diagnostic::new(Code::Exclusive, at, message));
        }
        if written.port.is_some() && written.derive_port.is_some() {
            let message = "only one of port, derivePort may be set";
            let at = at.field("derivePort");
            self.refuse(Diagnostic::new(Code::Exclusive, at, message));
        }
    }

    fn scheme(&mut self, written: &HttpRedirect) -> Option<RedirectScheme> {
        let scheme = match written.scheme.as_str() {
            "" => return None,
            "http" => RedirectScheme::Http,
            "https" => RedirectScheme::Https,
            _ => {
                let message = "invalid redirect scheme, must be \"http\" or \"https\"";
                let at = self.at;
                let at = at.field("scheme");
                self.refuse(Diagnostic::new(Code::InvalidValue, at, message));
                return None;
            }
        };
        self.policy = self.policy.take().map(|policy| policy.scheme(scheme));
        Some(scheme)
    }

    fn port(&mut self, written: &HttpRedirect, listener: u16) -> Option<NonZeroU16> {
        let port = match (written.port, written.derive_port) {
            (Some(port), _) => port,
            (None, Some(RedirectPort::FromRequestPort)) => listener.into(),
            (None, _) => 0,
        };
        if let Ok(port) = u16::try_from(port) {
            return NonZeroU16::new(port);
        }
        let message = format!("port number {port} must be in the range 1..65535");
        let at = self.at;
        let at = at.field("port");
        self.refuse(Diagnostic::new(Code::InvalidValue, at, message));
        None
    }
}
