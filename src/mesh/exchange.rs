//! One request and its answer: prepare, decide, hand to the chain, and cross the border back.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response, Version};
use http_body::Body as _;
use pin_project::pin_project;

use super::client::port_of;
use super::hop::Upgrade;
use super::log::{Seen, Sent};
use super::upgrade::{Downstream, upgrade_failed};
use super::{Mesh, codec, hop, prepare};
use crate::body::BoxError;
use crate::context::{Preflight, ResponseFlags};
use crate::match_request::RequestHead;
use crate::plan::{
    Answer, Chain, ChainFuture, Decision, ResponseBody, Routed, StreamInfo, decide, no_route,
};
use crate::reply::{LocalReply, is_grpc};
use crate::request_body::RequestBody;
use crate::transport::Transport;

/// Which side of the mesh a request comes in on, and the port it is addressed to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Border {
    /// Its URI says the port.
    Client,
    Proxy {
        port: u16,
    },
    Inbound {
        port: u16,
        /// Whether it refuses what a proxy refuses.
        strict: bool,
    },
}

impl Border {
    /// The port the request is addressed to.
    pub(super) fn port<B>(self, request: &Request<B>) -> u16 {
        match self {
            Self::Client => port_of(request),
            Self::Proxy { port } | Self::Inbound { port, .. } => port,
        }
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
    call: Option<ChainFuture<T, Sent<B>>>,
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
    #[inline]
    pub(super) fn begin(
        mesh: &Mesh,
        chain: &Chain<T>,
        border: Border,
        request: Request<B>,
    ) -> Self {
        // The body gets its own type first, so that the request stays where it lies from here on
        // until it is sent: each move of a request is paid for.
        let seen = Seen::begin(&request);
        let mut request = request.map(|body| RequestBody::new(seen.count(body), ()));
        let http1 = request.version() <= Version::HTTP_11;
        let mut notes = Notes {
            info: StreamInfo::default(),
            grpc: is_grpc(request.headers()),
            unread: http1 && !request.body().is_end_stream(),
            http1,
            upgrade: None,
            seen,
        };
        match notes.route(mesh, border, &mut request) {
            Ok(routed) => {
                let call = match chain.prepare(&routed, &mut request) {
                    Some(prepared) => {
                        let info = StreamInfo::of(routed);
                        chain.send(prepared, info, request.map(RequestBody::erase))
                    }
                    None => {
                        notes.info.set_route(routed.clone());
                        chain.send_whole(routed, request)
                    }
                };
                Self {
                    call: Some(call),
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
    /// What its event is to tell.
    pub(super) seen: Seen,
}

impl Notes {
    fn route<B>(
        &mut self,
        mesh: &Mesh,
        border: Border,
        request: &mut Request<B>,
    ) -> Result<Routed, LocalReply> {
        let proxy = matches!(border, Border::Proxy { .. });
        let strict = matches!(border, Border::Inbound { strict: true, .. });
        if proxy {
            hop::read_host(request);
        } else if strict {
            hop::settle_host(request);
        }
        // What is no proper request ends its connection.
        let unread = std::mem::replace(&mut self.unread, true);
        if proxy || strict {
            // What cannot be read as a request of HTTP/1.1 is no gRPC call either.
            let http1 = request.version() == Version::HTTP_11;
            codec::check(request).inspect_err(|_| self.grpc &= !http1)?;
            if !prepare::has_authority(request) {
                return Err(prepare::no_host(false));
            }
        }
        let normal = prepare::normalize(request, mesh.shared.path_normalization, proxy);
        if normal.is_err() && request.method() != Method::CONNECT {
            self.unread = unread;
        }
        normal?;
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
            Border::Client | Border::Inbound { .. } => request.uri().scheme_str().unwrap_or("http"),
            Border::Proxy { .. } => hop::scheme(request).ok_or_else(no_route)?,
        };
        let named = prepare::authority(request);
        let client = matches!(border, Border::Client);
        let named = named.ok_or_else(|| prepare::no_host(client))?;
        let head = RequestHead::of_target(
            request.method().as_str(),
            scheme,
            named.authority,
            request.uri().path_and_query().ok_or_else(no_route)?,
            request.headers(),
        );
        let head = head.with_extensions(request.extensions());
        let plan = mesh.plan();
        let port = border.port(request);
        let matched = match decide(&plan, port, &head, &mesh.shared.dice) {
            Decision::Route(matched) => matched,
            // A host that nothing declares is refused on the way out, not on the way in.
            Decision::Reply(_, Some(matched)) if matches!(border, Border::Inbound { .. }) => {
                matched
            }
            Decision::Reply(reply, matched) => {
                if let Some(matched) = matched {
                    self.info.set_route(Routed::new(plan, matched));
                }
                return Err(reply);
            }
        };
        let routed = Routed::new(plan, matched);
        Ok(routed.coming(proxy, self.grpc, named.by_header))
    }
}

impl<T, B> Exchange<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// The answer, unless `ending` makes an error of it.
    #[inline]
    pub(super) fn poll_response<E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        ending: impl FnOnce(&mut Answer<T>, &mut Seen) -> Result<(), E>,
    ) -> Poll<Result<Answer<T>, E>> {
        let this = self.project();
        let Notes {
            info, seen, grpc, ..
        } = this.notes;
        let finish = |response: &mut Answer<T>| {
            complete(response, info);
            ending(response, seen)
        };
        match this.call.as_pin_mut() {
            Some(call) => call.poll_response(cx, finish),
            None => {
                let reply = this.reply.take().map(|reply| *reply);
                let reply = reply.unwrap_or_else(no_route);
                let mut response: Answer<T> = reply.into_response(*grpc);
                response.extensions_mut().insert(Refused);
                finish(&mut response)?;
                Poll::Ready(Ok(response))
            }
        }
    }
}

/// Tells a response what was known of its request before it was sent.
#[inline]
fn complete<B>(response: &mut Response<ResponseBody<B>>, info: &mut StreamInfo) {
    if !response.extensions().is_empty() && is_unsent(response) {
        info.note_unsent();
    }
    response.body_mut().info_mut().complete(info);
}

/// Whether a response was given where the request had a destination and was kept from it.
fn is_unsent<B>(response: &Response<B>) -> bool {
    let aborted = |reply: &LocalReply| reply.flags.contains(ResponseFlags::FAULT_INJECTED);
    response.extensions().get::<Preflight>().is_some()
        || LocalReply::of(response).is_some_and(aborted)
}

/// Marks a reply to a request that met no route.
#[derive(Clone, Copy)]
pub(super) struct Refused;
