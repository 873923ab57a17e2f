//! Waiting for the address of a host that only a request names: `resolution: DYNAMIC_DNS`.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, StatusCode};

use super::routed::Routed;
use crate::body::Body;
use crate::context::ResponseFlags;
use crate::endpoint::{Address, Endpoint};
use crate::reply::LocalReply;
use crate::resolver::NameCache;
use crate::transport::Transport;

/// Where a request goes whose endpoint has only a name.
pub(super) enum Found {
    /// Now, to this endpoint.
    Here(Endpoint),
    /// When its address is there.
    Asking(Asking),
    /// Nowhere.
    Nowhere,
}

type Asking = Pin<Box<dyn Future<Output = Option<IpAddr>> + Send>>;

/// The endpoint of a request's host, where its address is known or needs no looking up here.
pub(super) fn find(endpoint: Endpoint, cache: Option<&Arc<NameCache>>) -> Found {
    let (Address::Name(name, port), Some(cache)) = (endpoint.address(), cache) else {
        return Found::Here(endpoint);
    };
    match cache.known(name) {
        Some(Some(ip)) => {
            let address = Address::Socket((ip, *port).into());
            Found::Here(endpoint.moved_to(address))
        }
        Some(None) => Found::Nowhere,
        None => {
            let (cache, name) = (cache.clone(), name.clone());
            Found::Asking(Box::pin(async move { cache.ask(&name).await }))
        }
    }
}

/// Who looks the request's own host up, where that is what its destination asks for.
pub(super) fn cache_for(routed: &Routed) -> Option<&Arc<NameCache>> {
    let cluster = routed.cluster().filter(|it| it.is_per_request());
    cluster.and(routed.plan.live.cache.as_ref())
}

/// A request that waits for its endpoint's address.
pub(super) struct LookUp<T> {
    asking: Asking,
    endpoint: Endpoint,
    request: Option<Request<Body>>,
    transport: T,
}

impl<T: Transport> LookUp<T> {
    pub(super) const fn new(
        asking: Asking,
        endpoint: Endpoint,
        request: Request<Body>,
        transport: T,
    ) -> Self {
        Self {
            asking,
            endpoint,
            request: Some(request),
            transport,
        }
    }

    /// Sends the request once there is an address.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T::Future, LocalReply>> {
        let answer = ready!(self.asking.as_mut().poll(cx));
        let Address::Name(_, port) = self.endpoint.address() else {
            return Poll::Ready(Err(not_found()));
        };
        let address = answer.map(|ip| Address::Socket((ip, *port).into()));
        let (Some(address), Some(request)) = (address, self.request.take()) else {
            return Poll::Ready(Err(not_found()));
        };
        let endpoint = self.endpoint.moved_to(address);
        Poll::Ready(Ok(self.transport.send(&endpoint, request)))
    }
}

impl<T> fmt::Debug for LookUp<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookUp").finish_non_exhaustive()
    }
}

/// The answer to a request for a host without an address.
pub(super) fn not_found() -> LocalReply {
    let flags = ResponseFlags::DNS_RESOLUTION_FAILED;
    LocalReply::new(StatusCode::SERVICE_UNAVAILABLE, flags)
        .body("DNS resolution failure")
        .details("dns_resolution_failure")
}
