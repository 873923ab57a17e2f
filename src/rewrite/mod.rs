//! Path and authority rewrites: Istio's `http[].rewrite`.
//!
//! `rewrite.uri` replaces the bytes of the path that the route matched: the prefix, or the whole
//! path where the route matches exactly or by a regular expression, or the leading `/` where it
//! does not look at the path. Slashes are not repaired: `/api` rewritten to `/` makes `//x` of
//! `/api/x`. `rewrite.uriRegexRewrite` replaces whatever RE2 finds in the path, with `\1` to `\9`
//! for groups and `\0` for the whole match. The query stays as it is. `rewrite.authority`, or else
//! the `Host` that header operations set, replaces the `Host` header; where the URI says to connect
//! to is left alone.
//!
//! What was there before is noted in `x-envoy-original-path` and `x-envoy-original-host`, in place
//! of what a client put there: the path also where the expression found nothing in it, the host
//! also where it is the same, but not for an authority that only a destination among several sets.
//!
//! Header operations come before: they see the request as it was.
//!
//! # At the edges
//!
//! - A path that would become empty is left as it is, and nothing is noted.
//! - A substitution naming a group that the expression does not have replaces nothing.
//! - [`http::Uri`] cannot hold all that a sidecar sends. A path that would not begin with `/` gets
//!   one, spaces, control characters and some punctuation are percent-encoded, and a path that
//!   would become longer than 65534 bytes is left as it is.
//!
//! # Dropping
//!
//! The layer has no future of its own.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//!
//! use http::Request;
//! use tower::{ServiceBuilder, ServiceExt as _, service_fn};
//! use tower_mesh::rewrite::{MatchedPath, RewriteLayer, RewritePolicy};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Infallible> {
//! let upstream = service_fn(|request: Request<()>| async move {
//!     assert_eq!(request.uri(), "/v2/cart?id=7");
//!     assert_eq!(request.headers()["x-envoy-original-path"], "/shop/cart?id=7");
//!     Ok::<_, Infallible>(())
//! });
//! let policy = RewritePolicy::new().uri("/v2").matched(MatchedPath::Prefix("/shop".len()));
//! let service = ServiceBuilder::new()
//!     .layer(RewriteLayer::new(policy))
//!     .service(upstream);
//!
//! service.oneshot(Request::get("/shop/cart?id=7").body(()).unwrap()).await
//! # }
//! ```
//!
//! Source: Istio's [`HTTPRewrite`], which becomes Envoy's `prefix_rewrite`, `regex_rewrite` and
//! `host_rewrite_literal`.
//!
//! [`HTTPRewrite`]: https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRewrite

mod config;
mod policy;
mod service;
mod target;
#[cfg(test)]
mod tests;

pub use crate::context::MatchedPath;
pub(crate) use config::compile;
pub use policy::{RewritePolicy, Rewritten};
pub use service::{Rewrite, RewriteLayer};
