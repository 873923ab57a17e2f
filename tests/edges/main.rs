//! Where the services fit: what axum, hyper, tonic and reqwest ask of a service and of a body.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

mod allocations;
mod axum_app;
mod beside;
mod client;
mod edge;
mod every_layer;
mod generated;
mod refusals;
mod refused;
mod reply_body;
mod traits;

use std::convert::Infallible;
use std::future::Ready;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{BodyExt as _, Either, Empty, Full, Limited};
use tonic::client::GrpcService;
use tower::{Layer, Service, ServiceExt as _};
use tower_mesh::access_log::{AccessLogEntry, AccessLogLayer};
use tower_mesh::body::{Body, BodyError, BoxError};
use tower_mesh::connection_pool::ConnectionPoolLayer;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::limits::Limits;
use tower_mesh::mesh::{EdgeLayer, Forward, Inbound, Mesh, MeshClient, MeshError, ResponseBody};
use tower_mesh::reply::{FromLocalReply, ReplyBodyLayer};
use tower_mesh::retries::{RetryLayer, RetryPolicy};
use tower_mesh::timeout::{TimeoutLayer, TimeoutPolicy};
use tower_mesh::transport::{HttpTransport, PerEndpoint, Transport};

/// A request body that is `Send`, and neither `Sync` nor `Clone`.
type Unshared = UnsyncBoxBody<Bytes, Infallible>;

/// Answers every request, whatever its body.
#[derive(Clone)]
struct Upstream;

impl<B> Service<Request<B>> for Upstream {
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        std::future::ready(Ok(Response::new(Full::from("upstream"))))
    }
}

/// The same, with tonic's body.
#[derive(Clone)]
struct TonicUpstream;

impl<B> Service<Request<B>> for TonicUpstream {
    type Response = Response<tonic::body::Body>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        std::future::ready(Ok(Response::new(tonic::body::Body::empty())))
    }
}

type InMemory = PerEndpoint<fn(&Endpoint) -> Upstream>;

fn in_memory(_: &Endpoint) -> Upstream {
    Upstream
}

const RULES: &str = r"
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1}]
";

fn mesh() -> Mesh {
    let built = Mesh::builder().yaml(RULES).build();
    built.unwrap_or_else(|found| panic!("{found}")).0
}

fn client() -> MeshClient<InMemory> {
    mesh().client_with(in_memory as fn(&Endpoint) -> Upstream)
}

fn inbound() -> Inbound<Upstream> {
    mesh().inbound_layer().layer(Upstream)
}

fn forward() -> Forward<InMemory> {
    mesh().forward_with(in_memory as fn(&Endpoint) -> Upstream)
}

/// What servers and clients ask of a service.
fn fits<S, B>(service: S) -> S
where
    S: Service<Request<B>, Future: Send + 'static> + Clone + Send + Sync + 'static,
{
    service
}

#[test]
fn every_body_can_be_sent() {
    fn all<T>(client: &MeshClient<T>, forward: &Forward<T>)
    where
        T: Transport<Future: Send, ResponseBody: Send> + Clone + Send + Sync + 'static,
    {
        fn both<T, B>(client: &MeshClient<T>, forward: &Forward<T>)
        where
            T: Transport<Future: Send, ResponseBody: Send> + Clone + Send + Sync + 'static,
            B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
        {
            fits::<_, B>(client.clone());
            fits::<_, B>(forward.clone());
        }
        both::<_, axum::body::Body>(client, forward);
        both::<_, hyper::body::Incoming>(client, forward);
        both::<_, tonic::body::Body>(client, forward);
        both::<_, reqwest::Body>(client, forward);
        both::<_, Full<Bytes>>(client, forward);
        both::<_, String>(client, forward);
        both::<_, BoxBody<Bytes, BoxError>>(client, forward);
        both::<_, UnsyncBoxBody<Bytes, BoxError>>(client, forward);
        both::<_, Either<Full<Bytes>, hyper::body::Incoming>>(client, forward);
        both::<_, Limited<axum::body::Body>>(client, forward);
        both::<_, Empty<Bytes>>(client, forward);
        both::<_, Body>(client, forward);
        both::<_, Unshared>(client, forward);
    }
    all(&client(), &forward());
    all(&mesh().client(), &mesh().forward());
}

/// Rules that hold for a future spawned from generic code, where lifetimes are erased.
#[tokio::test]
async fn a_request_can_be_spawned_from_generic_code() {
    async fn spawn<S, B>(mut service: S, request: Request<B>) -> StatusCode
    where
        S: Service<Request<B>, Response = Response<ResponseBody<Full<Bytes>>>, Error: Send>,
        S: Send + 'static,
        S::Future: Send + 'static,
        B: Send + 'static,
    {
        let call = async move {
            let answer = service.ready().await.ok()?.call(request).await.ok()?;
            Some(answer.status())
        };
        tokio::spawn(call).await.unwrap().unwrap()
    }
    let request = || {
        Request::get("http://shop/")
            .body(Unshared::default())
            .unwrap()
    };
    assert_eq!(spawn(client(), request()).await, 200);
    assert_eq!(spawn(forward(), request()).await, 200);
    assert_eq!(spawn(inbound(), request()).await, 200);
    let sent = tokio::spawn(async move { client().send(request()).await.unwrap().status() });
    assert_eq!(sent.await.unwrap(), 200);
}

async fn text<B>(response: Response<B>) -> String
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What tonic's generated clients ask of the service they are made with.
fn fits_tonic<T>(service: T) -> T
where
    T: GrpcService<tonic::body::Body, Error: Into<BoxError>> + Clone + Send + Sync + 'static,
    T::ResponseBody: http_body::Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static,
    T::Future: Send,
{
    service
}

#[tokio::test]
async fn a_client_carries_tonics_calls() {
    fits_tonic(mesh().client());
    fits_tonic(mesh().forward());
    fits_tonic(forward());
    let log = AccessLogLayer::new((|_| {}) as fn(&AccessLogEntry));
    fits_tonic(log.layer(mesh().client()));
    fits_tonic(EdgeLayer::new().layer(forward()));
    let timeout = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_secs(1)));
    fits_tonic(timeout.layer(ConnectionPoolLayer::new(Limits::default()).layer(client())));
    let retry = RetryLayer::new(RetryPolicy::istio_default());
    fits_tonic(retry.layer(ReplyBodyLayer::new().layer(TonicUpstream)));
    let origin = http::Uri::from_static("http://shop");
    let mut grpc = tonic::client::Grpc::with_origin(fits_tonic(client()), origin);
    grpc.ready().await.unwrap();
    // The upstream answers text, which is no gRPC; the mesh answers for a host nobody declares.
    let unknown = Request::post("http://closed/").header("content-type", "application/grpc");
    let unknown = unknown.body(tonic::body::Body::empty()).unwrap();
    let registry_only = Mesh::builder().yaml(RULES).registry_only(true).build();
    let strict = registry_only
        .unwrap_or_else(|found| panic!("{found}"))
        .0
        .client();
    let response = strict.send(unknown).await.unwrap();
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), tonic::Code::Unavailable);
}

#[test]
fn errors_and_bodies_have_the_traits_callers_box_them_by() {
    fn error<E: std::error::Error + Clone + Send + Sync + Into<BoxError> + 'static>() {}
    fn body<B>()
    where
        B: http_body::Body<Data = Bytes, Error = BodyError> + FromLocalReply + Send + 'static,
    {
    }
    error::<MeshError>();
    error::<BodyError>();
    body::<ResponseBody<hyper::body::Incoming>>();
    body::<ResponseBody<Full<Bytes>>>();
    body::<ResponseBody<Unshared>>();
    body::<ResponseBody<BoxBody<Bytes, BoxError>>>();
    body::<ResponseBody<axum::body::Body>>();
    body::<ResponseBody<String>>();
    body::<ResponseBody<tonic::body::Body>>();
    body::<Body>();
    fn from_local_reply<B: FromLocalReply>() {}
    from_local_reply::<axum::body::Body>();
    from_local_reply::<reqwest::Body>();
    from_local_reply::<Full<Bytes>>();
    fn sent<B: Into<Body>>() {}
    sent::<&'static str>();
    sent::<String>();
    sent::<&'static [u8]>();
    sent::<Vec<u8>>();
    sent::<Bytes>();
    fn transport<T: Transport + Clone + Send + Sync>() {}
    transport::<HttpTransport>();
}

/// A server of hyper's own, and requests in the types of reqwest.
#[tokio::test]
async fn a_proxy_serves_hyper_and_a_client_answers_in_reqwests_types() {
    fn serves<S>(_: &S)
    where
        S: hyper::service::Service<Request<hyper::body::Incoming>, Error = Infallible>,
    {
    }
    serves(&hyper_util::service::TowerToHyperService::new(forward()));
    serves(&hyper_util::service::TowerToHyperService::new(
        mesh().forward(),
    ));
    let request = reqwest::Request::new(http::Method::GET, "http://shop/".parse().unwrap());
    let request: Request<reqwest::Body> = request.try_into().unwrap();
    let response = client().oneshot(request).await.unwrap();
    let response = reqwest::Response::from(response.map(reqwest::Body::wrap));
    assert_eq!(response.status(), 200);
    // A body of the built-in transport fits as well; one erased to be `Send` alone does not.
    let _: fn(ResponseBody<hyper::body::Incoming>) -> reqwest::Body = reqwest::Body::wrap;
}
