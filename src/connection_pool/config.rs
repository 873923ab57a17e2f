//! From `ConnectionPoolSettings` and `RetryBudget` as written to settings and limits.

use std::time::Duration;

use crate::api;
use crate::connection::{ConnectionSettings, Http2KeepAlive, TcpKeepalive, UpstreamProtocol};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::duration;
use crate::limits::{Limits, MostAtATime, RetryBudget};

/// What a destination's connection pool says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    pub(crate) connections: ConnectionSettings,
    /// What is spoken, where it is not what the port says.
    pub(crate) protocol: Option<UpstreamProtocol>,
}

/// Compiles what holds for a destination; nothing where nothing is written. What was under way
/// `before` goes on counting.
pub(crate) fn compile(
    pool: Option<&api::ConnectionPoolSettings>,
    budget: Option<&api::RetryBudget>,
    before: Option<&Limits>,
) -> Option<Settings> {
    if pool.is_none() && budget.is_none() {
        return None;
    }
    let mut settings = Settings::default();
    let connections = &mut settings.connections;
    let mut most = MostAtATime::default();
    if let Some(tcp) = pool.and_then(|pool| pool.tcp.as_ref()) {
        most.connections = limit(tcp.max_connections);
        connections.connect_timeout = tcp.connect_timeout.unwrap_or(connections.connect_timeout);
        connections.max_connection_duration = tcp.max_connection_duration;
        connections.idle_timeout = idle(tcp.idle_timeout, connections.idle_timeout);
        connections.tcp_keepalive = tcp.tcp_keepalive.as_ref().map(keepalive);
    }
    if let Some(http) = pool.and_then(|pool| pool.http.as_ref()) {
        most.pending = limit(http.http1_max_pending_requests);
        most.requests = limit(http.http2_max_requests);
        most.retries = limit(http.max_retries);
        connections.max_requests_per_connection = limit(http.max_requests_per_connection);
        connections.max_concurrent_streams = limit(http.max_concurrent_streams);
        connections.idle_timeout = idle(http.idle_timeout, connections.idle_timeout);
        let pings = http.http2_keep_alive.as_ref();
        connections.http2_keep_alive =
            pings.and_then(|it| Some(Http2KeepAlive::new(it.interval?, it.timeout?)));
        if http.use_client_protocol == Some(true) {
            settings.protocol = Some(UpstreamProtocol::AsRequested);
        } else if http.h2_upgrade_policy == Some(api::H2UpgradePolicy::Upgrade) {
            settings.protocol = Some(UpstreamProtocol::Http2);
        }
    }
    if let Some(budget) = budget {
        let default = RetryBudget::default();
        let mut compiled = default;
        compiled.percent = budget.percent.unwrap_or(default.percent);
        let least = budget.min_retry_concurrency;
        compiled.min_retry_concurrency = least.unwrap_or(default.min_retry_concurrency);
        compiled.interval = budget.budget_interval.unwrap_or_default();
        most.retry_budget = Some(compiled);
    }
    if most != MostAtATime::default() {
        let limits = Limits::new(most);
        settings.connections.limits = Some(match before {
            Some(before) => limits.counting_with(before),
            None => limits,
        });
    }
    Some(settings)
}

/// Zero and below are no limit.
fn limit(written: Option<i32>) -> Option<u32> {
    let limit = written.and_then(|it| u32::try_from(it).ok());
    limit.filter(|it| *it > 0)
}

/// Zero is for ever; what is not written is as before.
fn idle(written: Option<Duration>, before: Option<Duration>) -> Option<Duration> {
    match written {
        None => before,
        Some(written) => Some(written).filter(|it| !it.is_zero()),
    }
}

/// Whole seconds count.
fn keepalive(written: &api::TcpKeepalive) -> TcpKeepalive {
    let seconds = |it: Duration| Duration::from_secs(it.as_secs());
    TcpKeepalive {
        probes: written.probes.filter(|it| *it > 0),
        time: written.time.map(seconds).filter(|it| !it.is_zero()),
        interval: written.interval.map(seconds).filter(|it| !it.is_zero()),
    }
}

/// Says what is wrong with a connection pool, in Istio's words.
pub(crate) fn check(written: &api::ConnectionPoolSettings, at: At<'_>, found: &mut Diagnostics) {
    if written.tcp.is_none() && written.http.is_none() {
        let message = "connection pool must have at least one field";
        found.push(Diagnostic::new(Code::MissingField, at, message));
    }
    let mut refuse = |at: At<'_>, message: &str| {
        found.push(Diagnostic::new(Code::InvalidValue, at, message));
    };
    let negative = |number: Option<i32>| number.is_some_and(|it| it < 0);
    if let Some(tcp) = &written.tcp {
        let at = at.field("tcp");
        if negative(tcp.max_connections) {
            let at = at.field("maxConnections");
            refuse(at, "max connections must be non-negative");
        }
        for (field, written) in [
            ("connectTimeout", tcp.connect_timeout),
            ("maxConnectionDuration", tcp.max_connection_duration),
            ("idleTimeout", tcp.idle_timeout.filter(|it| !it.is_zero())),
        ] {
            if let Some(refusal) = written.and_then(duration::refusal) {
                refuse(at.field(field), refusal);
            }
        }
    }
    let Some(http) = &written.http else { return };
    let at = at.field("http");
    for (field, number, name) in [
        (
            "http1MaxPendingRequests",
            http.http1_max_pending_requests,
            "http1 max pending requests",
        ),
        (
            "http2MaxRequests",
            http.http2_max_requests,
            "http2 max requests",
        ),
        (
            "maxRequestsPerConnection",
            http.max_requests_per_connection,
            "max requests per connection",
        ),
        ("maxRetries", http.max_retries, "max retries"),
        (
            "maxConcurrentStreams",
            http.max_concurrent_streams,
            "max concurrent streams",
        ),
    ] {
        if negative(number) {
            let message = format!("{name} must be non-negative");
            refuse(at.field(field), &message);
        }
    }
    let idle = http.idle_timeout.filter(|it| !it.is_zero());
    if let Some(refusal) = idle.and_then(duration::refusal) {
        refuse(at.field("idleTimeout"), refusal);
    }
    let upgrade = http.h2_upgrade_policy == Some(api::H2UpgradePolicy::Upgrade);
    if upgrade && http.use_client_protocol == Some(true) {
        let message = "use client protocol must not be true when H2UpgradePolicy is UPGRADE";
        refuse(at.field("useClientProtocol"), message);
    }
    if let Some(pings) = &http.http2_keep_alive {
        let at = at.field("http2KeepAlive");
        if pings.interval.is_none() {
            refuse(at, "http2 keepalive interval is required");
        }
        if pings.timeout.is_none() {
            refuse(at, "http2 keepalive timeout is required");
        }
    }
}

/// Says what is wrong with a retry budget.
pub(crate) fn check_budget(written: &api::RetryBudget, at: At<'_>, found: &mut Diagnostics) {
    if let Some(percent) = written.percent
        && !(0.0..=100.0).contains(&percent)
    {
        let message = format!("percentage {percent} is not in range 0..100");
        let at = at.field("percent");
        found.push(Diagnostic::new(Code::InvalidValue, at, message));
    }
}
