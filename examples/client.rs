//! A client for those who know reqwest: two versions of a service, nine requests in ten to the
//! first of them, testers always to the second.
//!
//! ```sh
//! cargo run --example client
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its reader")]

use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tower_mesh::api::{Resources, ServiceEntry, WorkloadEntry};
use tower_mesh::mesh::Mesh;

const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - timeout: 2s
    route:
    - {destination: {host: reviews, subset: v1}, weight: 90}
    - {destination: {host: reviews, subset: v2}, weight: 10}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let reviews = [
        WorkloadEntry::from(serve("v1").await?).labels([("version", "v1")]),
        WorkloadEntry::from(serve("v2").await?).labels([("version", "v2")]),
    ];
    let entries = Resources::new().with("reviews", ServiceEntry::http("reviews", reviews));
    let (mesh, _) = Mesh::builder()
        .yaml(RULES)
        .resources(entries)
        .registry_only(true)
        .build()?;

    let client = mesh.client();
    for _ in 0..10 {
        let response = client.get("http://reviews/1").send().await?;
        println!("{} {}", response.status(), response.text().await?);
    }

    let request = client.post("http://reviews/1").header("end-user", "jason");
    let response = request.body(r#"{"stars": 5}"#).send().await?;
    // A body is JSON to whoever reads it so; the mesh does not care.
    let answer: serde_json::Value = serde_json::from_slice(&response.bytes().await?)?;
    println!("jason: {}", answer["by"]);

    // What a sidecar answers itself is an error here, which says what kind it is.
    if let Err(error) = client.get("http://nowhere/").send().await {
        println!("nowhere: {:?}: {error}", error.kind());
    }
    Ok(())
}

/// One version of the service, on a port of its own.
async fn serve(version: &'static str) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = Router::new().fallback(move || async move { format!(r#"{{"by": "{version}"}}"#) });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}
