//! What Istio's access log tells of each request: to `tracing`, or to whatever one likes.
//!
//! A layer around [`mesh.client()`](crate::mesh::Mesh::client),
//! [`mesh.forward()`](crate::mesh::Mesh::forward) or a service in
//! [`mesh.inbound_layer()`](crate::mesh::Mesh::inbound_layer). It makes one [`AccessLogEntry`] a
//! request, with the fields of Istio's default access log, when the last of the response has been
//! sent, or when the client has left. Where it goes is an [`AccessLog`]'s matter: any function of
//! an entry is one. The `gateway` example writes its file by it.
//!
//! With the feature `tracing` [`AccessLogLayer::tracing`] makes each entry an event of the level
//! `INFO` and the target `tower_mesh::access`, whose fields have the names of the entry's. As long
//! as no subscriber wants such events, requests pass as they are: that costs a look at the level.
//! Without the layer nothing is there that could cost anything.
//!
//! # Differences to the sidecar
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
mod entry;
mod pending;
mod service;
#[cfg(feature = "tracing")]
mod tracing;

pub use body::{CountedBody, LoggedBody};
pub use entry::AccessLogEntry;
pub use service::{AccessLogFuture, AccessLogLayer, AccessLogged, AsMeshError};

#[cfg(feature = "tracing")]
pub use self::tracing::TracingLog;

/// Where entries of an access log go; any function of an entry is one.
pub trait AccessLog {
    /// Whether anybody reads entries now; where nobody does, none are made.
    fn is_enabled(&self) -> bool {
        true
    }

    /// Takes an entry. It is called where the response's last frame is polled or its body is
    /// dropped, so it must not block for long.
    fn write(&self, entry: &AccessLogEntry);
}

impl<F: Fn(&AccessLogEntry)> AccessLog for F {
    fn write(&self, entry: &AccessLogEntry) {
        self(entry);
    }
}
