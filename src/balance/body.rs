//! A response's body whose request is under way until it has ended.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::endpoint::InFlight;
use crate::reply::FromLocalReply;

/// A response's body whose request counts as under way until it has ended or is dropped.
#[pin_project]
#[derive(Debug)]
pub struct Balanced<R> {
    #[pin]
    body: R,
    in_flight: Option<InFlight>,
}

impl<R> Balanced<R> {
    pub(super) const fn new(body: R, in_flight: Option<InFlight>) -> Self {
        Self { body, in_flight }
    }
}

impl<R: FromLocalReply> FromLocalReply for Balanced<R> {
    fn from_local_reply(text: Bytes) -> Self {
        Self::new(R::from_local_reply(text), None)
    }
}

impl<R: Body> Body for Balanced<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            *this.in_flight = None;
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
