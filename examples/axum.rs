//! An axum application with Istio's rules on both sides: around its own routes, and for whatever
//! it hands on to another service.
//!
//! ```sh
//! cargo run --example axum -- 127.0.0.1:8080
//! curl -i -H 'host: shop.example.com' http://127.0.0.1:8080/cart      # served here
//! curl -i -H 'host: shop.example.com' http://127.0.0.1:8080/basket    # redirected by a rule
//! curl -i -H 'host: shop.example.com' http://127.0.0.1:8080/orders    # handed on
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its reader")]

use std::error::Error;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tower::Layer as _;
use tower_mesh::api::{Resources, ServiceEntry};
use tower_mesh::mesh::Mesh;

/// What comes in is a gateway's business, what goes out the mesh's: no rule applies twice.
const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: from-outside}
spec:
  hosts: [shop.example.com]
  gateways: [edge]
  http:
  - match: [{uri: {exact: /basket}}]
    redirect: {uri: /cart}
  - timeout: 5s
    headers: {response: {set: {x-served-by: shop}}}
    route: [{destination: {host: shop.example.com}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: to-legacy}
spec:
  hosts: [shop.example.com]
  http:
  - retries: {attempts: 2, retryOn: 5xx}
    rewrite: {authority: legacy.example.com}
    route: [{destination: {host: legacy.example.com}}]
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let legacy = TcpListener::bind("127.0.0.1:0").await?;
    let entry = ServiceEntry::http("legacy.example.com", [legacy.local_addr()?]);
    let elsewhere = Router::new().fallback(|| async { "from the old shop\n" });
    tokio::spawn(async move { axum::serve(legacy, elsewhere).await });

    let entries = Resources::new().with("legacy", entry);
    let rules = Mesh::builder().yaml(RULES).resources(entries);
    let (edge, _) = rules.clone().gateway("default/edge").build()?;
    let (mesh, _) = rules.build()?;

    let routes = Router::new()
        .route("/cart", get(|| async { "the new cart\n" }))
        .fallback_service(mesh.forward());
    // Around the whole router: rewrites then decide which handler is asked.
    let app = Router::new().fallback_service(edge.inbound_layer().layer(routes));

    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
