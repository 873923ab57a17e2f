//! From `HTTPMatchRequest` as written to conditions that can be checked.

use http::HeaderName;
use indexmap::IndexMap;

use super::matcher::{ClaimSource, HeaderMatch, HeaderSource, MatchRequest, PathMatch, QueryMatch};
use crate::api::{HttpMatchRequest, StringMatch};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::source::Source;
use crate::string_match::TextMatch;

impl MatchRequest {
    /// Compiles one block.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn new(written: &HttpMatchRequest) -> Result<Self, Diagnostics> {
        let mut found = Diagnostics::default();
        let compiled = Self::compile(written, At::Top, &mut found);
        match compiled {
            Some(compiled) if !found.has_errors() => Ok(compiled),
            _ => Err(found),
        }
    }

    /// The block of requests that did not come by `https`.
    pub(crate) fn of_plain_http() -> Self {
        let scheme = HeaderMatch {
            source: HeaderSource::Scheme,
            text: TextMatch::Exact(b"http".as_slice().into()),
            inverted: false,
        };
        Self {
            headers: vec![scheme],
            ..Self::default()
        }
    }

    pub(crate) fn compile(
        written: &HttpMatchRequest,
        at: At<'_>,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let before = found.len();
        let path = compile_path(written, at, found);
        let mut headers = Vec::new();
        for (name, source, value) in [
            ("scheme", HeaderSource::Scheme, &written.scheme),
            ("method", HeaderSource::Method, &written.method),
            ("authority", HeaderSource::Authority, &written.authority),
        ] {
            if let Some(value) = value {
                let text = TextMatch::compile(value, at.field(name), found);
                headers.extend(text.map(|text| HeaderMatch {
                    source,
                    text,
                    inverted: false,
                }));
            }
        }
        let at_headers = at.field("headers");
        compile_headers(&written.headers, false, at_headers, found, &mut headers);
        let at_headers = at.field("withoutHeaders");
        compile_headers(
            &written.without_headers,
            true,
            at_headers,
            found,
            &mut headers,
        );

        let mut query = Vec::new();
        let at_query = at.field("queryParams");
        for (name, value) in &written.query_params {
            let text = compile_or_presence(value, at_query.key(name), found);
            query.extend(text.map(|text| QueryMatch {
                name: name.as_str().into(),
                text,
            }));
        }
        if let Some(port) = written.port
            && !(1..=65_535).contains(&port)
        {
            let message = "port number must be between 1 and 65535";
            found.push(Diagnostic::new(
                Code::InvalidValue,
                at.field("port"),
                message,
            ));
        }
        (found.len() == before).then_some(Self {
            path: path?,
            headers,
            query,
        })
    }

    /// Whether the block can ever hold for this client on this port.
    pub(crate) fn concerns(
        written: &HttpMatchRequest,
        namespace: &str,
        port: u16,
        source: &Source,
    ) -> bool {
        if Self::is_for_all(written) {
            return true;
        }
        let wanted = Self::port_of(written);
        wanted.is_none_or(|wanted| wanted == u32::from(port))
            && Self::foreign_field(written, namespace, source).is_none()
    }

    /// Whether the block is for every client on every port, as nearly all are.
    #[inline]
    pub(crate) fn is_for_all(written: &HttpMatchRequest) -> bool {
        written.port.is_none()
            && written.gateways.is_empty()
            && written.source_namespace.is_empty()
            && written.source_labels.is_empty()
    }

    /// The only port the block holds on; nothing where it holds on all.
    pub(crate) fn port_of(written: &HttpMatchRequest) -> Option<u32> {
        written.port.filter(|port| *port != 0)
    }

    /// The field by which the block is for other clients than this one.
    ///
    /// With `gateways` set, labels and namespace of the client are not looked at.
    pub(crate) fn foreign_field(
        written: &HttpMatchRequest,
        namespace: &str,
        source: &Source,
    ) -> Option<&'static str> {
        if !written.gateways.is_empty() {
            let own = source.is_one_of(&written.gateways, namespace);
            return (!own).then_some("gateways");
        }
        if !written.source_namespace.is_empty() && written.source_namespace != source.namespace {
            return Some("sourceNamespace");
        }
        (!source.carries(&written.source_labels)).then_some("sourceLabels")
    }
}

fn compile_path(
    written: &HttpMatchRequest,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Option<PathMatch> {
    let Some(uri) = &written.uri else {
        return Some(PathMatch::everything());
    };
    let fold = written.ignore_uri_case;
    Some(
        match TextMatch::compile_path(uri, at.field("uri"), found)? {
            TextMatch::Present => PathMatch::everything(),
            TextMatch::Exact(path) if fold => PathMatch::ExactFold(path),
            TextMatch::Exact(path) => PathMatch::Exact(path),
            TextMatch::Prefix(path) if fold => PathMatch::PrefixFold(path),
            TextMatch::Prefix(path) => PathMatch::Prefix(path),
            TextMatch::Regex(regex) => PathMatch::Regex(regex),
        },
    )
}

/// A `StringMatch` on a header or parameter, where the regular expression `*` means presence.
fn compile_or_presence(
    value: &StringMatch,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Option<TextMatch> {
    match value {
        StringMatch::Regex(pattern) if pattern == "*" => Some(TextMatch::Present),
        value => TextMatch::compile(value, at, found),
    }
}

fn compile_headers(
    written: &IndexMap<String, StringMatch>,
    inverted: bool,
    at: At<'_>,
    found: &mut Diagnostics,
    headers: &mut Vec<HeaderMatch>,
) {
    for (name, value) in written {
        let at = at.key(name);
        let Some(source) = header_source(name) else {
            found.push(no_such_header(name, at));
            continue;
        };
        let text = compile_or_presence(value, at, found);
        headers.extend(text.map(|text| HeaderMatch {
            source,
            text,
            inverted,
        }));
    }
}

/// What stands before the name of a claim, in any case.
const CLAIMS: &str = "@request.auth.claims";

/// The claim a key names: `.a.b` or `[a][b]` behind the prefix.
fn claim_source(name: &str) -> Option<HeaderSource> {
    let (prefix, behind) = name.split_at_checked(CLAIMS.len())?;
    if !prefix.eq_ignore_ascii_case(CLAIMS) {
        return None;
    }
    let inside = behind.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let (names, between) = match behind.strip_prefix('.') {
        Some(names) => (names, "."),
        None => (inside?, "]["),
    };
    let path = names.split(between).map(str::to_owned).collect();
    (!names.is_empty()).then(|| {
        HeaderSource::Claim(Box::new(ClaimSource {
            written: name.to_owned(),
            path,
        }))
    })
}

fn header_source(name: &str) -> Option<HeaderSource> {
    if let Some(claim) = claim_source(name) {
        return Some(claim);
    }
    Some(match name.to_ascii_lowercase().as_str() {
        ":method" => HeaderSource::Method,
        ":scheme" => HeaderSource::Scheme,
        ":authority" | "host" => HeaderSource::Authority,
        ":path" => HeaderSource::PathAndQuery,
        // A request has none, so the condition never finds it.
        ":status" => HeaderSource::Absent,
        lower => HeaderSource::Name(HeaderName::from_bytes(lower.as_bytes()).ok()?),
    })
}

fn no_such_header(name: &str, at: At<'_>) -> Diagnostic {
    let message = format!("header name {name} is not a valid header name");
    Diagnostic::new(Code::InvalidValue, at, message)
}
