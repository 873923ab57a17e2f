//! One line of an access log.

use std::time::{Duration, SystemTime};

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::context::ResponseFlags;
use crate::headers::time_of_day;

/// What is told of one request: the fields of Istio's default access log, by their names there.
///
/// It serialises as an object with those keys; `duration` in milliseconds, what is not known as
/// null. Three of Istio's keys are always null, for only a proxy's connections know them:
/// `connection_termination_details`, `requested_server_name` and `upstream_local_address`.
/// `upstream_request_attempt_count` goes beyond Istio's default.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccessLogEntry {
    /// The host the request was for; as the rule has rewritten it, where it was sent on.
    pub authority: Option<String>,
    /// Bytes of the request's body.
    pub bytes_received: u64,
    /// Bytes of the response's body.
    pub bytes_sent: u64,
    /// The server's address, where a [`Connection`](crate::context::Connection) tells it.
    pub downstream_local_address: Option<String>,
    /// Who the request comes from: the last address of `x-forwarded-for` with the port 0, else
    /// who connected, where a [`Connection`](crate::context::Connection) tells it.
    pub downstream_remote_address: Option<String>,
    /// From the request to the last of the response.
    pub duration: Duration,
    /// The request's method.
    pub method: String,
    /// The path with the query, before any rewrite.
    pub path: Option<String>,
    /// `HTTP/1.1` or `HTTP/2`.
    pub protocol: &'static str,
    /// `x-request-id`, which a proxy gives every request.
    pub request_id: Option<String>,
    /// The response's status; 0 where there was none.
    pub response_code: u16,
    /// `via_upstream`, or why there is another answer.
    pub response_code_details: Option<String>,
    /// Flags such as `UF`.
    pub response_flags: ResponseFlags,
    /// The rule's name.
    pub route_name: Option<String>,
    /// When the request came.
    pub start_time: SystemTime,
    /// `outbound|port|subset|host`.
    pub upstream_cluster: Option<String>,
    /// The endpoint of the last try.
    pub upstream_host: Option<String>,
    /// How many tries there were.
    pub upstream_request_attempt_count: u32,
    /// Milliseconds from the request to the head of the endpoint's response, which a proxy tells in
    /// `x-envoy-upstream-service-time`.
    pub upstream_service_time: Option<String>,
    /// Why the endpoint could not be connected to.
    pub upstream_transport_failure_reason: Option<String>,
    /// The request's `user-agent`.
    pub user_agent: Option<String>,
    /// The request's `x-forwarded-for`.
    pub x_forwarded_for: Option<String>,
}

impl AccessLogEntry {
    /// `start_time` as Envoy writes it: `2026-11-26T23:40:34.251Z`.
    #[must_use]
    pub fn start_time_text(&self) -> String {
        time_of_day(self.start_time)
    }

    /// `duration` in whole milliseconds.
    #[must_use]
    pub fn duration_millis(&self) -> u64 {
        u64::try_from(self.duration.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Serialize for AccessLogEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("authority", &self.authority)?;
        map.serialize_entry("bytes_received", &self.bytes_received)?;
        map.serialize_entry("bytes_sent", &self.bytes_sent)?;
        map.serialize_entry("connection_termination_details", &())?;
        map.serialize_entry("downstream_local_address", &self.downstream_local_address)?;
        map.serialize_entry("downstream_remote_address", &self.downstream_remote_address)?;
        map.serialize_entry("duration", &self.duration_millis())?;
        map.serialize_entry("method", &self.method)?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("protocol", self.protocol)?;
        map.serialize_entry("request_id", &self.request_id)?;
        map.serialize_entry("requested_server_name", &())?;
        map.serialize_entry("response_code", &self.response_code)?;
        map.serialize_entry("response_code_details", &self.response_code_details)?;
        map.serialize_entry("response_flags", &self.response_flags.to_string())?;
        map.serialize_entry("route_name", &self.route_name)?;
        map.serialize_entry("start_time", &self.start_time_text())?;
        map.serialize_entry("upstream_cluster", &self.upstream_cluster)?;
        map.serialize_entry("upstream_host", &self.upstream_host)?;
        map.serialize_entry("upstream_local_address", &())?;
        let attempts = &self.upstream_request_attempt_count;
        map.serialize_entry("upstream_request_attempt_count", attempts)?;
        map.serialize_entry("upstream_service_time", &self.upstream_service_time)?;
        let reason = &self.upstream_transport_failure_reason;
        map.serialize_entry("upstream_transport_failure_reason", reason)?;
        map.serialize_entry("user_agent", &self.user_agent)?;
        map.serialize_entry("x_forwarded_for", &self.x_forwarded_for)?;
        map.end()
    }
}
