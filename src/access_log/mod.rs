//! What Istio's access log tells of each request: to `tracing`, or to whatever one likes.
//!
//! # Events
//!
//! With the feature `tracing` every service of a mesh ([`client`](crate::mesh::Mesh::client),
//! [`forward`](crate::mesh::Mesh::forward), [`inbound_layer`](crate::mesh::Mesh::inbound_layer))
//! makes one event a request, when the last of the response has been sent, or when the client has
//! left: level `INFO`, target `tower_mesh::access`, with the fields of [`AccessLogEntry`] by their
//! names, and without those that are not known. As long as no subscriber wants that target,
//! requests pass as they are: it costs a look at the level. The `gateway` example writes its
//! `--access-log` from these events. Copies for mirrors make none, as in Envoy.
//!
//! # A log of one's own
//!
//! [`AccessLogLayer`] around one of those services hands the same [`AccessLogEntry`] to an
//! [`AccessLog`], with or without the feature: any function of an entry is one.
//!
//! # Fields
//!
//! Those of Istio's default access log. `duration` and `upstream_service_time` are milliseconds,
//! `bytes_received` and `bytes_sent` count bodies. What a client's error says is told as the answer
//! a sidecar would have given.
//!
//! # Differences from the sidecar
//!
//! Requests that a server refuses itself never come here.
//!
//! # Dropping
//!
//! Dropping the future or the response's body writes the entry, with the flag `DC`.
//!
//! ```
//! use tower::{Layer as _, ServiceExt as _};
//! use tower_mesh::access_log::{AccessLogEntry, AccessLogLayer};
//! use tower_mesh::body::Body;
//! use tower_mesh::mesh::Mesh;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (mesh, _) = Mesh::builder().registry_only(true).build().unwrap();
//! let log = AccessLogLayer::new(|entry: &AccessLogEntry| {
//!     println!("{} {:?} {}", entry.method, entry.path, entry.response_code);
//! });
//! let client = log.layer(mesh.client());
//! let request = http::Request::get("http://nobody/").body(Body::empty()).unwrap();
//! assert!(client.oneshot(request).await.is_err());
//! # }
//! ```
//!
//! Source: the default format of Istio's `accessLogFile` with `accessLogEncoding: JSON`.

mod body;
mod service;

pub use crate::mesh::log::{AccessLog, AccessLogEntry, CountedBody};
pub use body::LoggedBody;
pub use service::{AccessLogFuture, AccessLogLayer, AccessLogged, AsMeshError};
