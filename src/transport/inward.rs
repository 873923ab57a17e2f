//! The service behind a layer as the one endpoint of everything.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use super::Transport;
use super::per_endpoint::{PerEndpointFuture, begin};
use crate::body::{Body, BoxError};
use crate::endpoint::{Address, Endpoint};
use crate::failure::ClassifyFailure;

/// A transport that hands every request to one service of this process.
///
/// Which destination a rule names does not matter: the request has arrived. The service is cloned
/// for each request and readied before it is called; dropping the future cancels the request.
#[derive(Debug)]
pub struct Inward<S>(Arc<Only<S>>);

#[derive(Debug)]
struct Only<S> {
    service: S,
    endpoint: Endpoint,
}

// Cloning the transport does not clone the service.
impl<S> Clone for Inward<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> Inward<S> {
    /// A transport that asks this service.
    #[must_use]
    pub fn new(service: S) -> Self {
        let endpoint = Endpoint::new(Address::new("localhost", 0), Arc::default());
        Self(Arc::new(Only { service, endpoint }))
    }
}

impl<S, B> Transport for Inward<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
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

    fn only_endpoint(&self) -> Option<&Endpoint> {
        Some(&self.0.endpoint)
    }

    fn send(&self, _: &Endpoint, request: Request<Body>) -> Self::Future {
        begin(self.0.service.clone(), request)
    }
}
