//! The body of every response, and with it what is known of the request it answers.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderValue;
use http::uri::PathAndQuery;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;

use crate::body::{BodyError, BoxError};
use crate::context::ResponseFlags;
use crate::endpoint::{Address, InFlight};
use crate::reply::FromLocalReply;

/// How a request was answered: what an access log writes.
///
/// Source: the operators of Envoy's access log format named beside each method.
#[derive(Clone, Debug, Default)]
pub struct StreamInfo {
    pub(super) route: Option<Arc<str>>,
    pub(super) cluster: Option<Arc<str>>,
    pub(super) endpoint: Option<Address>,
    pub(super) flags: ResponseFlags,
    pub(super) details: Cow<'static, str>,
    pub(super) attempts: u32,
    pub(super) path: Option<PathAndQuery>,
    pub(super) request_id: Option<HeaderValue>,
}

impl StreamInfo {
    /// `%ROUTE_NAME%`: the rule's name; nothing where it has none or no rule matched.
    #[must_use]
    pub fn route_name(&self) -> Option<&str> {
        self.route.as_deref().filter(|name| !name.is_empty())
    }

    /// `%UPSTREAM_CLUSTER%`: `outbound|port|subset|host`.
    #[must_use]
    pub fn upstream_cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// `%UPSTREAM_HOST%`: the endpoint the request was sent to.
    #[must_use]
    pub const fn upstream_host(&self) -> Option<&Address> {
        self.endpoint.as_ref()
    }

    /// `%RESPONSE_FLAGS%`.
    #[must_use]
    pub const fn flags(&self) -> ResponseFlags {
        self.flags
    }

    /// `%RESPONSE_CODE_DETAILS%`.
    #[must_use]
    pub fn details(&self) -> &str {
        &self.details
    }

    /// `%REQ(:PATH)%` as it was matched; noted by [`Forward`](super::Forward) only.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.path.as_ref().map(PathAndQuery::as_str)
    }

    /// `%REQ(X-REQUEST-ID)%`; noted by [`Forward`](super::Forward) only.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_ref()?.to_str().ok()
    }

    /// `%UPSTREAM_REQUEST_ATTEMPT_COUNT%`.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }
}

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
}

#[pin_project(project = ContentProjected)]
#[derive(Debug)]
enum Content<B> {
    Upstream(#[pin] B),
    Local(Bytes),
}

impl<B> ResponseBody<B> {
    pub(super) fn upstream(body: B, info: StreamInfo, in_flight: InFlight) -> Self {
        Self {
            content: Content::Upstream(body),
            info,
            in_flight: Some(in_flight),
        }
    }

    pub(super) fn with_info(mut self, info: StreamInfo) -> Self {
        self.info = info;
        self
    }

    /// How the request was answered.
    #[must_use]
    pub const fn info(&self) -> &StreamInfo {
        &self.info
    }
}

impl<B> FromLocalReply for ResponseBody<B> {
    fn from_local_reply(text: Bytes) -> Self {
        Self {
            content: Content::Local(text),
            info: StreamInfo::default(),
            in_flight: None,
        }
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
        let this = self.project();
        let frame = match this.content.project() {
            ContentProjected::Local(text) if text.is_empty() => None,
            ContentProjected::Local(text) => Some(Ok(Frame::data(std::mem::take(text)))),
            ContentProjected::Upstream(body) => {
                ready!(body.poll_frame(cx)).map(|frame| frame.map_err(BodyError::new))
            }
        };
        if !matches!(frame, Some(Ok(_))) {
            *this.in_flight = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Local(text) => text.is_empty(),
            Content::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Local(text) => SizeHint::with_exact(text.len() as u64),
            Content::Upstream(body) => body.size_hint(),
        }
    }
}
