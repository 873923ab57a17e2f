//! `http[].directResponse`: a fixed answer.
//!
//! The request is answered at once with a status from 200 to 599 and a body of
//! at most 1 MiB, which is shared by all answers and never copied. Nothing is
//! forwarded and the request's body is not read.
//!
//! - A body, be it text or bytes, is `text/plain`; without one there is no
//!   content type.
//! - Status 201 and every 3xx come with a `Location`: the request's own absolute
//!   URL. To redirect elsewhere use `redirect`.
//! - A gRPC call is answered with trailers only: status 200, a `grpc-status` for
//!   the status (2, UNKNOWN, even for 200), the body as `grpc-message`.
//!
//! # Differences from the sidecar
//!
//! None in what is answered. To `HEAD` this layer gives the body like to any
//! other method; the server leaves it out, as it does for every local answer.
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
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mesh::direct_response::{DirectResponseLayer, DirectResponsePolicy};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let shop = service_fn(|_: Request<()>| async {
//!     Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("never asked"))))
//! });
//! let policy = DirectResponsePolicy::new(StatusCode::SERVICE_UNAVAILABLE, "closed on Sundays")?;
//! let service = ServiceBuilder::new().layer(DirectResponseLayer::new(policy)).service(shop);
//!
//! let response = service.oneshot(Request::new(())).await?;
//!
//! assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
//! assert_eq!(response.headers()["content-type"], "text/plain");
//! # Ok(())
//! # }
//! ```
//!
//! Source: Istio's `HTTPDirectResponse`, Envoy's `DirectResponseAction`.

mod base64;
mod config;
mod policy;
mod service;

pub(crate) use config::compile;
pub use policy::{DirectResponsePolicy, InvalidDirectResponse};
pub use service::{DirectResponse, DirectResponseLayer};

#[cfg(test)]
mod tests;
