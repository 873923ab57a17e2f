//! The absolute URL of a request, as Envoy writes it into `Location`.
//!
//! The scheme is what `x-forwarded-proto` says if that is `http` or `https`,
//! else the URI's own, else `http`; at a proxy an absolute target's own comes first. The authority is the `Host` header as it
//! was sent, else the URI's. A port that belongs to the request's scheme is
//! left out where the URL gets another scheme.

use std::fmt;

use http::Request;
use http::header::{HOST, HeaderName, HeaderValue};
use http::uri::Authority;

use crate::context::AbsoluteTarget;

/// Where a request was addressed to.
#[derive(Clone, Copy, Debug)]
pub struct RequestUrl<'r> {
    scheme: &'r str,
    /// `x-forwarded-proto` as it was written: Envoy judges ports by it.
    forwarded_proto: &'r [u8],
    authority: &'r str,
    path_and_query: &'r str,
}

impl<'r> RequestUrl<'r> {
    /// A URL by its parts.
    #[must_use]
    pub const fn new(scheme: &'r str, authority: &'r str, path_and_query: &'r str) -> Self {
        Self {
            scheme,
            forwarded_proto: scheme.as_bytes(),
            authority,
            path_and_query,
        }
    }

    /// The URL a request was sent to.
    #[must_use]
    pub fn of<B>(request: &'r Request<B>) -> Self {
        const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

        let (headers, uri) = (request.headers(), request.uri());
        let forwarded = headers.get(FORWARDED_PROTO).map(HeaderValue::as_bytes);
        let forwarded = forwarded.filter(|it| !it.is_empty());
        let absolute = request.extensions().get::<AbsoluteTarget>().is_some();
        let scheme = forwarded
            .filter(|_| !absolute)
            .and_then(web_scheme)
            .or_else(|| web_scheme(uri.scheme_str()?.as_bytes()))
            .unwrap_or("http");
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = host.or_else(|| uri.authority().map(Authority::as_str));
        let path_and_query = uri.path_and_query().map(|it| it.as_str());
        Self {
            scheme,
            forwarded_proto: forwarded.unwrap_or(scheme.as_bytes()),
            authority: authority.unwrap_or_default(),
            path_and_query: path_and_query.unwrap_or_default(),
        }
    }

    /// The request's scheme.
    #[must_use]
    pub const fn scheme(&self) -> &'r str {
        self.scheme
    }

    /// The path with the query.
    #[must_use]
    pub const fn path_and_query(&self) -> &'r str {
        self.path_and_query
    }

    /// The authority as the request names it.
    #[must_use]
    pub const fn authority(&self) -> &'r str {
        self.authority
    }

    /// The authority for a URL of `scheme`: without a port that only fits the request's own scheme.
    #[must_use]
    pub fn authority_for(&self, scheme: &str) -> &'r str {
        let (host, port) = self.split_port();
        let own = self.forwarded_proto;
        let belongs = match port {
            ":80" => own.eq_ignore_ascii_case(b"http"),
            ":443" => own.eq_ignore_ascii_case(b"https"),
            _ => false,
        };
        // By bytes: to Envoy `HTTPS` is another scheme than `https`.
        match belongs && own != scheme.as_bytes() {
            true => host,
            false => self.authority,
        }
    }

    /// The host without a port; an IPv6 address keeps its brackets.
    #[must_use]
    pub fn host(&self) -> &'r str {
        self.split_port().0
    }

    /// The host, and the port with its colon.
    fn split_port(&self) -> (&'r str, &'r str) {
        let colon = match self.authority.starts_with('[') {
            true => self.authority.rfind("]:").map(|at| at + 1),
            false => self.authority.rfind(':'),
        };
        let split = colon.and_then(|at| self.authority.split_at_checked(at));
        split.unwrap_or((self.authority, ""))
    }
}

impl fmt::Display for RequestUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.authority_for(self.scheme);
        let slash = match self.path_and_query.starts_with('/') {
            true => "",
            false => "/",
        };
        write!(
            f,
            "{}://{authority}{slash}{}",
            self.scheme, self.path_and_query
        )
    }
}

fn web_scheme(written: &[u8]) -> Option<&'static str> {
    ["http", "https"]
        .into_iter()
        .find(|it| written.eq_ignore_ascii_case(it.as_bytes()))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::RequestUrl;

    #[track_caller]
    fn check(target: &str, headers: &[(&str, &str)], want: &str) {
        let mut request = Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a valid request");
        assert_eq!(RequestUrl::of(&request).to_string(), want);
    }

    #[test]
    fn the_url_is_made_of_what_the_client_said() {
        check("/a?b=c", &[("host", "b:80")], "http://b:80/a?b=c");
        check("https://b/a", &[], "https://b/a");
        check("http://b/a", &[("host", "c")], "http://c/a");
        check("/", &[], "http:///");
        let proto = |proto| [("host", "b:443"), ("x-forwarded-proto", proto)];
        check("/a", &proto("https"), "https://b:443/a");
        check("/a", &proto("ftp"), "http://b:443/a");
        check("/a", &proto(""), "http://b:443/a");
        check("http://x/a", &proto("https"), "https://b:443/a");
        // As Envoy has it: `HTTPS` means https, and yet it is not the same.
        check("/a", &proto("HTTPS"), "https://b/a");
    }

    #[test]
    fn a_port_leaves_only_with_the_scheme_it_belongs_to() {
        let authority = |own, host, other| RequestUrl::new(own, host, "/").authority_for(other);
        assert_eq!(authority("http", "b:80", "https"), "b");
        assert_eq!(authority("http", "b:443", "https"), "b:443");
        assert_eq!(authority("http", "b:80", "http"), "b:80");
        assert_eq!(authority("https", "b:443", "http"), "b");
        assert_eq!(authority("https", "b:8443", "http"), "b:8443");
        assert_eq!(authority("http", "[::1]:80", "https"), "[::1]");
        assert_eq!(authority("http", "[::1]", "https"), "[::1]");
        assert_eq!(authority("http", "b:80:80", "https"), "b:80");
    }
}
