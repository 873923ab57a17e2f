//! The frames of a body that is kept to be sent again: append-only, read by cursors.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::content::Content;
use super::copies::{BodyCopy, Copies};
use super::kept::{KeptFrames, length};

/// What one request's tries share: the frames sent so far, and where more come from.
pub(super) struct Log<B> {
    pub(super) frames: KeptFrames,
    pub(super) source: Pin<Box<Content<B>>>,
    /// Who else gets what comes from there.
    pub(super) copies: Option<Box<Copies>>,
    pub(super) kept: usize,
    pub(super) limit: usize,
    pub(super) ended: bool,
    pub(super) overflown: bool,
    /// The source failed, whether or not its beginning was kept.
    failed: bool,
    /// The number of the try that reads. Earlier ones may still hold a body, as a connection does
    /// that was answered early; they get nothing more, or two would share one source and one waker.
    pub(super) reader: u64,
    /// Whom to tell when another try takes over.
    pub(super) waiting: Option<Waker>,
}

impl<B> Log<B> {
    /// Nothing is read yet.
    pub(super) fn new(source: Pin<Box<Content<B>>>, limit: usize) -> Self {
        Self {
            frames: KeptFrames::default(),
            source,
            copies: None,
            kept: 0,
            limit,
            ended: false,
            overflown: false,
            failed: false,
            reader: 0,
            waiting: None,
        }
    }

    /// Another try reads from now on; gives its number.
    pub(super) fn take_over(&mut self) -> u64 {
        self.reader += 1;
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
        self.reader
    }
}

/// What came of reading a body while nobody sends it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Filled {
    /// All of it is kept.
    Whole,
    /// It is longer than what is kept of it.
    TooLong,
    /// It failed.
    Failed,
}

/// How many frames are read at a time.
const FRAMES_AT_A_TIME: usize = 64;

impl<B: Body<Data = Bytes>> Log<B> {
    /// Reads on while nobody sends, and keeps what comes.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Filled> {
        for _ in 0..FRAMES_AT_A_TIME {
            if self.overflown {
                return Poll::Ready(match self.failed {
                    true => Filled::Failed,
                    false => Filled::TooLong,
                });
            }
            if self.ended {
                return Poll::Ready(Filled::Whole);
            }
            let mut at = self.frames.len();
            // What fails or does not fit is seen above.
            let _ = ready!(self.poll_frame(self.reader, &mut at, cx));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// A copy of all of it, unless its beginning is gone.
    pub(super) fn copy(&mut self, limit: usize) -> BodyCopy {
        if self.overflown {
            return BodyCopy::lost();
        }
        let left = self.source.hint().exact();
        let copies = self
            .copies
            .get_or_insert_with(|| Box::new(Copies::new(left)));
        let copy = copies.add(limit, &self.frames);
        if self.ended || self.source.is_over() {
            copies.see::<B::Error>(None, true);
        }
        copy
    }

    /// What is still to come for a reader at frame `at`.
    pub(super) fn size_hint(&self, at: usize) -> SizeHint {
        let kept = self.frames.data_from(at);
        let mut hint = self.source.hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(kept));
        }
        hint.set_lower(hint.lower().saturating_add(kept));
        hint
    }

    pub(super) fn poll_frame(
        &mut self,
        reader: u64,
        at: &mut usize,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if reader != self.reader {
            return Poll::Pending;
        }
        if let Some(frame) = self.frames.get(*at) {
            *at += 1;
            return Poll::Ready(Some(Ok(frame)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = self.source.as_mut().poll_next(cx);
        if let (Some(copies), Poll::Ready(frame)) = (&mut self.copies, &frame) {
            copies.see(frame.as_ref(), self.source.is_over());
        }
        let frame = match frame {
            Poll::Pending => {
                self.waiting = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(Some(Ok(frame))) => frame,
            Poll::Ready(end) => {
                self.ended = true;
                // A body that failed cannot be sent again whole.
                self.failed = end.is_some();
                self.overflown |= self.failed;
                return Poll::Ready(end);
            }
        };
        let length = length(&frame);
        if !self.overflown && self.kept.saturating_add(length) <= self.limit {
            self.kept += length;
            self.frames.push(&frame);
            *at = self.frames.len();
        } else {
            self.overflown = true;
            self.frames = KeptFrames::default();
            *at = 0;
        }
        Poll::Ready(Some(Ok(frame)))
    }
}
