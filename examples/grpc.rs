//! A tonic client over a mesh: each call is balanced, and what the mesh must answer itself comes
//! as a gRPC status.
//!
//! ```sh
//! cargo run --example grpc
//! ```
#![allow(clippy::print_stdout, reason = "a program talks to its reader")]

mod support {
    pub(crate) mod greeter;
    pub(crate) mod text;
}

use std::error::Error;
use std::net::SocketAddr;

use http::Uri;
use support::greeter::{Greeter, GreeterClient};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower_mesh::api::{HttpFaultInjection, HttpMatchRequest, HttpRoute, VirtualService};
use tower_mesh::api::{Resources, ServiceEntry};
use tower_mesh::mesh::Mesh;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let endpoints = [serve("one").await?, serve("two").await?];
    // Calls fail on purpose for those who ask for chaos.
    let chaos = HttpRoute::to("greeter")
        .r#match([HttpMatchRequest::of_header("x-chaos", "yes")])
        .fault(HttpFaultInjection::of_abort(100.0, 503));
    let rules = VirtualService::of_hosts(["greeter"]).http([chaos, HttpRoute::to("greeter")]);
    let resources = Resources::new()
        .with("greeter", ServiceEntry::grpc("greeter", endpoints))
        .with("greeter", rules);
    let (mesh, _) = Mesh::builder().resources(resources).build()?;

    // Whatever client tonic generates takes the mesh's in place of a channel.
    let mut greeter = GreeterClient::with_origin(mesh.client(), Uri::from_static("http://greeter"));
    for _ in 0..4 {
        println!(
            "{}",
            greeter.say_hello("world".to_owned()).await?.into_inner()
        );
    }

    let mut request = tonic::Request::new("world".to_owned());
    request.metadata_mut().insert("x-chaos", "yes".parse()?);
    if let Err(status) = greeter.say_hello(request).await {
        println!("chaos: {:?}: {}", status.code(), status.message());
    }
    Ok(())
}

/// A server on a port of its own.
async fn serve(name: &'static str) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::builder().add_service(Greeter::new(name));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    Ok(address)
}
