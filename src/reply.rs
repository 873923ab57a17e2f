//! Answers given without asking an upstream, in HTTP's words or in gRPC's.
//!
//! Everything that refuses a request does it here, so that refusals look alike
//! wherever they come from: status, body text, flags and details are Envoy's.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

use crate::context::ResponseFlags;

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
}

/// A body that can be made from the text of a local answer.
pub trait FromLocalReply {
    /// The body that says `text`; `Bytes::new()` is the empty body.
    fn from_local_reply(text: Bytes) -> Self;
}

impl FromLocalReply for http_body_util::Full<Bytes> {
    fn from_local_reply(text: Bytes) -> Self {
        Self::new(text)
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
            headers.insert(GRPC_STATUS, grpc_status(self.status).into());
            if let Ok(message) = HeaderValue::try_from(percent_encode(&self.body))
                && !self.body.is_empty()
            {
                headers.insert(GRPC_MESSAGE, message);
            }
        } else if !self.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            headers.insert(CONTENT_LENGTH, self.body.len().into());
            text = match self.body {
                Cow::Borrowed(text) => Bytes::from_static(text.as_bytes()),
                Cow::Owned(text) => Bytes::from(text),
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
        response
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

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | 0..=0x1f | 0x7f.. => {
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
            print(true, StatusCode::SERVICE_UNAVAILABLE, "50% é").await,
            r#"200 NR Some("application/grpc") Some("14") Some("50%25 %C3%A9") b"""#
        );
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
