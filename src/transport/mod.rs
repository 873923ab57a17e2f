//! The way out: from an endpoint to bytes on a wire.
//!
//! [`Transport`] sends one request to one endpoint. The built-in one (feature
//! `client`) speaks HTTP/1.1 and HTTP/2 over hyper and keeps connections; any tower
//! service can take its place through [`PerEndpoint`], made by a function from
//! the endpoint.

#[cfg(feature = "client")]
mod http;
mod inward;
mod per_endpoint;

use std::future::Future;

use ::http::{Request, Response};
use bytes::Bytes;

use crate::body::{Body, BoxError};
use crate::endpoint::Endpoint;
use crate::failure::ClassifyFailure;

#[cfg(feature = "client")]
pub use self::http::{HttpBody, HttpFuture, HttpTransport};
#[cfg(feature = "client")]
pub use crate::failure::HttpError;
pub use inward::Inward;
pub use per_endpoint::{PerEndpoint, PerEndpointFuture};

/// Sends a request to an endpoint.
///
/// The request carries a `Host` header; its URI may name a host too, which is not where the
/// request goes. The transport decides how the endpoint's address becomes a connection.
/// Dropping the future cancels the request.
///
/// Everything of it is `Send`: copies of mirrored requests are sent by tasks of their own.
pub trait Transport: Send + 'static {
    /// The body of a response.
    type ResponseBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
    /// What may go wrong; it says itself whether it is a failed connection, a reset, ….
    type Error: ClassifyFailure + Into<BoxError>;
    /// The response to come.
    type Future: Future<Output = Result<Response<Self::ResponseBody>, Self::Error>> + Send + 'static;

    /// Whether it can keep what an `https` URI asks for; where not, such requests are refused.
    fn is_secure(&self) -> bool {
        true
    }

    /// The only endpoint it sends to, where there is but one: none is picked then.
    fn only_endpoint(&self) -> Option<&Endpoint> {
        None
    }

    /// Whether it keeps to the [limits](crate::limits::Limits) of endpoints by itself; where not,
    /// the mesh counts the requests it sends.
    fn keeps_limits(&self) -> bool {
        false
    }

    /// Whether what [`send`](Self::send) gave waits for a connection still: the time for a try
    /// begins when it has one. Unless told it has, and the time begins when it is sent.
    fn is_connecting(_sending: &Self::Future) -> bool {
        false
    }

    /// Begins to send.
    fn send(&self, endpoint: &Endpoint, request: Request<Body>) -> Self::Future;
}
