//! What a request's path and authority become, decided without changing the request.

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderValue, InvalidHeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderName, Request, Uri};

use super::target;
use crate::context::MatchedPath;
use crate::string_match::{InvalidRegex, Re2Replace};

const ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-envoy-original-path");
const ORIGINAL_HOST: HeaderName = HeaderName::from_static("x-envoy-original-host");

/// What the path and the authority of requests become.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RewritePolicy {
    path: Option<PathRewrite>,
    matched: MatchedPath,
    destination_authority: Option<HeaderValue>,
    authority: Option<HeaderValue>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum PathRewrite {
    Matched(Box<str>),
    Regex(Re2Replace),
}

/// What [`RewritePolicy::decide`] makes of one request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rewritten {
    /// The new path and query, and those before; nothing if they stay and are not noted.
    path: Option<(PathAndQuery, HeaderValue)>,
    /// The new authority, and the one before where that is noted.
    authority: Option<(HeaderValue, Option<HeaderValue>)>,
}

impl RewritePolicy {
    /// A policy that changes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a text for the part of the path that the route matched.
    #[must_use]
    pub fn uri(mut self, replacement: &str) -> Self {
        self.path = Some(PathRewrite::Matched(replacement.into()));
        self
    }

    /// What a substitution for groups does otherwise than it seems to.
    pub(super) fn complaint(&self) -> Option<String> {
        match self.path.as_ref()? {
            PathRewrite::Regex(regex) => regex.complaint(),
            PathRewrite::Matched(_) => None,
        }
    }

    /// The same with a text for everything in the path that RE2 finds.
    ///
    /// # Errors
    ///
    /// [`InvalidRegex`] when the pattern is none.
    pub fn uri_regex(mut self, pattern: &str, substitution: &str) -> Result<Self, InvalidRegex> {
        self.path = Some(PathRewrite::Regex(Re2Replace::new(pattern, substitution)?));
        Ok(self)
    }

    /// The same for a route that matched this part of the path.
    #[must_use]
    pub const fn matched(mut self, matched: MatchedPath) -> Self {
        self.matched = matched;
        self
    }

    /// The same with another authority.
    ///
    /// # Errors
    ///
    /// [`InvalidHeaderValue`] for what cannot be a `Host` header.
    pub fn authority(mut self, authority: &str) -> Result<Self, InvalidHeaderValue> {
        self.authority = Some(host(authority)?);
        Ok(self)
    }

    /// The same with another authority for one of several destinations: it yields to the route's
    /// own, and what it replaces is not noted.
    ///
    /// # Errors
    ///
    /// [`InvalidHeaderValue`] for what cannot be a `Host` header.
    pub fn destination_authority(mut self, authority: &str) -> Result<Self, InvalidHeaderValue> {
        self.destination_authority = Some(host(authority)?);
        Ok(self)
    }

    /// Whether nothing is changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.path.is_none() && self.authority.is_none() && self.destination_authority.is_none()
    }

    /// The authority that requests get; nothing where they keep theirs.
    pub(crate) fn new_authority(&self) -> Option<&str> {
        let authority = self
            .authority
            .as_ref()
            .or(self.destination_authority.as_ref());
        authority?.to_str().ok()
    }

    /// Whether a path is rewritten.
    pub(crate) const fn has_path(&self) -> bool {
        self.path.is_some()
    }

    pub(super) const fn has_authority(&self) -> bool {
        self.authority.is_some()
    }

    /// What becomes of a request.
    #[must_use]
    pub fn decide<B>(&self, request: &Request<B>) -> Rewritten {
        Rewritten {
            path: request.uri().path_and_query().and_then(|target| {
                let before = HeaderValue::from_bytes(target.as_str().as_bytes()).ok()?;
                Some((self.rewrite_path(target)?, before))
            }),
            authority: self.rewrite_authority(request.uri(), request.headers()),
        }
    }

    /// The same target where a regular expression finds nothing.
    fn rewrite_path(&self, target: &PathAndQuery) -> Option<PathAndQuery> {
        let path = target.path().as_bytes();
        let path = match self.path.as_ref()? {
            PathRewrite::Regex(regex) => regex.replace_all(path),
            PathRewrite::Matched(replacement) => {
                let matched = match self.matched {
                    MatchedPath::Prefix(length) => length,
                    MatchedPath::Exact | MatchedPath::Regex => path.len(),
                    MatchedPath::None => 1,
                };
                let rest = path.get(matched..).unwrap_or_default();
                [replacement.as_bytes(), rest].concat().into()
            }
        };
        if path.is_empty() {
            return None;
        }
        target::compose(&path, target.query())
    }

    fn rewrite_authority(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<(HeaderValue, Option<HeaderValue>)> {
        let destination = self.destination_authority.clone();
        let Some(authority) = self.authority.clone() else {
            return Some((destination?, None));
        };
        let before = destination
            .or_else(|| headers.get(HOST).cloned())
            .or_else(|| {
                let authority = uri.authority().map(Authority::as_str)?;
                HeaderValue::from_str(authority).ok()
            });
        Some((authority, before))
    }
}

impl Rewritten {
    /// Changes the request.
    pub fn apply<B>(self, request: &mut Request<B>) {
        let headers = request.headers_mut();
        if let Some((authority, before)) = self.authority {
            headers.insert(HOST, authority);
            if let Some(before) = before {
                headers.insert(ORIGINAL_HOST, before);
            }
        }
        let Some((target, before)) = self.path else {
            return;
        };
        headers.insert(ORIGINAL_PATH, before);
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.path_and_query = Some(target);
        // The parts of a URI that was, but for a path in the place of a path, are those of a URI.
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

fn host(authority: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::copy_from_slice(authority.as_bytes()))
}
