//! Limits, connections and outliers of a traffic policy as settings of an Envoy cluster.

use std::time::Duration;

use serde_json::{Value, json};
use tower_mesh::api::{
    ClientTlsMode, ClientTlsSettings, ConnectionPoolSettings, H2UpgradePolicy, OutlierDetection,
    PortTrafficPolicy, RetryBudget, Subset, TrafficPolicy,
};

use super::Result;
use super::actions::seconds;

const PROTOCOL: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Writes all blocks but the balancer, which [`balancing`](super::balancing) does.
pub(super) fn write(
    cluster: &mut Value,
    host: Option<&TrafficPolicy>,
    subset: &Subset,
    port: u32,
) -> Result<()> {
    let pool = block(
        host,
        subset,
        port,
        |it| it.connection_pool.clone(),
        |it| it.connection_pool.clone(),
    );
    let outliers = block(
        host,
        subset,
        port,
        |it| it.outlier_detection.clone(),
        |it| it.outlier_detection.clone(),
    );
    let tls = block(host, subset, port, |it| it.tls.clone(), |it| it.tls.clone());
    // A budget has no place in settings for a port, and is gone where those are taken.
    let budget = block(host, subset, port, |it| it.retry_budget.clone(), |_| None);
    for policy in host.into_iter().chain(&subset.traffic_policy) {
        if policy.tunnel.is_some() || policy.proxy_protocol.is_some() {
            return Err("not translated: a tunnel, or a PROXY header".to_owned());
        }
    }
    if let Some(pool) = pool {
        connections(cluster, pool)?;
    }
    if let Some(budget) = budget {
        retry_budget(cluster, &budget);
    }
    if let Some(outliers) = outliers {
        outlier_detection(cluster, &outliers);
    }
    match tls {
        Some(tls) if tls != clear() => Err(format!("not translated: {tls:?}")),
        _ => Ok(()),
    }
}

/// TLS that is turned off, as where nothing is said of it.
///
/// Source: ClientTLSSettings.TLSmode DISABLE.
fn clear() -> ClientTlsSettings {
    let mut clear = ClientTlsSettings::default();
    clear.mode = ClientTlsMode::Disable;
    clear
}

/// Policy merge, block by block and each as a whole: settings for the port stand for the whole of
/// a policy; of a subset's policy the settings for the port, else its own block, else what the
/// host has.
///
/// Source: `util.go GetPortLevelTrafficPolicy`, `MergeSubsetTrafficPolicy`;
/// TrafficPolicy.portLevelSettings, Subset.trafficPolicy.
pub(super) fn block<T>(
    host: Option<&TrafficPolicy>,
    subset: &Subset,
    port: u32,
    of_policy: impl Fn(&TrafficPolicy) -> Option<T>,
    of_port: impl Fn(&PortTrafficPolicy) -> Option<T>,
) -> Option<T> {
    let own = |policy: &TrafficPolicy| {
        let mut settings = policy.port_level_settings.iter();
        let named = settings.find(|it| it.port.as_ref().is_some_and(|it| it.number == port));
        match named {
            Some(settings) => (true, of_port(settings)),
            None => (false, of_policy(policy)),
        }
    };
    let host = host.and_then(|policy| own(policy).1);
    match subset.traffic_policy.as_ref().map(own) {
        Some((true, block)) => block,
        Some((false, block)) => block.or(host),
        None => host,
    }
}

/// Limits of zero and less are none; of both times without a request that of HTTP goes first.
/// Streams and pings are for clusters that speak HTTP/2, of which there are none here.
///
/// Source: `cluster_traffic_policy.go applyConnectionPool`; ConnectionPoolSettings reference;
/// CircuitBreakers.Thresholds, Cluster.connect_timeout, TcpKeepalive, HttpProtocolOptions.
fn connections(cluster: &mut Value, pool: ConnectionPoolSettings) -> Result<()> {
    let (tcp, http) = (pool.tcp.unwrap_or_default(), pool.http.unwrap_or_default());
    for (name, limit) in [
        ("max_connections", tcp.max_connections),
        ("max_pending_requests", http.http1_max_pending_requests),
        ("max_requests", http.http2_max_requests),
        ("max_retries", http.max_retries),
    ] {
        if let Some(limit) = limit.filter(|it| *it > 0) {
            cluster["circuit_breakers"]["thresholds"][0][name] = json!(limit);
        }
    }
    if let Some(time) = tcp.connect_timeout {
        cluster["connect_timeout"] = json!(seconds(time));
    }
    if let Some(keepalive) = tcp.tcp_keepalive {
        let mut to = json!({});
        let whole = |time: Option<Duration>| time.map(|it| it.as_secs());
        for (name, value) in [
            ("keepalive_probes", keepalive.probes.map(u64::from)),
            ("keepalive_time", whole(keepalive.time)),
            ("keepalive_interval", whole(keepalive.interval)),
        ] {
            if let Some(value) = value {
                to[name] = json!(value);
            }
        }
        cluster["upstream_connection_options"] = json!({"tcp_keepalive": to});
    }
    if http.h2_upgrade_policy == Some(H2UpgradePolicy::Upgrade) {
        return Err("not translated: HTTP/2".to_owned());
    }
    let mut common = json!({});
    if let Some(time) = http.idle_timeout.or(tcp.idle_timeout) {
        common["idle_timeout"] = json!(seconds(time));
    }
    if let Some(many) = http.max_requests_per_connection.filter(|it| *it > 0) {
        common["max_requests_per_connection"] = json!(many);
    }
    if let Some(time) = tcp.max_connection_duration {
        common["max_connection_duration"] = json!(seconds(time));
    }
    protocol(cluster)["common_http_protocol_options"] = common;
    if http.use_client_protocol == Some(true) {
        let options = protocol(cluster);
        if let Some(options) = options.as_object_mut() {
            options.remove("explicit_http_config");
        }
        options["use_downstream_protocol_config"] =
            json!({"http_protocol_options": {}, "http2_protocol_options": {}});
    }
    Ok(())
}

/// HTTP/1.1, where nothing says otherwise.
///
/// Source: `cluster_builder.go setUpstreamProtocol`; HttpProtocolOptions.ExplicitHttpConfig.
fn protocol(cluster: &mut Value) -> &mut Value {
    let options = &mut cluster["typed_extension_protocol_options"][PROTOCOL];
    if options.is_null() {
        *options = json!({
            "@type": format!("type.googleapis.com/{PROTOCOL}"),
            "explicit_http_config": {"http_protocol_options": {}},
        });
    }
    options
}

/// Source: `cluster_traffic_policy.go applyRetryBudget`; TrafficPolicy.RetryBudget;
/// CircuitBreakers.Thresholds.RetryBudget.
fn retry_budget(cluster: &mut Value, budget: &RetryBudget) {
    cluster["circuit_breakers"]["thresholds"][0]["retry_budget"] = json!({
        "budget_percent": {"value": budget.percent.unwrap_or(20.0)},
        "min_retry_concurrency": budget.min_retry_concurrency.unwrap_or(3),
    });
}

/// Zero turns a count off; what Envoy does by itself but Istio does not want is off.
///
/// Source: `cluster_traffic_policy.go applyOutlierDetection`; OutlierDetection reference and
/// message.
fn outlier_detection(cluster: &mut Value, outliers: &OutlierDetection) {
    let mut to = json!({"enforcing_success_rate": 0});
    for (name, count) in [
        ("consecutive_5xx", outliers.consecutive_5xx_errors),
        (
            "consecutive_gateway_failure",
            outliers.consecutive_gateway_errors,
        ),
    ] {
        if let Some(count) = count {
            to[name] = json!(count);
            to[format!("enforcing_{name}")] = json!(if count > 0 { 100 } else { 0 });
        }
    }
    if outliers.split_external_local_origin_errors == Some(true) {
        to["split_external_local_origin_errors"] = json!(true);
        to["enforcing_local_origin_success_rate"] = json!(0);
        if let Some(count) = outliers.consecutive_local_origin_failures {
            let name = "consecutive_local_origin_failure";
            to[name] = json!(count);
            to[format!("enforcing_{name}")] = json!(if count > 0 { 100 } else { 0 });
        }
    }
    for (name, time) in [
        ("interval", outliers.interval),
        ("base_ejection_time", outliers.base_ejection_time),
    ] {
        if let Some(time) = time {
            to[name] = json!(seconds(time));
        }
    }
    if let Some(percent) = outliers.max_ejection_percent.filter(|it| *it > 0) {
        to["max_ejection_percent"] = json!(percent);
    }
    cluster["outlier_detection"] = to;
    let panic = outliers.min_health_percent.unwrap_or(0);
    cluster["common_lb_config"]["healthy_panic_threshold"] = json!({"value": panic});
    if !outliers.outlier_detection_http_error_codes.is_empty() {
        let codes = outliers.outlier_detection_http_error_codes.iter();
        let rule = |code: &u32| {
            json!({"http_response_headers_match": {"headers": [
                {"name": ":status", "string_match": {"exact": code.to_string()}},
            ]}})
        };
        let mut rules: Vec<Value> = codes.map(rule).collect();
        // Any of them needs at least two.
        if rules.len() == 1 {
            rules.extend(rules.clone());
        }
        protocol(cluster)["outlier_detection"] =
            json!({"error_matcher": {"or_match": {"rules": rules}}});
    }
}
