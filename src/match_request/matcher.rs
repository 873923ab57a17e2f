//! The conditions of one match block, and whether a request meets them.

use http::HeaderName;

use super::head::RequestHead;
use crate::context::Claims;
use crate::string_match::{Re2, TextMatch};

/// One compiled match block: all its conditions must hold.
///
/// Made by [`MatchRequest::new`]; [`MatchRequest::default`] is the block without conditions.
#[derive(Clone, Debug)]
pub struct MatchRequest {
    pub(super) path: PathMatch,
    pub(super) headers: Vec<HeaderMatch>,
    pub(super) query: Vec<QueryMatch>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum PathMatch {
    Exact(Box<[u8]>),
    ExactFold(Box<[u8]>),
    Prefix(Box<[u8]>),
    PrefixFold(Box<[u8]>),
    Regex(Re2),
}

#[derive(Clone, Debug)]
pub(super) struct HeaderMatch {
    pub(super) source: HeaderSource,
    pub(super) text: TextMatch,
    pub(super) inverted: bool,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum HeaderSource {
    Name(HeaderName),
    Method,
    Scheme,
    Authority,
    PathAndQuery,
    Absent,
    Claim(Box<ClaimSource>),
}

/// A claim of the request's JWT.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct ClaimSource {
    /// As a rule names it.
    pub(super) written: String,
    pub(super) path: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct QueryMatch {
    pub(super) name: Box<str>,
    pub(super) text: TextMatch,
}

/// The first condition a request does not meet.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// `uri`.
    Path,
    /// `headers`, `withoutHeaders` or a pseudo-header, by name.
    Header(String),
    /// `queryParams`, by name.
    QueryParameter(String),
}

impl Default for MatchRequest {
    fn default() -> Self {
        Self {
            path: PathMatch::everything(),
            headers: Vec::new(),
            query: Vec::new(),
        }
    }
}

impl MatchRequest {
    /// Whether the request meets every condition.
    #[must_use]
    pub fn matches(&self, request: &RequestHead<'_>) -> bool {
        self.headers.iter().all(|it| it.holds(request))
            && self.query.iter().all(|it| it.holds(request))
            && self.path.holds(request.path.as_bytes())
    }

    /// The first condition the request does not meet; nothing when it meets all.
    #[must_use]
    pub fn failure(&self, request: &RequestHead<'_>) -> Option<Failure> {
        if !self.path.holds(request.path.as_bytes()) {
            return Some(Failure::Path);
        }
        if let Some(header) = self.headers.iter().find(|it| !it.holds(request)) {
            return Some(Failure::Header(header.source.as_str().to_owned()));
        }
        let query = self.query.iter().find(|it| !it.holds(request))?;
        Some(Failure::QueryParameter(query.name.to_string()))
    }

    /// Whether no request can fail it, as Istio sees it: prefix `/` or regex `.*`, nothing else.
    ///
    /// What stands after such a block in its VirtualService is not compiled. The
    /// empty prefix matches everything too, and is not recognised.
    #[must_use]
    pub fn is_catch_all(&self) -> bool {
        let path = match &self.path {
            PathMatch::Prefix(prefix) | PathMatch::PrefixFold(prefix) => **prefix == *b"/",
            PathMatch::Regex(regex) => regex.as_str() == ".*",
            PathMatch::Exact(_) | PathMatch::ExactFold(_) => false,
        };
        path && self.headers.is_empty() && self.query.is_empty()
    }
}

impl PathMatch {
    /// What Istio makes of a block without `uri`.
    pub(super) fn everything() -> Self {
        Self::Prefix(b"/".as_slice().into())
    }

    pub(super) const fn is_regex(&self) -> bool {
        matches!(self, Self::Regex(_))
    }

    fn holds(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => **exact == *path,
            Self::ExactFold(exact) => exact.eq_ignore_ascii_case(path),
            Self::Prefix(prefix) => path.starts_with(prefix),
            Self::PrefixFold(prefix) => path
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix)),
            Self::Regex(regex) => regex.is_full_match(path),
        }
    }
}

impl HeaderSource {
    /// The value of a pseudo-header.
    pub(super) fn pseudo<'r>(&self, request: &RequestHead<'r>) -> Option<&'r str> {
        match self {
            Self::Method => Some(request.method),
            Self::Scheme => Some(request.scheme),
            Self::Authority => Some(request.authority),
            Self::PathAndQuery => Some(request.path_and_query),
            Self::Name(_) | Self::Absent | Self::Claim(_) => None,
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Name(name) => name.as_str(),
            Self::Method => ":method",
            Self::Scheme => ":scheme",
            Self::Authority => ":authority",
            Self::PathAndQuery => ":path",
            Self::Absent => ":status",
            Self::Claim(claim) => &claim.written,
        }
    }
}

impl HeaderMatch {
    pub(super) fn holds(&self, request: &RequestHead<'_>) -> bool {
        let pseudo = |value: &str| (true, self.text.matches(value.as_bytes()));
        let (present, matched) = match &self.source {
            HeaderSource::Method => pseudo(request.method),
            HeaderSource::Scheme => pseudo(request.scheme),
            HeaderSource::Authority => pseudo(request.authority),
            HeaderSource::PathAndQuery => pseudo(request.path_and_query),
            HeaderSource::Absent => (false, false),
            HeaderSource::Claim(claim) => {
                let mut values = Claims::of(request.extensions, &claim.path).iter();
                let matched = values.any(|it| self.text.matches(it.as_bytes()));
                // One that is missing matches nothing, and so it does inverted.
                return matched != self.inverted;
            }
            // One matching line is enough (Envoy 1.39 and later).
            HeaderSource::Name(name) => {
                let mut lines = request.headers.get_all(name).iter().peekable();
                let present = lines.peek().is_some();
                (
                    present,
                    lines.any(|line| self.text.matches(line.as_bytes())),
                )
            }
        };
        if !self.inverted {
            return matched;
        }
        match (&self.text, present) {
            (TextMatch::Present, present) => !present,
            // A missing header is compared as if it were empty.
            (text, false) => !text.matches(b""),
            (_, true) => !matched,
        }
    }
}

impl QueryMatch {
    fn holds(&self, request: &RequestHead<'_>) -> bool {
        request
            .query_parameter(&self.name)
            .is_some_and(|value| self.text.matches(value.as_bytes()))
    }
}
