//! What a request brings for the balancer of its destination: its key, or the address it was sent to.

use std::net::Ipv4Addr;
use std::sync::Arc;

use http::Request;
use http::header::{HOST, HeaderValue};
use http::uri::Authority;

use crate::context::{Connection, source_of};
use crate::endpoint::{Address, Endpoint};
use crate::host;
use crate::load_balancer::{HashPolicy, Keyed, hash_request};

/// What a route's destinations want of its requests; most want nothing.
#[derive(Clone, Debug)]
pub(super) struct Balancing {
    /// What makes a request's key, in the order of the destinations that want it.
    pub(super) keys: Vec<HashPolicy>,
    /// Whether one of the destinations is the address a request was sent to.
    pub(super) passes: bool,
    /// Whether retries may go to the endpoint that failed: where the one destination has
    /// `consistentHash`, with a key or without.
    pub(super) keeps_endpoint: bool,
}

impl Balancing {
    /// The hash of a request's key as the request is sent, after header operations and rewrites;
    /// cookies that its client is to keep are told to `cookies`.
    pub(super) fn hash<B>(
        &self,
        request: &Request<B>,
        proxy: bool,
        roll: u64,
        cookies: &mut Vec<HeaderValue>,
    ) -> Option<u64> {
        let authority = match request.headers().get(HOST) {
            Some(host) => host.to_str().unwrap_or_default(),
            None => request.uri().authority().map_or("", Authority::as_str),
        };
        let mut from = Keyed::new(authority, request.uri().query(), request.headers());
        let connection = request.extensions().get::<Connection>();
        from.connection = connection.map(|it| (it.remote, it.local));
        if self.keys.contains(&HashPolicy::SourceIp) {
            let nobody = !proxy && connection.is_none();
            from.source =
                source_of(request).or_else(|| nobody.then_some(Ipv4Addr::LOCALHOST.into()));
        }
        hash_request(&self.keys, &from, roll, cookies)
    }
}

/// The endpoint a request would reach without any rules: its own host, at the port addressed.
pub(super) fn original_destination(authority: &str, port: u16) -> Endpoint {
    let host = host::without_port(authority);
    let address = Address::of_host(host.trim_matches(['[', ']']), port);
    Endpoint::new(address, Arc::default()).passing()
}
