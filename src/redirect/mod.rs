//! `http[].redirect`: answering with another address.
//!
//! The request is answered at once with an empty body and a `Location` header,
//! which is the request's own absolute URL with parts of it replaced. Nothing is
//! forwarded and the request's body is not read. A gRPC call is answered with
//! trailers only and keeps the `Location`.
//!
//! | Field | What it replaces |
//! |---|---|
//! | `uri` | the whole path; the query stays, unless `uri` has its own |
//! | `prefixRewrite` | the bytes of the prefix that matched: `/foo` to `/` makes `//bar` of `/foo/bar` |
//! | `authority` | host and port, as written |
//! | `port` | the port; that of the `authority` is not looked at |
//! | `derivePort` | `FROM_REQUEST_PORT`: the port, by the one the request came in on; `FROM_PROTOCOL_DEFAULT`: nothing, as if it were not there |
//! | `scheme` | the scheme |
//! | `redirectCode` | the status, 301 by default; 302, 303, 307 and 308 are the others |
//!
//! # Ports
//!
//! The request's port stays, even the scheme's own. It goes where `port` or
//! `authority` replaces it, and where the scheme changes and the port was the old
//! scheme's: `http://shop:80` becomes `https://shop`, `http://shop:8080` becomes
//! `https://shop:8080`. As in Istio, a `port` of 80 for http or 443 for https is
//! the same as none; the request's port then stays.
//!
//! # Differences from the sidecar
//!
//! Codes from 300 to 399 that Istio accepts and then has no answer for are
//! refused when the rules are read.
//!
//! # Dropping
//!
//! The answer is there at once; dropping its future leaves nothing behind.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mesh::redirect::{RedirectLayer, RedirectPolicy, RedirectScheme};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let shop = service_fn(|_: Request<()>| async {
//!     Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("never asked"))))
//! });
//! let policy = RedirectPolicy::new().scheme(RedirectScheme::Https).code(308)?;
//! let service = ServiceBuilder::new().layer(RedirectLayer::new(policy)).service(shop);
//!
//! let request = Request::get("/cart?item=1").header("host", "shop:80").body(())?;
//! let response = service.oneshot(request).await?;
//!
//! assert_eq!(response.status(), 308);
//! assert_eq!(response.headers()["location"], "https://shop/cart?item=1");
//! # Ok(())
//! # }
//! ```
//!
//! Source: Istio's `HTTPRedirect`, Envoy's `RedirectAction`.

mod config;
mod policy;
mod service;

pub use crate::context::MatchedPath;
pub(crate) use config::compile;
pub use policy::{InvalidRedirect, RedirectPolicy, RedirectScheme};
pub use service::{Redirect, RedirectLayer};

#[cfg(test)]
mod tests;
