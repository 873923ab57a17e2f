//! Names to addresses: how the mesh asks DNS, and how it asks something else.
//!
//! A ServiceEntry with `resolution: DNS` names its endpoints. The mesh asks a
//! [`Resolve`] for their addresses when it begins and from time to time after
//! that; [`SystemResolver`] (feature `client`) asks the operating system.
//!
//! ```
//! use std::io;
//! use std::net::IpAddr;
//! use tower_mesh::mesh::Mesh;
//!
//! // Any function from a name to addresses is a resolver.
//! let resolver = |name: String| async move {
//!     match name.as_str() {
//!         "reviews.example.com" => Ok(vec![IpAddr::from([10, 0, 0, 7])]),
//!         _ => Err(io::Error::other("no such host")),
//!     }
//! };
//! let mesh = Mesh::builder().resolver(resolver).build();
//! # assert!(mesh.is_ok());
//! ```

mod cache;
#[cfg(feature = "client")]
mod system;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use cache::NameCache;
#[cfg(feature = "client")]
pub use system::SystemResolver;

/// How often names are asked for anew: `MeshConfig.dnsRefreshRate` where nothing is said.
pub const DEFAULT_REFRESH: Duration = Duration::from_secs(60);

/// How long an answer is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The addresses to come.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a name.
///
/// Every address it gives becomes an endpoint (`resolution: DNS`), or the first of them the only
/// one (`DNS_ROUND_ROBIN`, `DYNAMIC_DNS`). No addresses and an error mean the same: nothing new is
/// known. An answer is waited for 5 seconds.
///
/// Any `Fn(String) -> impl Future<Output = io::Result<Vec<IpAddr>>>` is one.
pub trait Resolve: Send + Sync + 'static {
    /// Begins to look a name up; it has no port and no trailing dot.
    fn resolve(&self, name: &str) -> Resolving;
}

impl<F, A> Resolve for F
where
    F: Fn(String) -> A + Send + Sync + 'static,
    A: Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static,
{
    fn resolve(&self, name: &str) -> Resolving {
        Box::pin(self(name.to_owned()))
    }
}

/// A resolver shared by all who ask.
#[derive(Clone)]
pub(crate) struct SharedResolver(Arc<dyn Resolve>);

impl SharedResolver {
    pub(crate) fn new(resolver: impl Resolve) -> Self {
        Self(Arc::new(resolver))
    }

    /// The addresses of a name, in the order they were given; empty where there are none in time.
    pub(crate) async fn ask(&self, name: &str) -> Vec<IpAddr> {
        let answer = tokio::time::timeout(PATIENCE, self.0.resolve(name)).await;
        answer.ok().and_then(Result::ok).unwrap_or_default()
    }
}

impl fmt::Debug for SharedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedResolver").finish_non_exhaustive()
    }
}
