//! Entries as events of `tracing`.

use tracing::field::Empty;

use super::{AccessLog, AccessLogEntry};

/// Makes each entry an event: level `INFO`, target `tower_mesh::access`.
///
/// Its fields are the entry's, by their names; what is not known is left out. `duration` is in
/// milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Events;

impl AccessLog for Events {
    #[inline]
    fn is_enabled(&self) -> bool {
        tracing::enabled!(target: "tower_mesh::access", tracing::Level::INFO)
    }

    fn write(&self, entry: &AccessLogEntry) {
        tracing::info!(
            target: "tower_mesh::access",
            authority = entry.authority.as_deref(),
            bytes_received = entry.bytes_received,
            bytes_sent = entry.bytes_sent,
            connection_termination_details = Empty,
            downstream_local_address = entry.downstream_local_address.as_deref(),
            downstream_remote_address = entry.downstream_remote_address.as_deref(),
            duration = entry.duration_millis(),
            method = entry.method.as_str(),
            path = entry.path.as_deref(),
            protocol = entry.protocol,
            request_id = entry.request_id.as_deref(),
            requested_server_name = Empty,
            response_code = entry.response_code,
            response_code_details = entry.response_code_details.as_deref(),
            response_flags = %entry.response_flags,
            route_name = entry.route_name.as_deref(),
            start_time = entry.start_time_text().as_str(),
            upstream_cluster = entry.upstream_cluster.as_deref(),
            upstream_host = entry.upstream_host.as_deref(),
            upstream_local_address = Empty,
            upstream_request_attempt_count = entry.upstream_request_attempt_count,
            upstream_service_time = entry.upstream_service_time.as_deref(),
            upstream_transport_failure_reason = entry.upstream_transport_failure_reason.as_deref(),
            user_agent = entry.user_agent.as_deref(),
            x_forwarded_for = entry.x_forwarded_for.as_deref(),
        );
    }
}
