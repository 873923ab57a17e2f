//! Any tower service as a transport, one for each endpoint.

use std::fmt;
use std::sync::Arc;

use http::{Request, Response};
use tower::util::Oneshot;
use tower_service::Service;

use super::Transport;
use crate::body::{Body, BoxError};
use crate::endpoint::Endpoint;
use crate::failure::ClassifyFailure;

/// A transport made of the services a function gives for endpoints.
///
/// The function is asked for each request, so it should hand out clones of
/// services it keeps rather than connect anew.
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
    F: Fn(&Endpoint) -> S,
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: ClassifyFailure + Into<BoxError>,
{
    type ResponseBody = B;
    type Error = S::Error;
    type Future = Oneshot<S, Request<Body>>;

    fn send(&self, endpoint: &Endpoint, request: Request<Body>) -> Self::Future {
        Oneshot::new((self.service_for)(endpoint), request)
    }
}
