//! `http[].mirror` and `http[].mirrors`: copies of requests, sent elsewhere and forgotten.
//!
//! [`MirrorLayer`] sends the request on as it is and hands a copy of it, for the
//! share of requests it is told, to a second service. What comes back is read to
//! its end and thrown away. Nothing the mirror does is seen by the request it is
//! a copy of: it is neither held up nor failed by it.
//!
//! - Whether to mirror is decided once per request, not again for retries. Put the layer around
//!   retries, inside of header operations and rewrites: the copy is the request as it leaves.
//! - The copy sets off once the request itself has been taken up: a request answered at once with
//!   flag `UH`, `NC` or `UO`, because there is nowhere to send it or no room, is not mirrored; one
//!   whose connection is refused is. `CONNECT` and upgrades are never mirrored.
//! - The body is copied while the request sends it, trailers too, and never ahead of it. A copy
//!   that is read so slowly that more than a limit waits is dropped.
//! - A request dropped before its body has gone out takes its copy along. Dropped later, the copy
//!   goes on, in a task of its own; it is not tried again.
//! - `Host` stays as it is, as in Istio since 1.18; [`MirrorLayer::host_suffix`] appends the
//!   `-shadow` of Envoy and of older Istio.
//!
//! # Units, defaults and limits
//!
//! Shares are [`Percent`](crate::percent::Percent)s; a mirror without one copies every request,
//! and one of 0 none. One roll decides for all mirrors of a rule and, in a mesh, for its weighted
//! split too, as in Envoy: two mirrors of 50 % copy the same half.
//!
//! | Limit | Default | Beyond it |
//! |---|---|---|
//! | [`max_in_flight`](MirrorLayer::max_in_flight): copies under way at once | 1024 | the copy is not made |
//! | [`body_limit`](MirrorLayer::body_limit): bytes of one copy that wait to be sent | 1 MiB | the copy is dropped |
//!
//! [`MirrorCounts`] tells how many of each there were. A copy has the time its own service gives
//! it; in a mesh that is the rule's `timeout`, as in the sidecar. Without one, copies to a
//! destination that hangs stay under way, up to the limit.
//!
//! # Differences from the sidecar
//!
//! A sidecar sets no limit on copies under way. It reads a body as it arrives; here it is read,
//! and copied, as fast as the request's own endpoint takes it, and where no endpoint reads it the
//! copy is lost. Copies from a proxy carry
//! `x-envoy-internal: true`, and no own address in `x-forwarded-for`, which a library does not
//! know. Outside a runtime of tokio nothing is mirrored, and counted as dropped.
//!
//! Source: Istio's `HTTPMirrorPolicy`, Envoy's `RouteAction.request_mirror_policies`.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Empty, Full};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_mesh::mirror::{MirrorLayer, MirrorPolicy};
//! use tower_mesh::percent::Percent;
//! use tower_mesh::request_body::{BodyCopy, RequestBody};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (seen, mut mirrored) = tokio::sync::mpsc::unbounded_channel();
//! let shadow = service_fn(move |request: Request<RequestBody<BodyCopy>>| {
//!     let seen = seen.clone();
//!     async move {
//!         let _ = seen.send(request.into_body().collect().await?.to_bytes());
//!         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Response::new(Empty::<Bytes>::new()))
//!     }
//! });
//! let mirror = MirrorLayer::new(MirrorPolicy::new(Percent::from_whole(100)), shadow);
//! let service = ServiceBuilder::new()
//!     .layer(mirror)
//!     .service(service_fn(|request: Request<RequestBody<Full<Bytes>>>| async {
//!         let sent = request.into_body().collect().await?.to_bytes();
//!         Ok::<_, Infallible>(Response::new(Full::new(sent)))
//!     }));
//!
//! let response = service.oneshot(Request::new(Full::from("hello"))).await?;
//!
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "hello");
//! assert_eq!(mirrored.recv().await.expect("a copy"), "hello");
//! # Ok(())
//! # }
//! ```

mod config;
mod counts;
mod policy;
mod service;
mod shadow;
#[cfg(test)]
mod tests;

pub(crate) use config::{Mirror as CompiledMirror, compile};
pub use counts::MirrorCounts;
pub use policy::MirrorPolicy;
pub use service::{Mirror, MirrorLayer, ResponseFuture, Shadows};
