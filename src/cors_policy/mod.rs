//! `http[].corsPolicy`: cross-origin resource sharing, answered for the upstream.
//!
//! A request with an `Origin` is compared with `allowOrigins`, wholly and case-sensitively.
//!
//! | The request | Its origin is allowed | It is not |
//! |---|---|---|
//! | a preflight: `OPTIONS` with `Access-Control-Request-Method` | answered here with 200 | forwarded; with `unmatchedPreflights: IGNORE` answered here, without `Access-Control-Allow-Origin` |
//! | any other | forwarded; the response gets the CORS headers | forwarded; the response stays as it is |
//! | without `Origin`, or with an empty one | forwarded | forwarded |
//!
//! The headers a response gets replace the upstream's; answers made further in, such as a 503, get
//! them too. `Access-Control-Allow-Origin` repeats the request's `Origin`, even where `*` is
//! allowed. There is no `Vary`.
//!
//! # What it is not
//!
//! Protection. Browsers keep to what the headers say; nothing is refused here. Neither the method
//! nor the headers a preflight asks for are compared with what is allowed: the answer lists what
//! is, and repeats the question where that is `*` alone.
//!
//! # Response headers
//!
//! The answer to a preflight bears a [`Preflight`](crate::context::Preflight) in its extensions:
//! operations on response headers pass it by.
//!
//! # Differences from the sidecar
//!
//! None in what is answered. Besides, an allowed origin that no browser ever sends, such as
//! `news.com` without a scheme, is warned of.
//!
//! # Dropping
//!
//! Dropping the future drops the inner service's, which cancels the request.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mesh::cors_policy::{CorsLayer, CorsPolicy};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let shop = service_fn(|_: Request<()>| async {
//!     Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("a cart"))))
//! });
//! let policy = CorsPolicy::new()
//!     .allow_origin("https://shop.example.com")
//!     .allow_methods(["GET", "POST"])?
//!     .max_age(Duration::from_secs(600))?;
//! let service = ServiceBuilder::new().layer(CorsLayer::new(policy)).service(shop);
//!
//! let preflight = Request::options("/cart")
//!     .header("origin", "https://shop.example.com")
//!     .header("access-control-request-method", "POST")
//!     .body(())?;
//! let response = service.oneshot(preflight).await?;
//!
//! assert_eq!(response.headers()["access-control-allow-methods"], "GET,POST");
//! # Ok(())
//! # }
//! ```
//!
//! Source: Istio's `CorsPolicy`, Envoy's CORS filter.

mod config;
mod policy;
mod service;

pub(crate) use config::compile;
pub use policy::{CorsDecision, CorsPolicy, InvalidCorsPolicy};
pub use service::{Cors, CorsLayer, ResponseFuture};

#[cfg(test)]
mod tests;
