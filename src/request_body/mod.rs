//! One request body type from the edge to the wire: it can say when it has gone out, and can be
//! sent again.
//!
//! Layers change the state of this body in place, never its type. Until a layer
//! asks for more it is the caller's own body, in a box, and nothing is copied or counted.
//! [`RequestBody::track`] makes it tell when the request has gone out whole,
//! which is when Envoy's timers start. [`RequestBody::arm`] keeps what is sent,
//! up to a limit, so that a later try can send it again. [`RequestBody::copy`]
//! makes a second body of the same frames, for a mirror.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::body::{self, BoxError};
use crate::select::Own;

mod content;
mod copies;
mod end;
mod kept;
mod log;
mod replay;
mod try_clone;

use content::{Content, Kind, KindProjected};
use copies::Copies;
pub(crate) use copies::CopyWatch;
pub use copies::{BodyCopy, CopyLost};
use end::EndTeller;
pub use end::RequestEnd;
use kept::KeptFrames;
pub(crate) use log::Filled;
use log::Log;
pub use replay::Replay;
pub use try_clone::TryClone;

/// A request's body, with a note that travels beside it.
///
/// A body that has something to send is put into a box once; one that has nothing costs nothing.
#[pin_project]
pub struct RequestBody<B, N = ()> {
    /// Nothing where there is nothing to send.
    content: Option<Pin<Box<Content<B>>>>,
    note: N,
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

    /// Whether the request came as a gRPC call, where that was noted before.
    fn is_grpc(&self, _: &Self::Note) -> Option<bool> {
        None
    }
}

impl<P, B: Body<Data = Bytes>> Carry<B> for Own<P> {
    type Inner = B;
    type Note = ();

    fn carry(&self, request: Request<B>) -> Request<RequestBody<B>> {
        request.map(|body| RequestBody::new(body, ()))
    }
}

impl<B: Body<Data = Bytes>, N> RequestBody<B, N> {
    /// The caller's own body.
    #[inline]
    pub fn new(body: B, note: N) -> Self {
        let content = match body.is_end_stream() {
            true => None,
            false => Some(Content::of(Kind::Direct(body), None)),
        };
        Self { content, note }
    }
}

impl<B, N> RequestBody<B, N> {
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
        let content = self.content.as_ref();
        content.is_some_and(|content| content.is_given_up())
    }

    /// The body by itself, and what travelled beside it.
    pub fn split(self) -> (RequestBody<B>, N) {
        let body = RequestBody {
            content: self.content,
            note: (),
        };
        (body, self.note)
    }

    /// The same body with another note.
    pub(crate) fn with_note<M>(self, note: M) -> RequestBody<B, M> {
        RequestBody {
            content: self.content,
            note,
        }
    }
}

impl<B, N> RequestBody<B, N>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// The body as it leaves for an endpoint: it fails where another try has taken over.
    #[inline]
    pub(crate) fn erase(self) -> body::Body {
        match self.content {
            Some(content) if !content.is_over() => body::Body::boxed(content),
            _ => body::Body::empty(),
        }
    }
}

impl<B, N> RequestBody<B, N>
where
    B: Body<Data = Bytes>,
{
    /// From now on the body tells when it has gone out whole.
    pub fn track(&mut self) -> RequestEnd {
        let content = self.content.as_mut().filter(|it| !it.is_over());
        let Some(content) = content else {
            return RequestEnd::past();
        };
        let last = !matches!(content.kind, Kind::Replay { .. });
        let end = content.as_mut().project().end;
        let teller = end.get_or_insert_with(|| EndTeller {
            state: Arc::default(),
            last,
        });
        teller.end()
    }

    /// From now on what is sent is kept, up to `limit` bytes; [`Replay::again`] sends it again.
    pub fn arm(&mut self, limit: usize) -> Replay<B, N>
    where
        N: Clone,
    {
        let note = self.note.clone();
        self.arm_with(limit, note)
    }

    /// The same; bodies made again carry `note`.
    #[inline]
    pub(crate) fn arm_with<M>(&mut self, limit: usize, note: M) -> Replay<B, M> {
        let Some(mut content) = self.content.take() else {
            let (log, end) = (None, None);
            return Replay { log, note, end };
        };
        let over = content.is_over();
        let mut this = content.as_mut().project();
        if let Some(end) = this.end {
            end.last = false;
        }
        let end = this.end.as_ref().map(|it| it.state.clone());
        let log = match this.kind.as_mut().project() {
            KindProjected::Replay { log, .. } => Some(log.clone()),
            _ if over => None,
            _ => {
                let teller = content.as_mut().project().end.take();
                return self.begin_log(content, teller, limit, note);
            }
        };
        self.content = Some(content);
        Replay { log, note, end }
    }

    /// From now on what is read of this body, from its beginning, is read of the copy too.
    ///
    /// The copy is lost when more than `limit` bytes wait to be read from it, and when this body
    /// fails or is dropped before its end; this body is never held up.
    pub fn copy(&mut self, limit: usize) -> BodyCopy {
        let Some(mut content) = self.content.take().filter(|it| !it.is_over()) else {
            return BodyCopy::empty();
        };
        let copy = match content.as_mut().project().kind.project() {
            KindProjected::Replay { log, .. } => {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.copy(limit)
            }
            KindProjected::Copied { copies, .. } => copies.add(limit, &KeptFrames::default()),
            KindProjected::Direct(_) => {
                let mut copies = Box::new(Copies::new(content.hint().exact()));
                let copy = copies.add(limit, &KeptFrames::default());
                let end = content.as_mut().project().end.take();
                let source = content;
                content = Content::of(Kind::Copied { source, copies }, end);
                copy
            }
        };
        self.content = Some(content);
        copy
    }

    fn begin_log<M>(
        &mut self,
        source: Pin<Box<Content<B>>>,
        teller: Option<EndTeller>,
        limit: usize,
        note: M,
    ) -> Replay<B, M> {
        let log = Arc::new(Mutex::new(Log::new(source, limit)));
        let end = teller.as_ref().map(|it| it.state.clone());
        let kind = Kind::Replay {
            log: log.clone(),
            reader: 0,
            at: 0,
        };
        self.content = Some(Content::of(kind, teller));
        let log = Some(log);
        Replay { log, note, end }
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
        match self.project().content {
            Some(content) => content.as_mut().poll_next(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        let content = self.content.as_ref();
        content.is_none_or(|content| content.is_over())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Some(content) => content.hint(),
            None => SizeHint::with_exact(0),
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
