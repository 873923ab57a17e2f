//! One request and its answer: prepare, decide, hand to the chain, and cross the border back.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use pin_project::pin_project;
use tokio::time::Instant;
use tower_service::Service as _;

use super::hop::Upgrade;
use super::upgrade::{Downstream, switched_unasked, upgrade_failed};
use super::{Mesh, MeshError, codec, hop, prepare};
use crate::body::BoxError;
use crate::context::{Preflight, ResponseFlags};
use crate::match_request::RequestHead;
use crate::plan::{
    Chain, ChainFuture, Decision, ResponseBody, Routed, StreamInfo, decide, no_route,
};
use crate::reply::{LocalReply, is_grpc};
use crate::request_body::RequestBody;
use crate::transport::Transport;

/// Which side of the mesh a request comes in on, and the port it is addressed to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Border {
    Client { port: u16 },
    Proxy { port: u16 },
    Inbound { port: u16 },
}

impl Border {
    /// The port the request is addressed to.
    pub(super) const fn port(self) -> u16 {
        let (Self::Client { port } | Self::Proxy { port } | Self::Inbound { port }) = self;
        port
    }
}

/// The answer to come.
#[pin_project]
pub(super) struct Exchange<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    #[pin]
    call: Option<ChainFuture<T, B>>,
    /// There from the start when there is no call.
    reply: Option<Box<LocalReply>>,
    notes: Notes,
}

impl<T, B> Exchange<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// Routes the request and begins to send it.
    pub(super) fn begin(
        mesh: &Mesh,
        chain: &mut Chain<T>,
        border: Border,
        mut request: Request<B>,
    ) -> Self {
        let http1 = request.version() <= Version::HTTP_11;
        let mut notes = Notes {
            info: StreamInfo::default(),
            grpc: is_grpc(request.headers()),
            unread: http1 && !request.body().is_end_stream(),
            http1,
            upgrade: None,
        };
        match notes.route(mesh, border, &mut request) {
            Ok(routed) => {
                notes.info.set_route(routed.clone());
                // Written where it stays: futures are large, and each move is paid for.
                Self {
                    call: Some(chain.call(request.map(|body| RequestBody::new(body, routed)))),
                    reply: None,
                    notes,
                }
            }
            Err(reply) => Self {
                call: None,
                reply: Some(Box::new(reply)),
                notes,
            },
        }
    }
}

/// What is noted of a request while it is routed, for its answer.
struct Notes {
    info: StreamInfo,
    grpc: bool,
    /// Whether there is a request body on a connection that cannot go on without reading it.
    unread: bool,
    /// Whether closing the connection is said in a header.
    http1: bool,
    /// There where a proxy's client asks for another protocol, which may be had.
    upgrade: Option<Downstream>,
}

impl Notes {
    fn route<B>(
        &mut self,
        mesh: &Mesh,
        border: Border,
        request: &mut Request<B>,
    ) -> Result<Routed, LocalReply> {
        let proxy = matches!(border, Border::Proxy { .. });
        if proxy {
            hop::read_host(request);
        }
        // What is no proper request ends its connection.
        let unread = std::mem::replace(&mut self.unread, true);
        if proxy {
            codec::check(request)?;
            if !prepare::has_authority(request) {
                return Err(prepare::no_host());
            }
        }
        prepare::normalize(request, mesh.shared.path_normalization)?;
        if proxy {
            let upgrade = hop::upgrade(request);
            if upgrade == Upgrade::Refused {
                return Err(upgrade_failed());
            }
            if upgrade == Upgrade::Accepted {
                self.upgrade = Some(Downstream::of(request));
            }
            let upgrade = upgrade == Upgrade::Accepted;
            self.unread = unread || upgrade;
            hop::receive(request.headers_mut(), &mesh.shared.dice, upgrade);
            // Two lines of a content type are one by now, and no gRPC's.
            self.grpc = is_grpc(request.headers());
            let id = request.headers().get(hop::REQUEST_ID).cloned();
            self.info
                .note_request(request.uri().path_and_query().cloned(), id);
        } else {
            self.unread = unread;
        }
        let scheme = match border {
            Border::Client { .. } | Border::Inbound { .. } => {
                request.uri().scheme_str().unwrap_or("http")
            }
            Border::Proxy { .. } => hop::scheme(request).ok_or_else(no_route)?,
        };
        let named = prepare::authority(request).ok_or_else(prepare::no_host)?;
        let head = RequestHead::of_target(
            request.method().as_str(),
            scheme,
            named.authority,
            request.uri().path_and_query().ok_or_else(no_route)?,
            request.headers(),
        );
        match decide(mesh.plan(), border.port(), &head, &mesh.shared.dice) {
            Decision::Route(routed) => Ok(routed.coming(proxy, self.grpc, named.by_header)),
            // A host that nothing declares is refused on the way out, not on the way in.
            Decision::Reply(_, Some(routed)) if matches!(border, Border::Inbound { .. }) => {
                Ok(routed.coming(proxy, self.grpc, named.by_header))
            }
            Decision::Reply(reply, routed) => {
                if let Some(routed) = routed {
                    self.info.set_route(routed);
                }
                Err(reply)
            }
        }
    }
}

impl<T, B> Exchange<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn poll_response(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<T::ResponseBody> {
        let this = self.project();
        // Completed where it lies: each move of a response is paid for.
        let mut polled = match this.call.as_pin_mut() {
            Some(call) => call.poll(cx),
            None => {
                let reply = this.reply.take().map(|reply| *reply);
                let reply = reply.unwrap_or_else(no_route);
                let mut response: Response<ResponseBody<_>> = reply.into_response(this.notes.grpc);
                response.extensions_mut().insert(Refused);
                Poll::Ready(Ok(response))
            }
        };
        if let Poll::Ready(Ok(response)) = &mut polled {
            let mut info = std::mem::take(&mut this.notes.info);
            if !response.extensions().is_empty() && is_unsent(response) {
                info.note_unsent();
            }
            response.body_mut().info_mut().complete(info);
        }
        polled
    }
}

/// An exchange never fails: what goes wrong is an answer too.
type Polled<B> = Poll<Result<Response<ResponseBody<B>>, Infallible>>;

/// Whether a response was given where the request had a destination and was kept from it.
fn is_unsent<B>(response: &Response<B>) -> bool {
    let aborted = |reply: &LocalReply| reply.flags.contains(ResponseFlags::FAULT_INJECTED);
    response.extensions().get::<Preflight>().is_some()
        || LocalReply::of(response).is_some_and(aborted)
}

/// Marks a reply to a request that met no route.
#[derive(Clone, Copy)]
struct Refused;

/// The reply a response was made from, where it says that something failed.
fn failure<B>(response: &Response<B>) -> Option<LocalReply> {
    let mut reply = LocalReply::of(response)?.clone();
    let refused = response.extensions().get::<Refused>().is_some();
    if !refused && !reply.is_failure() {
        return None;
    }
    // Layers further out may have added flags of theirs.
    reply.flags = ResponseFlags::of(response);
    Some(reply)
}

/// The future of a [`MeshClient`](super::MeshClient); dropping it cancels the request.
#[pin_project]
pub struct ResponseFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    #[pin]
    exchange: Exchange<T, B>,
}

/// The future of an [`Inbound`](super::Inbound); dropping it cancels the request.
#[pin_project]
pub struct InboundFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    #[pin]
    exchange: Exchange<T, B>,
}

/// The future of a [`Forward`](super::Forward); dropping it cancels the request.
#[pin_project]
pub struct ForwardFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    #[pin]
    exchange: Exchange<T, B>,
    began: Instant,
}

impl<T, B> ResponseFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    pub(super) const fn new(exchange: Exchange<T, B>) -> Self {
        Self { exchange }
    }
}

impl<T, B> InboundFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    pub(super) const fn new(exchange: Exchange<T, B>) -> Self {
        Self { exchange }
    }
}

impl<T, B> ForwardFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(exchange: Exchange<T, B>) -> Self {
        let began = Instant::now();
        Self { exchange, began }
    }
}

impl<T, B> Future for ResponseFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<T::ResponseBody>>, MeshError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let grpc = this.exchange.notes.grpc;
        let Ok(response) = ready!(this.exchange.poll_response(cx));
        if grpc || response.extensions().is_empty() {
            return Poll::Ready(Ok(response));
        }
        Poll::Ready(match failure(&response) {
            Some(reply) => Err(MeshError::new(reply, response.body().cause())),
            None => Ok(response),
        })
    }
}

impl<T, B> Future for InboundFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<T::ResponseBody>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().exchange.poll_response(cx)
    }
}

impl<T, B> Future for ForwardFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<T::ResponseBody>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut exchange = this.exchange;
        let Notes { unread, http1, .. } = exchange.notes;
        let Ok(mut response) = ready!(exchange.as_mut().poll_response(cx));
        // A reply of our own that nobody asked an upstream for has left the request unread.
        // A bad request ends its connection, whoever calls it that short of the upstream.
        let close = LocalReply::of(&response).map(|reply| {
            let bad = http1 && reply.status == StatusCode::BAD_REQUEST;
            bad || unread && !reply.took_the_request()
        });
        let upgrade = exchange.project().notes.upgrade.take();
        match (close, upgrade) {
            (Some(close), upgrade) => {
                // What would follow is not HTTP.
                hop::dress_response(response.headers_mut(), close || upgrade.is_some());
            }
            (None, Some(downstream)) => response = downstream.answered(response),
            (None, None) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                response = switched_unasked(&response);
            }
            (None, None) => {
                hop::dress_upstream_response(response.headers_mut(), this.began.elapsed());
            }
        }
        Poll::Ready(Ok(response))
    }
}

impl<T, B> fmt::Debug for ResponseFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<T, B> fmt::Debug for InboundFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundFuture").finish_non_exhaustive()
    }
}

impl<T, B> fmt::Debug for ForwardFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardFuture").finish_non_exhaustive()
    }
}
