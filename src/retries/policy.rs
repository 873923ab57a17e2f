//! How often, on what, and with which waits.

use std::time::Duration;

use super::on::RetryOn;
use super::reset::ResetHeaders;

/// A checked retry policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RetryPolicy {
    pub(super) attempts: u32,
    pub(super) on: RetryOn,
    pub(super) per_try_timeout: Option<Duration>,
    pub(super) backoff: Duration,
    pub(super) limit: usize,
    pub(super) avoid_tried_hosts: Option<bool>,
    pub(super) leave_localities: bool,
    pub(super) spare_delivered: bool,
    /// In a box, for few have any.
    pub(super) reset: Option<Box<ResetHeaders>>,
}

impl RetryPolicy {
    /// How much of a request body is kept to send it again: Envoy's connection buffer, 1 MiB.
    const LIMIT: usize = 1 << 20;
    /// Envoy's base interval.
    const BACKOFF: Duration = Duration::from_millis(25);

    /// Up to `attempts` tries after the first.
    #[must_use]
    pub const fn new(attempts: u32, on: RetryOn) -> Self {
        Self {
            attempts,
            on,
            per_try_timeout: None,
            backoff: Self::BACKOFF,
            limit: Self::LIMIT,
            avoid_tried_hosts: None,
            leave_localities: false,
            spare_delivered: false,
            reset: None,
        }
    }

    /// What Istio does when nothing is written: twice, when nothing was sent yet or a gRPC server
    /// is unavailable.
    #[must_use]
    pub const fn istio_default() -> Self {
        Self::new(2, RetryOn::istio_default())
    }

    /// The time for the response head of each try; no limit unless told.
    #[must_use]
    pub const fn per_try_timeout(mut self, limit: Duration) -> Self {
        self.per_try_timeout = Some(limit);
        self
    }

    /// The base of the waits; 25 ms unless told.
    #[must_use]
    pub const fn backoff(mut self, base: Duration) -> Self {
        self.backoff = base;
        self
    }

    /// How many bytes of a request body are kept; 1 MiB unless told.
    #[must_use]
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Whether a try avoids the endpoints of earlier ones, where there are others:
    /// `retryIgnorePreviousHosts`. Unless told it does, but not where a rule's one destination
    /// chooses endpoints by `consistentHash`. A layer used alone picks no endpoints.
    #[must_use]
    pub const fn avoid_tried_hosts(mut self, avoid: bool) -> Self {
        self.avoid_tried_hosts = Some(avoid);
        self
    }

    /// Whether, after every second try, those that follow leave the priorities of endpoints tried
    /// so far: `retryRemoteLocalities`. Where every priority has been tried it begins anew. Not
    /// unless told. A layer used alone picks no endpoints.
    #[must_use]
    pub const fn leave_localities(mut self, leave: bool) -> Self {
        self.leave_localities = leave;
        self
    }

    /// Whether a request whose method is not idempotent (`POST`, `PATCH`, any of one's own) is tried
    /// again only where no endpoint can have seen it: it was not connected to, it refused the
    /// stream, or a limit kept the request back. Not unless told, for Istio does not ask; no rule
    /// can say it.
    #[must_use]
    pub const fn spare_delivered(mut self, spare: bool) -> Self {
        self.spare_delivered = spare;
        self
    }

    /// Which headers of responses make the wait for the next try longer; none unless told, as under
    /// Istio.
    #[must_use]
    pub fn reset_headers(mut self, headers: ResetHeaders) -> Self {
        self.reset = Some(Box::new(headers));
        self
    }

    /// Whether tries leave the priorities of earlier ones.
    pub(crate) const fn leaves_localities(&self) -> bool {
        self.leave_localities
    }

    /// Whether a try avoids the endpoints of earlier ones; `hashed` where a hash chooses them.
    pub(crate) fn avoids_tried_hosts(&self, hashed: bool) -> bool {
        self.avoid_tried_hosts.unwrap_or(!hashed)
    }

    /// The time for the response head of each try.
    pub(crate) const fn time_for_try(&self) -> Option<Duration> {
        self.per_try_timeout
    }

    /// The tries after the first, the conditions, the time for each try, the base of the waits.
    pub(crate) const fn settings(&self) -> (u32, &RetryOn, Option<Duration>, Duration) {
        (self.attempts, &self.on, self.per_try_timeout, self.backoff)
    }

    /// The wait before retry `k`, counted from 1: even in [0, base·2^(k−1)), at most 10·base.
    #[must_use]
    pub fn wait(&self, k: u32, roll: u64) -> Duration {
        let most = self.backoff.saturating_mul(10);
        let doubled = 1_u32.checked_shl(k.saturating_sub(1)).unwrap_or(u32::MAX);
        let span = self.backoff.saturating_mul(doubled).min(most);
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        // The upper half of a 128-bit product is even in [0, nanos).
        let drawn = (u128::from(nanos) * u128::from(roll)) >> 64;
        Duration::from_nanos(u64::try_from(drawn).unwrap_or(nanos))
    }
}
