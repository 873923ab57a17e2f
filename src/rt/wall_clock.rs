//! The time of day, which people read and nothing is decided by.

use std::time::SystemTime;

/// The only place that asks for the time of day: for logs and for headers that tell it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock;

impl WallClock {
    /// The time of day.
    #[must_use]
    pub(crate) fn now() -> SystemTime {
        #[allow(clippy::disallowed_methods, reason = "this is the door")]
        SystemTime::now()
    }
}
