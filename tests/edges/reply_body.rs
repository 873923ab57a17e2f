//! Layers that answer for themselves around bodies that cannot be made from bytes.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_mesh::body::BoxError;
use tower_mesh::context::ResponseFlags;
use tower_mesh::cors_policy::{CorsLayer, CorsPolicy};
use tower_mesh::direct_response::{DirectResponseLayer, DirectResponsePolicy};
use tower_mesh::fault::{Abort, FaultLayer, FaultPolicy};
use tower_mesh::percent::Percent;
use tower_mesh::redirect::{RedirectLayer, RedirectPolicy};
use tower_mesh::reply::{ReplyBody, ReplyBodyLayer};
use tower_mesh::retries::{RetryLayer, RetryOn, RetryPolicy};
use tower_mesh::timeout::{TimeoutLayer, TimeoutPolicy};

use crate::text;

fn abort() -> FaultLayer {
    let always = Percent::from_percentage(100.0).unwrap();
    let teapot = Abort::http_status(StatusCode::IM_A_TEAPOT).unwrap();
    FaultLayer::new(FaultPolicy::default().abort(always, teapot))
}

/// The status and the text of an answer.
async fn ask<S, R>(service: S) -> (u16, String)
where
    S: Service<Request<Full<Bytes>>, Response = Response<ReplyBody<R>>, Error: std::fmt::Debug>,
    R: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let request = Request::get("http://localhost/").body(Full::default());
    let response = service.oneshot(request.unwrap()).await.unwrap();
    (response.status().as_u16(), text(response).await)
}

/// Each layer's own answer around a service with the body `R`, and the service's.
async fn all<R>(body: fn() -> R)
where
    R: http_body::Body<Data = Bytes, Error: std::fmt::Debug> + Send + 'static,
{
    let service = || {
        let inner = service_fn(move |_: Request<Full<Bytes>>| async move {
            Ok::<_, std::convert::Infallible>(Response::new(body()))
        });
        ReplyBodyLayer::new().layer(inner)
    };
    let own = text(Response::new(body())).await;
    assert_eq!(ask(service()).await, (200, own.clone()));
    let answer = (418, "fault filter abort".to_owned());
    assert_eq!(ask(abort().layer(service())).await, answer);
    let policy = DirectResponsePolicy::new(StatusCode::OK, "closed").unwrap();
    let closed = DirectResponseLayer::new(policy).layer(service());
    assert_eq!(ask(closed).await, (200, "closed".to_owned()));
    let moved = RedirectLayer::new(RedirectPolicy::new()).layer(service());
    assert_eq!(ask(moved).await.0, 301);
    let cors = CorsLayer::new(CorsPolicy::new()).layer(service());
    assert_eq!(ask(cors).await, (200, own));
}

#[tokio::test]
async fn every_body_that_cannot_be_made_from_text_goes_through_the_adapter() {
    all(Empty::<Bytes>::new).await;
    all(|| BoxBody::new(Full::<Bytes>::from("boxed"))).await;
    all(|| Full::<Bytes>::from("unsync").boxed_unsync()).await;
    all(|| tonic::body::Body::new(Full::<Bytes>::from("tonic's"))).await;
}

/// A whole stack around hyper's own client, whose responses stream as hyper gives them.
#[tokio::test]
async fn a_hyper_client_is_tried_again_and_given_up_on_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(|| async { "here" });
    let router = router.layer(abort());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let stack = |service| {
        let tries = RetryPolicy::new(1, RetryOn::parse("connect-failure,418").unwrap());
        let timeout = TimeoutPolicy::new(Duration::from_secs(10));
        ServiceBuilder::new()
            .layer(TimeoutLayer::new(timeout))
            .layer(RetryLayer::new(tries))
            .layer(ReplyBodyLayer::new())
            .service(service)
    };
    let client: Client<_, _> = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::get(&url).body(Full::<Bytes>::default()).unwrap();
    let response = stack(client.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 418);
    let flags = ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED;
    assert_eq!(ResponseFlags::of(&response), flags);
    assert_eq!(text(response).await, "fault filter abort");

    // A service that can be spawned, shared and cloned.
    fn fits<S, B>(_: &S)
    where
        S: Service<Request<B>, Future: Send + 'static> + Clone + Send + Sync + 'static,
    {
    }
    fits::<_, Full<Bytes>>(&stack(client));
}

/// A tonic server with a layer that refuses all calls in gRPC's own words.
#[tokio::test]
async fn a_tonic_server_takes_layers_through_the_adapter() {
    let service = service_fn(|_: Request<tonic::body::Body>| async {
        let status = tonic::Status::ok("");
        Ok::<_, BoxError>(status.into_http::<tonic::body::Body>())
    });
    let layers = ServiceBuilder::new()
        .layer(abort())
        .layer(ReplyBodyLayer::new());
    let service = layers.service(service);
    let request = Request::post("/a.B/C").header("content-type", "application/grpc");
    let request = request.body(tonic::body::Body::empty()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!(status.code(), tonic::Code::Unknown);
    assert_eq!(status.message(), "fault filter abort");
    // And tonic takes the layers as they are.
    drop(tonic::transport::Server::builder().layer(layers));
}
