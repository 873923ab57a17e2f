//! Single layers, without rules and without a mesh: around a hyper client, an axum handler and a
//! function.
//!
//! ```sh
//! cargo run --example layers
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its reader")]

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_mesh::context::ResponseFlags;
use tower_mesh::cors_policy::{CorsLayer, CorsPolicy};
use tower_mesh::fault::{Abort, FaultLayer, FaultPolicy};
use tower_mesh::percent::Percent;
use tower_mesh::reply::ReplyBodyLayer;
use tower_mesh::retries::{RetryLayer, RetryOn, RetryPolicy};
use tower_mesh::rt::Rng;
use tower_mesh::timeout::{TimeoutLayer, TimeoutPolicy};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Around an axum handler: one request in two fails on purpose (the same ones in each
    // run, for the dice are seeded), any origin of ours may ask.
    let half = Percent::from_percentage(50.0)?;
    let fault = FaultPolicy::default().abort(half, Abort::http_status(StatusCode::BAD_GATEWAY)?);
    let cors = CorsPolicy::new().allow_origin("https://shop.example.com");
    let app = Router::new()
        .route("/", get(|| async { "here" }))
        .layer(FaultLayer::new(fault).rng(Rng::seeded(1)))
        .layer(CorsLayer::new(cors));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    // Around a hyper client: five more tries on a failure, two seconds for all of them. Its
    // response bodies cannot be made from text, so an adapter stands next to it.
    let client = Client::builder(TokioExecutor::new())
        .retry_canceled_requests(false)
        .build_http();
    let client = ServiceBuilder::new()
        .layer(TimeoutLayer::new(TimeoutPolicy::new(Duration::from_secs(
            2,
        ))))
        .layer(RetryLayer::new(RetryPolicy::new(
            5,
            RetryOn::parse("5xx,reset,connect-failure")?,
        )))
        .layer(ReplyBodyLayer::new())
        .service(client);
    let request = Request::get(&url).header("origin", "https://shop.example.com");
    let response = client
        .oneshot(request.body(Full::<Bytes>::default())?)
        .await?;
    println!(
        "hyper: {} {:?}",
        response.status(),
        response.headers()["access-control-allow-origin"]
    );
    println!(
        "hyper: {:?}",
        response.into_body().collect().await?.to_bytes()
    );

    // Around a function, as any other layer of tower.
    let slow = ServiceBuilder::new()
        .layer(TimeoutLayer::new(TimeoutPolicy::new(
            Duration::from_millis(10),
        )))
        .service(service_fn(|_: Request<_>| async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
    let response = slow.oneshot(Request::new(Full::<Bytes>::default())).await?;
    println!(
        "function: {} {}",
        response.status(),
        ResponseFlags::of(&response)
    );
    Ok(())
}
