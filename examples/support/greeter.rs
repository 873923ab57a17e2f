//! What `tonic-build` generates from a service with one call, written by hand so that no `protoc`
//! is needed: messages are text.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;
use http_body::Body as HttpBody;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::server::NamedService;
use tonic::{IntoRequest, Response, Status};
use tower::{Service, service_fn};
use tower_mesh::body::BoxError;

use super::text::Text;

/// The client's side.
#[derive(Clone, Debug)]
pub(crate) struct GreeterClient<T> {
    inner: tonic::client::Grpc<T>,
}

impl<T> GreeterClient<T>
where
    T: GrpcService<Body, Error: Into<BoxError>>,
    T::ResponseBody: HttpBody<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static,
{
    /// A client over a service that finds the origin.
    pub(crate) fn with_origin(inner: T, origin: Uri) -> Self {
        Self {
            inner: tonic::client::Grpc::with_origin(inner, origin),
        }
    }

    /// Calls `SayHello`.
    pub(crate) async fn say_hello(
        &mut self,
        request: impl IntoRequest<String>,
    ) -> Result<Response<String>, Status> {
        let ready = self.inner.ready().await;
        ready.map_err(|error| Status::unknown(error.into().to_string()))?;
        let path = PathAndQuery::from_static("/example.Greeter/SayHello");
        self.inner.unary(request.into_request(), path, Text).await
    }
}

/// The server's side; its answers bear its name.
#[derive(Clone, Debug)]
pub(crate) struct Greeter {
    name: &'static str,
}

impl Greeter {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name }
    }
}

impl NamedService for Greeter {
    const NAME: &'static str = "example.Greeter";
}

impl Service<http::Request<Body>> for Greeter {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let name = self.name;
        let answer = service_fn(move |request: tonic::Request<String>| async move {
            let whom = request.into_inner();
            Ok(Response::new(format!("hello {whom}, from {name}")))
        });
        Box::pin(async move { Ok(tonic::server::Grpc::new(Text).unary(answer, request).await) })
    }
}
