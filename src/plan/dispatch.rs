//! The innermost service: pick an endpoint, send, and turn what went wrong into Envoy's answer.
//!
//! Readiness ends above: which endpoint a request wants is known only from the
//! request, so this service is always ready and refuses instead of waiting. It
//! never fails; errors of the transport become replies here, once.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HOST, HeaderValue, SET_COOKIE};
use http::{Request, Response, StatusCode};
use pin_project::{pin_project, pinned_drop};
use tower_service::Service;

use super::attempts;
use super::cluster::Watch;
use super::look_up::{self, Found, LookUp};
use super::response_body::ResponseBody;
use super::routed::Routed;
use super::scheme;
use super::stream_info::StreamInfo;
use super::tell::{self, address_request, tell_attempt, tell_time};
use crate::body::{Body, BoxError};
use crate::context::ResponseFlags;
use crate::endpoint::{Endpoint, InFlight};
use crate::failure::{ClassifyFailure, Failure};
use crate::headers::join_response_lines;
use crate::host;
use crate::load_balancer::Pick;
use crate::outlier_detection::Outcome;
use crate::reply::LocalReply;
use crate::request_body::RequestBody;
use crate::rt::{Rng, is_late, leave, say_connecting};
use crate::transport::Transport;

/// How often a balancer is asked again when it gives an endpoint that was tried before.
const HOST_SELECTION_ATTEMPTS: u32 = 5;

/// Sends each request to an endpoint of the destination chosen for it.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch<T> {
    transport: T,
    dice: Rng,
}

/// Where a request goes.
struct Picked<'r> {
    endpoint: &'r Endpoint,
    /// Its place in the destination.
    place: u32,
    watch: Watch,
}

impl<T> Dispatch<T> {
    pub(crate) const fn new(transport: T, dice: Rng) -> Self {
        Self { transport, dice }
    }

    /// An endpoint for the request, with its place; earlier tries' endpoints are avoided.
    fn pick<'r>(
        &'r self,
        routed: &'r Routed,
        request: &Request<Body>,
        cookies: &mut Vec<HeaderValue>,
    ) -> Result<Picked<'r>, LocalReply>
    where
        T: Transport,
    {
        let only = self.transport.only_endpoint();
        if let Some(endpoint) = only.or_else(|| routed.passthrough()) {
            return Ok(Picked {
                endpoint,
                place: 0,
                watch: Watch::Not,
            });
        }
        let cluster = routed.cluster().ok_or_else(no_cluster)?;
        let (tried, left) = (routed.tried(), routed.left());
        let hash = cluster.is_by_hash().then(|| {
            let own = routed.route().balancing.as_ref();
            let own =
                own.and_then(|it| it.hash(request, routed.proxy, self.dice.next_u64(), cookies));
            // Without a key too, picks for one try go on from one place.
            own.unwrap_or_else(|| self.dice.next_u64())
        });
        let mut again = 0;
        let place = loop {
            let pick = Pick::rolled(self.dice.next_u64()).hash(hash).again(again);
            let place = match left {
                [] => cluster.pick(pick),
                left => cluster.pick_elsewhere(pick, left),
            };
            let place = place.ok_or_else(no_healthy_upstream)?;
            if !tried.contains(&(place as u32)) || again == HOST_SELECTION_ATTEMPTS {
                break place;
            }
            again += 1;
        };
        let endpoint = cluster.endpoints().get(place);
        Ok(Picked {
            endpoint: endpoint.ok_or_else(no_healthy_upstream)?,
            place: place as u32,
            watch: cluster.watch(),
        })
    }
}

impl<T, B> Service<Request<RequestBody<B, Routed>>> for Dispatch<T>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<T::ResponseBody>>;
    type Error = Infallible;
    type Future = DispatchFuture<T>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody<B, Routed>>) -> Self::Future {
        let mut info = StreamInfo::default();
        let request = request.map(|body| {
            let (body, routed) = body.split();
            info.set_route(routed);
            body.erase()
        });
        self.send(info, request)
    }
}

impl<T: Transport + Clone> Dispatch<T> {
    /// Sends a request whose body is erased; `info` knows its route.
    pub(super) fn send(
        &self,
        mut info: StreamInfo,
        mut request: Request<Body>,
    ) -> DispatchFuture<T> {
        let routed = info.routed();
        let grpc = routed.grpc;
        let mut cookies = Vec::new();
        let picked = match self.pick(routed, &request, &mut cookies) {
            Ok(picked) => picked,
            Err(reply) => {
                if let Some(sent) = tell::unsent(routed, &request) {
                    info.note_sent(sent);
                }
                return DispatchFuture::answered(reply, info, grpc);
            }
        };
        let Picked {
            endpoint,
            place,
            watch,
        } = picked;
        let (attempt, proxy, names_host) = (routed.attempt, routed.proxy, routed.names_host);
        if request.uri().scheme_str() == Some("https") {
            if proxy {
                // It says how the request came, which does not bind a proxy.
                let uri = std::mem::take(request.uri_mut());
                *request.uri_mut() = scheme::in_clear_form(uri);
            } else if !self.transport.is_secure() {
                return DispatchFuture::answered(scheme::in_clear(), info, grpc);
            }
        }
        if !names_host && address_request(&mut request).is_err() {
            let reply = LocalReply::new(StatusCode::BAD_REQUEST, ResponseFlags::NONE);
            return DispatchFuture::answered(reply, info, grpc);
        }
        if proxy {
            tell_attempt(&mut request, attempt);
        }
        if proxy || grpc {
            tell_time(&mut request, info.routed());
        }
        let found;
        let endpoint = match endpoint.is_wildcard() {
            false => endpoint,
            true => {
                let named = endpoint.named_by(&host_of(&request));
                match look_up::find(named.clone(), look_up::cache_for(routed)) {
                    Found::Here(endpoint) => {
                        found = endpoint;
                        &found
                    }
                    Found::Nowhere => {
                        info.endpoint = Some(place);
                        return DispatchFuture::answered(look_up::not_found(), info, grpc);
                    }
                    Found::Asking(asking) => {
                        let sent = tell::sent(routed, &request, &named);
                        let in_flight = Some(endpoint.begin());
                        let transport = self.transport.clone();
                        let look_up = LookUp::new(asking, named, request, transport);
                        info.endpoint = Some(place);
                        info.note_cookies(cookies);
                        if let Some(sent) = sent {
                            info.note_sent(sent);
                        }
                        return DispatchFuture {
                            call: None,
                            look_up: Some(Box::new(look_up)),
                            in_flight,
                            reply: None,
                            info: Some(info),
                            grpc,
                            watch,
                        };
                    }
                }
            }
        };
        let sent = tell::sent(routed, &request, endpoint);
        let mut in_flight = endpoint.begin();
        // The only endpoint there is stands for all of its destination's.
        let limits = match self.transport.only_endpoint() {
            Some(_) => routed.cluster().and_then(|it| it.limits()),
            None => endpoint.limits(),
        };
        if let Some(limits) = limits.filter(|_| !self.transport.keeps_limits()) {
            let Some(permit) = limits.request() else {
                let reply = LocalReply::for_failure(Failure::Overflow, false);
                return DispatchFuture::answered(reply, info, grpc);
            };
            in_flight = in_flight.permitted(permit);
        }
        let call = self.transport.send(endpoint, request);
        info.endpoint = Some(place).filter(|_| self.transport.only_endpoint().is_none());
        info.note_cookies(cookies);
        if let Some(sent) = sent {
            info.note_sent(sent);
        }
        DispatchFuture {
            call: Some(call),
            look_up: None,
            in_flight: Some(in_flight),
            reply: None,
            info: Some(info),
            grpc,
            watch,
        }
    }
}

/// The host a request names, in lower case and without its port.
fn host_of<B>(request: &Request<B>) -> Cow<'_, str> {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    host::without_port(host.unwrap_or_default())
}

fn no_cluster() -> LocalReply {
    let flags = ResponseFlags::NO_CLUSTER_FOUND;
    LocalReply::new(StatusCode::SERVICE_UNAVAILABLE, flags).details("cluster_not_found")
}

fn no_healthy_upstream() -> LocalReply {
    let flags = ResponseFlags::NO_HEALTHY_UPSTREAM;
    LocalReply::new(StatusCode::SERVICE_UNAVAILABLE, flags)
        .body("no healthy upstream")
        .details("no_healthy_upstream")
}

/// One try at one endpoint.
#[pin_project(PinnedDrop, project = DispatchProjected)]
pub(crate) struct DispatchFuture<T: Transport> {
    #[pin]
    call: Option<T::Future>,
    /// What comes before the call, where the endpoint's address is not known yet.
    look_up: Option<Box<LookUp<T>>>,
    in_flight: Option<InFlight>,
    /// There from the start when there is no call.
    reply: Option<Box<LocalReply>>,
    info: Option<StreamInfo>,
    grpc: bool,
    watch: Watch,
}

#[pinned_drop]
impl<T: Transport> PinnedDrop for DispatchFuture<T> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        // Given up before its response: the endpoint is to blame only where its time was up.
        if this.info.is_some() && is_late() {
            if *this.watch != Watch::Not {
                attempts::report(this.info.as_ref(), Outcome::Timeout);
            }
            leave(|| this.info.take().unwrap_or_default());
        }
    }
}

impl<T: Transport> DispatchFuture<T> {
    fn answered(reply: LocalReply, info: StreamInfo, grpc: bool) -> Self {
        Self {
            call: None,
            look_up: None,
            in_flight: None,
            reply: Some(Box::new(reply)),
            info: Some(info),
            grpc,
            watch: Watch::Not,
        }
    }
}

impl<T: Transport> Future for DispatchFuture<T> {
    type Output = Result<Response<ResponseBody<T::ResponseBody>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(look_up) = this.look_up {
            let Poll::Ready(found) = look_up.poll(cx) else {
                say_connecting();
                return Poll::Pending;
            };
            match found {
                Ok(call) => this.call.set(Some(call)),
                Err(reply) => *this.reply = Some(Box::new(reply)),
            }
            *this.look_up = None;
        }
        let ended = match this.call.as_mut().as_pin_mut() {
            Some(mut call) => match call.as_mut().poll(cx) {
                Poll::Ready(ended) => ended,
                Poll::Pending => {
                    if T::is_connecting(&call) {
                        say_connecting();
                    }
                    return Poll::Pending;
                }
            },
            None => return Poll::Ready(Ok(this.answer())),
        };
        this.call.set(None);
        let watch = std::mem::take(this.watch);
        match ended {
            Ok(response) => {
                let (mut head, body) = response.into_parts();
                let proxy = |info: &StreamInfo| info.routed().proxy;
                if this.info.as_ref().is_some_and(proxy) {
                    join_response_lines(&mut head.headers);
                }
                if watch != Watch::Not {
                    let outcome = Outcome::of_response(head.status, &head.headers, *this.grpc);
                    attempts::report_answer(watch, this.in_flight, this.info.as_ref(), outcome);
                }
                let mut info = this.info.take().unwrap_or_default();
                let in_flight = this.in_flight.take();
                info.tell_sent(&mut head.extensions);
                for cookie in info.cookies() {
                    head.headers.append(SET_COOKIE, cookie.clone());
                }
                let body = ResponseBody::upstream(body, info, in_flight);
                Poll::Ready(Ok(Response::from_parts(head, body)))
            }
            Err(error) => {
                if watch != Watch::Not
                    && let Some(outcome) = Outcome::of_failure(&error.classify())
                {
                    attempts::report(this.info.as_ref(), outcome);
                }
                *this.reply = Some(Box::new(LocalReply::for_failure(error.classify(), false)));
                let error: BoxError = error.into();
                let response = this.answer();
                Poll::Ready(Ok(
                    response.map(|body| body.caused_by(Some(Arc::from(error))))
                ))
            }
        }
    }
}

impl<T: Transport> DispatchProjected<'_, T> {
    /// The local answer, about this request.
    fn answer<B>(&mut self) -> Response<ResponseBody<B>> {
        *self.in_flight = None;
        // A future is not polled again once it has ended; if it is, there is nothing to say.
        let reply = self.reply.take().map_or_else(no_cluster, |reply| *reply);
        let mut info = self.info.take().unwrap_or_default();
        let mut response: Response<ResponseBody<B>> = reply.into_response(*self.grpc);
        info.tell_sent(response.extensions_mut());
        response.map(|body| body.about(info))
    }
}

impl<T: Transport> fmt::Debug for DispatchFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchFuture").finish_non_exhaustive()
    }
}
