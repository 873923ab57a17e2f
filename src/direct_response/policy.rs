//! What is answered, prepared once.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{Request, Response, StatusCode};

use crate::context::ResponseFlags;
use crate::reply::{FromLocalReply, LocalReply, is_grpc, percent_encode};
use crate::request_url::RequestUrl;

/// A setting that no direct response can have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDirectResponse {
    /// A status that is not an answer's.
    #[error("HTTP status {0} is not in range 200-599")]
    Status(u32),
    /// A body of more than 1 MiB.
    #[error("large direct_responses may impact control plane performance, must be less than 1MB")]
    TooLarge,
}

/// One answer to all requests.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DirectResponsePolicy {
    status: StatusCode,
    body: Bytes,
    grpc_message: Option<HeaderValue>,
}

impl DirectResponsePolicy {
    /// The size a body may have: 1 MiB.
    pub const MAX_BODY: usize = 1024 * 1024;

    /// An answer of this status, from 200 to 599, with this body of at most 1 MiB.
    ///
    /// # Errors
    ///
    /// For another status, or a larger body.
    pub fn new(status: StatusCode, body: impl Into<Bytes>) -> Result<Self, InvalidDirectResponse> {
        if !(200..600).contains(&status.as_u16()) {
            return Err(InvalidDirectResponse::Status(status.as_u16().into()));
        }
        let body = body.into();
        if body.len() > Self::MAX_BODY {
            return Err(InvalidDirectResponse::TooLarge);
        }
        let message = HeaderValue::try_from(percent_encode(&body)).ok();
        Ok(Self {
            status,
            grpc_message: message.filter(|it| !it.is_empty()),
            body,
        })
    }

    /// The status of the answer to an HTTP request.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The body of the answer to an HTTP request.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether the answer names the address of the request.
    #[must_use]
    pub fn names_location(&self) -> bool {
        self.status == StatusCode::CREATED || self.status.is_redirection()
    }

    /// The answer to a request.
    pub(super) fn answer<B, R: FromLocalReply>(&self, request: &Request<B>) -> Response<R> {
        const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

        let grpc = is_grpc(request.headers());
        let reply = LocalReply::new(self.status, ResponseFlags::NONE).details("direct_response");
        let mut response = reply.into_response(grpc);
        let headers = response.headers_mut();
        if self.names_location()
            && let Ok(location) = HeaderValue::try_from(RequestUrl::of(request).to_string())
        {
            headers.insert(LOCATION, location);
        }
        if grpc {
            if let Some(message) = &self.grpc_message {
                headers.insert(GRPC_MESSAGE, message.clone());
            }
        } else if !self.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            headers.insert(CONTENT_LENGTH, self.body.len().into());
            *response.body_mut() = R::from_local_reply(self.body.clone());
        }
        response
    }
}
