//! Failures in a row, counted by many at once.

use std::sync::atomic::{AtomicU32, Ordering};

/// Counts one failure; whether the row is long enough to eject. It may be longer, for the rules
/// under which it began may have allowed more.
pub(super) fn one_more(counter: &AtomicU32, threshold: u32) -> bool {
    let count = counter.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    threshold > 0 && count >= threshold
}

/// Ends a row of failures; where there is none nothing is written.
pub(super) fn clear(counter: &AtomicU32) {
    if counter.load(Ordering::Relaxed) != 0 {
        counter.store(0, Ordering::Relaxed);
    }
}

/// Ends the rows of failures that a good answer ends.
#[inline]
pub(crate) fn end_rows([errors, gateway, _]: &[AtomicU32; 3]) {
    clear(errors);
    clear(gateway);
}
