//! A response's body, which gives its connection back once it has ended.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::pool::Lease;
use crate::failure::HttpError;

/// The body of a response of the built-in transport.
///
/// Dropping it before its end cancels the rest: an HTTP/1.1 connection is closed, an HTTP/2
/// stream reset. That of a response that switches protocols counts as a request under way until it
/// is dropped, for what is spoken then is beyond it.
#[derive(Debug)]
pub struct HttpBody {
    incoming: Incoming,
    /// Until the end of the body.
    lease: Option<Lease>,
}

impl HttpBody {
    pub(super) fn new(incoming: Incoming, lease: Lease) -> Self {
        let lease = Some(lease);
        let mut body = Self { incoming, lease };
        body.note_end();
        body
    }

    fn note_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(lease) = self.lease.take_if(|it| !it.switched) {
            lease.finish();
        }
    }
}

impl Body for HttpBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                self.note_end();
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.lease = None;
                Some(Err(HttpError::in_body(error)))
            }
            None => {
                self.end();
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
