//! `TrafficPolicy`: balancing, connection pools, outlier detection and TLS towards a host.

use std::time::Duration;

use indexmap::IndexMap;

use super::http_route::PortSelector;
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
        /// Over how long the requests are counted.
        budget_interval: Option<Duration>,
    }
}

message! {
    /// How an endpoint is chosen.
    pub struct LoadBalancerSettings {
        /// An algorithm without further settings.
        simple: Option<SimpleLoadBalancer>,
        /// The same endpoint for the same key.
        consistent_hash: Option<ConsistentHash>,
        /// Shares by the load that endpoints report; Istio does not act on it yet.
        backend_utilization: Option<BackendUtilization>,
        /// Preference by place.
        locality_lb_setting: Option<LocalityLoadBalancerSetting>,
        /// Preference for the own zone.
        zone_aware_lb_setting: Option<ZoneAwareLoadBalancerSetting>,
        /// New endpoints get their share little by little.
        warmup: Option<Warmup>,
        /// The same, with the duration only; deprecated.
        warmup_duration_secs: Option<Duration>,
    }
}

message! {
    /// Shares by the load that endpoints report.
    pub struct BackendUtilization {
        /// How much errors count against an endpoint.
        error_utilization_penalty_percent: Option<f64>,
        /// The reported figures that are used.
        metric_names_for_computing_utilization: Vec<String>,
        /// How long a report counts.
        weight_expiration_period: Option<Duration>,
        /// How long reports are gathered before they count.
        weight_stabilization_period: Option<Duration>,
        /// How often the shares change.
        weight_update_period: Option<Duration>,
    }
}

enumeration! {
    /// An algorithm without further settings.
    pub enum SimpleLoadBalancer {
        /// Least request.
        #[default]
        Unspecified = "UNSPECIFIED" / 0,
        /// Least request; deprecated name.
        LeastConn = "LEAST_CONN" / 1,
        /// Any endpoint.
        Random = "RANDOM" / 2,
        /// The address the client aimed at.
        Passthrough = "PASSTHROUGH" / 3,
        /// One after the other.
        RoundRobin = "ROUND_ROBIN" / 4,
        /// The one of two with fewer requests under way.
        LeastRequest = "LEAST_REQUEST" / 5,
    }
}

message! {
    /// The same endpoint for the same key.
    pub struct ConsistentHash {
        /// The key is a header.
        http_header_name: String,
        /// The key is a cookie.
        http_cookie: Option<HttpCookie>,
        /// The key is the client's address.
        use_source_ip: Option<bool>,
        /// The key is a query parameter.
        http_query_parameter_name: String,
        /// Ketama ring.
        ring_hash: Option<RingHash>,
        /// Maglev table.
        maglev: Option<Maglev>,
        /// The ring's least size; deprecated.
        minimum_ring_size: Option<u64>,
    }
}

message! {
    /// A cookie that is read, and made where it is missing.
    pub struct HttpCookie {
        /// Its name.
        name: String,
        /// Its path.
        path: String,
        /// Its life; zero for a session; not made when absent.
        ttl: Option<Duration>,
        /// Further attributes.
        attributes: Vec<CookieAttribute>,
    }
}

message! {
    /// An attribute of a cookie.
    pub struct CookieAttribute {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    }
}

message! {
    /// A Ketama ring.
    pub struct RingHash {
        /// Its least size; 1024 when absent.
        minimum_ring_size: Option<u64>,
    }
}

message! {
    /// A Maglev table.
    pub struct Maglev {
        /// Its size, a prime; 65537 when absent.
        table_size: Option<u64>,
    }
}

message! {
    /// Preference by place.
    pub struct LocalityLoadBalancerSetting {
        /// Fixed shares.
        distribute: Vec<LocalityDistribute>,
        /// Where traffic goes when a region fails.
        failover: Vec<LocalityFailover>,
        /// Preference by labels.
        failover_priority: Vec<String>,
        /// Whether place counts at all; it does when absent.
        enabled: Option<bool>,
    }
}

message! {
    /// Fixed shares for clients in one place.
    pub struct LocalityDistribute {
        /// The clients' place.
        from: String,
        /// Shares by place, in percent.
        to: IndexMap<String, u32>,
    }
}

message! {
    /// Where traffic goes when a region fails.
    pub struct LocalityFailover {
        /// The region.
        from: String,
        /// The region instead.
        to: String,
    }
}

message! {
    /// Preference for the own zone.
    pub struct ZoneAwareLoadBalancerSetting {
        /// Whether it is on.
        enabled: Option<bool>,
        /// Where traffic goes when a region fails.
        failover: Vec<LocalityFailover>,
        /// Preference by labels.
        failover_priority: Vec<String>,
        /// The least number of endpoints; 6 when absent.
        min_cluster_size: Option<u64>,
    }
}

message! {
    /// New endpoints get their share little by little.
    pub struct Warmup {
        /// How long.
        duration: Option<Duration>,
        /// The share they start with; 10 when absent.
        minimum_percent: Option<f64>,
        /// The shape of the curve; 1, a straight line, when absent.
        aggression: Option<f64>,
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
        /// How long a connection is used.
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
        /// How many may wait for a connection.
        http1_max_pending_requests: Option<i32>,
        /// How many may be under way, whatever the protocol.
        http2_max_requests: Option<i32>,
        /// How many a connection serves.
        max_requests_per_connection: Option<i32>,
        /// How many retries may be under way.
        max_retries: Option<i32>,
        /// How long a connection may lie idle.
        idle_timeout: Option<Duration>,
        /// Whether HTTP/1.1 becomes HTTP/2 on the way.
        h2_upgrade_policy: Option<H2UpgradePolicy>,
        /// Whether the client's own protocol is used.
        use_client_protocol: Option<bool>,
        /// Streams on one HTTP/2 connection.
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
