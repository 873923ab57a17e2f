//! The client border: requests go out, failures come back as errors.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use super::exchange::{Border, Exchange};
use super::future::ResponseFuture;
use super::{Mesh, MeshError, Shared};
use crate::body::BoxError;
use crate::plan::{Chain, ResponseBody};
use crate::transport::Transport;

/// A tower service that sends each request where the rules say.
///
/// Always ready; clones share everything. The port of the request's URI decides
/// which rules it meets, as the port a workload dials decides at a sidecar; its
/// `Host` header, or else the URI's host, decides the rest. What the mesh must
/// answer itself is a [`MeshError`], for gRPC requests a response with
/// `grpc-status`. Unlike a sidecar it adds no headers of a proxy's own. Dropping the future of a
/// request cancels it.
///
/// ```
/// # #[cfg(all(feature = "yaml", feature = "client"))]
/// # async fn example(mesh: tower_mesh::mesh::Mesh) -> Result<(), Box<dyn std::error::Error>> {
/// use http::Request;
/// use tower::{ServiceBuilder, ServiceExt as _};
/// use tower_mesh::body::Body;
///
/// // Layers of one's own go around it as around any service.
/// let client = ServiceBuilder::new().concurrency_limit(100).service(mesh.client());
/// let request = Request::get("http://reviews:9080/").body(Body::empty())?;
/// let response = client.oneshot(request).await?;
/// # drop(response);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MeshClient<T> {
    mesh: Mesh,
    chain: Chain<T>,
}

impl<T> MeshClient<T> {
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
        Self { mesh, chain }
    }

    fn begin<B>(&self, request: Request<B>) -> ResponseFuture<T, B>
    where
        T: Transport + Clone,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let exchange = Exchange::begin(&self.mesh, &self.chain, Border::Client, request);
        ResponseFuture::new(exchange)
    }
}

impl<T: Transport + Clone> MeshClient<T> {
    /// Sends one request.
    ///
    /// # Errors
    ///
    /// When no response could be had; [`MeshError::kind`] says why.
    pub async fn send<B>(
        &self,
        request: Request<B>,
    ) -> Result<Response<ResponseBody<T::ResponseBody>>, MeshError>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.begin(request).await
    }
}

impl<T, B> Service<Request<B>> for MeshClient<T>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<T::ResponseBody>>;
    type Error = MeshError;
    type Future = ResponseFuture<T, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), MeshError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.begin(request)
    }
}

/// The port the client addresses: the URI's, else its scheme's own.
pub(super) fn port_of<B>(request: &Request<B>) -> u16 {
    let uri = request.uri();
    // A port has five digits at most, so most authorities need not be searched whole.
    let end = uri.authority().map(|it| it.as_str().as_bytes());
    let end = end.and_then(|it| it.get(it.len().saturating_sub(6)..));
    let port = match end.unwrap_or_default().contains(&b':') {
        true => uri.port_u16(),
        false => None,
    };
    match (port, uri.scheme_str() == Some("https")) {
        (Some(port), _) => port,
        (None, true) => 443,
        (None, false) => 80,
    }
}
