//! The way in: the rules around a service of this process, for the requests that reach it.

use std::convert::Infallible;
use std::fmt;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::Mesh;
use super::exchange::{Border, Exchange};
use super::future::InboundFuture;
use crate::body::{Body, BoxError};
use crate::failure::ClassifyFailure;
use crate::plan::{Chain, Mirroring, ResponseBody};
use crate::transport::Inward;

/// Wraps a service of this process in the rules of a mesh.
///
/// Made by [`Mesh::inbound_layer`]; see there.
#[derive(Clone, Debug)]
pub struct InboundLayer {
    mesh: Mesh,
    port: u16,
    strict: bool,
}

impl InboundLayer {
    pub(super) const fn new(mesh: Mesh) -> Self {
        Self {
            mesh,
            port: 80,
            strict: true,
        }
    }

    /// The port the requests were addressed to, which decides the rules they meet; 80 unless told.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Whether requests are refused that hyper lets through and Envoy refuses: with several hosts or
    /// an odd one, with a target or a method that is none, in HTTP/1.0, with more than 60 KiB of
    /// headers. They get 400, 426, 431 or 501, as from [`Mesh::forward`]. They are unless told
    /// otherwise: behind something that has looked requests over already, it need not be done again.
    #[must_use]
    pub const fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }
}

impl<S> Layer<S> for InboundLayer {
    type Service = Inbound<S>;

    fn layer(&self, inner: S) -> Inbound<S> {
        // A copy would reach the service its request reaches.
        let chain = Chain::new(
            Inward::new(inner),
            &self.mesh.shared.dice,
            &Mirroring::off(),
            self.mesh.shared.deadline_exceeded,
        );
        Inbound {
            mesh: self.mesh.clone(),
            chain,
            port: self.port,
            strict: self.strict,
        }
    }
}

/// Answers as the rules say, or as the inner service does.
///
/// Always ready and never fails. An error of the inner service becomes the reply a sidecar gives
/// for it, as its [`ClassifyFailure`] says. See [`Mesh::inbound_layer`].
pub struct Inbound<S> {
    mesh: Mesh,
    chain: Chain<Inward<S>>,
    port: u16,
    strict: bool,
}

impl<S> Clone for Inbound<S> {
    fn clone(&self) -> Self {
        Self {
            mesh: self.mesh.clone(),
            chain: self.chain.clone(),
            port: self.port,
            strict: self.strict,
        }
    }
}

impl<S> fmt::Debug for Inbound<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for Inbound<S>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + Sync + 'static,
    S::Error: ClassifyFailure + Into<BoxError> + Send,
    S::Future: Send,
    R: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = Infallible;
    type Future = InboundFuture<Inward<S>, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let border = Border::Inbound {
            port: self.port,
            strict: self.strict,
        };
        let exchange = Exchange::begin(&self.mesh, &self.chain, border, request);
        InboundFuture::new(exchange)
    }
}
