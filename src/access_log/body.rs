//! A response's body that counts, and ends the entry it belongs to.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use super::AccessLog;
use crate::mesh::ResponseBody;
use crate::mesh::log::Pending;

/// A response's body, which keeps the entry of its request until it has ended.
///
/// Dropping it before its end writes the entry with the flag `DC`.
#[pin_project]
pub struct LoggedBody<B, L: AccessLog> {
    #[pin]
    body: ResponseBody<B>,
    pending: Option<Box<Pending<L>>>,
}

impl<B, L: AccessLog> LoggedBody<B, L> {
    pub(super) const fn new(body: ResponseBody<B>, pending: Option<Box<Pending<L>>>) -> Self {
        Self { body, pending }
    }

    /// The body inside, which knows what became of the request.
    #[must_use]
    pub const fn get_ref(&self) -> &ResponseBody<B> {
        &self.body
    }
}

impl<B, L: AccessLog> Body for LoggedBody<B, L>
where
    ResponseBody<B>: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = <ResponseBody<B> as Body>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        let frame = this.body.as_mut().poll_frame(cx);
        let (Poll::Ready(polled), Some(pending)) = (&frame, &mut *this.pending) else {
            return frame;
        };
        match polled {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                pending.sent(bytes, this.body.is_end_stream());
            }
            Some(Err(_)) => pending.broken(this.body.info().broken_off()),
            None => pending.sent(0, true),
        }
        if !matches!(polled, Some(Ok(_))) {
            *this.pending = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: fmt::Debug, L: AccessLog> fmt::Debug for LoggedBody<B, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggedBody")
            .field("body", &self.body)
            .field("pending", &self.pending)
            .finish()
    }
}
