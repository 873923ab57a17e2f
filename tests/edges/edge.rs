//! An axum server at an edge, over real sockets: who connected is told to the proxy inside.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::map_request;
use axum::{Router, serve};
use tokio::net::TcpListener;
use tower::Layer as _;
use tower_mesh::api::{Resources, ServiceEntry};
use tower_mesh::context::Connection;
use tower_mesh::mesh::{EdgeLayer, Mesh};

/// Tells of each request what a proxy in front of it said of where it came from.
async fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(|request: Request| async move {
        let lines = |name| {
            let lines = request.headers().get_all(name).iter();
            let lines = lines.map(|it| it.to_str().unwrap());
            lines.collect::<Vec<_>>().join(" and ")
        };
        let names = [
            "x-forwarded-for",
            "x-envoy-external-address",
            "x-forwarded-proto",
        ];
        names.map(lines).join("; ")
    });
    tokio::spawn(async move { serve(listener, app).await });
    address
}

/// An application that hands everything on, and notes of each request where it came from.
async fn application(edge: EdgeLayer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let local = listener.local_addr().unwrap();
    let entry = ServiceEntry::http("shop", [upstream().await]);
    let resources = Resources::new().with("shop", entry);
    let (mesh, _) = Mesh::builder().resources(resources).build().unwrap();
    let note = move |ConnectInfo(remote): ConnectInfo<SocketAddr>, mut request: Request| {
        request
            .extensions_mut()
            .insert(Connection { remote, local });
        async { request }
    };
    let app = Router::new()
        .fallback_service(edge.layer(mesh.forward()))
        .layer(map_request(note));
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { serve(listener, app).await });
    local
}

async fn ask(application: SocketAddr) -> String {
    // A client of the mesh's own: the application is what serves `shop` here.
    let entry = ServiceEntry::http("shop", [application]);
    let resources = Resources::new().with("shop", entry);
    let (mesh, _) = Mesh::builder().resources(resources).build().unwrap();
    let client = mesh.client();
    let request = client
        .get("http://shop/")
        .header("x-forwarded-for", "1.1.1.1")
        .header("x-forwarded-for", "2.2.2.2")
        .header("x-forwarded-proto", "https");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

#[tokio::test]
async fn an_axum_application_tells_an_edge_who_connected() {
    let strangers = application(EdgeLayer::new()).await;
    let want = "1.1.1.1,2.2.2.2,127.0.0.1; 127.0.0.1; http";
    assert_eq!(ask(strangers).await, want);
    let trusted = application(EdgeLayer::new().trusted_hops(1)).await;
    let want = "1.1.1.1,2.2.2.2,127.0.0.1; 2.2.2.2; https";
    assert_eq!(ask(trusted).await, want);
    let secure = application(EdgeLayer::new().secure(true)).await;
    let want = "1.1.1.1,2.2.2.2,127.0.0.1; 127.0.0.1; https";
    assert_eq!(ask(secure).await, want);
}
