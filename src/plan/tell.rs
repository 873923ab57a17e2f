//! What a request tells its endpoint that its client did not say, and what its response tells of it.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{HeaderMap, Method, Request};
use http_body::Body as _;
use tower_service::Service;

use super::routed::Routed;
use crate::body::Body;
use crate::endpoint::Endpoint;
use crate::headers::SentRequest;
use crate::request_body::RequestBody;
use crate::timeout::to_grpc_timeout;

/// Gives the request its `Host` header where only its URI names the host.
pub(super) fn address_request(request: &mut Request<Body>) -> Result<(), ()> {
    if !request.headers().contains_key(HOST) {
        let authority = request.uri().authority().map(Authority::as_str).ok_or(())?;
        let host = HeaderValue::from_str(authority).map_err(|_| ())?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(())
}

const ATTEMPT_COUNT: HeaderName = HeaderName::from_static("x-envoy-attempt-count");

/// Says that this is the first try, as a proxy does before a rule's operations.
#[inline]
pub(super) fn tell_first_attempt(routed: &Routed, headers: &mut HeaderMap) {
    if routed.proxy {
        headers.insert(ATTEMPT_COUNT, HeaderValue::from_static("1"));
    }
}

/// The same as a service, before the operations of routes that take all layers.
#[derive(Clone, Debug)]
pub(crate) struct FirstTry<S>(pub(super) S);

impl<S, B> Service<Request<RequestBody<B, Routed>>> for FirstTry<S>
where
    S: Service<Request<RequestBody<B, Routed>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody<B, Routed>>) -> Self::Future {
        let mut headers = std::mem::take(request.headers_mut());
        tell_first_attempt(request.body().note(), &mut headers);
        *request.headers_mut() = headers;
        self.0.call(request)
    }
}

/// Tells the endpoint which try this is, as a proxy does, where it is not the first.
pub(super) fn tell_attempt(request: &mut Request<Body>, attempt: u32) {
    let bodiless = [
        Method::GET,
        Method::HEAD,
        Method::DELETE,
        Method::CONNECT,
        Method::TRACE,
    ];
    let says_nothing = request.body().is_end_stream() && !bodiless.contains(request.method());
    let headers = request.headers_mut();
    if attempt > 1 {
        headers.insert(ATTEMPT_COUNT, attempt.into());
    }
    if says_nothing {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// Tells the endpoint how long it has: a proxy does, and a gRPC call does by itself.
pub(super) fn tell_time(request: &mut Request<Body>, routed: &Routed) {
    const EXPECTED: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
    const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
    let Some(millis) = routed.expected_millis(request.headers()) else {
        return;
    };
    let copy = routed.copy_millis(request.headers());
    let headers = request.headers_mut();
    if routed.proxy {
        headers.insert(EXPECTED, copy.unwrap_or(millis).into());
    }
    if routed.grpc {
        headers.insert(GRPC_TIMEOUT, to_grpc_timeout(millis));
    }
}

/// The request as it is on its way to this endpoint, where headers of its response tell of it.
#[inline]
pub(super) fn sent(
    routed: &Routed,
    request: &Request<Body>,
    endpoint: &Endpoint,
) -> Option<Arc<SentRequest>> {
    #[cold]
    fn tell(routed: &Routed, request: &Request<Body>, endpoint: &Endpoint) -> Arc<SentRequest> {
        let host = endpoint.address().to_string();
        Arc::new(SentRequest::new(request, Some(host), routed.attempt))
    }
    let tells = routed.route().tells_requests;
    tells.then(|| tell(routed, request, endpoint))
}

/// The same for a request that found no endpoint in its destination.
pub(super) fn unsent<B>(routed: &Routed, request: &Request<B>) -> Option<Arc<SentRequest>> {
    let tells = routed.route().tells_requests && routed.cluster().is_some();
    tells.then(|| Arc::new(SentRequest::unsent(request, routed.attempt, routed.proxy)))
}
