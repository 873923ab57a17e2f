//! What is remembered of few endpoints, whatever rules come and go.

use std::sync::{Mutex, OnceLock};

use tokio::time::Instant;

/// What few endpoints need.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    pub(crate) ejections: Mutex<Ejections>,
    /// Set only where endpoints warm up.
    pub(crate) known_since: OnceLock<Instant>,
}

/// What outlier detection remembers of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Ejections {
    /// How many count.
    pub(crate) times: u32,
    /// How many there were.
    pub(crate) in_all: u64,
    /// When it is let back, if it is out.
    pub(crate) back: Option<Instant>,
    /// When it was let back last.
    pub(crate) returned: Option<Instant>,
}
