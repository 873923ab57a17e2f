//! How long a request may take.

use std::time::Duration;

use tokio::time::Instant;

/// The time for a request with all its tries; zero means no limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TimeoutPolicy {
    limit: Duration,
}

impl TimeoutPolicy {
    /// A limit of this length.
    #[must_use]
    pub const fn new(limit: Duration) -> Self {
        Self { limit }
    }

    /// The limit; nothing where there is none.
    #[must_use]
    pub fn limit(&self) -> Option<Duration> {
        (!self.limit.is_zero()).then_some(self.limit)
    }

    /// When the time is up for a request that had gone out whole at `sent`; never, if nothing.
    #[must_use]
    pub fn deadline(&self, sent: Instant) -> Option<Instant> {
        self.limit().and_then(|limit| sent.checked_add(limit))
    }
}
