//! The moment a request has gone out whole, told by its body.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

/// Tells when a request has gone out whole.
#[derive(Clone, Debug)]
pub struct RequestEnd(Option<Arc<EndState>>);

#[derive(Debug, Default)]
pub(super) struct EndState {
    ended: AtomicBool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    at: Option<Instant>,
    waiting: Option<Waker>,
}

/// A body's side of a [`RequestEnd`].
pub(super) struct EndTeller {
    pub(super) state: Arc<EndState>,
    /// Whether no other try can follow.
    pub(super) last: bool,
}

impl Drop for EndTeller {
    /// A body nobody will read on has ended: who sends a known length may stop short of the end.
    fn drop(&mut self) {
        if self.last {
            self.state.come();
        }
    }
}

impl EndTeller {
    /// What waits for this body's end.
    pub(super) fn end(&self) -> RequestEnd {
        RequestEnd(Some(self.state.clone()))
    }
}

impl RequestEnd {
    /// The end of a body with nothing to send.
    pub(super) const fn past() -> Self {
        Self(None)
    }

    /// Whether the body has ended already; a body with nothing to send has.
    #[must_use]
    pub fn is_past(&self) -> bool {
        let Some(state) = &self.0 else {
            return true;
        };
        state.ended.load(Ordering::Acquire)
    }

    /// When the body had ended, where that was seen: not of a body with nothing to send.
    #[must_use]
    pub fn at(&self) -> Option<Instant> {
        self.0.as_ref()?.at()
    }

    /// Ready once the body has ended; until then `cx` is woken when it does.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let Some(state) = &self.0 else {
            return Poll::Ready(());
        };
        if self.is_past() {
            return Poll::Ready(());
        }
        state.lock().waiting = Some(cx.waker().clone());
        // It may have ended between the look and the note.
        match state.ended.load(Ordering::Acquire) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl EndState {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the body had ended; nothing before.
    pub(super) fn at(&self) -> Option<Instant> {
        self.lock().at
    }

    pub(super) fn come(&self) {
        if self.ended.load(Ordering::Acquire) {
            return;
        }
        let waiting = {
            let mut known = self.lock();
            known.at.get_or_insert_with(Instant::now);
            self.ended.store(true, Ordering::Release);
            known.waiting.take()
        };
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}
