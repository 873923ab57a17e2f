//! The DestinationRule that sets every field.

use std::time::Duration;

use tower_mesh::api::{
    BackendUtilization, ClientSelector, ClientTlsMode, ClientTlsSettings, ConnectionPoolSettings,
    ConsistentHash, CookieAttribute, DestinationRule, H2UpgradePolicy, Http2KeepAlive,
    HttpConnectionPool, HttpCookie, LoadBalancerSettings, LocalityDistribute, LocalityFailover,
    LocalityLoadBalancerSetting, Maglev, OutlierDetection, PortSelector, PortTrafficPolicy,
    ProxyProtocol, ProxyProtocolVersion, RetryBudget, RingHash, SimpleLoadBalancer, Subset,
    TcpConnectionPool, TcpKeepalive, TrafficPolicy, Tunnel, Warmup, ZoneAwareLoadBalancerSetting,
};

use super::{labels, map, message, millis, seconds, texts};

fn simple(simple: SimpleLoadBalancer) -> Option<LoadBalancerSettings> {
    Some(message!(LoadBalancerSettings {
        simple: Some(simple),
    }))
}

fn failover(from: &str, to: &str) -> Vec<LocalityFailover> {
    vec![message!(LocalityFailover {
        from: from.to_owned(),
        to: to.to_owned(),
    })]
}

fn consistent_hash() -> ConsistentHash {
    message!(ConsistentHash {
        http_header_name: "x-user".into(),
        http_cookie: Some(message!(HttpCookie {
            name: "session".into(),
            path: "/shop".into(),
            ttl: Some(Duration::ZERO),
            attributes: vec![message!(CookieAttribute {
                name: "SameSite".into(),
                value: "Strict".into(),
            })],
        })),
        use_source_ip: Some(true),
        http_query_parameter_name: "user".into(),
        ring_hash: Some(message!(RingHash {
            minimum_ring_size: Some(2048),
        })),
        maglev: Some(message!(Maglev {
            table_size: Some(65537),
        })),
        minimum_ring_size: Some(512),
    })
}

fn load_balancer() -> LoadBalancerSettings {
    message!(LoadBalancerSettings {
        simple: Some(SimpleLoadBalancer::RoundRobin),
        consistent_hash: Some(consistent_hash()),
        backend_utilization: Some(message!(BackendUtilization {
            error_utilization_penalty_percent: Some(1.5),
            metric_names_for_computing_utilization: texts(["cpu"]),
            weight_expiration_period: seconds(180),
            weight_stabilization_period: seconds(10),
            weight_update_period: seconds(1),
        })),
        locality_lb_setting: Some(message!(LocalityLoadBalancerSetting {
            distribute: vec![message!(LocalityDistribute {
                from: "eu/a/*".into(),
                to: map([("eu/a/*", 80), ("eu/b/*", 20)]),
            })],
            failover: failover("eu", "us"),
            failover_priority: texts(["topology.istio.io/network"]),
            enabled: Some(true),
        })),
        zone_aware_lb_setting: Some(message!(ZoneAwareLoadBalancerSetting {
            enabled: Some(true),
            failover: failover("us", "eu"),
            failover_priority: texts(["app"]),
            min_cluster_size: Some(9),
        })),
        warmup: Some(message!(Warmup {
            duration: seconds(30),
            minimum_percent: Some(5.0),
            aggression: Some(1.5),
        })),
        warmup_duration_secs: seconds(45),
    })
}

fn connection_pool() -> ConnectionPoolSettings {
    message!(ConnectionPoolSettings {
        tcp: Some(message!(TcpConnectionPool {
            max_connections: Some(100),
            connect_timeout: millis(30),
            tcp_keepalive: Some(message!(TcpKeepalive {
                probes: Some(5),
                time: seconds(7200),
                interval: seconds(75),
            })),
            max_connection_duration: seconds(3600),
            idle_timeout: Some(Duration::ZERO),
        })),
        http: Some(message!(HttpConnectionPool {
            http1_max_pending_requests: Some(10),
            http2_max_requests: Some(20),
            max_requests_per_connection: Some(30),
            max_retries: Some(4),
            idle_timeout: seconds(300),
            h2_upgrade_policy: Some(H2UpgradePolicy::Upgrade),
            use_client_protocol: Some(true),
            max_concurrent_streams: Some(50),
            http2_keep_alive: Some(message!(Http2KeepAlive {
                interval: seconds(20),
                timeout: seconds(4),
            })),
        })),
    })
}

fn port_level() -> PortTrafficPolicy {
    message!(PortTrafficPolicy {
        port: Some(message!(PortSelector { number: 80 })),
        load_balancer: simple(SimpleLoadBalancer::LeastRequest),
        connection_pool: Some(message!(ConnectionPoolSettings {
            tcp: Some(message!(TcpConnectionPool {
                max_connections: Some(7),
            })),
        })),
        outlier_detection: Some(message!(OutlierDetection {
            interval: seconds(1),
        })),
        tls: Some(message!(ClientTlsSettings {
            mode: ClientTlsMode::Simple,
        })),
    })
}

fn traffic_policy() -> TrafficPolicy {
    message!(TrafficPolicy {
        load_balancer: Some(load_balancer()),
        connection_pool: Some(connection_pool()),
        outlier_detection: Some(message!(OutlierDetection {
            consecutive_errors: Some(1),
            split_external_local_origin_errors: Some(true),
            consecutive_local_origin_failures: Some(2),
            consecutive_gateway_errors: Some(3),
            consecutive_5xx_errors: Some(4),
            interval: seconds(300),
            base_ejection_time: seconds(600),
            max_ejection_percent: Some(60),
            min_health_percent: Some(70),
            outlier_detection_http_error_codes: vec![500, 429],
        })),
        tls: Some(message!(ClientTlsSettings {
            mode: ClientTlsMode::Mutual,
            client_certificate: "/etc/certs/cert.pem".into(),
            private_key: "/etc/certs/key.pem".into(),
            ca_certificates: "/etc/certs/ca.pem".into(),
            credential_name: "reviews-secret".into(),
            subject_alt_names: texts(["spiffe://shop/reviews"]),
            sni: "reviews.example.com".into(),
            insecure_skip_verify: Some(true),
            ca_crl: "/etc/certs/crl.pem".into(),
        })),
        port_level_settings: vec![port_level()],
        tunnel: Some(message!(Tunnel {
            protocol: "POST".into(),
            target_host: "far.example.com".into(),
            target_port: 8443,
        })),
        proxy_protocol: Some(message!(ProxyProtocol {
            version: ProxyProtocolVersion::V2,
        })),
        retry_budget: Some(message!(RetryBudget {
            percent: Some(25.5),
            min_retry_concurrency: Some(6),
            budget_interval: seconds(10),
        })),
    })
}

pub(crate) fn destination_rule() -> DestinationRule {
    message!(DestinationRule {
        host: "reviews".into(),
        export_to: texts(["*"]),
        workload_selector: Some(message!(ClientSelector {
            match_labels: labels([("app", "web")]),
        })),
        subsets: vec![message!(Subset {
            name: "v1".into(),
            labels: labels([("version", "v1")]),
            traffic_policy: Some(message!(TrafficPolicy {
                load_balancer: simple(SimpleLoadBalancer::Random),
            })),
        })],
        traffic_policy: Some(traffic_policy()),
    })
}
