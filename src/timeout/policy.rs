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

    /// The same for a gRPC call that asks for this much: what it asks for, and at most the limit.
    ///
    /// A call that asks for nothing, or for zero, has the limit. Time is counted in milliseconds,
    /// a begun one as a whole, as in Envoy.
    #[must_use]
    pub fn for_grpc(&self, asked: Option<Duration>) -> Self {
        let asked = asked.map(whole_millis).unwrap_or_default();
        let limit = match (asked.is_zero(), self.limit.is_zero()) {
            (true, _) => self.limit,
            (false, true) => asked,
            (false, false) => asked.min(self.limit),
        };
        Self { limit }
    }

    /// When the time is up for a request that had gone out whole at `sent`; never, if nothing.
    #[must_use]
    pub fn deadline(&self, sent: Instant) -> Option<Instant> {
        self.limit().and_then(|limit| sent.checked_add(limit))
    }
}

fn whole_millis(asked: Duration) -> Duration {
    // Eight digits of hours are far from the end of 64 bits of milliseconds.
    let millis = asked.as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).map_or(Duration::MAX, Duration::from_millis)
}
