//! Bodies that can be there twice.

use super::RequestBody;
use super::content::{Content, Kind};

/// Bodies that can be sent more than once at a time.
///
/// All that are `Clone`, and a [`RequestBody`] around one as long as nobody keeps or copies what is
/// read of it.
pub trait TryClone: Sized {
    /// The same body once more, from its beginning; nothing where that cannot be had.
    fn try_clone(&self) -> Option<Self>;
}

impl<B: Clone> TryClone for B {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl<B: Clone, N: Clone> TryClone for RequestBody<B, N> {
    /// It is the first that tells when the request has gone out.
    fn try_clone(&self) -> Option<Self> {
        let content = match &self.content {
            None => None,
            Some(content) => match &content.kind {
                Kind::Direct(body) => Some(Content::of(Kind::Direct(body.clone()), None)),
                Kind::Copied { .. } | Kind::Replay { .. } => return None,
            },
        };
        let note = self.note.clone();
        Some(Self { content, note })
    }
}
