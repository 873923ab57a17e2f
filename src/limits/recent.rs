//! Requests of the last while, counted in tenths of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const SLOTS: usize = 10;

/// How many requests there were in an interval that ends now; clones count together.
///
/// As Envoy counts them: a tenth of the interval goes at a time.
#[derive(Clone, Debug)]
pub(super) struct Recent(Arc<Mutex<Window>>);

#[derive(Debug)]
struct Window {
    /// A tenth of the interval, in nanoseconds.
    slot: u128,
    began: Instant,
    /// Which slot is the newest, counted since it began.
    newest: u128,
    counts: [u32; SLOTS],
}

impl Recent {
    pub(super) fn new(interval: Duration) -> Self {
        Self(Arc::new(Mutex::new(Window {
            slot: (interval.as_nanos() / SLOTS as u128).max(1),
            began: Instant::now(),
            newest: 0,
            counts: [0; SLOTS],
        })))
    }

    pub(super) fn note(&self) {
        self.change(|count| *count = count.saturating_add(1));
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.change(|_| {})
    }

    fn change(&self, newest: impl FnOnce(&mut u32)) -> u64 {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = &mut *window;
        let now = window.began.elapsed().as_nanos() / window.slot;
        let gone = now.saturating_sub(window.newest).min(SLOTS as u128);
        for n in 1..=gone {
            let at = ((window.newest + n) % SLOTS as u128) as usize;
            if let Some(count) = window.counts.get_mut(at) {
                *count = 0;
            }
        }
        window.newest = window.newest.max(now);
        let at = (window.newest % SLOTS as u128) as usize;
        if let Some(count) = window.counts.get_mut(at) {
            newest(count);
        }
        window.counts.iter().map(|it| u64::from(*it)).sum()
    }
}
