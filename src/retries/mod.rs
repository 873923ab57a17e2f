//! `http[].retries`: which failures are tried again, how often, and how long to wait.
//!
//! `attempts: N` means up to N tries after the first. Whether a try counts as
//! failed is decided by `retryOn` from the response's head, or from what kept
//! the upstream from answering; nothing is tried again once a response has been
//! taken. The method does not matter, as in Istio: a POST is tried again like a GET, unless
//! [`RetryPolicy::spare_delivered`] says otherwise. [`HedgeLayer`] sends a try beside one that is late.
//!
//! | Setting | Default |
//! |---|---|
//! | no `retries` block | 2 retries on `connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes`, with no status codes |
//! | a block without `attempts` | off |
//! | `backoff` | 25 ms: retry k waits up to `backoff`·2^(k−1), at most 10 times `backoff`, drawn evenly from zero |
//! | `perTryTimeout` | none |
//! | `retryRemoteLocalities` | false; true leaves, after every second try, the priorities tried so far |
//! | `retryIgnorePreviousHosts` | true; false where the one destination of a rule goes by `consistentHash` |
//!
//! The request body is kept while it is sent, up to 1 MiB; a longer one is sent
//! on unharmed and not tried again. When the last try has failed too its answer
//! is returned as it is, with the flag `URX`; where a limit on retries forbids another, with `UO`.
//!
//! A 425 that is tried again is so at once, and not at all where the request says `early-data`. No header of a
//! response makes a wait longer, for Istio names none; [`RetryPolicy::reset_headers`] does.
//!
//! Headers of requests that a rule sets add to its retries: `x-envoy-retry-on` and `x-envoy-retry-grpc-on` name
//! conditions, `x-envoy-retriable-status-codes` statuses, `x-envoy-retriable-header-names` headers of responses for
//! the condition `retriable-headers`, and `x-envoy-max-retries` is how often, as in Envoy. Where a rule
//! has switched retries off and sets a condition there is one. What a client sends of them is not heeded.
//!
//! While the next try is awaited the body is read on. One that outgrows what is kept of it then is
//! answered with `507 Insufficient Storage`.
//!
//! The time for a try begins when it has a connection and the request has been read whole, as in Envoy,
//! and ends with the response's head.
//! A time for each try that is not shorter than the time for all of them says nothing.
//!
//! # Used alone
//!
//! What the inner service's error is, it says itself by [`ClassifyFailure`](crate::failure::ClassifyFailure); the last
//! is returned as it is, and has no flags. Each try is made by a clone of its own, readied first; a later try whose clone
//! cannot be readied has failed with that error. No endpoints are picked, so none is avoided, and no limit holds for
//! retries. What stands in the extensions of a request stands in those of every try.
//!
//! # Differences from the sidecar
//!
//! A sidecar keeps a body while it arrives; here it is kept while it is sent, and read on while the next try is awaited.
//! A 1xx response, which hyper keeps to itself, does not end retries.
//!
//! # Dropping
//!
//! Dropping the future drops the try under way and the wait before the next.
//!
//! Source: Istio's `HTTPRetry`; conditions as Envoy 1.40 judges them.
//!
//! ```
//! use std::convert::Infallible;
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mesh::retries::{RetryLayer, RetryOn, RetryPolicy};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tries = AtomicU32::new(0);
//! let service = ServiceBuilder::new()
//!     .layer(RetryLayer::new(RetryPolicy::new(2, RetryOn::parse("gateway-error")?)))
//!     .service(service_fn(|_: Request<_>| {
//!         let status = if tries.fetch_add(1, Ordering::Relaxed) < 2 { 503 } else { 200 };
//!         let response = Response::builder().status(status).body(Full::<Bytes>::default());
//!         async move { Ok::<_, std::io::Error>(response.expect("a valid response")) }
//!     }));
//! let response = service.oneshot(Request::new(Full::<Bytes>::default())).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(())
//! # }
//! ```

mod attempts;
mod config;
mod control;
mod future;
mod head;
mod hedge;
mod on;
mod policy;
mod reset;
mod service;

pub use attempts::Attempts;
pub(crate) use config::compile;
pub(crate) use control::controlled;
pub(crate) use future::ArmedBox;
pub use future::ResponseFuture;
pub use hedge::{Hedge, HedgeFuture, HedgeLayer, HedgePolicy};
pub use on::{InvalidRetryOn, RetryOn};
pub use policy::RetryPolicy;
pub use reset::{ResetHeader, ResetHeaders};
pub use service::{Retry, RetryLayer};

#[cfg(test)]
mod tests;
