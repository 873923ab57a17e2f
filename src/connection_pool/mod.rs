//! `trafficPolicy.connectionPool` and `retryBudget`: how connections are made and kept, and how
//! much may be under way.
//!
//! [`ConnectionPoolLayer`] lets a number of requests through at a time and answers the others at
//! once with `503 Service Unavailable`: text `upstream connect error or disconnect/reset before
//! headers. reset reason: overflow`, header `x-envoy-overloaded: true`, flag `UO`. A gRPC request
//! gets `grpc-status: 14`. Such an answer is never tried again. A request counts until its
//! response's body has ended or is dropped.
//!
//! # What each field does
//!
//! | field | default | what it limits |
//! |---|---|---|
//! | `tcp.maxConnections` | none | connections; one to each endpoint is always allowed |
//! | `http.http1MaxPendingRequests` | none | requests that wait for a connection, whatever the protocol |
//! | `http.http2MaxRequests` | none | requests under way, whatever the protocol |
//! | `http.maxRetries` | none | retries scheduled or under way |
//! | `retryBudget` | 20 %, 3 | the same as a share of the requests; stands instead of `maxRetries` |
//! | `tcp.connectTimeout` | 10 s | the time to connect; 503 `UF` when it is up |
//! | `http.idleTimeout`, else `tcp.idleTimeout` | 1 h | how long a connection lies idle; `tcp` 0 is for ever |
//! | `tcp.maxConnectionDuration` | none | how long a connection takes new requests |
//! | `http.maxRequestsPerConnection` | none | requests a connection serves |
//! | `http.maxConcurrentStreams` | none | requests at a time on one HTTP/2 connection |
//! | `tcp.tcpKeepalive`, `http.http2KeepAlive` | off | |
//! | `http.h2UpgradePolicy`, `http.useClientProtocol` | the port's protocol | what is spoken |
//!
//! Zero and below mean that a limit is not set. Limits hold for a host, port and subset together;
//! what is under way goes on counting when rules change.
//!
//! # Used alone
//!
//! The layer enforces `http.http2MaxRequests`. Connections, and who waits for one, are a
//! transport's affair: the built-in one enforces all limits, counting a request from the moment it
//! has a connection, as Envoy does; around any other a mesh counts it from the moment it is sent.
//!
//! # Differences from the sidecar
//!
//! - An idle connection of one endpoint is not closed to make room for another's.
//!
//! Source: Istio's `ConnectionPoolSettings`, Envoy's `CircuitBreakers`.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mesh::connection_pool::ConnectionPoolLayer;
//! use tower_mesh::limits::{Limits, MostAtATime};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Infallible> {
//! let mut most = MostAtATime::default();
//! most.requests = Some(1);
//! let service = ServiceBuilder::new()
//!     .layer(ConnectionPoolLayer::new(Limits::new(most)))
//!     .service(service_fn(|_: Request<()>| async {
//!         Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
//!     }));
//!
//! let first = service.clone().oneshot(Request::new(())).await?;
//! let second = service.clone().oneshot(Request::new(())).await?;
//! assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
//! assert_eq!(second.headers()["x-envoy-overloaded"], "true");
//!
//! drop(first);
//! let third = service.oneshot(Request::new(())).await?;
//! assert_eq!(third.status(), StatusCode::OK);
//! # Ok(())
//! # }
//! ```

mod config;
mod service;
#[cfg(test)]
mod tests;

pub(crate) use config::{check, check_budget, compile};
pub use service::{Admitted, ConnectionPool, ConnectionPoolLayer, ResponseFuture};
