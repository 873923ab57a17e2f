//! What to do to a request, decided without touching it.

use std::time::Duration;

use http::StatusCode;

use crate::context::ResponseFlags;
use crate::percent::Percent;
use crate::reply::LocalReply;
use crate::rt::Rng;

/// Which faults to inject, and into how many requests. Empty by default.
///
/// ```
/// use std::time::Duration;
/// use http::StatusCode;
/// use tower_mesh::fault::{Abort, FaultPolicy};
/// use tower_mesh::percent::Percent;
///
/// let policy = FaultPolicy::default()
///     .delay(Percent::from_whole(10), Duration::from_secs(5))
///     .abort(Percent::from_percentage(0.1)?, Abort::http_status(StatusCode::BAD_GATEWAY)?);
/// assert!(!policy.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FaultPolicy {
    delay: Option<(Percent, Duration)>,
    abort: Option<(Percent, Abort)>,
}

/// The failure an aborted request is answered with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Abort(Status);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Status {
    Http(StatusCode),
    Grpc(u16),
}

/// A status no request can be aborted with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("HTTP status {0} is not in range 200-599")]
pub struct InvalidAbort(u16);

/// What [`FaultPolicy::decide`] wants done to one request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// Hold the request this long before anything else.
    pub delay: Option<Duration>,
    /// Then answer with this failure instead of going on.
    pub abort: Option<Abort>,
}

impl FaultPolicy {
    /// Holds `share` of the requests for `fixed_delay`.
    #[must_use]
    pub const fn delay(mut self, share: Percent, fixed_delay: Duration) -> Self {
        self.delay = Some((share, fixed_delay));
        self
    }

    /// Answers `share` of the requests with a failure.
    #[must_use]
    pub const fn abort(mut self, share: Percent, failure: Abort) -> Self {
        self.abort = Some((share, failure));
        self
    }

    /// The delay and the share of requests it is for.
    pub(crate) const fn written_delay(&self) -> Option<(Percent, Duration)> {
        self.delay
    }

    /// The failure and the share of requests it is for.
    pub(crate) const fn written_abort(&self) -> Option<(Percent, Abort)> {
        self.abort
    }

    /// Whether no request can ever be harmed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let delays = self
            .delay
            .is_some_and(|(share, fixed)| !share.is_never() && !fixed.is_zero());
        let aborts = self.abort.is_some_and(|(share, _)| !share.is_never());
        !delays && !aborts
    }

    /// Rolls the dice for one request: one number for the delay, then one for the abort.
    #[must_use]
    pub fn decide(&self, dice: &Rng) -> Verdict {
        Verdict {
            delay: roll(self.delay, dice).filter(|it| !it.is_zero()),
            abort: roll(self.abort, dice),
        }
    }
}

fn roll<T>(fault: Option<(Percent, T)>, dice: &Rng) -> Option<T> {
    let (share, fault) = fault?;
    share.covers(dice.next_u64()).then_some(fault)
}

impl Abort {
    /// An HTTP status from 200 to 599; a gRPC request gets the gRPC status Envoy maps it to.
    ///
    /// # Errors
    ///
    /// For a status outside of that range.
    pub fn http_status(status: StatusCode) -> Result<Self, InvalidAbort> {
        match status.as_u16() {
            200..600 => Ok(Self(Status::Http(status))),
            other => Err(InvalidAbort(other)),
        }
    }

    /// A gRPC status by number; a request that is not gRPC gets `200 OK`, as from Envoy.
    #[must_use]
    pub const fn grpc_status(code: u16) -> Self {
        Self(Status::Grpc(code))
    }

    /// The HTTP status; nothing where it is a gRPC status that was asked for.
    #[must_use]
    pub const fn as_http_status(self) -> Option<StatusCode> {
        match self.0 {
            Status::Http(status) => Some(status),
            Status::Grpc(_) => None,
        }
    }

    /// The gRPC status, where one was asked for.
    #[must_use]
    pub const fn as_grpc_status(self) -> Option<u16> {
        match self.0 {
            Status::Http(_) => None,
            Status::Grpc(code) => Some(code),
        }
    }

    /// What the client is told.
    pub(crate) fn reply(self) -> LocalReply {
        let (status, grpc_status) = match self.0 {
            Status::Http(status) => (status, None),
            Status::Grpc(code) => (StatusCode::OK, Some(code)),
        };
        let mut reply = LocalReply::new(status, ResponseFlags::FAULT_INJECTED)
            .body("fault filter abort")
            .details("fault_filter_abort");
        reply.grpc_status = grpc_status;
        reply
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::{Abort, FaultPolicy, Verdict};
    use crate::percent::Percent;
    use crate::rt::Rng;

    #[test]
    fn delay_and_abort_are_rolled_apart() {
        let half = Percent::from_whole(50);
        let policy = FaultPolicy::default()
            .delay(half, Duration::from_secs(1))
            .abort(half, Abort::grpc_status(14));
        let dice = Rng::seeded(7);
        let mut counts = [[0; 2]; 2];
        for _ in 0..10_000 {
            let Verdict { delay, abort } = policy.decide(&dice);
            counts[usize::from(delay.is_some())][usize::from(abort.is_some())] += 1;
        }
        assert_eq!(counts, [[2507, 2515], [2475, 2503]], "a quarter each");
    }

    #[test]
    fn a_share_of_none_never_fires_and_of_all_always() {
        let dice = Rng::seeded(7);
        for (share, fires) in [(0, false), (100, true)] {
            let policy =
                FaultPolicy::default().abort(Percent::from_whole(share), Abort::grpc_status(5));
            assert_eq!(policy.is_empty(), !fires);
            for _ in 0..1000 {
                assert_eq!(policy.decide(&dice).abort.is_some(), fires);
            }
        }
    }

    #[test]
    fn a_delay_of_no_time_is_no_delay() {
        let policy = FaultPolicy::default().delay(Percent::from_whole(100), Duration::ZERO);
        assert!(policy.is_empty());
        assert_eq!(policy.decide(&Rng::seeded(7)), Verdict::default());
    }

    #[test]
    fn aborts_only_with_what_can_end_a_request() {
        for (status, fits) in [
            (100, false),
            (199, false),
            (200, true),
            (599, true),
            (600, false),
        ] {
            let status = StatusCode::from_u16(status).expect("three digits");
            assert_eq!(Abort::http_status(status).is_ok(), fits, "{status}");
        }
    }
}
