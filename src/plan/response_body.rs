//! The body of every response, and with it what is known of the request it answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use tokio::time::Instant;

use super::stream_info::StreamInfo;
use crate::body::{BodyError, BoxError};
use crate::endpoint::InFlight;
use crate::failure::ClassifyFailure as _;
use crate::reply::{FromLocalReply, LocalReply};
use crate::rt::Timer;

/// The one response body: an upstream's, streamed through, or the text of a local answer.
///
/// The request counts as under way at its endpoint until this body has ended or
/// is dropped. Dropping it early cancels the rest of the response.
#[pin_project]
#[derive(Debug)]
pub struct ResponseBody<B> {
    #[pin]
    content: Content<B>,
    info: StreamInfo,
    in_flight: Option<InFlight>,
    /// When the body must have ended; armed once somebody waits for it.
    deadline: Option<Deadline>,
    /// Who is told what is sent; dropped with the body.
    #[cfg(feature = "tracing")]
    watch: Option<Box<dyn Watch>>,
}

/// When a body must have ended.
#[derive(Debug)]
struct Deadline {
    timer: Timer,
    /// How many bytes have been read since.
    late: usize,
}

impl Deadline {
    /// What may be read late: it could have come in time, and have been read slowly. It is as much as
    /// Envoy holds for whoever reads.
    const MAY_BE_LATE: usize = 1 << 20;

    /// Whether so much has been read after the deadline that it cannot have come before.
    fn is_past(&mut self, frame: &Frame<Bytes>) -> bool {
        if Instant::now() <= self.timer.deadline() {
            return false;
        }
        let length = frame.data_ref().map_or(0, Bytes::len);
        self.late = self.late.saturating_add(length);
        self.late > Self::MAY_BE_LATE
    }
}

/// Is told what is sent of a response, until it is dropped.
#[cfg(feature = "tracing")]
pub(crate) trait Watch: std::fmt::Debug + Send + Sync {
    /// So many bytes, the last of all or not.
    fn sent(&mut self, bytes: usize, is_last: bool);

    /// The response broke off; with why, where that is known.
    fn broken(&mut self, reply: Option<&LocalReply>);
}

/// The route's timeout passed while the body was under way.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("upstream request timeout")]
struct TimedOut;

#[pin_project(project = ContentProjected)]
#[derive(Debug)]
enum Content<B> {
    Upstream(#[pin] B),
    // In a box, so that upstreams' answers do not carry the room for it.
    Local(Box<Local>),
}

impl<B: Body> Content<B> {
    fn is_over(&self) -> bool {
        match self {
            Self::Local(local) => local.text.is_empty(),
            Self::Upstream(body) => body.is_end_stream(),
        }
    }
}

/// A local answer's text, and the error it stands for.
#[derive(Debug)]
struct Local {
    text: Bytes,
    cause: Option<Cause>,
}

/// The error a local answer stands for.
type Cause = Arc<dyn std::error::Error + Send + Sync>;

impl<B> ResponseBody<B> {
    pub(super) const fn upstream(body: B, info: StreamInfo, in_flight: Option<InFlight>) -> Self {
        Self {
            content: Content::Upstream(body),
            info,
            in_flight,
            deadline: None,
            #[cfg(feature = "tracing")]
            watch: None,
        }
    }

    /// The body must have ended by then, or its reader gets an error.
    pub(super) fn end_by(&mut self, deadline: Instant) {
        let timer = Timer::at(deadline);
        self.deadline = Some(Deadline { timer, late: 0 });
    }

    /// From now on this is told what is sent.
    #[cfg(feature = "tracing")]
    pub(crate) fn watch(&mut self, watch: Box<dyn Watch>) {
        self.watch = Some(watch);
    }

    /// What counts the request as under way, here and in its transport, for what goes on without
    /// this body; and what it knows.
    #[cfg(feature = "client")]
    pub(crate) fn keep_counting(self) -> ((Option<InFlight>, Option<B>), StreamInfo) {
        let body = match self.content {
            Content::Upstream(body) => Some(body),
            Content::Local(_) => None,
        };
        ((self.in_flight, body), self.info)
    }

    /// The same, about this request.
    pub(crate) fn about(mut self, info: StreamInfo) -> Self {
        self.info = info;
        self
    }

    /// The same, with the error a local answer stands for.
    pub(super) fn caused_by(mut self, error: Option<Cause>) -> Self {
        if let Content::Local(local) = &mut self.content {
            local.cause = error;
        }
        self
    }

    /// What is known beside a local answer's text.
    pub(super) fn take_apart(&mut self) -> (StreamInfo, Option<Cause>) {
        (std::mem::take(&mut self.info), self.cause())
    }

    /// The error a local answer stands for.
    pub(crate) fn cause(&self) -> Option<Cause> {
        match &self.content {
            Content::Local(local) => local.cause.clone(),
            Content::Upstream(_) => None,
        }
    }

    /// Which rule the request fell under and where it went.
    #[must_use]
    pub const fn info(&self) -> &StreamInfo {
        &self.info
    }

    /// The same, to change.
    pub(crate) const fn info_mut(&mut self) -> &mut StreamInfo {
        &mut self.info
    }
}

/// The end of a body whose time is up.
fn out_of_time(info: &mut StreamInfo) -> BodyError {
    let reply = LocalReply::upstream_request_timeout("response_timeout", false);
    info.break_off(reply);
    BodyError::new(TimedOut)
}

impl<B> FromLocalReply for ResponseBody<B> {
    fn from_local_reply(text: Bytes) -> Self {
        Self {
            content: Content::Local(Box::new(Local { text, cause: None })),
            info: StreamInfo::default(),
            in_flight: None,
            deadline: None,
            #[cfg(feature = "tracing")]
            watch: None,
        }
    }
}

/// The body that is nothing, which belongs to no request: tonic's interceptors ask for one.
impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        Self::from_local_reply(Bytes::new())
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut this = self.project();
        let frame = match this.content.as_mut().project() {
            ContentProjected::Local(local) if local.text.is_empty() => None,
            ContentProjected::Local(local) => {
                Some(Ok(Frame::data(std::mem::take(&mut local.text))))
            }
            ContentProjected::Upstream(mut body) => match body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Who reads slowly never waits for a frame, and has no more time for it.
                    if let Some(deadline) = this.deadline
                        && !body.is_end_stream()
                        && deadline.is_past(&frame)
                    {
                        Some(Err(out_of_time(this.info)))
                    } else {
                        Some(Ok(frame))
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    let error: BoxError = error.into();
                    let reply = LocalReply::reset_after_response(error.classify());
                    this.info.break_off(reply);
                    Some(Err(BodyError::new(error)))
                }
                Poll::Ready(None) => None,
                Poll::Pending => {
                    let Some(deadline) = this.deadline else {
                        return Poll::Pending;
                    };
                    ready!(deadline.timer.poll(cx));
                    Some(Err(out_of_time(this.info)))
                }
            },
        };
        #[cfg(feature = "tracing")]
        if let Some(watch) = this.watch {
            match &frame {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    watch.sent(bytes, this.content.is_over());
                }
                Some(Err(_)) => watch.broken(this.info.broken_off()),
                None => watch.sent(0, true),
            }
        }
        if !matches!(frame, Some(Ok(_))) {
            *this.in_flight = None;
            #[cfg(feature = "tracing")]
            {
                *this.watch = None;
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Local(local) => SizeHint::with_exact(local.text.len() as u64),
            Content::Upstream(body) => body.size_hint(),
        }
    }
}
