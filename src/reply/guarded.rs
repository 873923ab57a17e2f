//! A response's body that lets go of a guard when it has ended.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use super::FromLocalReply;

/// A response's body with a guard, which is dropped when the body has ended or is dropped: a request
/// that counts as long as its response is read.
#[pin_project]
#[derive(Debug)]
pub struct GuardedBody<R, G> {
    #[pin]
    body: R,
    guard: Option<G>,
}

impl<R, G> GuardedBody<R, G> {
    pub(crate) const fn new(body: R, guard: Option<G>) -> Self {
        Self { body, guard }
    }
}

impl<R: FromLocalReply, G> FromLocalReply for GuardedBody<R, G> {
    fn from_local_reply(text: Bytes) -> Self {
        Self::new(R::from_local_reply(text), None)
    }
}

impl<R: Body, G> Body for GuardedBody<R, G> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            *this.guard = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
