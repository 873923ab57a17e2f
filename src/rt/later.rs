//! Moments to come, by spans of any length.

use std::time::Duration;

use tokio::time::Instant;

/// What stands for a span that is out of the clock's reach: 30 years.
pub(crate) const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// So long after a moment; one that is out of the clock's reach is 30 years after.
pub(crate) fn later(from: Instant, span: Duration) -> Instant {
    from.checked_add(span).unwrap_or_else(|| from + FAR)
}
