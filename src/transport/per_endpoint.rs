//! Any tower service as a transport, one for each endpoint.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{Request, Response, Uri};
use pin_project::pin_project;
use tower_service::Service;

use super::Transport;
use crate::body::{Body, BoxError};
use crate::endpoint::Endpoint;
use crate::failure::ClassifyFailure;

/// A transport made of the services a function gives for endpoints.
///
/// The function is asked for each request, so it should hand out clones of
/// services it keeps rather than connect anew. They get requests with a `Host` header and a URI
/// in origin form. As long as a service is not ready a try counts as connecting, which is not
/// part of its `perTryTimeout`.
pub struct PerEndpoint<F> {
    service_for: Arc<F>,
}

impl<F> Clone for PerEndpoint<F> {
    fn clone(&self) -> Self {
        Self {
            service_for: self.service_for.clone(),
        }
    }
}

impl<F> PerEndpoint<F> {
    /// A transport that sends through `service_for(endpoint)`.
    pub fn new(service_for: F) -> Self {
        let service_for = Arc::new(service_for);
        Self { service_for }
    }
}

impl<F> fmt::Debug for PerEndpoint<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerEndpoint").finish_non_exhaustive()
    }
}

impl<F, S, B> Transport for PerEndpoint<F>
where
    F: Fn(&Endpoint) -> S + Send + Sync + 'static,
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Error: ClassifyFailure + Into<BoxError> + Send,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type ResponseBody = B;
    type Error = S::Error;
    type Future = PerEndpointFuture<S>;

    fn is_connecting(sending: &PerEndpointFuture<S>) -> bool {
        sending.is_waiting()
    }

    fn send(&self, endpoint: &Endpoint, mut request: Request<Body>) -> Self::Future {
        to_origin_form(request.uri_mut());
        begin((self.service_for)(endpoint), request)
    }
}

/// Readies a service and calls it.
pub(super) fn begin<S>(mut service: S, request: Request<Body>) -> PerEndpointFuture<S>
where
    S: Service<Request<Body>>,
{
    // Most services are ready at once, and the request need not wait in the future. Where one
    // is not, it is asked again by whoever polls.
    let mut nobody = Context::from_waker(Waker::noop());
    PerEndpointFuture(match service.poll_ready(&mut nobody) {
        Poll::Ready(Ok(())) => State::Called(service.call(request)),
        Poll::Ready(Err(error)) => State::Failed(Some(error)),
        Poll::Pending => State::Waiting(Box::new((service, Some(request)))),
    })
}

/// Leaves path and query: the host a request is for stands in its header.
fn to_origin_form(uri: &mut Uri) {
    if uri.authority().is_none() {
        return;
    }
    let target = uri.path_and_query().cloned();
    *uri = target.map_or_else(Uri::default, Uri::from);
}

/// The response to come from a service made for an endpoint; dropping it cancels the request.
#[pin_project]
pub struct PerEndpointFuture<S: Service<Request<Body>>>(#[pin] State<S>);

#[pin_project(project = StateProjected)]
enum State<S: Service<Request<Body>>> {
    Called(#[pin] S::Future),
    Waiting(Box<(S, Option<Request<Body>>)>),
    Failed(Option<S::Error>),
}

impl<S: Service<Request<Body>>> PerEndpointFuture<S> {
    /// Whether the service is not ready yet.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.0, State::Waiting(_))
    }
}

impl<S: Service<Request<Body>>> Future for PerEndpointFuture<S> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().0;
        if let StateProjected::Waiting(waiting) = state.as_mut().project() {
            let (service, request) = &mut **waiting;
            ready!(service.poll_ready(cx))?;
            let called = request.take().map(|request| service.call(request));
            state.set(called.map_or(State::Failed(None), State::Called));
        }
        match state.project() {
            StateProjected::Called(future) => future.poll(cx),
            // Not any more.
            StateProjected::Waiting(_) => Poll::Pending,
            StateProjected::Failed(error) => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                // Polled again after the end.
                None => Poll::Pending,
            },
        }
    }
}

impl<S: Service<Request<Body>>> fmt::Debug for PerEndpointFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerEndpointFuture").finish_non_exhaustive()
    }
}
