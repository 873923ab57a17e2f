//! `TrafficPolicy`: connection pools, outlier detection and TLS towards a host.

use std::time::Duration;

use super::http_route::PortSelector;
use super::load_balancer::LoadBalancerSettings;
use super::message::{enumeration, message};

message! {
    /// How a host's endpoints are chosen, limited, judged and spoken to.
    pub struct TrafficPolicy {
        /// How an endpoint is chosen.
        load_balancer: Option<LoadBalancerSettings>,
        /// How much may be under way.
        connection_pool: Option<ConnectionPoolSettings>,
        /// When an endpoint is left out for a while.
        outlier_detection: Option<OutlierDetection>,
        /// TLS towards the endpoints.
        tls: Option<ClientTlsSettings>,
        /// Other settings for single ports; they replace all of the above.
        port_level_settings: Vec<PortTrafficPolicy>,
        /// TCP through an HTTP proxy.
        tunnel: Option<Tunnel>,
        /// A PROXY header in front of the connection.
        proxy_protocol: Option<ProxyProtocol>,
        /// How many retries may be under way, relative to the requests.
        retry_budget: Option<RetryBudget>,
    }
}

message! {
    /// Settings for one port of a host.
    pub struct PortTrafficPolicy {
        /// The port.
        port: Option<PortSelector>,
        /// How an endpoint is chosen.
        load_balancer: Option<LoadBalancerSettings>,
        /// How much may be under way.
        connection_pool: Option<ConnectionPoolSettings>,
        /// When an endpoint is left out for a while.
        outlier_detection: Option<OutlierDetection>,
        /// TLS towards the endpoints.
        tls: Option<ClientTlsSettings>,
    }
}

message! {
    /// TCP through an HTTP proxy.
    pub struct Tunnel {
        /// `CONNECT` or `POST`.
        protocol: String,
        /// The host to reach through the proxy.
        target_host: String,
        /// Its port.
        target_port: u32,
    }
}

message! {
    /// A PROXY header in front of the connection.
    pub struct ProxyProtocol {
        /// The header's version.
        version: ProxyProtocolVersion,
    }
}

enumeration! {
    /// The version of the PROXY header.
    pub enum ProxyProtocolVersion {
        /// Text.
        #[default]
        V1 = "V1" / 0,
        /// Binary.
        V2 = "V2" / 1,
    }
}

message! {
    /// How many retries may be under way, relative to the requests.
    pub struct RetryBudget {
        /// Their share of the requests under way and waiting; 20 when absent.
        percent: Option<f64>,
        /// How many are always allowed; 3 when absent.
        min_retry_concurrency: Option<u32>,
        /// Count the requests that began in so much time instead; those of the moment when absent.
        budget_interval: Option<Duration>,
    }
}

message! {
    /// How much may be under way.
    pub struct ConnectionPoolSettings {
        /// Connections.
        tcp: Option<TcpConnectionPool>,
        /// Requests.
        http: Option<HttpConnectionPool>,
    }
}

message! {
    /// Limits on connections.
    pub struct TcpConnectionPool {
        /// How many; unlimited when absent or 0.
        max_connections: Option<i32>,
        /// The time to connect; 10 s when absent.
        connect_timeout: Option<Duration>,
        /// TCP keepalive.
        tcp_keepalive: Option<TcpKeepalive>,
        /// How long a connection takes new requests; for ever when absent.
        max_connection_duration: Option<Duration>,
        /// How long it may lie idle; an hour when absent.
        idle_timeout: Option<Duration>,
    }
}

message! {
    /// TCP keepalive.
    pub struct TcpKeepalive {
        /// How many probes may go unanswered.
        probes: Option<u32>,
        /// How long a connection is idle before the first.
        time: Option<Duration>,
        /// The time between them.
        interval: Option<Duration>,
    }
}

message! {
    /// Limits on requests.
    pub struct HttpConnectionPool {
        /// How many may wait for a connection, whatever the protocol; unlimited when absent or 0.
        http1_max_pending_requests: Option<i32>,
        /// How many may be under way, whatever the protocol; unlimited when absent or 0.
        http2_max_requests: Option<i32>,
        /// How many a connection serves; unlimited when absent or 0.
        max_requests_per_connection: Option<i32>,
        /// How many retries may be under way; unlimited when absent or 0.
        max_retries: Option<i32>,
        /// How long a connection may lie idle; what `tcp` says, else an hour, when absent.
        idle_timeout: Option<Duration>,
        /// Whether HTTP/1.1 becomes HTTP/2 on the way.
        h2_upgrade_policy: Option<H2UpgradePolicy>,
        /// Whether the client's own protocol is used.
        use_client_protocol: Option<bool>,
        /// Streams on one HTTP/2 connection; as many as the endpoint takes when absent.
        max_concurrent_streams: Option<i32>,
        /// HTTP/2 pings.
        http2_keep_alive: Option<Http2KeepAlive>,
    }
}

enumeration! {
    /// Whether HTTP/1.1 becomes HTTP/2 on the way.
    pub enum H2UpgradePolicy {
        /// As the mesh says.
        #[default]
        Default = "DEFAULT" / 0,
        /// It does not.
        DoNotUpgrade = "DO_NOT_UPGRADE" / 1,
        /// It does.
        Upgrade = "UPGRADE" / 2,
    }
}

message! {
    /// HTTP/2 pings.
    pub struct Http2KeepAlive {
        /// The time between them.
        interval: Option<Duration>,
        /// The time for an answer.
        timeout: Option<Duration>,
    }
}

message! {
    /// When an endpoint is left out for a while.
    pub struct OutlierDetection {
        /// Deprecated; see `consecutive_gateway_errors` and `consecutive_5xx_errors`.
        consecutive_errors: Option<i32>,
        /// Count what happens on this side on its own.
        split_external_local_origin_errors: Option<bool>,
        /// How many of those in a row.
        consecutive_local_origin_failures: Option<u32>,
        /// How many 502, 503 and 504 in a row; off when absent or 0.
        consecutive_gateway_errors: Option<u32>,
        /// How many 5xx in a row; 5 when absent, off when 0.
        consecutive_5xx_errors: Option<u32>,
        /// How often endpoints are looked over; 10 s when absent.
        interval: Option<Duration>,
        /// How long the first time; 30 s when absent.
        base_ejection_time: Option<Duration>,
        /// The share of endpoints that may be left out; 10 when absent or 0.
        max_ejection_percent: Option<i32>,
        /// The healthy share below which nobody is left out; 0, never, when absent.
        min_health_percent: Option<i32>,
        /// The statuses that count as errors, instead of 5xx.
        outlier_detection_http_error_codes: Vec<u32>,
    }
}

message! {
    /// TLS towards the endpoints.
    pub struct ClientTlsSettings {
        /// Whether, and how.
        mode: ClientTlsMode,
        /// The client's certificate, a file.
        client_certificate: String,
        /// Its key, a file.
        private_key: String,
        /// Who may have signed the server's, a file; the system's list when empty.
        ca_certificates: String,
        /// A secret that holds them all.
        credential_name: String,
        /// Names one of which the server's certificate must carry.
        subject_alt_names: Vec<String>,
        /// The server name to ask for.
        sni: String,
        /// Skip the check of the server's certificate.
        insecure_skip_verify: Option<bool>,
        /// Revoked certificates, a file.
        ca_crl: String,
    }
}

enumeration! {
    /// Whether TLS is used towards the endpoints, and how.
    pub enum ClientTlsMode {
        /// Not at all.
        #[default]
        Disable = "DISABLE" / 0,
        /// The server shows a certificate.
        Simple = "SIMPLE" / 1,
        /// Both show one.
        Mutual = "MUTUAL" / 2,
        /// Both show the one Istio gave them.
        IstioMutual = "ISTIO_MUTUAL" / 3,
    }
}
