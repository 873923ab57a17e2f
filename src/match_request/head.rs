//! The part of a request that rules are matched against.

use http::uri::PathAndQuery;
use http::{Extensions, HeaderMap};

/// A request's head, split once for all rules.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'r> {
    /// `:method`.
    pub method: &'r str,
    /// `:scheme`.
    pub scheme: &'r str,
    /// `:authority` as sent, with its port.
    pub authority: &'r str,
    /// The path without query, already normalised.
    pub path: &'r str,
    /// The query behind the `?`, raw; nothing where there is no `?`.
    pub query: Option<&'r str>,
    /// `:path`: path and query together.
    pub path_and_query: &'r str,
    /// All other headers.
    pub headers: &'r HeaderMap,
    /// Where its [`Claims`](crate::context::Claims) are, if it has any.
    pub extensions: Option<&'r Extensions>,
}

impl<'r> RequestHead<'r> {
    /// Splits `path_and_query` at its first `?`.
    #[must_use]
    pub fn new(
        method: &'r str,
        scheme: &'r str,
        authority: &'r str,
        path_and_query: &'r str,
        headers: &'r HeaderMap,
    ) -> Self {
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        Self {
            method,
            scheme,
            authority,
            path,
            query,
            path_and_query,
            headers,
            extensions: None,
        }
    }

    /// The same for a target that is split already.
    #[must_use]
    #[inline]
    pub fn of_target(
        method: &'r str,
        scheme: &'r str,
        authority: &'r str,
        target: &'r PathAndQuery,
        headers: &'r HeaderMap,
    ) -> Self {
        Self {
            method,
            scheme,
            authority,
            path: target.path(),
            query: target.query(),
            path_and_query: target.as_str(),
            headers,
            extensions: None,
        }
    }

    /// The same with what has been noted of the request.
    #[must_use]
    #[inline]
    pub const fn with_extensions(mut self, extensions: &'r Extensions) -> Self {
        self.extensions = Some(extensions);
        self
    }

    /// The first value of a query parameter, raw; `?name` counts as empty.
    #[must_use]
    pub fn query_parameter(&self, name: &str) -> Option<&'r str> {
        self.query?.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(value)
        })
    }
}
