//! `http[].timeout`: how long a request may take, with all its tries.
//!
//! [`TimeoutLayer`] answers a request whose response has not begun in time with
//! `504 Gateway Timeout`: text `upstream request timeout`, flag `UT`, details
//! `response_timeout`. A gRPC request gets `grpc-status: 14`, as from Envoy 1.40.
//!
//! The time runs from the moment the request has gone out whole, so a slow upload
//! costs nothing. Put the layer outside of retries: one limit covers every try
//! and every wait between them. A fault's delay stands further out and does not count.
//! A response that is ready together with the limit is still delivered.
//!
//! # Units, defaults and limits
//!
//! Written in whole milliseconds, from one up. Absent or zero means no limit,
//! which is Istio's default; Envoy's own 15 seconds never apply.
//!
//! # gRPC
//!
//! A gRPC call says in `grpc-timeout` how long it may take ([`grpc_timeout`]). That is honoured
//! without any rule; where there is a limit too, the shorter holds. Other requests' `grpc-timeout`
//! means nothing. Envoy answers a late call with `UNAVAILABLE`; its guard
//! `grpc_timeout_returns_deadline_exceeded` makes that `DEADLINE_EXCEEDED`, as does
//! [`TimeoutLayer::grpc_deadline_exceeded`], and for a mesh
//! [`MeshBuilder::grpc_deadline_exceeded`](crate::mesh::MeshBuilder::grpc_deadline_exceeded).
//!
//! # Dropping
//!
//! When the time is up the inner future is dropped, which cancels the request.
//! Dropping this layer's future does the same.
//!
//! # Differences from the sidecar
//!
//! - Used alone, the limit ends with the head of the response; in a mesh it goes on over the
//!   body, whose reader gets an error when the time is up.
//! - Used alone, the endpoint is not told its time. In a mesh a gRPC call's `grpc-timeout` says
//!   what is left of it, and a proxy adds `x-envoy-expected-rq-timeout-ms`.
//! - A sidecar reads a request ahead of the upstream. Here the body is read as fast as the inner
//!   service takes it, so the clock of a request with a body waits for a slow connection too.
//!
//! Source: Istio's `HTTPRoute.timeout`, Envoy's `RouteAction.timeout`.
//!
//! # Example
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::{Empty, Full};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mesh::context::ResponseFlags;
//! use tower_mesh::request_body::RequestBody;
//! use tower_mesh::timeout::{TimeoutLayer, TimeoutPolicy};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Infallible> {
//! let service = ServiceBuilder::new()
//!     .layer(TimeoutLayer::new(TimeoutPolicy::new(Duration::from_millis(5))))
//!     .service(service_fn(|_: Request<RequestBody<Empty<Bytes>>>| {
//!         std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
//!     }));
//!
//! let response = service.oneshot(Request::new(Empty::new())).await?;
//!
//! assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
//! assert_eq!(ResponseFlags::of(&response).to_string(), "UT");
//! # Ok(())
//! # }
//! ```

mod config;
mod expected;
mod grpc;
mod policy;
mod service;
#[cfg(test)]
mod tests;

pub(crate) use config::compile;
pub(crate) use expected::{expected_millis, to_grpc_timeout};
pub use grpc::grpc_timeout;
pub use policy::TimeoutPolicy;
pub(crate) use service::Watch;
pub use service::{LimitBody, ResponseFuture, Timeout, TimeoutLayer};
