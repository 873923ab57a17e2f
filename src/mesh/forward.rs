//! The proxy border: every request gets a response, and headers change as a proxy changes them.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use super::exchange::{Border, Exchange};
use super::future::ForwardFuture;
use super::{Mesh, Shared};
use crate::body::BoxError;
use crate::plan::{Chain, ResponseBody};
use crate::transport::Transport;

/// A reverse proxy: behaves like a sidecar's outbound listener, or like a gateway's.
///
/// Always ready and never fails, so it serves as axum's `fallback_service`.
/// Hop-by-hop headers end here, `x-request-id`, `x-forwarded-proto` and
/// `x-envoy-attempt-count` are added, and control headers meant for a proxy are
/// taken off, as Envoy does it under Istio. Like a sidecar it believes what requests say of where
/// they come from: put [`EdgeLayer`](super::EdgeLayer) around it where strangers connect. Dropping the future of a
/// request cancels it.
///
/// ```
/// use tower_mesh::mesh::Mesh;
///
/// # #[cfg(feature = "client")]
/// # async fn example(mesh: Mesh) -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// let app = axum::Router::new().fallback_service(mesh.forward());
/// axum::serve(listener, app).await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Forward<T> {
    mesh: Mesh,
    chain: Chain<T>,
    port: u16,
}

impl<T> Forward<T> {
    pub(super) fn new(mesh: Mesh, transport: T) -> Self
    where
        T: Clone,
    {
        let Shared {
            dice,
            mirroring,
            deadline_exceeded,
            ..
        } = &*mesh.shared;
        let chain = Chain::new(transport, dice, mirroring, *deadline_exceeded);
        let port = 80;
        Self { mesh, chain, port }
    }

    pub(super) const fn addressed(&self) -> (&Mesh, u16) {
        (&self.mesh, self.port)
    }

    /// The port the requests were addressed to, which decides the rules they meet; 80 unless told.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }
}

impl<T, B> Service<Request<B>> for Forward<T>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<T::ResponseBody>>;
    type Error = Infallible;
    type Future = ForwardFuture<T, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let border = Border::Proxy { port: self.port };
        let exchange = Exchange::begin(&self.mesh, &self.chain, border, request);
        ForwardFuture::new(exchange)
    }
}
