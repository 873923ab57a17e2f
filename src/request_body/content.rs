//! What is left to send of a request: the caller's body, told of, copied, or kept to be sent again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use super::copies::Copies;
use super::end::EndTeller;
use super::log::Log;
use crate::body::{BodyError, BoxError};

/// A body on its way out.
///
/// It is in a box from the beginning, so that a request is small to move and needs no other box
/// where it leaves: this very one is what an endpoint's transport gets.
#[pin_project]
pub(super) struct Content<B> {
    #[pin]
    pub(super) kind: Kind<B>,
    pub(super) end: Option<EndTeller>,
}

#[pin_project(project = KindProjected)]
pub(super) enum Kind<B> {
    Direct(#[pin] B),
    /// What is read goes to copies too.
    Copied {
        source: Pin<Box<Content<B>>>,
        copies: Box<Copies>,
    },
    Replay {
        log: Arc<Mutex<Log<B>>>,
        reader: u64,
        at: usize,
    },
}

impl<B> Content<B> {
    pub(super) fn of(kind: Kind<B>, end: Option<EndTeller>) -> Pin<Box<Self>> {
        Box::pin(Self { kind, end })
    }

    /// Whether another try sends this body now.
    pub(super) fn is_given_up(&self) -> bool {
        match &self.kind {
            Kind::Replay { log, reader, .. } => {
                let log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.reader != *reader
            }
            Kind::Direct(_) | Kind::Copied { .. } => false,
        }
    }
}

impl<B: Body<Data = Bytes>> Content<B> {
    pub(super) fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        // Who reads a body may stop at its last frame, without asking for more.
        let (frame, last) = match this.kind.project() {
            KindProjected::Direct(mut body) => {
                let frame = ready!(body.as_mut().poll_frame(cx));
                (frame, this.end.is_some() && body.is_end_stream())
            }
            KindProjected::Copied { source, copies } => {
                let frame = ready!(source.as_mut().poll_next(cx));
                let last = source.is_over();
                copies.see(frame.as_ref(), last);
                (frame, last)
            }
            KindProjected::Replay { log, reader, at } => {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                let frame = ready!(log.poll_frame(*reader, at, cx));
                (frame, log.source.is_over())
            }
        };
        if (last || !matches!(frame, Some(Ok(_))))
            && let Some(end) = this.end
        {
            end.state.come();
        }
        Poll::Ready(frame)
    }

    pub(super) fn is_over(&self) -> bool {
        match &self.kind {
            Kind::Direct(body) => body.is_end_stream(),
            Kind::Copied { source, .. } => source.is_over(),
            Kind::Replay { .. } => false,
        }
    }

    pub(super) fn hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Direct(body) => body.size_hint(),
            Kind::Copied { source, .. } => source.hint(),
            Kind::Replay { log, at, .. } => {
                let log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.size_hint(*at)
            }
        }
    }
}

/// Another try sends the request.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request is sent again elsewhere")]
struct GivenUp;

/// As it leaves: it fails where another try has taken over, so that its connection ends.
impl<B> Body for Content<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.as_mut().poll_next(cx) {
            Poll::Pending if self.is_given_up() => Poll::Ready(Some(Err(BodyError::new(GivenUp)))),
            frame => frame.map(|frame| frame.map(|frame| frame.map_err(BodyError::new))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint()
    }
}
