//! The body of every response, and with it what is known of the request it answers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Extensions, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use tokio::time::Instant;

use super::routed::Routed;
use crate::body::{BodyError, BoxError};
use crate::endpoint::{Address, InFlight};
use crate::failure::ClassifyFailure as _;
use crate::headers::SentRequest;
use crate::reply::{FromLocalReply, LocalReply};
use crate::rt::Timer;

/// Which rule a request fell under and where it went: what an access log writes.
///
/// Source: the operators of Envoy's access log format named beside each method.
/// Flags and details stand in the response's extensions, as
/// [`ResponseFlags`](crate::context::ResponseFlags) and
/// [`LocalReply`](crate::reply::LocalReply).
#[derive(Clone, Debug, Default)]
pub struct StreamInfo {
    routed: Option<Routed>,
    /// The endpoint's place in its destination.
    pub(super) endpoint: Option<u32>,
    /// In a box, for few have any of it and responses are moved often.
    told: Option<Box<Told>>,
}

#[derive(Clone, Debug, Default)]
struct Told {
    /// Noted at the proxy border only.
    path: Option<PathAndQuery>,
    /// Noted at the proxy border only.
    request_id: Option<HeaderValue>,
    /// What broke the response off.
    broken: Option<LocalReply>,
}

impl StreamInfo {
    /// What is known of a request that is routed.
    #[inline]
    pub(crate) const fn of(routed: Routed) -> Self {
        Self {
            routed: Some(routed),
            endpoint: None,
            told: None,
        }
    }

    /// The same request has this route.
    #[inline]
    pub(crate) fn set_route(&mut self, routed: Routed) {
        self.routed = Some(routed);
    }

    /// The route, to be [set](Self::set_route) again.
    #[inline]
    pub(super) const fn take_route(&mut self) -> Option<Routed> {
        self.routed.take()
    }

    /// Notes what a proxy's log tells of the request.
    pub(crate) fn note_request(
        &mut self,
        path: Option<PathAndQuery>,
        request_id: Option<HeaderValue>,
    ) {
        let told = self.told.get_or_insert_default();
        told.path = path;
        told.request_id = request_id;
    }

    /// Notes what broke the response off.
    fn break_off(&mut self, reply: LocalReply) {
        self.told.get_or_insert_default().broken = Some(reply);
    }

    /// Takes over what was known before the request was sent, where nothing later is known.
    #[inline]
    pub(crate) fn complete(&mut self, before: &mut Self) {
        if self.routed.is_none() {
            self.routed = before.routed.take();
        }
        if before.told.is_some() {
            self.told = before.told.take();
        }
    }

    /// What was routed, where that is known.
    #[inline]
    pub(crate) const fn route(&self) -> Option<&Routed> {
        self.routed.as_ref()
    }

    /// What was routed; made with it, so it is there.
    pub(super) fn routed(&self) -> &Routed {
        match &self.routed {
            Some(routed) => routed,
            None => unreachable!("asked only where it was made with a route"),
        }
    }

    /// Notes cookies the client is to keep.
    #[inline]
    pub(super) fn note_cookies(&mut self, cookies: Vec<HeaderValue>) {
        if let Some(routed) = &mut self.routed {
            routed.note_cookies(cookies);
        }
    }

    /// Cookies the client is to keep.
    #[inline]
    pub(super) fn cookies(&self) -> &[HeaderValue] {
        self.routed.as_ref().map_or(&[], Routed::cookies)
    }

    /// Notes the request as it is sent, where headers of its response tell of it.
    pub(super) fn note_sent(&mut self, sent: Arc<SentRequest>) {
        if let Some(routed) = &mut self.routed {
            routed.note_sent(sent);
        }
    }

    /// Hands a response the request it answers, where its headers tell of it.
    #[inline]
    pub(super) fn tell_sent(&mut self, extensions: &mut Extensions) {
        if let Some(sent) = self.routed.as_mut().and_then(Routed::take_sent) {
            sent.note(extensions);
        }
    }

    /// The request was answered before any try.
    pub(crate) const fn note_unsent(&mut self) {
        if let Some(routed) = &mut self.routed {
            routed.attempt = 0;
        }
    }

    /// `%ROUTE_NAME%`: the rule's name; nothing where it has none or no rule matched.
    #[must_use]
    pub fn route_name(&self) -> Option<&str> {
        let name = &*self.routed.as_ref()?.route().name;
        (!name.is_empty()).then_some(name)
    }

    /// `%UPSTREAM_CLUSTER%`: `outbound|port|subset|host`.
    #[must_use]
    pub fn upstream_cluster(&self) -> Option<&str> {
        let routed = self.routed.as_ref()?;
        match routed.cluster() {
            Some(cluster) => Some(cluster.name()),
            None => routed.passthrough().map(|_| "PassthroughCluster"),
        }
    }

    /// `%UPSTREAM_HOST%`: the endpoint the request was sent to.
    #[must_use]
    pub fn upstream_host(&self) -> Option<&Address> {
        let (routed, place) = (self.routed.as_ref()?, self.endpoint?);
        let endpoint = match routed.passthrough() {
            Some(endpoint) => endpoint,
            None => routed.cluster()?.endpoints().get(place as usize)?,
        };
        Some(endpoint.address())
    }

    /// `%REQ(:PATH)%` as it was matched; noted by [`Forward`](crate::mesh::Forward) only.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.told.as_ref()?.path.as_ref().map(PathAndQuery::as_str)
    }

    /// `%REQ(X-REQUEST-ID)%`; noted by [`Forward`](crate::mesh::Forward) only.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.told.as_ref()?.request_id.as_ref()?.to_str().ok()
    }

    /// What broke the response off after it had begun: with its flags, and as details
    /// `%RESPONSE_CODE_DETAILS%`. Nothing as long as it has not.
    #[must_use]
    pub fn broken_off(&self) -> Option<&LocalReply> {
        self.told.as_ref()?.broken.as_ref()
    }

    /// `%UPSTREAM_REQUEST_ATTEMPT_COUNT%`: 0 where the request met no destination.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        let routed = self.routed.as_ref();
        let met = routed.filter(|it| it.passthrough().is_some() || it.cluster().is_some());
        met.map_or(0, |it| it.attempt)
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
    /// When the body must have ended; armed once somebody waits for it.
    deadline: Option<Timer>,
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
        }
    }

    /// The body must have ended by then, or its reader gets an error.
    pub(super) fn end_by(&mut self, deadline: Instant) {
        self.deadline = Some(Timer::at(deadline));
    }

    /// What counts the request as under way, for what goes on without this body.
    #[cfg(feature = "client")]
    pub(crate) const fn keep_counting(&mut self) -> Option<InFlight> {
        self.in_flight.take()
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

/// Ready once the time is up; never, where there is no limit.
fn poll_deadline(deadline: &mut Option<Timer>, cx: &Context<'_>) -> Poll<()> {
    match deadline {
        None => Poll::Pending,
        Some(timer) => timer.poll(cx),
    }
}

impl<B> FromLocalReply for ResponseBody<B> {
    fn from_local_reply(text: Bytes) -> Self {
        Self {
            content: Content::Local(Box::new(Local { text, cause: None })),
            info: StreamInfo::default(),
            in_flight: None,
            deadline: None,
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
            ContentProjected::Local(local) if local.text.is_empty() => None,
            ContentProjected::Local(local) => {
                Some(Ok(Frame::data(std::mem::take(&mut local.text))))
            }
            ContentProjected::Upstream(body) => match body.poll_frame(cx) {
                Poll::Ready(Some(Err(error))) => {
                    let error: BoxError = error.into();
                    let reply = LocalReply::reset_after_response(error.classify());
                    this.info.break_off(reply);
                    Some(Err(BodyError::new(error)))
                }
                Poll::Ready(frame) => frame.map(|frame| frame.map_err(BodyError::new)),
                Poll::Pending => {
                    ready!(poll_deadline(this.deadline, cx));
                    let reply = LocalReply::upstream_request_timeout("response_timeout", false);
                    this.info.break_off(reply);
                    Some(Err(BodyError::new(TimedOut)))
                }
            },
        };
        if !matches!(frame, Some(Ok(_))) {
            *this.in_flight = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Local(local) => local.text.is_empty(),
            Content::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Local(local) => SizeHint::with_exact(local.text.len() as u64),
            Content::Upstream(body) => body.size_hint(),
        }
    }
}
