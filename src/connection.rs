//! How connections to an endpoint are made and kept: plain data, which travels with the endpoint.

use std::sync::Arc;
use std::time::Duration;

use crate::limits::Limits;
use crate::tls::Tls;

/// What is spoken to an endpoint.
///
/// Source: the protocol of the service's port, which Istio turns into the protocol options of
/// Envoy's cluster.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without asking first.
    Http2,
    /// What the request itself came in: HTTP/2 for HTTP/2, HTTP/1.1 for all else.
    #[default]
    AsRequested,
}

impl UpstreamProtocol {
    /// Whether a request of this version goes out as HTTP/2.
    #[must_use]
    pub fn is_http2(self, requested: http::Version) -> bool {
        match self {
            Self::Http1 => false,
            Self::Http2 => true,
            Self::AsRequested => requested == http::Version::HTTP_2,
        }
    }
}

/// How connections to an endpoint are made and kept: `trafficPolicy.connectionPool`, `tls` and
/// `proxyProtocol`.
///
/// Where a rule says nothing an endpoint has none, which means [`ConnectionSettings::DEFAULT`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConnectionSettings {
    /// The time to connect; 10 s, Istio's mesh default.
    pub connect_timeout: Duration,
    /// How long a connection may lie idle; an hour, nothing for as long as it likes.
    pub idle_timeout: Option<Duration>,
    /// How long a connection takes new requests; nothing for as long as it lives.
    pub max_connection_duration: Option<Duration>,
    /// How many requests a connection serves; nothing for any number.
    pub max_requests_per_connection: Option<u32>,
    /// Requests at a time on one HTTP/2 connection; nothing for as many as the endpoint takes.
    pub max_concurrent_streams: Option<u32>,
    /// TCP keepalive; nothing for none.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// HTTP/2 pings; nothing for none.
    pub http2_keep_alive: Option<Http2KeepAlive>,
    /// How much may be under way; nothing for any number.
    pub limits: Option<Limits>,
    /// How they are encrypted; nothing for not at all.
    pub tls: Option<Arc<Tls>>,
    /// The header before everything else that is sent; nothing for none.
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// The version of the PROXY header a connection begins with: `trafficPolicy.proxyProtocol`.
///
/// It names the two ends of the connection itself: whoever sent the request here is not known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// TCP keepalive; what is not said is the operating system's.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct TcpKeepalive {
    /// How many probes may go unanswered.
    pub probes: Option<u32>,
    /// How long a connection is idle before the first.
    pub time: Option<Duration>,
    /// The time between them.
    pub interval: Option<Duration>,
}

/// HTTP/2 pings, which end a connection whose endpoint does not answer them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Http2KeepAlive {
    /// The time between them.
    pub interval: Duration,
    /// The time for an answer.
    pub timeout: Duration,
}

impl Http2KeepAlive {
    /// Pings this far apart, each answered in time.
    #[must_use]
    pub const fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval, timeout }
    }
}

impl ConnectionSettings {
    /// What holds where no rule says anything.
    pub const DEFAULT: Self = Self {
        connect_timeout: Duration::from_secs(10),
        idle_timeout: Some(Duration::from_secs(3600)),
        max_connection_duration: None,
        max_requests_per_connection: None,
        max_concurrent_streams: None,
        tcp_keepalive: None,
        http2_keep_alive: None,
        limits: None,
        tls: None,
        proxy_protocol: None,
    };
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}
