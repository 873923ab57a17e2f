//! Copies of a body, made while it is read: bounded, and never in the way of its reader.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::kept::{KeptFrames, length};

/// Why a copy will not come to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CopyLost {
    /// More was waiting to be read from the copy than its limit allows.
    #[error("the copy of the request's body is read too slowly")]
    TooSlow,
    /// The body it is a copy of failed, or was dropped before its end.
    #[error("the request was given up before its body had ended")]
    Abandoned,
}

/// The same frames as another body's, as they are read there.
///
/// Frames wait here until they are read. When more bytes wait than the limit
/// allows the copy is lost and what waited is dropped: the body it is a copy of
/// is never held up. Dropping it costs that body nothing more.
pub struct BodyCopy(Option<Arc<Pipe>>);

/// Tells when a [`BodyCopy`] is lost, whoever reads it.
#[derive(Debug)]
pub(crate) struct CopyWatch(Option<Arc<Pipe>>);

/// Where a body's frames go, beside its reader.
pub(super) struct Copies {
    pipes: Vec<Arc<Pipe>>,
    /// How many bytes are still to come, where that is known: who sends a known length may stop
    /// short of the end.
    left: Option<u64>,
}

#[derive(Debug)]
struct Pipe(Mutex<State>);

#[derive(Debug)]
struct State {
    frames: KeptFrames,
    waiting: usize,
    limit: usize,
    /// What is still to be read, where that is known.
    left: Option<u64>,
    /// Whether the reader was told that nothing follows.
    told: bool,
    phase: Phase,
    reader: Option<Waker>,
    watcher: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Open,
    Ended,
    Lost(CopyLost),
}

fn data(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, Bytes::len) as u64
}

impl Pipe {
    // Frames are pushed whole, so a poisoned pipe is still a pipe.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, frame: &Frame<Bytes>) {
        let length = length(frame);
        if self.phase != Phase::Open || (length == 0 && frame.is_data()) {
            return;
        }
        if self.waiting.saturating_add(length) > self.limit {
            return self.end(Phase::Lost(CopyLost::TooSlow));
        }
        self.waiting += length;
        self.frames.push(frame);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn end(&mut self, phase: Phase) {
        if self.phase != Phase::Open {
            return;
        }
        self.phase = phase;
        if phase != Phase::Ended {
            self.frames = KeptFrames::default();
        }
        for waker in [self.reader.take(), self.watcher.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
    }
}

impl Copies {
    /// No copies yet of a body of which so much is to come.
    pub(super) const fn new(left: Option<u64>) -> Self {
        Self {
            pipes: Vec::new(),
            left,
        }
    }

    /// One copy more, which begins with these frames.
    pub(super) fn add(&mut self, limit: usize, begun: &KeptFrames) -> BodyCopy {
        let read = begun.data_from(0);
        let mut state = State {
            frames: KeptFrames::default(),
            waiting: 0,
            limit,
            left: self.left.and_then(|left| left.checked_add(read)),
            told: false,
            phase: Phase::Open,
            reader: None,
            watcher: None,
        };
        let begun = (0..begun.len()).filter_map(|at| begun.get(at));
        begun.for_each(|frame| state.push(&frame));
        let pipe = Arc::new(Pipe(Mutex::new(state)));
        self.pipes.push(pipe.clone());
        BodyCopy(Some(pipe))
    }

    /// Hands on what was read from the body; `last` if nothing follows it.
    pub(super) fn see<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>, last: bool) {
        match frame {
            Some(Ok(frame)) => {
                self.left = self.left.and_then(|left| left.checked_sub(data(frame)));
                self.pipes.iter().for_each(|pipe| pipe.lock().push(frame));
                if last {
                    self.end(Phase::Ended);
                }
            }
            Some(Err(_)) => self.end(Phase::Lost(CopyLost::Abandoned)),
            None => self.end(Phase::Ended),
        }
    }

    fn end(&mut self, phase: Phase) {
        for pipe in self.pipes.drain(..) {
            pipe.lock().end(phase);
        }
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        self.end(match self.left {
            Some(0) => Phase::Ended,
            _ => Phase::Lost(CopyLost::Abandoned),
        });
    }
}

impl BodyCopy {
    /// The copy of a body that is nothing.
    pub(super) const fn empty() -> Self {
        Self(None)
    }

    /// A copy that cannot be had.
    pub(super) fn lost() -> Self {
        let mut copies = Copies::new(None);
        copies.add(0, &KeptFrames::default())
    }

    /// Tells when this copy is lost.
    pub(crate) fn watch(&self) -> CopyWatch {
        CopyWatch(self.0.clone())
    }
}

impl Drop for BodyCopy {
    fn drop(&mut self) {
        if let Some(pipe) = &self.0 {
            let mut state = pipe.lock();
            state.frames = KeptFrames::default();
            state.end(Phase::Ended);
        }
    }
}

impl CopyWatch {
    /// Ready once the copy is lost; never, if it comes to its end.
    pub(crate) fn poll_lost(&self, cx: &Context<'_>) -> Poll<CopyLost> {
        let Some(pipe) = &self.0 else {
            return Poll::Pending;
        };
        let mut state = pipe.lock();
        match state.phase {
            Phase::Lost(lost) => Poll::Ready(lost),
            Phase::Ended => Poll::Pending,
            Phase::Open => {
                state.watcher = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Body for BodyCopy {
    type Data = Bytes;
    type Error = CopyLost;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CopyLost>>> {
        let Some(pipe) = &self.0 else {
            return Poll::Ready(None);
        };
        let mut state = pipe.lock();
        if let Some(frame) = state.frames.pop() {
            state.waiting = state.waiting.saturating_sub(length(&frame));
            let read = data(&frame);
            state.left = state.left.and_then(|left| left.checked_sub(read));
            return Poll::Ready(Some(Ok(frame)));
        }
        match state.phase {
            Phase::Ended => {
                state.told = true;
                Poll::Ready(None)
            }
            Phase::Lost(lost) => Poll::Ready(Some(Err(lost))),
            Phase::Open => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|pipe| {
            let state = pipe.lock();
            // A copy is framed as its request is, whichever of them is further: what could have
            // followed is told of only when it is asked for.
            let is_known = state.told || state.left == Some(0);
            is_known && state.phase == Phase::Ended && state.frames.is_empty()
        })
    }

    fn size_hint(&self) -> SizeHint {
        let Some(pipe) = &self.0 else {
            return SizeHint::with_exact(0);
        };
        pipe.lock()
            .left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl fmt::Debug for BodyCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyCopy").finish_non_exhaustive()
    }
}
