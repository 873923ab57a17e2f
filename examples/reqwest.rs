//! reqwest on both sides of a mesh: as what carries requests to endpoints, and as the types
//! requests are written in.
//!
//! ```sh
//! cargo run --example reqwest
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its reader")]

use std::error::Error;

use axum::Router;
use http::{Request, Response};
use tokio::net::TcpListener;
use tower::service_fn;
use tower_mesh::api::{Resources, ServiceEntry};
use tower_mesh::body::{Body, BoxError, SyncBody};
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::Mesh;

/// Sends a request of the mesh to this endpoint.
async fn send(
    http: reqwest::Client,
    endpoint: Endpoint,
    request: Request<Body>,
) -> Result<Response<reqwest::Body>, BoxError> {
    let url = format!("http://{}{}", endpoint.address(), request.uri());
    let (mut parts, body) = request.into_parts();
    parts.uri = url.parse()?;
    // The `Host` header stays as it is; a body that is only `Send` becomes `Sync` for reqwest.
    let body = reqwest::Body::wrap(SyncBody::new(body));
    let request = reqwest::Request::try_from(Request::from_parts(parts, body))?;
    Ok(http.execute(request).await?.into())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let entry = ServiceEntry::http("reviews", [listener.local_addr()?]);
    let app = Router::new().fallback(|body: String| async move { format!("got {body:?}") });
    tokio::spawn(async move { axum::serve(listener, app).await });
    let entries = Resources::new().with("reviews", entry);
    let (mesh, _) = Mesh::builder().resources(entries).build()?;

    // What the rules decide nobody else decides: no retries, redirects or proxies of its own.
    let http = reqwest::Client::builder()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;

    // 1. reqwest as the transport: its TLS, its pool, its limits.
    let client = mesh.client_with({
        let http = http.clone();
        move |endpoint: &Endpoint| {
            let (http, endpoint) = (http.clone(), endpoint.clone());
            service_fn(move |request| send(http.clone(), endpoint.clone(), request))
        }
    });
    let response = client.post("http://reviews/1").body("five stars");
    println!("by reqwest: {}", response.send().await?.text().await?);

    // 2. reqwest's types over the mesh, where code is written in them.
    let request = http.post("http://reviews/1").body("four stars").build()?;
    let request: Request<reqwest::Body> = request.try_into()?;
    let response = mesh.client().send(request).await?;
    let response = reqwest::Response::from(response.map(reqwest::Body::wrap));
    println!("in reqwest's types: {}", response.text().await?);
    Ok(())
}
