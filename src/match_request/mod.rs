//! `http[].match`: which rule a request falls under.
//!
//! A host decides which list of rules is read, and the first rule whose
//! conditions all hold is taken. One virtual host is chosen, exact name before
//! the longest wildcard; if none of its rules fits, the answer is 404, never
//! the rules of a wider host.
//!
//! | Condition | Compared with | Notes |
//! |---|---|---|
//! | `uri` | the normalised path without query | prefix is a byte prefix: `/foo` covers `/foobar` |
//! | `method`, `scheme`, `authority` | the request's own, case-sensitive | authority includes the port as sent |
//! | `headers` | each line on its own | one matching line is enough |
//! | `withoutHeaders` | the same, inverted | a missing header counts as an empty one |
//! | `headers` and `withoutHeaders` by `@request.auth.claims…`, at a gateway | each text of that claim | told in [`Claims`](crate::context::Claims) by whatever verifies tokens; one that is missing matches nothing |
//! | `queryParams` | the raw text, first occurrence | nothing is decoded |
//! | `port`, `sourceLabels`, `sourceNamespace`, `gateways` | the client | decided when rules are compiled |
//!
//! [`RouteIndex`] finds the first rule without asking all of them.
//!
//! Regular expressions are RE2 and match wholly. Source: Istio's
//! `HTTPMatchRequest`; comparison as Envoy 1.40 does it.
//!
//! ```
//! use http::HeaderMap;
//! use tower_mesh::api;
//! use tower_mesh::match_request::{MatchRequest, RequestHead};
//!
//! let mut written = api::HttpMatchRequest::default();
//! written.uri = Some(api::StringMatch::Prefix("/api".into()));
//! let rule = MatchRequest::new(&written)?;
//!
//! let headers = HeaderMap::new();
//! let request = |path| RequestHead::new("GET", "http", "shop", path, &headers);
//! assert!(rule.matches(&request("/api/v1?q=1")));
//! assert!(!rule.matches(&request("/other")));
//! # Ok::<(), tower_mesh::diagnostic::Diagnostics>(())
//! ```

mod alike;
mod config;
mod describe;
mod head;
mod hosts;
mod index;
mod matcher;

pub(crate) use alike::check_alike;
pub use head::RequestHead;
pub use hosts::{Hosts, SameHost};
pub use index::RouteIndex;
pub use matcher::{Failure, MatchRequest};

#[cfg(test)]
mod tests;
