//! Answers given without asking an upstream, in HTTP's words or in gRPC's.
//!
//! Everything that refuses a request does it here, so that refusals look alike
//! wherever they come from: status, body text, flags and details are Envoy's.

mod adapt;
mod guarded;
mod last;

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

pub use adapt::{ReplyBody, ReplyBodyFuture, ReplyBodyLayer, WithReplyBody};
pub use guarded::GuardedBody;
pub(crate) use last::LastHeaders;

use crate::context::ResponseFlags;
use crate::failure::Failure;

/// A local answer: what is said to the client, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LocalReply {
    /// The HTTP status; for a gRPC request it becomes a gRPC status.
    pub status: StatusCode,
    /// The reason in two letters.
    pub flags: ResponseFlags,
    /// The body, or the gRPC message.
    pub body: Cow<'static, str>,
    /// Envoy's `%RESPONSE_CODE_DETAILS%`.
    pub details: Cow<'static, str>,
    /// What kept the upstream from answering, where one was asked.
    pub failure: Option<Failure>,
    /// The gRPC status a gRPC request is answered with, where `status` does not say it.
    pub grpc_status: Option<u16>,
}

/// A body that can be made from the text of a local answer.
///
/// | Body | How |
/// |---|---|
/// | whatever is `From<Bytes>`: `Full<Bytes>`, axum's, reqwest's, this crate's [`Body`](crate::body::Body) | at once |
/// | one of your own | implement this |
/// | hyper's `Incoming`, tonic's, `BoxBody`, `UnsyncBoxBody`, `Empty` | [`ReplyBodyLayer`] around the service |
pub trait FromLocalReply {
    /// The body that says `text`; `Bytes::new()` is the empty body.
    fn from_local_reply(text: Bytes) -> Self;
}

impl<B: From<Bytes>> FromLocalReply for B {
    fn from_local_reply(text: Bytes) -> Self {
        text.into()
    }
}

impl LocalReply {
    /// An answer of this status, with these flags, an empty body and no details.
    #[must_use]
    pub const fn new(status: StatusCode, flags: ResponseFlags) -> Self {
        Self {
            status,
            flags,
            body: Cow::Borrowed(""),
            details: Cow::Borrowed(""),
            failure: None,
            grpc_status: None,
        }
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Cow<'static, str>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with details.
    #[must_use]
    pub fn details(mut self, details: impl Into<Cow<'static, str>>) -> Self {
        self.details = details.into();
        self
    }

    /// Whether it says that something failed, rather than what a rule asks for.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        let by_rule = ResponseFlags::FAULT_INJECTED.union(ResponseFlags::DELAY_INJECTED);
        !self.flags.is_empty() && !self.flags.intersects(by_rule)
    }

    /// Whether it was given after the request had been handed to an upstream.
    #[must_use]
    pub fn took_the_request(&self) -> bool {
        let late = ResponseFlags::UPSTREAM_REQUEST_TIMEOUT;
        self.failure.is_some() || self.flags.contains(late)
    }

    /// The reply a response was made from; nothing for an upstream's response.
    #[must_use]
    pub fn of<B>(response: &Response<B>) -> Option<&Self> {
        response.extensions().get()
    }

    /// The response to an HTTP request, or to a gRPC request if `grpc`.
    ///
    /// A gRPC request is answered with trailers only: status 200, the reason in
    /// `grpc-status`, the body's text percent-encoded in `grpc-message`.
    #[must_use]
    pub fn into_response<B: FromLocalReply>(self, grpc: bool) -> Response<B> {
        const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
        const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

        let mut headers = HeaderMap::new();
        let mut status = self.status;
        let mut text = Bytes::new();
        if grpc {
            status = StatusCode::OK;
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            let code = self.grpc_status.unwrap_or(grpc_status(self.status));
            headers.insert(GRPC_STATUS, code.into());
            if let Ok(message) = HeaderValue::try_from(percent_encode(self.body.as_bytes()))
                && !self.body.is_empty()
            {
                headers.insert(GRPC_MESSAGE, message);
            }
        } else if !self.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            headers.insert(CONTENT_LENGTH, self.body.len().into());
            text = match &self.body {
                Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
                Cow::Owned(text) => Bytes::copy_from_slice(text.as_bytes()),
            };
        }
        if self.flags.contains(ResponseFlags::UPSTREAM_OVERFLOW) {
            const OVERLOADED: HeaderName = HeaderName::from_static("x-envoy-overloaded");
            headers.insert(OVERLOADED, HeaderValue::from_static("true"));
        }
        let mut response = Response::new(B::from_local_reply(text));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.extensions_mut().insert(self.flags);
        response.extensions_mut().insert(self);
        response
    }

    /// The answer to a request that a route's time was up for; `details` say which time. A gRPC
    /// call is told that its deadline was exceeded, if so wanted, else that nobody was available.
    pub(crate) fn upstream_request_timeout(details: &'static str, deadline_exceeded: bool) -> Self {
        const DEADLINE_EXCEEDED: u16 = 4;
        let flags = ResponseFlags::UPSTREAM_REQUEST_TIMEOUT;
        let mut reply = Self::new(StatusCode::GATEWAY_TIMEOUT, flags)
            .body("upstream request timeout")
            .details(details);
        reply.grpc_status = deadline_exceeded.then_some(DEADLINE_EXCEEDED);
        reply
    }

    /// The answer to a request whose body outgrew what is kept of it while another try was awaited.
    pub(crate) fn body_too_long_to_retry() -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, ResponseFlags::NONE)
            .body("exceeded request buffer limit while retrying upstream")
            .details("request_payload_exceeded_retry_buffer_limit")
    }

    /// What a log tells of a response that broke off in its midst.
    pub(crate) fn reset_after_response(failure: Failure) -> Self {
        let (status, flags, reason) = describe(&failure);
        let reason = reason.replace(' ', "_");
        let details = format!("upstream_reset_after_response_started{{{reason}}}");
        let mut reply = Self::new(status, flags).details(details);
        reply.failure = Some(failure);
        reply
    }

    /// The answer for an upstream that did not answer; `retried` if it was asked more than once.
    #[must_use]
    pub fn for_failure(failure: Failure, retried: bool) -> Self {
        let (status, flags, reason) = describe(&failure);
        let detail = match &failure {
            Failure::Connect(why) => {
                let why = why.replace(char::is_whitespace, "_");
                format!("remote_connection_failure|delayed_connect_error:_{why}")
            }
            Failure::Tls(why) => {
                let why = why.replace(char::is_whitespace, "_");
                format!("remote_connection_failure|TLS_error:_{why}")
            }
            _ => reason.replace(' ', "_"),
        };
        let again = if retried {
            "retried and the latest "
        } else {
            ""
        };
        let body = format!(
            "upstream connect error or disconnect/reset before headers. \
             {again}reset reason: {reason}"
        );
        let mut reply = Self::new(status, flags).body(body).details(format!(
            "upstream_reset_before_response_started{{{detail}}}"
        ));
        reply.failure = Some(failure);
        reply
    }
}

/// Status, flag and reason a failure of an upstream is told by.
const fn describe(failure: &Failure) -> (StatusCode, ResponseFlags, &'static str) {
    match failure {
        Failure::Connect(_) | Failure::Tls(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            ResponseFlags::UPSTREAM_CONNECTION_FAILURE,
            "remote connection failure",
        ),
        Failure::ConnectTimeout => (
            StatusCode::SERVICE_UNAVAILABLE,
            ResponseFlags::UPSTREAM_CONNECTION_FAILURE,
            "connection timeout",
        ),
        Failure::Terminated => (
            StatusCode::SERVICE_UNAVAILABLE,
            ResponseFlags::UPSTREAM_CONNECTION_TERMINATION,
            "connection termination",
        ),
        Failure::Reset => (
            StatusCode::SERVICE_UNAVAILABLE,
            ResponseFlags::UPSTREAM_REMOTE_RESET,
            "remote reset",
        ),
        Failure::RefusedStream => (
            StatusCode::SERVICE_UNAVAILABLE,
            ResponseFlags::UPSTREAM_REMOTE_RESET,
            "remote refused stream reset",
        ),
        Failure::Protocol => (
            StatusCode::BAD_GATEWAY,
            ResponseFlags::UPSTREAM_PROTOCOL_ERROR,
            "protocol error",
        ),
        Failure::LocalReset => (
            StatusCode::SERVICE_UNAVAILABLE,
            ResponseFlags::LOCAL_RESET,
            "local reset",
        ),
        Failure::Overflow => (
            StatusCode::SERVICE_UNAVAILABLE,
            ResponseFlags::UPSTREAM_OVERFLOW,
            "overflow",
        ),
    }
}

/// Whether a request is a gRPC call: `application/grpc` or `application/grpc+…`, not grpc-web.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let subtype = headers
        .get(CONTENT_TYPE)
        .and_then(|it| it.as_bytes().strip_prefix(b"application/grpc"));
    matches!(subtype, Some([] | [b'+', ..]))
}

/// What an HTTP status means to a gRPC client, as Envoy sees it.
const fn grpc_status(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 => 13,                   // INTERNAL
        401 => 16,                   // UNAUTHENTICATED
        403 => 7,                    // PERMISSION_DENIED
        404 => 12,                   // UNIMPLEMENTED
        429 | 502 | 503 | 504 => 14, // UNAVAILABLE
        _ => 2,                      // UNKNOWN
    }
}

/// The form text has in `grpc-message`; like Envoy it spares nothing from `~` on.
pub(crate) fn percent_encode(text: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'%' | 0..=0x1f | b'~'.. => {
                // Writing to a String cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
            _ => encoded.push(char::from(byte)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Response, StatusCode};
    use http_body_util::{BodyExt as _, Full};

    use super::{LocalReply, is_grpc};
    use crate::context::ResponseFlags;

    async fn print(grpc: bool, status: StatusCode, body: &'static str) -> String {
        let reply = LocalReply::new(status, ResponseFlags::NO_ROUTE_FOUND).body(body);
        let response: Response<Full<Bytes>> = reply.into_response(grpc);
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("in memory").to_bytes();
        let header = |name| parts.headers.get(name).map(|it| it.to_str().expect("text"));
        let flags = parts.extensions.get::<ResponseFlags>().expect("noted");
        format!(
            "{} {flags} {:?} {:?} {:?} {body:?}",
            parts.status.as_u16(),
            header("content-type"),
            header("grpc-status"),
            header("grpc-message"),
        )
    }

    #[tokio::test]
    async fn speaks_the_language_of_the_request() {
        assert_eq!(
            print(false, StatusCode::NOT_FOUND, "").await,
            r#"404 NR None None None b"""#
        );
        assert_eq!(
            print(false, StatusCode::SERVICE_UNAVAILABLE, "gone").await,
            r#"503 NR Some("text/plain") None None b"gone""#
        );
        assert_eq!(
            print(true, StatusCode::NOT_FOUND, "").await,
            r#"200 NR Some("application/grpc") Some("12") None b"""#
        );
        assert_eq!(
            print(true, StatusCode::SERVICE_UNAVAILABLE, "~50% é").await,
            r#"200 NR Some("application/grpc") Some("14") Some("%7E50%25 %C3%A9") b"""#
        );
    }

    #[test]
    fn a_grpc_status_of_its_own_is_for_grpc_requests_only() {
        let mut reply = LocalReply::new(StatusCode::OK, ResponseFlags::FAULT_INJECTED).body("no");
        reply.grpc_status = Some(5);
        let to_grpc: Response<Full<Bytes>> = reply.clone().into_response(true);
        assert_eq!(to_grpc.headers()["grpc-status"], "5");
        let to_http: Response<Full<Bytes>> = reply.into_response(false);
        assert_eq!(to_http.status(), StatusCode::OK);
        assert!(!to_http.headers().contains_key("grpc-status"));
    }

    #[test]
    fn statuses_map_as_envoy_maps_them() {
        let map = |status| super::grpc_status(StatusCode::from_u16(status).expect("valid"));
        let mapped = [400, 401, 403, 404, 429, 502, 503, 504, 200, 301, 500, 501].map(map);
        assert_eq!(mapped, [13, 16, 7, 12, 14, 14, 14, 14, 2, 2, 2, 2]);
    }

    #[test]
    fn grpc_is_told_by_its_content_type() {
        let check = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", value.parse().expect("valid"));
            is_grpc(&headers)
        };
        assert!(check("application/grpc"));
        assert!(check("application/grpc+proto"));
        assert!(!check("application/grpc-web"));
        assert!(!check("application/json"));
    }
}
