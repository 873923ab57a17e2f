//! The entry of a request that is under way.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Response, Version};
use http_body::Body;
use tokio::time::Instant;

use super::{AccessLog, AccessLogEntry};
use crate::context::{Connection, DirectPeer, ResponseFlags, forwarded_for};
use crate::failure::Failure;
use crate::mesh::{MeshError, ResponseBody};
#[cfg(feature = "client")]
use crate::mesh::{Tunnel, TunnelEnd};
use crate::plan::Told;
use crate::reply::LocalReply;
use crate::rt::WallClock;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-envoy-original-path");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVICE_TIME: HeaderName = HeaderName::from_static("x-envoy-upstream-service-time");

/// An entry that is written when it is dropped.
pub(crate) struct Pending<L: AccessLog> {
    log: L,
    entry: AccessLogEntry,
    /// The request's own path, where a hop before this one said what it was before it was rewritten.
    given_over: Option<String>,
    received: Arc<AtomicU64>,
    began: Instant,
    head: bool,
    /// Whether there is nothing more to come.
    ended: bool,
}

impl<L: AccessLog> Pending<L> {
    pub(crate) fn begin<B>(log: L, request: &Request<B>, received: Arc<AtomicU64>) -> Self {
        let (headers, uri) = (request.headers(), request.uri());
        // Who the user is does not belong to the host.
        let authority = uri.authority().map(Authority::as_str);
        let authority = authority.map(|it| it.rsplit_once('@').map_or(it, |(_, host)| host));
        let authority = authority.map(str::to_owned);
        let given = text(headers, &ORIGINAL_PATH);
        let connection = request.extensions().get::<Connection>();
        let target = || uri.path_and_query().map(PathAndQuery::as_str);
        let entry = AccessLogEntry {
            authority: authority.or_else(|| text(headers, &HOST)),
            bytes_received: 0,
            bytes_sent: 0,
            downstream_local_address: connection.map(|it| it.local.to_string()),
            downstream_remote_address: remote(request).map(|it| it.to_string()),
            duration: std::time::Duration::ZERO,
            method: request.method().as_str().to_owned(),
            path: given.clone().or_else(|| target().map(str::to_owned)),
            protocol: match request.version() {
                Version::HTTP_09 | Version::HTTP_10 => "HTTP/1.0",
                Version::HTTP_2 => "HTTP/2",
                Version::HTTP_3 => "HTTP/3",
                _ => "HTTP/1.1",
            },
            request_id: text(headers, &REQUEST_ID).filter(|it| !it.is_empty()),
            response_code: 0,
            response_code_details: None,
            response_flags: ResponseFlags::NONE,
            route_name: None,
            start_time: WallClock::now(),
            upstream_cluster: None,
            upstream_host: None,
            upstream_request_attempt_count: 0,
            upstream_service_time: None,
            upstream_transport_failure_reason: None,
            user_agent: text(headers, &USER_AGENT),
            x_forwarded_for: text(headers, &FORWARDED_FOR),
        };
        Self {
            log,
            entry,
            given_over: given.and_then(|_| target().map(str::to_owned)),
            received,
            began: Instant::now(),
            head: request.method() == Method::HEAD,
            ended: false,
        }
    }

    /// What counts the bytes of the request's body.
    #[cfg(feature = "tracing")]
    pub(super) fn received(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.received)
    }

    /// Takes note of the response.
    pub(crate) fn answered<B>(&mut self, response: &Response<ResponseBody<B>>)
    where
        ResponseBody<B>: Body,
    {
        let status = response.status().as_u16();
        self.entry.response_code = status;
        let reply = LocalReply::of(response);
        let details = reply.map_or("via_upstream", |it| &it.details);
        self.entry.response_code_details = Some(details.to_owned());
        self.entry.upstream_transport_failure_reason = reply.and_then(transport_failure);
        self.entry.upstream_service_time = text(response.headers(), &SERVICE_TIME);
        self.entry.response_flags = ResponseFlags::of(response);
        self.tell(response.body().info().told());
        // Nobody reads the body of an answer that has none on the wire.
        let bodiless = self.head || matches!(status, 100..=199 | 204 | 304);
        self.ended = bodiless || response.body().is_end_stream();
    }

    fn tell(&mut self, told: Told) {
        let entry = &mut self.entry;
        entry.route_name = told.route_name;
        entry.upstream_cluster = told.upstream_cluster;
        entry.upstream_host = told.upstream_host;
        entry.upstream_request_attempt_count = told.attempts;
        if told.request_id.is_some() {
            entry.request_id = told.request_id;
        }
        // What the hop before said stands, unless this one rewrites the path too.
        let given_over = self.given_over.take();
        if given_over.is_none() || told.path_rewritten {
            entry.path = told.path.or(given_over).or(entry.path.take());
        }
        if told.authority.is_some() {
            entry.authority = told.authority;
        }
    }

    /// Takes note of the error that came in the place of a response.
    pub(crate) fn failed(mut self, error: Option<&MeshError>) {
        self.ended = true;
        let Some(error) = error else { return };
        let reply = error.reply();
        self.entry.response_code = reply.status.as_u16();
        self.entry.response_code_details = Some(reply.details.to_string());
        self.entry.response_flags = reply.flags;
        self.entry.upstream_transport_failure_reason = transport_failure(reply);
        self.tell(error.told().clone());
    }

    /// Takes note of a frame of the response, or of its end.
    pub(crate) fn sent(&mut self, bytes: usize, is_last: bool) {
        self.entry.bytes_sent += bytes as u64;
        self.ended |= is_last;
    }

    /// Takes note of what broke the response off.
    pub(crate) fn broken(&mut self, reply: Option<&LocalReply>) {
        self.ended = true;
        if let Some(reply) = reply {
            let entry = &mut self.entry;
            entry.response_flags = entry.response_flags.union(reply.flags);
            entry.response_code_details = Some(reply.details.to_string());
        }
    }

    /// Itself, unless the response begins a tunnel: with that it goes along.
    pub(crate) fn unless_tunnel<B>(self: Box<Self>, response: &Response<B>) -> Option<Box<Self>>
    where
        L: Send + 'static,
    {
        #[cfg(feature = "client")]
        if let Some(tunnel) = response.extensions().get::<Tunnel>() {
            tokio::spawn(self.follow(tunnel.clone()));
            return None;
        }
        #[cfg(not(feature = "client"))]
        let _ = response;
        Some(self)
    }

    /// Goes along with a tunnel until it has ended.
    #[cfg(feature = "client")]
    async fn follow(mut self, mut tunnel: Tunnel) {
        let end = tunnel.closed().await;
        self.ended = end == TunnelEnd::Endpoint;
        self.entry.bytes_sent = tunnel.bytes_sent();
        let received = tunnel.bytes_received();
        self.received.store(received, Ordering::Relaxed);
    }
}

impl<L: AccessLog> Drop for Pending<L> {
    fn drop(&mut self) {
        let entry = &mut self.entry;
        if !self.ended {
            let left = ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION;
            entry.response_flags = entry.response_flags.union(left);
            entry.response_code_details = Some("downstream_remote_disconnect".to_owned());
        }
        entry.response_code_details = entry
            .response_code_details
            .take()
            .filter(|it| !it.is_empty());
        entry.bytes_received = self.received.load(Ordering::Relaxed);
        entry.duration = self.began.elapsed();
        self.log.write(entry);
    }
}

impl<L: AccessLog> fmt::Debug for Pending<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pending").field(&self.entry).finish()
    }
}

/// Who a request comes from.
fn remote<B>(request: &Request<B>) -> Option<SocketAddr> {
    let extensions = request.extensions();
    let connected = extensions.get::<Connection>().map(|it| it.remote);
    if extensions.get::<DirectPeer>().is_some() {
        return connected;
    }
    let forwarded = forwarded_for(request.headers()).map(|it| SocketAddr::new(it, 0));
    forwarded.or(connected)
}

/// Why no connection was had, in the words of Envoy.
fn transport_failure(reply: &LocalReply) -> Option<String> {
    match reply.failure.as_ref()? {
        Failure::Connect(why) => Some(format!("delayed_connect_error:_{}", joined(why))),
        Failure::Tls(why) => Some(format!("TLS_error:_{}", joined(why))),
        _ => None,
    }
}

/// A reason as it stands in a log: without blanks.
fn joined(why: &str) -> String {
    why.replace(char::is_whitespace, "_")
}

/// All lines of a header as one.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines = headers.get_all(name).iter();
    // As a proxy makes one line of several: one that says nothing leaves no mark.
    let mut lines = lines.filter(|it| !it.is_empty());
    let text = |line: &HeaderValue| String::from_utf8_lossy(line.as_bytes()).into_owned();
    let first = text(lines.next()?);
    Some(lines.fold(first, |all, line| all + "," + &text(line)))
}
