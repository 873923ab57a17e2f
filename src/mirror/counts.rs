//! What became of copies: counters that can be read at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counts what became of the copies of requests. Clones are the same counters.
///
/// They only grow, but for [`in_flight`](Self::in_flight); each is exact by itself.
#[derive(Clone, Debug, Default)]
pub struct MirrorCounts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    in_flight: AtomicUsize,
    sent: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    over_limit: AtomicU64,
    bodies_lost: AtomicU64,
}

impl MirrorCounts {
    /// Copies under way, or about to be.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// Copies that set off.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// Copies a mirror answered, whatever it said.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.0.answered.load(Ordering::Relaxed)
    }

    /// Copies no mirror answered: no endpoint, no connection, no answer in time.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.0.failed.load(Ordering::Relaxed)
    }

    /// Copies that were not made, because too many were under way or there was no runtime.
    #[must_use]
    pub fn over_limit(&self) -> u64 {
        self.0.over_limit.load(Ordering::Relaxed)
    }

    /// Copies given up because their body was: read too slowly, or not sent to its end.
    #[must_use]
    pub fn bodies_lost(&self) -> u64 {
        self.0.bodies_lost.load(Ordering::Relaxed)
    }

    /// Room for one copy more; nothing where so many are under way already.
    pub(super) fn begin(&self, most: usize) -> Option<Slot> {
        let more = |now: usize| (now < most).then(|| now + 1);
        let begun = self
            .0
            .in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        match begun {
            Ok(_) => Some(Slot(self.clone())),
            Err(_) => {
                self.note_over_limit();
                None
            }
        }
    }

    pub(super) fn note_over_limit(&self) {
        self.0.over_limit.fetch_add(1, Ordering::Relaxed);
    }
}

/// The room one copy takes until it is dropped.
#[derive(Debug)]
pub(super) struct Slot(MirrorCounts);

impl Slot {
    fn counters(&self) -> &Counters {
        &self.0.0
    }

    pub(super) fn note_sent(&self) {
        self.counters().sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_answered(&self) {
        self.counters().answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_failed(&self) {
        self.counters().failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_body_lost(&self) {
        self.counters().bodies_lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_no_runtime(&self) {
        self.0.note_over_limit();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.counters().in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
