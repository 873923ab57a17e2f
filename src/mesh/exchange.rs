//! One request and its answer: decide, pick, send, and report.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Version};
use http_body::Body as _;
use pin_project::pin_project;

use super::response_body::{ResponseBody, StreamInfo};
use super::{Mesh, MeshError, hop, prepare};
use crate::body::{Body, BoxError};
use crate::context::ResponseFlags;
use crate::endpoint::{Address, Endpoint, InFlight};
use crate::failure::ClassifyFailure;
use crate::host;
use crate::load_balancer::least_request;
use crate::match_request::RequestHead;
use crate::plan::Decision;
use crate::reply::{LocalReply, is_grpc};
use crate::transport::Transport;

/// The answer to come: an upstream's, or one of our own.
#[pin_project]
#[derive(Debug)]
pub(super) struct Exchange<F> {
    #[pin]
    call: Option<F>,
    /// Ready from the start when there is no call.
    reply: Option<LocalReply>,
    info: StreamInfo,
    in_flight: Option<InFlight>,
    grpc: bool,
    /// Whether the connection ends with a reply of our own, because the request was not read.
    close: bool,
}

/// Which side of the mesh a request comes in on, and the port it is addressed to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Border {
    Client { port: u16 },
    Proxy { port: u16 },
}

/// A reply of our own, and what to make of it.
pub(super) struct Local {
    reply: LocalReply,
    info: StreamInfo,
    cause: Option<BoxError>,
    grpc: bool,
    close: bool,
}

/// How an exchange ended.
pub(super) enum Outcome<B> {
    Response(Response<B>, StreamInfo, InFlight),
    Local(Local),
}

impl<F> Exchange<F> {
    /// Routes the request and begins to send it.
    pub(super) fn begin<T>(
        mesh: &Mesh,
        transport: &T,
        border: Border,
        request: Request<Body>,
    ) -> Self
    where
        T: Transport<Future = F>,
    {
        let grpc = is_grpc(request.headers());
        let unread = request.version() <= Version::HTTP_11 && !request.body().is_end_stream();
        let mut exchange = Self {
            call: None,
            reply: None,
            info: StreamInfo::default(),
            in_flight: None,
            grpc,
            close: unread,
        };
        match exchange.route(mesh, border, request) {
            Ok((endpoint, request)) => {
                exchange.in_flight = Some(endpoint.begin());
                // From here on the request is read.
                exchange.close = false;
                exchange.call = Some(transport.send(&endpoint, request));
            }
            Err(reply) => exchange.reply = Some(reply),
        }
        exchange
    }

    fn route(
        &mut self,
        mesh: &Mesh,
        border: Border,
        mut request: Request<Body>,
    ) -> Result<(Endpoint, Request<Body>), LocalReply> {
        let (Border::Client { port } | Border::Proxy { port }) = border;
        let proxy = matches!(border, Border::Proxy { .. });
        if proxy {
            hop::read_host(&mut request);
        }
        let unread = std::mem::replace(&mut self.close, true);
        prepare::authority(&request).ok_or_else(prepare::no_host)?;
        prepare::normalize(&mut request, mesh.shared.path_normalization)?;
        self.close = unread;
        if proxy {
            hop::receive(request.headers_mut(), &mesh.shared.dice);
            self.info.request_id = request.headers().get(hop::REQUEST_ID).cloned();
            self.info.path = request.uri().path_and_query().cloned();
        }
        let scheme = match border {
            Border::Client { .. } => request.uri().scheme_str().unwrap_or("http"),
            Border::Proxy { .. } => hop::scheme(&request).ok_or_else(prepare::no_route)?,
        };
        let authority = prepare::authority(&request).ok_or_else(prepare::no_host)?;
        let target = request
            .uri()
            .path_and_query()
            .map_or("/", PathAndQuery::as_str);
        let head = RequestHead::new(
            request.method().as_str(),
            scheme,
            authority,
            target,
            request.headers(),
        );
        let plan = mesh.plan();
        let endpoint = match plan.decide(port, &head, &mesh.shared.dice) {
            Decision::Reply { route, reply } => {
                self.info.route = Some(route.clone());
                return Err(reply);
            }
            Decision::Passthrough => {
                self.info.route = Some("allow_any".into());
                self.info.cluster = Some("PassthroughCluster".into());
                let host = host::without_port(authority);
                let address = Address::new(host.trim_matches(['[', ']']), port);
                Endpoint::new(address, Arc::default())
            }
            Decision::Forward { route, cluster } => {
                self.info.route = Some(route.clone());
                self.info.cluster = Some(cluster.name().clone());
                self.info.attempts = 1;
                let endpoints = cluster.endpoints();
                let picked = least_request(endpoints, mesh.shared.dice.next_u64());
                match picked.and_then(|picked| endpoints.get(picked)) {
                    Some(endpoint) => endpoint.clone(),
                    None => return Err(no_healthy_upstream()),
                }
            }
        };
        self.info.attempts = 1;
        self.info.endpoint = Some(endpoint.address().clone());
        hop::set_host(&mut request)?;
        if proxy {
            hop::send(&mut request, 1);
        }
        Ok((endpoint, request))
    }
}

impl<F, B, E> Exchange<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: ClassifyFailure + Into<BoxError>,
{
    pub(super) fn poll_outcome(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<B>> {
        let mut this = self.project();
        let ended = match this.call.as_mut().as_pin_mut() {
            Some(call) => Some(ready!(call.poll(cx))),
            None => None,
        };
        this.call.set(None);
        let mut info = std::mem::take(this.info);
        let (reply, cause) = match ended {
            Some(Ok(response)) => {
                info.details = "via_upstream".into();
                // Set together with the call.
                let Some(in_flight) = this.in_flight.take() else {
                    unreachable!("an exchange is polled once it has ended")
                };
                return Poll::Ready(Outcome::Response(response, info, in_flight));
            }
            Some(Err(error)) => (Some(error.classify().reply()), Some(error.into())),
            None => (this.reply.take(), None),
        };
        *this.in_flight = None;
        let Some(reply) = reply else {
            unreachable!("an exchange is polled once it has ended")
        };
        info.flags = reply.flags;
        info.details = reply.details.clone();
        Poll::Ready(Outcome::Local(Local {
            reply,
            info,
            cause,
            grpc: *this.grpc,
            close: *this.close,
        }))
    }
}

fn no_healthy_upstream() -> LocalReply {
    let flags = ResponseFlags::NO_HEALTHY_UPSTREAM;
    LocalReply::new(StatusCode::SERVICE_UNAVAILABLE, flags)
        .body("no healthy upstream")
        .details("no_healthy_upstream")
}

fn upstream<B>(
    response: Response<B>,
    info: StreamInfo,
    guard: InFlight,
) -> Response<ResponseBody<B>> {
    response.map(|body| ResponseBody::upstream(body, info, guard))
}

impl Local {
    fn into_response<B>(self) -> Response<ResponseBody<B>> {
        let response: Response<ResponseBody<B>> = self.reply.into_response(self.grpc);
        response.map(|body| body.with_info(self.info))
    }
}

/// The future of a [`MeshClient`](super::MeshClient); dropping it cancels the request.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F> {
    #[pin]
    pub(super) exchange: Exchange<F>,
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: ClassifyFailure + Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<B>>, MeshError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(self.project().exchange.poll_outcome(cx)) {
            Outcome::Response(response, info, guard) => Ok(upstream(response, info, guard)),
            Outcome::Local(local) if local.grpc => Ok(local.into_response()),
            Outcome::Local(local) => Err(MeshError::new(local.reply, local.cause)),
        })
    }
}

/// The future of a [`Forward`](super::Forward); dropping it cancels the request.
#[pin_project]
#[derive(Debug)]
pub struct ForwardFuture<F> {
    #[pin]
    pub(super) exchange: Exchange<F>,
    pub(super) began: tokio::time::Instant,
}

impl<F, B, E> Future for ForwardFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    E: ClassifyFailure + Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(Ok(match ready!(this.exchange.poll_outcome(cx)) {
            Outcome::Response(mut response, info, guard) => {
                hop::dress_upstream_response(response.headers_mut(), this.began.elapsed());
                upstream(response, info, guard)
            }
            Outcome::Local(local) => {
                let close = local.close;
                let mut response = local.into_response();
                hop::dress_response(response.headers_mut(), close);
                response
            }
        }))
    }
}
