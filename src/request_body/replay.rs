//! The other side of a body that is kept: makes it once more, and reads it on between tries.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body;
use tokio::time::Instant;

use super::end::{EndState, EndTeller};
use super::log::{Filled, Log};
use super::{Content, Kind, RequestBody};

/// Makes the body of another try.
pub struct Replay<B, N = ()> {
    pub(super) log: Option<Arc<Mutex<Log<B>>>>,
    pub(super) note: N,
    pub(super) end: Option<Arc<EndState>>,
}

impl<B, N: Clone> Replay<B, N> {
    /// The body once more, from its beginning; nothing once more was sent than is kept.
    ///
    /// Bodies made before are given up: they get no more frames.
    #[must_use]
    pub fn again(&self) -> Option<RequestBody<B, N>> {
        let Some(log) = &self.log else {
            return Some(RequestBody {
                content: None,
                note: self.note.clone(),
            });
        };
        // Frames are pushed whole, so a poisoned log is still a log.
        let mut kept = log.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.overflown {
            return None;
        }
        let kind = Kind::Replay {
            log: log.clone(),
            reader: kept.take_over(),
            at: 0,
        };
        let end = self.end.clone();
        let end = end.map(|state| EndTeller { state, last: false });
        Some(RequestBody {
            content: Some(Content::of(kind, end)),
            note: self.note.clone(),
        })
    }
}

impl<B: Body<Data = Bytes>, N> Replay<B, N> {
    /// Whether more was sent than is kept, so that it cannot be sent again.
    pub(crate) fn is_lost(&self) -> bool {
        let log = self.log.as_ref();
        log.is_some_and(|log| log.lock().unwrap_or_else(PoisonError::into_inner).overflown)
    }

    /// Gives up the bodies made before: they get no more frames.
    pub(crate) fn give_up(&self) {
        if let Some(log) = &self.log {
            log.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take_over();
        }
    }

    /// Reads on while no try sends the body; ready once there is no more to read or to keep.
    pub(crate) fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<Filled> {
        let Some(log) = &self.log else {
            return Poll::Ready(Filled::Whole);
        };
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = ready!(log.poll_fill(cx));
        if let Some(end) = &self.end {
            end.come();
        }
        Poll::Ready(filled)
    }
}

impl<B, N> Replay<B, N> {
    /// What travels beside the body of the last try.
    pub const fn note(&self) -> &N {
        &self.note
    }

    /// What travels beside each body made from now on.
    pub const fn note_mut(&mut self) -> &mut N {
        &mut self.note
    }

    /// Whether there is a body whose end is told.
    pub(crate) const fn is_tracked(&self) -> bool {
        self.end.is_some()
    }

    /// When the request had gone out whole, where that is told and seen.
    pub(crate) fn sent(&self) -> Option<Instant> {
        self.end.as_ref()?.at()
    }
}

impl<B, N: fmt::Debug> fmt::Debug for Replay<B, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}
