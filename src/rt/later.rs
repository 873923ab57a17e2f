//! Moments to come, by spans of any length.

use std::time::Duration;

use tokio::time::Instant;

/// So long after a moment; one that is out of the clock's reach is 30 years after.
pub(crate) fn later(from: Instant, span: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);
    from.checked_add(span).unwrap_or_else(|| from + FAR)
}
