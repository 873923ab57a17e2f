//! What is remembered of few endpoints, whatever rules come and go.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use tokio::time::Instant;

/// What few endpoints need.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    pub(crate) ejections: Mutex<Ejections>,
    /// Set only where endpoints warm up.
    pub(crate) known_since: OnceLock<Instant>,
    /// Answers of the interval, where their share of successes is looked at.
    pub(crate) answers: Tally,
    /// The same for connections and answers in time.
    pub(crate) local: Tally,
}

/// How many there were, and how many went well: both in one number, so that counting is one write.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    pub(crate) fn count(&self, good: bool) {
        let one = (1 << 32) | u64::from(good);
        self.0.fetch_add(one, Ordering::Relaxed);
    }

    /// All and the good ones since it was last taken.
    pub(crate) fn take(&self) -> (u32, u32) {
        let both = self.0.swap(0, Ordering::Relaxed);
        ((both >> 32) as u32, both as u32)
    }
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
    /// Its share of good answers in the last whole interval, in percent, where that is looked at
    /// and there were enough; then the same of what was not the endpoint's own doing.
    pub(crate) success_rates: [Option<f64>; 2],
}
