//! The innermost service: picks an endpoint and sends; what comes of it is the future's (`tries`).
//!
//! Readiness ends above: which endpoint a request wants is known only from the
//! request, so this service is always ready and refuses instead of waiting. It
//! never fails; errors of the transport become replies here, once.

use std::borrow::Cow;
use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use tower_service::Service;

use super::cluster::Watch;
use super::look_up::{self, Found, LookUp};
use super::response_body::ResponseBody;
use super::routed::Routed;
use super::scheme;
use super::stream_info::StreamInfo;
use super::tell::{self, address_request, tell_attempt, tell_time};
use super::tries::DispatchFuture;
use crate::body::{Body, BoxError};
use crate::context::ResponseFlags;
use crate::endpoint::{Endpoint, InFlight};
use crate::failure::Failure;
use crate::host;
use crate::load_balancer::Pick;
use crate::reply::LocalReply;
use crate::request_body::RequestBody;
use crate::rt::Rng;
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
                let unsent = tell::unsent(routed, &request);
                return DispatchFuture::refused(reply, info, grpc, unsent);
            }
        };
        let Picked {
            endpoint,
            place,
            watch,
        } = picked;
        if let Err(reply) = self.address(routed, &mut request) {
            let unsent = tell::unsent(routed, &request);
            return DispatchFuture::refused(reply, info, grpc, unsent);
        }
        let Some(in_flight) = self.begin(routed, endpoint) else {
            let reply = LocalReply::for_failure(Failure::Overflow, false);
            let sent = tell::sent(routed, &request, endpoint);
            return DispatchFuture::refused(reply, info, grpc, sent);
        };
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
                        let sent = tell::sent(routed, &request, &named);
                        info.endpoint = Some(place);
                        return DispatchFuture::refused(look_up::not_found(), info, grpc, sent);
                    }
                    Found::Asking(asking) => {
                        let sent = tell::sent(routed, &request, &named);
                        let transport = self.transport.clone();
                        let look_up = LookUp::new(asking, named, request, transport);
                        info.note_try(Some(place), cookies, sent);
                        return DispatchFuture::waiting(look_up, in_flight, info, grpc, watch);
                    }
                }
            }
        };
        let sent = tell::sent(routed, &request, endpoint);
        let call = self.transport.send(endpoint, request);
        let place = Some(place).filter(|_| self.transport.only_endpoint().is_none());
        info.note_try(place, cookies, sent);
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

    /// Says in a request where it goes and which try it is; a reply where it cannot go there.
    #[inline]
    fn address(&self, routed: &Routed, request: &mut Request<Body>) -> Result<(), LocalReply> {
        let proxy = routed.proxy;
        if request.uri().scheme_str() == Some("https") {
            if proxy {
                // It says how the request came, which does not bind a proxy.
                let uri = std::mem::take(request.uri_mut());
                *request.uri_mut() = scheme::in_clear_form(uri);
            } else if !self.transport.is_secure() {
                return Err(scheme::in_clear());
            }
        }
        if !routed.names_host && address_request(request).is_err() {
            return Err(LocalReply::new(
                StatusCode::BAD_REQUEST,
                ResponseFlags::NONE,
            ));
        }
        if proxy {
            tell_attempt(request, routed.attempt);
        }
        if proxy || routed.grpc {
            tell_time(request, routed);
        }
        Ok(())
    }

    /// Counts a request at its endpoint; nothing where its destination's limit is reached.
    #[inline]
    fn begin(&self, routed: &Routed, endpoint: &Endpoint) -> Option<InFlight> {
        let in_flight = endpoint.begin();
        if self.transport.keeps_limits() {
            return Some(in_flight);
        }
        // The only endpoint there is stands for all of its destination's.
        let limits = match self.transport.only_endpoint() {
            Some(_) => routed.cluster().and_then(|it| it.limits()),
            None => endpoint.limits(),
        };
        match limits {
            Some(limits) => Some(in_flight.permitted(limits.request()?)),
            None => Some(in_flight),
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

pub(super) fn no_cluster() -> LocalReply {
    let flags = ResponseFlags::NO_CLUSTER_FOUND;
    LocalReply::new(StatusCode::SERVICE_UNAVAILABLE, flags).details("cluster_not_found")
}

fn no_healthy_upstream() -> LocalReply {
    let flags = ResponseFlags::NO_HEALTHY_UPSTREAM;
    LocalReply::new(StatusCode::SERVICE_UNAVAILABLE, flags)
        .body("no healthy upstream")
        .details("no_healthy_upstream")
}
