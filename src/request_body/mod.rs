//! One request body type from the edge to the wire: it can say when it has gone out, and can be
//! sent again.
//!
//! Layers change the state of this body in place, never its type. Until a layer
//! asks for more it is the caller's own body and nothing is copied or counted.
//! [`RequestBody::track`] makes it tell when the request has gone out whole,
//! which is when Envoy's timers start. [`RequestBody::arm`] keeps what is sent,
//! up to a limit, so that a later try can send it again.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::select::Own;

mod log;

use log::Log;

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
            Content::Empty | Content::Direct(_) => false,
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
            return RequestEnd(None);
        }
        let last = !matches!(self.content, Content::Replay { .. });
        let teller = self.end.get_or_insert_with(|| EndTeller {
            state: Arc::default(),
            last,
        });
        RequestEnd(Some(teller.state.clone()))
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
            Content::Direct(body) => Some(self.begin_log(Box::pin(body), limit)),
        };
        Replay {
            log,
            note,
            end: self.end.as_ref().map(|it| it.state.clone()),
        }
    }

    fn begin_log(&mut self, source: Pin<Box<B>>, limit: usize) -> Arc<Mutex<Log<B>>> {
        let log = Arc::new(Mutex::new(Log {
            frames: Vec::new(),
            source,
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

/// Makes the body of another try.
pub struct Replay<B, N = ()> {
    log: Option<Arc<Mutex<Log<B>>>>,
    note: N,
    end: Option<Arc<EndState>>,
}

impl<B, N: Clone> Replay<B, N> {
    /// The body once more, from its beginning; nothing once more was sent than is kept.
    ///
    /// Bodies made before are given up: they get no more frames.
    #[must_use]
    pub fn again(&self) -> Option<RequestBody<B, N>> {
        let content = match &self.log {
            None => Content::Empty,
            Some(log) => {
                // Frames are pushed whole, so a poisoned log is still a log.
                let mut kept = log.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.overflown {
                    return None;
                }
                Content::Replay {
                    log: log.clone(),
                    reader: kept.take_over(),
                    at: 0,
                }
            }
        };
        Some(RequestBody {
            content,
            note: self.note.clone(),
            end: self
                .end
                .clone()
                .map(|state| EndTeller { state, last: false }),
        })
    }
}

impl<B, N> Replay<B, N> {
    /// What travels beside the body of the last try.
    pub const fn note(&self) -> &N {
        &self.note
    }

    /// What travels beside each body made from now on.
    pub const fn note_mut(&mut self) -> &mut N {
        &mut self.note
    }
}

/// Tells when a request has gone out whole.
#[derive(Clone, Debug)]
pub struct RequestEnd(Option<Arc<EndState>>);

#[derive(Debug, Default)]
struct EndState {
    ended: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

/// A body's side of a [`RequestEnd`].
struct EndTeller {
    state: Arc<EndState>,
    /// Whether no other try can follow.
    last: bool,
}

impl Drop for EndTeller {
    /// A body nobody will read on has ended: who sends a known length may stop short of the end.
    fn drop(&mut self) {
        if self.last {
            self.state.come();
        }
    }
}

impl RequestEnd {
    /// Whether the body has ended already; a body with nothing to send has.
    #[must_use]
    pub fn is_past(&self) -> bool {
        let Some(state) = &self.0 else {
            return true;
        };
        state.ended.load(Ordering::Acquire)
    }

    /// Ready once the body has ended; until then `cx` is woken when it does.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let Some(state) = &self.0 else {
            return Poll::Ready(());
        };
        if self.is_past() {
            return Poll::Ready(());
        }
        *state.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        // It may have ended between the look and the note.
        match state.ended.load(Ordering::Acquire) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl EndState {
    fn come(&self) {
        if self.ended.load(Ordering::Acquire) {
            return;
        }
        self.ended.store(true, Ordering::Release);
        let waiting = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(waker) = waiting {
            waker.wake();
        }
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
            Content::Replay { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Direct(body) => body.size_hint(),
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

impl<B, N: fmt::Debug> fmt::Debug for Replay<B, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
