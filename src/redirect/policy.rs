//! Where a request is sent instead, decided without touching it.

use std::fmt::Write as _;
use std::num::NonZeroU16;

use http::StatusCode;

use crate::context::MatchedPath;
use crate::request_url::RequestUrl;

/// The scheme a request is sent to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RedirectScheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl RedirectScheme {
    /// As it stands in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port a URL of this scheme need not name.
    pub(super) const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A setting that no redirect can have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRedirect {
    /// A status that does not redirect.
    #[error("{0} is not a valid redirect code, must be 3xx")]
    Code(u32),
    /// A status from 300 to 399 that Istio has no redirect for.
    #[error("{0} is not a redirect code that works")]
    UnsupportedCode(u32),
    /// A text that cannot stand in a header.
    #[error("{0:?} cannot stand in a Location header")]
    Text(String),
    /// A prefix to replace where none was matched.
    #[error("redirect prefix_rewrite requires all URI matches to use prefix match type")]
    NoPrefix,
}

/// Which parts of a request's URL are replaced, and the status that says so.
///
/// ```
/// use tower_mesh::redirect::RedirectPolicy;
/// use tower_mesh::request_url::RequestUrl;
///
/// let policy = RedirectPolicy::new().uri("/new")?.authority("shop.example.com")?;
/// let url = RequestUrl::new("http", "shop:8080", "/old?item=1");
/// assert_eq!(policy.location(&url), "http://shop.example.com/new?item=1");
/// # Ok::<(), tower_mesh::redirect::InvalidRedirect>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RedirectPolicy {
    status: StatusCode,
    scheme: Option<RedirectScheme>,
    authority: Option<Box<str>>,
    port: Option<NonZeroU16>,
    /// Whether a port stays that is its old scheme's own.
    keeps_port: bool,
    path: PathChange,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum PathChange {
    Keep,
    /// The whole path, with its slash.
    Path(Box<str>),
    /// The whole path and the query.
    PathAndQuery(Box<str>),
    /// The first bytes of the path.
    Prefix(usize, Box<str>),
}

impl Default for RedirectPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl RedirectPolicy {
    /// Status 301 to the address the request came to; say what changes.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            status: StatusCode::MOVED_PERMANENTLY,
            scheme: None,
            authority: None,
            port: None,
            keeps_port: false,
            path: PathChange::Keep,
        }
    }

    /// The same with another status: 301, 302, 303, 307 or 308.
    ///
    /// # Errors
    ///
    /// For any other status.
    pub fn code(mut self, code: u32) -> Result<Self, InvalidRedirect> {
        self.status = match code {
            301 => StatusCode::MOVED_PERMANENTLY,
            302 => StatusCode::FOUND,
            303 => StatusCode::SEE_OTHER,
            307 => StatusCode::TEMPORARY_REDIRECT,
            308 => StatusCode::PERMANENT_REDIRECT,
            300..400 => return Err(InvalidRedirect::UnsupportedCode(code)),
            _ => return Err(InvalidRedirect::Code(code)),
        };
        Ok(self)
    }

    /// The same to another scheme.
    #[must_use]
    pub const fn scheme(mut self, scheme: RedirectScheme) -> Self {
        self.scheme = Some(scheme);
        self
    }

    /// The same to another host, with a port or without.
    ///
    /// # Errors
    ///
    /// When the text cannot stand in a header.
    pub fn authority(mut self, authority: impl Into<String>) -> Result<Self, InvalidRedirect> {
        self.authority = Some(sayable(authority.into())?);
        Ok(self)
    }

    /// The same to another port.
    #[must_use]
    pub const fn port(mut self, port: NonZeroU16) -> Self {
        self.port = Some(port);
        self
    }

    /// The same with the port the request names, if it names one, even that of its old scheme:
    /// `httpsRedirect` of a Gateway's server sends `http://shop:80/` to `https://shop:80/`.
    #[must_use]
    pub const fn keep_port(mut self) -> Self {
        self.keeps_port = true;
        self
    }

    /// The same to another path; the query stays, unless `uri` has its own.
    ///
    /// # Errors
    ///
    /// When the text cannot stand in a header.
    pub fn uri(mut self, uri: impl Into<String>) -> Result<Self, InvalidRedirect> {
        let mut uri = uri.into();
        if !uri.starts_with('/') {
            uri.insert(0, '/');
        }
        let has_query = uri.contains('?');
        let uri = sayable(uri)?;
        self.path = match has_query {
            true => PathChange::PathAndQuery(uri),
            false => PathChange::Path(uri),
        };
        Ok(self)
    }

    /// The same to a path that begins otherwise, with the rest and the query as they are.
    ///
    /// # Errors
    ///
    /// When the route did not match a prefix, or the text cannot stand in a header.
    pub fn prefix_rewrite(
        mut self,
        matched: MatchedPath,
        rewrite: impl Into<String>,
    ) -> Result<Self, InvalidRedirect> {
        let length = match matched {
            MatchedPath::Prefix(length) => length,
            MatchedPath::None => 1,
            MatchedPath::Exact | MatchedPath::Regex => return Err(InvalidRedirect::NoPrefix),
        };
        self.path = PathChange::Prefix(length, sayable(rewrite.into())?);
        Ok(self)
    }

    /// The status of the answer to an HTTP request.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The address a request to `url` is sent to.
    #[must_use]
    pub fn location(&self, url: &RequestUrl<'_>) -> String {
        let scheme = match self.scheme {
            Some(scheme) => scheme.as_str(),
            None => url.scheme(),
        };
        let authority = match (&self.authority, self.port) {
            (Some(authority), _) => authority,
            (None, Some(_)) => url.host(),
            (None, None) if self.keeps_port => url.authority(),
            (None, None) => url.authority_for(scheme),
        };
        let mut location = format!("{scheme}://{authority}");
        if let Some(port) = self.port {
            // Writing to a String cannot fail.
            let _ = write!(location, ":{port}");
        }
        self.push_path(url.path_and_query(), &mut location);
        location
    }

    fn push_path(&self, path: &str, location: &mut String) {
        let start = location.len();
        match &self.path {
            PathChange::Keep => location.push_str(path),
            PathChange::PathAndQuery(uri) => location.push_str(uri),
            PathChange::Path(uri) => {
                location.push_str(uri);
                let query = path.find('?').and_then(|at| path.get(at..));
                location.push_str(query.unwrap_or_default());
            }
            PathChange::Prefix(length, rewrite) => match path.get(*length..) {
                Some(rest) => {
                    location.push_str(rewrite);
                    location.push_str(rest);
                }
                None => location.push_str(path),
            },
        }
        if location.as_bytes().get(start) != Some(&b'/') {
            location.insert(start, '/');
        }
    }
}

/// Refuses what would break out of a header.
fn sayable(text: String) -> Result<Box<str>, InvalidRedirect> {
    match text.chars().any(|c| c.is_ascii_control() && c != '\t') {
        true => Err(InvalidRedirect::Text(text)),
        false => Ok(text.into()),
    }
}
