//! `LoadBalancerSettings`: how an endpoint of a host is chosen.

use std::time::Duration;

use indexmap::IndexMap;

use super::message::{enumeration, message};

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
