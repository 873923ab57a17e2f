//! One request and its answer: prepare, decide, hand to the chain, and cross the border back.

use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, Version};
use pin_project::pin_project;
use tower_service::Service as _;

use super::hop::Upgrade;
use super::upgrade::{Downstream, upgrade_failed};
use super::{Mesh, codec, hop, prepare};
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
    pub(super) notes: Notes,
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
pub(super) struct Notes {
    info: StreamInfo,
    pub(super) grpc: bool,
    /// Whether there is a request body on a connection that cannot go on without reading it.
    pub(super) unread: bool,
    /// Whether closing the connection is said in a header.
    pub(super) http1: bool,
    /// There where a proxy's client asks for another protocol, which may be had.
    pub(super) upgrade: Option<Downstream>,
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
    pub(super) fn poll_response(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Polled<T::ResponseBody> {
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
pub(super) type Polled<B> = Poll<Result<Response<ResponseBody<B>>, Infallible>>;

/// Whether a response was given where the request had a destination and was kept from it.
fn is_unsent<B>(response: &Response<B>) -> bool {
    let aborted = |reply: &LocalReply| reply.flags.contains(ResponseFlags::FAULT_INJECTED);
    response.extensions().get::<Preflight>().is_some()
        || LocalReply::of(response).is_some_and(aborted)
}

/// Marks a reply to a request that met no route.
#[derive(Clone, Copy)]
pub(super) struct Refused;
