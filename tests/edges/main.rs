//! Where the services fit: what axum, hyper, tonic and reqwest ask of a service and of a body.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

mod allocations;
mod client;
mod refused;
mod reply_body;
mod traits;

use std::convert::Infallible;
use std::future::Ready;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use tonic::client::GrpcService;
use tower::{Layer, Service, ServiceExt as _};
use tower_mesh::body::{Body, BodyError, BoxError};
use tower_mesh::cors_policy::{CorsLayer, CorsPolicy};
use tower_mesh::direct_response::{DirectResponseLayer, DirectResponsePolicy};
use tower_mesh::endpoint::Endpoint;
use tower_mesh::fault::{FaultLayer, FaultPolicy};
use tower_mesh::headers::{
    HeaderOperations, RequestHeaders, RequestHeadersLayer, ResponseHeaders, ResponseHeadersLayer,
};
use tower_mesh::mesh::{Forward, Inbound, Mesh, MeshClient, MeshError, ResponseBody};
use tower_mesh::mirror::{MirrorLayer, MirrorPolicy};
use tower_mesh::percent::Percent;
use tower_mesh::redirect::{RedirectLayer, RedirectPolicy};
use tower_mesh::reply::FromLocalReply;
use tower_mesh::retries::{RetryLayer, RetryPolicy};
use tower_mesh::rewrite::{MatchedPath, RewriteLayer, RewritePolicy};
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

fn headers() -> HeaderOperations {
    HeaderOperations::new()
}

macro_rules! each_layer {
    (|$layer:ident| $body:expr) => {{
        {
            let $layer = FaultLayer::new(FaultPolicy::default());
            $body
        }
        {
            let policy = DirectResponsePolicy::new(StatusCode::OK, "");
            let $layer = DirectResponseLayer::new(policy.unwrap());
            $body
        }
        {
            let $layer = RedirectLayer::new(RedirectPolicy::new());
            $body
        }
        {
            let $layer = CorsLayer::new(CorsPolicy::new());
            $body
        }
        {
            let $layer = RequestHeadersLayer::new(RequestHeaders::new(headers()));
            $body
        }
        {
            let $layer = ResponseHeadersLayer::new(ResponseHeaders::new(headers()));
            $body
        }
        {
            let $layer = RewriteLayer::new(RewritePolicy::new());
            $body
        }
    }};
}

#[test]
fn every_service_is_shared_between_threads() {
    each_layer!(|layer| {
        fits::<_, Unshared>(layer.layer(Upstream));
    });
    let timeout = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_secs(1)));
    fits::<_, Unshared>(timeout.layer(Upstream));
    fits::<_, Unshared>(RetryLayer::new(RetryPolicy::istio_default()).layer(Upstream));
    let mirror = MirrorLayer::new(MirrorPolicy::new(Percent::from_whole(1)), Upstream);
    fits::<_, Unshared>(mirror.layer(Upstream));
    fits::<_, Unshared>(timeout.layer(client()));
    fits::<_, Unshared>(client());
    fits::<_, Unshared>(forward());
    fits::<_, Unshared>(inbound());
    fits::<_, Unshared>(mesh().client());
    fits::<_, Unshared>(mesh().forward());
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

async fn get_from(router: Router, uri: &str) -> String {
    let request = Request::get(uri).header("host", "shop");
    let request = request.body(axum::body::Body::empty()).unwrap();
    text(router.oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn a_proxy_takes_what_an_axum_router_has_no_route_for() {
    let router = Router::new().route("/here", get(|| async { "here" }));
    let router = router.fallback_service(forward());
    assert_eq!(get_from(router.clone(), "/here").await, "here");
    assert_eq!(get_from(router.clone(), "/there").await, "upstream");
    let nested = Router::new().nest_service("/shop", forward());
    assert_eq!(get_from(nested, "/shop/cart").await, "upstream");
    let built_in: Router = Router::new().fallback_service(mesh().forward());
    drop(built_in);
}

/// Every layer within a router, where the answers of routes are axum's own, and around one.
#[tokio::test]
async fn every_layer_goes_into_an_axum_router_and_around_one() {
    let router = || Router::new().route("/here", get(|| async { "here" }));
    each_layer!(|layer| {
        let layered = router().layer(layer.clone());
        let around = Router::new().fallback_service(layer.layer(router()));
        let answers = (
            get_from(layered, "/here").await,
            get_from(around, "/here").await,
        );
        assert_eq!(answers.0, answers.1);
    });
    let timeout = TimeoutLayer::new(TimeoutPolicy::new(Duration::from_secs(1)));
    assert_eq!(
        get_from(router().layer(timeout.clone()), "/here").await,
        "here"
    );
    let around = Router::new().fallback_service(timeout.layer(router()));
    assert_eq!(get_from(around, "/here").await, "here");
    let retries = RetryLayer::new(RetryPolicy::istio_default());
    assert_eq!(
        get_from(router().layer(retries.clone()), "/here").await,
        "here"
    );
    let around = Router::new().fallback_service(retries.layer(router()));
    assert_eq!(get_from(around, "/here").await, "here");
}

#[tokio::test]
async fn a_rewrite_around_a_router_decides_which_route_is_met() {
    let router = Router::new().route("/here", get(|| async { "here" }));
    let policy = RewritePolicy::new()
        .uri("/here")
        .matched(MatchedPath::Exact);
    let around = Router::new().fallback_service(RewriteLayer::new(policy).layer(router));
    assert_eq!(get_from(around, "/there").await, "here");
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
    body::<ResponseBody<tonic::body::Body>>();
    body::<Body>();
    fn from_local_reply<B: FromLocalReply>() {}
    from_local_reply::<axum::body::Body>();
    from_local_reply::<reqwest::Body>();
    from_local_reply::<Full<Bytes>>();
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
