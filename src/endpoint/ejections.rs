//! What outlier detection remembers of an endpoint, whatever rules come and go.

use tokio::time::Instant;

/// What outlier detection remembers of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Ejections {
    /// How many count.
    pub(crate) times: u32,
    /// When it is let back, if it is out.
    pub(crate) back: Option<Instant>,
    /// When it was let back last.
    pub(crate) returned: Option<Instant>,
}
