//! `TrafficPolicy`: connection pools, outlier detection, tunnels, settings for single ports.

use super::names::{domain_fault, shortened};
use super::{
    check_duration, check_port, client_tls, exclusive, invalid, load_balancer, missing, tell,
};
use crate::api;
use crate::diagnostic::{At, Code, Diagnostics};
use crate::host;

pub(super) fn check(written: &api::TrafficPolicy, at: At<'_>, found: &mut Diagnostics) {
    if *written == api::TrafficPolicy::default() {
        missing(found, at, "traffic policy must have at least one field");
    }
    check_common(
        written.load_balancer.as_ref(),
        written.connection_pool.as_ref(),
        written.outlier_detection.as_ref(),
        written.tls.as_ref(),
        at,
        found,
    );
    let at_ports = at.field("portLevelSettings");
    if written.port_level_settings.len() > 4096 {
        let message = "a traffic policy has at most 4096 portLevelSettings";
        invalid(found, at_ports, message);
    }
    for (n, port) in written.port_level_settings.iter().enumerate() {
        let at = at_ports.item(n);
        match &port.port {
            None => missing(
                found,
                at.field("port"),
                "portTrafficPolicy must have valid port",
            ),
            Some(it) if !(1..=65_535).contains(&it.number) => {
                let at = at.field("port");
                let message = "portTrafficPolicy must have valid port";
                invalid(found, at.field("number"), message);
            }
            Some(_) => {}
        }
        let alone = api::PortTrafficPolicy {
            port: port.port.clone(),
            ..api::PortTrafficPolicy::default()
        };
        if *port == alone {
            missing(
                found,
                at,
                "port traffic policy must have at least one field",
            );
        }
        let mut before = written.port_level_settings.iter().take(n);
        if before.any(|it| it.port == port.port) && port.port.is_some() {
            let message = "a second policy for the same port: it has no effect";
            tell(found, Code::NeverFires, at.field("port"), message);
        }
        check_common(
            port.load_balancer.as_ref(),
            port.connection_pool.as_ref(),
            port.outlier_detection.as_ref(),
            port.tls.as_ref(),
            at,
            found,
        );
    }
    check_tunnel(written, at, found);
    if let Some(budget) = &written.retry_budget
        && let Some(percent) = budget.percent
        && !(0.0..=100.0).contains(&percent)
    {
        let at = at.field("retryBudget");
        let message = format!("percentage {percent} is not in range 0..100");
        invalid(found, at.field("percent"), message);
    }
}

fn check_common(
    balancer: Option<&api::LoadBalancerSettings>,
    pool: Option<&api::ConnectionPoolSettings>,
    outliers: Option<&api::OutlierDetection>,
    tls: Option<&api::ClientTlsSettings>,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    if let Some(balancer) = balancer {
        let detects = outliers.is_some();
        load_balancer::check(balancer, detects, at.field("loadBalancer"), found);
    }
    if let Some(pool) = pool {
        check_pool(pool, at.field("connectionPool"), found);
    }
    if let Some(outliers) = outliers {
        check_outliers(outliers, at.field("outlierDetection"), found);
    }
    if let Some(tls) = tls {
        client_tls::check(tls, at.field("tls"), found);
    }
}

fn check_tunnel(written: &api::TrafficPolicy, at: At<'_>, found: &mut Diagnostics) {
    let Some(tunnel) = &written.tunnel else {
        return;
    };
    if written.proxy_protocol.is_some() {
        let message = "tunnel and proxyProtocol must not be set together";
        exclusive(found, at.field("proxyProtocol"), message);
    }
    let at = at.field("tunnel");
    if !["", "CONNECT", "POST"].contains(&&*tunnel.protocol) {
        let message = "tunnel protocol must be \"CONNECT\" or \"POST\"";
        invalid(found, at.field("protocol"), message);
    }
    let target = tunnel.target_host.as_str();
    if target.is_empty() {
        missing(found, at.field("targetHost"), "targetHost cannot be empty");
    } else if !host::is_address(target)
        && (domain_fault(target, false).is_some() || !target.contains('.'))
    {
        let message = format!(
            "targetHost {:?} must be a FQDN or an IP address",
            shortened(target)
        );
        invalid(found, at.field("targetHost"), message);
    }
    check_port(tunnel.target_port, at.field("targetPort"), found);
}

fn check_pool(written: &api::ConnectionPoolSettings, at: At<'_>, found: &mut Diagnostics) {
    if written.tcp.is_none() && written.http.is_none() {
        missing(found, at, "connection pool must have at least one field");
    }
    let mut count = |written: Option<i32>, at: At<'_>, what: &str| {
        if written.is_some_and(|it| it < 0) {
            invalid(found, at, format!("{what} must be non-negative"));
        }
    };
    if let Some(tcp) = &written.tcp {
        let at = at.field("tcp");
        count(
            tcp.max_connections,
            at.field("maxConnections"),
            "max connections",
        );
    }
    if let Some(http) = &written.http {
        let at = at.field("http");
        for (value, field, what) in [
            (
                http.http1_max_pending_requests,
                "http1MaxPendingRequests",
                "http1 max pending requests",
            ),
            (
                http.http2_max_requests,
                "http2MaxRequests",
                "http2 max requests",
            ),
            (
                http.max_requests_per_connection,
                "maxRequestsPerConnection",
                "max requests per connection",
            ),
            (http.max_retries, "maxRetries", "max retries"),
            (
                http.max_concurrent_streams,
                "maxConcurrentStreams",
                "max concurrent streams",
            ),
        ] {
            count(value, at.field(field), what);
        }
    }
    if let Some(tcp) = &written.tcp {
        let at = at.field("tcp");
        check_duration(tcp.connect_timeout, at.field("connectTimeout"), found);
        check_duration(
            tcp.max_connection_duration,
            at.field("maxConnectionDuration"),
            found,
        );
        if let Some(keepalive) = &tcp.tcp_keepalive {
            let at = at.field("tcpKeepalive");
            for (field, time) in [("time", keepalive.time), ("interval", keepalive.interval)] {
                check_duration(time, at.field(field), found);
                if let Some(time) = time.filter(|it| it.as_millis() > 0 && it.subsec_nanos() > 0) {
                    let message = format!("only whole seconds count: {} of them", time.as_secs());
                    tell(found, Code::NeverFires, at.field(field), message);
                }
            }
        }
    }
    if let Some(http) = &written.http {
        let at = at.field("http");
        check_duration(http.idle_timeout, at.field("idleTimeout"), found);
    }
}

fn check_outliers(written: &api::OutlierDetection, at: At<'_>, found: &mut Diagnostics) {
    check_duration(written.interval, at.field("interval"), found);
    check_duration(
        written.base_ejection_time,
        at.field("baseEjectionTime"),
        found,
    );
    for (field, percent) in [
        ("maxEjectionPercent", written.max_ejection_percent),
        ("minHealthPercent", written.min_health_percent),
    ] {
        if let Some(percent) = percent.filter(|it| !(0..=100).contains(it)) {
            let message = format!("percentage {percent} is not in range 0..100");
            invalid(found, at.field(field), message);
        }
    }
    if written
        .consecutive_local_origin_failures
        .is_some_and(|it| it > 0)
        && written.split_external_local_origin_errors != Some(true)
    {
        let message = "outlier detection consecutive local origin failures is specified, but split \
                       external local origin errors is set to false";
        exclusive(found, at.field("consecutiveLocalOriginFailures"), message);
    }
    let at_codes = at.field("outlierDetectionHttpErrorCodes");
    for (n, code) in written
        .outlier_detection_http_error_codes
        .iter()
        .enumerate()
    {
        if !(100..=599).contains(code) {
            let message = format!("HTTP status {code} is not in range 100-599");
            invalid(found, at_codes.item(n), message);
        }
    }
    if let Some(errors) = written.consecutive_errors {
        let at = at.field("consecutiveErrors");
        if errors < 0 {
            invalid(found, at, "consecutive errors must be non-negative");
        }
        let message = "outlier detection consecutive errors is deprecated, use \
                       consecutiveGatewayErrors or consecutive5xxErrors instead";
        tell(found, Code::Deprecated, at, message);
    }
}
