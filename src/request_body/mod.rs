//! One request body type from the edge to the wire: it can say when it has gone out, and can be
//! sent again.
//!
//! Layers change the state of this body in place, never its type. Until a layer
//! asks for more it is the caller's own body and nothing is copied or counted.
//! [`RequestBody::track`] makes it tell when the request has gone out whole,
//! which is when Envoy's timers start. [`RequestBody::arm`] keeps what is sent,
//! up to a limit, so that a later try can send it again. [`RequestBody::copy`]
//! makes a second body of the same frames, for a mirror.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::select::Own;

mod copies;
mod end;
mod log;
mod replay;

use copies::Copies;
pub(crate) use copies::CopyWatch;
pub use copies::{BodyCopy, CopyLost};
use end::EndTeller;
pub use end::RequestEnd;
pub(crate) use log::Filled;
use log::Log;
pub use replay::Replay;

/// A request's body, with a note that travels beside it.
#[pin_project]
pub struct RequestBody<B, N = ()> {
    #[pin]
    content: Content<B>,
    note: N,
    end: Option<EndTeller>,
}

#[pin_project(project = ContentProjected)]
enum Content<B> {
    Empty,
    Direct(#[pin] B),
    /// What is read goes to copies too.
    Copied {
        source: Pin<Box<B>>,
        copies: Box<Copies>,
    },
    Replay {
        log: Arc<Mutex<Log<B>>>,
        reader: u64,
        at: usize,
    },
}

/// Where a layer finds the [`RequestBody`] of a request, or makes one.
///
/// Used alone ([`Own`]) a layer wraps the caller's body; in a mesh the body is
/// one already.
pub trait Carry<B> {
    /// The caller's body.
    type Inner;
    /// What travels beside it.
    type Note: Clone;

    /// The request with a body of the one type.
    fn carry(&self, request: Request<B>) -> Request<RequestBody<Self::Inner, Self::Note>>;

    /// The body where it is of the one type already; what is done to it then costs no move.
    fn in_place<'r>(
        &self,
        _: &'r mut Request<B>,
    ) -> Option<&'r mut RequestBody<Self::Inner, Self::Note>> {
        None
    }

    /// Whether the request came as a gRPC call, where that was noted before.
    fn is_grpc(&self, _: &RequestBody<Self::Inner, Self::Note>) -> Option<bool> {
        None
    }
}

impl<P, B> Carry<B> for Own<P> {
    type Inner = B;
    type Note = ();

    fn carry(&self, request: Request<B>) -> Request<RequestBody<B>> {
        request.map(|body| RequestBody::new(body, ()))
    }
}

impl<B, N> RequestBody<B, N> {
    /// The caller's own body.
    pub const fn new(body: B, note: N) -> Self {
        Self {
            content: Content::Direct(body),
            note,
            end: None,
        }
    }

    /// What travels beside the body.
    pub const fn note(&self) -> &N {
        &self.note
    }

    /// The same, to change.
    pub const fn note_mut(&mut self) -> &mut N {
        &mut self.note
    }

    /// Whether another try sends this body now: it will not end, and its connection is of no use.
    pub fn is_given_up(&self) -> bool {
        match &self.content {
            Content::Replay { log, reader, .. } => {
                let log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.reader != *reader
            }
            Content::Empty | Content::Direct(_) | Content::Copied { .. } => false,
        }
    }

    /// The body by itself, and what travelled beside it.
    pub fn split(self) -> (RequestBody<B>, N) {
        let body = RequestBody {
            content: self.content,
            note: (),
            end: self.end,
        };
        (body, self.note)
    }
}

impl<B, N> RequestBody<B, N>
where
    B: Body<Data = Bytes>,
    N: Clone,
{
    /// From now on the body tells when it has gone out whole.
    pub fn track(&mut self) -> RequestEnd {
        if self.is_end_stream() {
            return RequestEnd::past();
        }
        let last = !matches!(self.content, Content::Replay { .. });
        let teller = self.end.get_or_insert_with(|| EndTeller {
            state: Arc::default(),
            last,
        });
        teller.end()
    }

    /// From now on what is sent is kept, up to `limit` bytes; [`Replay::again`] sends it again.
    pub fn arm(&mut self, limit: usize) -> Replay<B, N> {
        let note = self.note.clone();
        if let Some(end) = &mut self.end {
            end.last = false;
        }
        let log = match std::mem::replace(&mut self.content, Content::Empty) {
            Content::Empty => None,
            Content::Replay { log, reader, at } => {
                self.content = Content::Replay {
                    log: log.clone(),
                    reader,
                    at,
                };
                Some(log)
            }
            Content::Direct(body) if body.is_end_stream() => None,
            Content::Direct(body) => Some(self.begin_log(Box::pin(body), None, limit)),
            Content::Copied { source, .. } if source.is_end_stream() => None,
            Content::Copied { source, copies } => Some(self.begin_log(source, Some(copies), limit)),
        };
        Replay {
            log,
            note,
            end: self.end.as_ref().map(|it| it.state.clone()),
        }
    }

    /// From now on what is read of this body, from its beginning, is read of the copy too.
    ///
    /// The copy is lost when more than `limit` bytes wait to be read from it, and when this body
    /// fails or is dropped before its end; this body is never held up.
    pub fn copy(&mut self, limit: usize) -> BodyCopy {
        match std::mem::replace(&mut self.content, Content::Empty) {
            Content::Empty => BodyCopy::empty(),
            Content::Direct(body) if body.is_end_stream() => BodyCopy::empty(),
            Content::Direct(body) => {
                let copies = Box::new(Copies::new(body.size_hint().exact()));
                self.copy_source(Box::pin(body), copies, limit)
            }
            Content::Copied { source, copies } => self.copy_source(source, copies, limit),
            Content::Replay { log, reader, at } => {
                let kept = log
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .copy(limit);
                self.content = Content::Replay { log, reader, at };
                kept
            }
        }
    }

    fn copy_source(
        &mut self,
        source: Pin<Box<B>>,
        mut copies: Box<Copies>,
        limit: usize,
    ) -> BodyCopy {
        let copy = copies.add(limit, std::iter::empty());
        self.content = Content::Copied { source, copies };
        copy
    }

    fn begin_log(
        &mut self,
        source: Pin<Box<B>>,
        copies: Option<Box<Copies>>,
        limit: usize,
    ) -> Arc<Mutex<Log<B>>> {
        let log = Arc::new(Mutex::new(Log {
            frames: Vec::new(),
            source,
            copies,
            kept: 0,
            limit,
            ended: false,
            overflown: false,
            reader: 0,
            waiting: None,
        }));
        self.content = Content::Replay {
            log: log.clone(),
            reader: 0,
            at: 0,
        };
        log
    }
}

impl<B, N> Body for RequestBody<B, N>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        // Who reads a body may stop at its last frame, without asking for more.
        let (frame, last) = match this.content.project() {
            ContentProjected::Empty => (None, true),
            ContentProjected::Direct(mut body) => {
                let frame = ready!(body.as_mut().poll_frame(cx));
                (frame, this.end.is_some() && body.is_end_stream())
            }
            ContentProjected::Copied { source, copies } => {
                let frame = ready!(source.as_mut().poll_frame(cx));
                let last = source.is_end_stream();
                copies.see(frame.as_ref(), last);
                (frame, last)
            }
            ContentProjected::Replay { log, reader, at } => {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                let frame = ready!(log.poll_frame(*reader, at, cx));
                (frame, log.source.is_end_stream())
            }
        };
        if (last || !matches!(frame, Some(Ok(_))))
            && let Some(end) = this.end
        {
            end.state.come();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Direct(body) => body.is_end_stream(),
            Content::Copied { source, .. } => source.is_end_stream(),
            Content::Replay { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Direct(body) => body.size_hint(),
            Content::Copied { source, .. } => source.size_hint(),
            Content::Replay { log, at, .. } => log
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .size_hint(*at),
        }
    }
}

impl<B, N: fmt::Debug> fmt::Debug for RequestBody<B, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
