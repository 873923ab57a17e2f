//! `http[].fault`: delays and failures injected on purpose, each into its own share of requests.
//!
//! [`FaultLayer`] stands where the sidecar's fault filter stands: before CORS,
//! retries, timeouts and the choice of an endpoint.
//!
//! 1. A delay holds the request back; nothing is sent meanwhile, and the route's
//!    timeout does not run yet.
//! 2. An abort answers it with a failure; the inner service is not called.
//!
//! Both are rolled apart, once per request, never again for a retry. An abort's
//! text is `fault filter abort`, its flag `FI`, its details `fault_filter_abort`; a
//! delay sets the flag `DI` on whatever response follows.
//!
//! | Abort | to a gRPC request | to any other |
//! |---|---|---|
//! | `httpStatus` | `grpc-status` as Envoy maps it: 14 for 503, 2 for 500 | that status |
//! | `grpcStatus` | that `grpc-status` | `200 OK`, with the text |
//!
//! # Units, defaults and limits
//!
//! Delays are whole milliseconds, statuses lie between 200 and 599, shares are
//! [`Percent`](crate::percent::Percent)s. A fault without `percentage` never
//! fires; compiling warns of that. The deprecated `delay.percent` counts where
//! `percentage` is absent. There is no limit on how many faults are active at once.
//!
//! # Dropping
//!
//! Dropping the future of a request held back drops the request; the inner
//! service has not heard of it.
//!
//! # Differences from the sidecar
//!
//! A sidecar reads a request's body while it holds the request back; here the
//! body stays with the request, unread. An error of the inner service stays an
//! error, which has no flags: turn errors into responses further in, where `DI`
//! is to be seen on them.
//!
//! Source: Istio's `HTTPFaultInjection`, Envoy's `envoy.filters.http.fault`.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mesh::context::ResponseFlags;
//! use tower_mesh::fault::{Abort, FaultLayer, FaultPolicy};
//! use tower_mesh::percent::Percent;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let always = Percent::from_percentage(100.0)?;
//! let teapot = Abort::http_status(StatusCode::IM_A_TEAPOT)?;
//! let service = ServiceBuilder::new()
//!     .layer(FaultLayer::new(FaultPolicy::default().abort(always, teapot)))
//!     .service(service_fn(|_: Request<()>| async {
//!         Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
//!     }));
//!
//! let response = service.oneshot(Request::new(())).await?;
//!
//! assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
//! assert_eq!(ResponseFlags::of(&response).to_string(), "FI");
//! # Ok(())
//! # }
//! ```

mod config;
mod policy;
mod service;
#[cfg(test)]
mod tests;

pub(crate) use config::compile;
pub use policy::{Abort, FaultPolicy, InvalidAbort, Verdict};
pub use service::{Fault, FaultLayer, ResponseFuture};
