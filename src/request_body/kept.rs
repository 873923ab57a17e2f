//! Frames that are kept: a frame costs more than a byte, so small ones are put together.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http_body::Frame;

/// A frame below this is put together with the one before, if that is small too. What brings
/// smaller frames than this keeps much larger buffers alive by them, so it is copied out of there.
const SMALL: usize = 4 << 10;
/// Small frames are put together up to this many bytes.
const TOGETHER: usize = 16 << 10;

/// Frames in their order; those of data may be fewer and larger than they came.
#[derive(Debug, Default)]
pub(super) struct KeptFrames(VecDeque<Kept>);

#[derive(Debug)]
enum Kept {
    Frame(Frame<Bytes>),
    /// Small frames so far.
    Together(BytesMut),
}

/// How much of a limit a frame takes up.
pub(super) fn length(frame: &Frame<Bytes>) -> usize {
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => data.len(),
        (None, Some(trailers)) => trailers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum(),
        (None, None) => 0,
    }
}

fn copy(frame: &Frame<Bytes>) -> Frame<Bytes> {
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Frame::data(data.clone()),
        (None, Some(trailers)) => Frame::trailers(trailers.clone()),
        (None, None) => Frame::data(Bytes::new()),
    }
}

impl Kept {
    /// How much data there is where more may be added to it.
    fn small(&self) -> Option<usize> {
        match self {
            Self::Frame(frame) => {
                let data = frame.data_ref()?;
                (data.len() < SMALL).then_some(data.len())
            }
            Self::Together(data) => (data.len() < TOGETHER).then_some(data.len()),
        }
    }

    fn add(&mut self, more: &[u8]) {
        if let Self::Frame(frame) = self {
            let begun = frame.data_ref().map_or(&[][..], |data| data);
            let mut together = BytesMut::with_capacity(begun.len() + more.len());
            together.extend_from_slice(begun);
            *self = Self::Together(together);
        }
        if let Self::Together(together) = self {
            together.extend_from_slice(more);
        }
    }

    fn data(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.data_ref().map_or(0, Bytes::len),
            Self::Together(data) => data.len(),
        }
    }
}

impl KeptFrames {
    /// How many there are; a frame that is added later may be put to the last of them.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps a frame; one that says nothing is left out.
    pub(super) fn push(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            if data.is_empty() {
                return;
            }
            let last = self.0.back_mut();
            if let Some(last) = last.filter(|it| data.len() < SMALL && it.small().is_some()) {
                return last.add(data);
            }
        }
        self.0.push_back(Kept::Frame(copy(frame)));
    }

    /// A copy of the one at this place.
    pub(super) fn get(&self, at: usize) -> Option<Frame<Bytes>> {
        Some(match self.0.get(at)? {
            Kept::Frame(frame) => copy(frame),
            Kept::Together(data) => Frame::data(Bytes::copy_from_slice(data)),
        })
    }

    /// How many bytes of data there are from this place on.
    pub(super) fn data_from(&self, at: usize) -> u64 {
        self.0.iter().skip(at).map(|it| it.data() as u64).sum()
    }

    /// Takes the first.
    pub(super) fn pop(&mut self) -> Option<Frame<Bytes>> {
        Some(match self.0.pop_front()? {
            Kept::Frame(frame) => frame,
            Kept::Together(data) => Frame::data(data.freeze()),
        })
    }
}
