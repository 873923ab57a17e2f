//! A proxy between real clients and real endpoints: tunnels, HTTP/2 on both sides, leaving early.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower_mesh::mesh::Mesh;

use crate::grpc;
use crate::support::{listen, mesh, mesh_with, raw, until, upstream};

/// Serves the mesh's proxy.
pub(crate) async fn proxy(mesh: &Mesh) -> u16 {
    let (listener, port) = listen().await;
    let service = TowerToHyperService::new(mesh.forward());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let io = TokioIo::new(stream);
                let _ = server.serve_connection_with_upgrades(io, service).await;
            });
        }
    });
    port
}

/// An endpoint that switches protocols and answers in capitals.
async fn shouting(answer: &'static str) -> u16 {
    raw(move |mut stream| async move {
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).await.unwrap_or_default();
        let head = String::from_utf8_lossy(&buffer[..n]).to_ascii_lowercase();
        assert!(head.contains("connection: upgrade\r\n"), "{head}");
        assert!(head.contains("upgrade: websocket\r\n"), "{head}");
        let _ = stream.write_all(answer.as_bytes()).await;
        loop {
            match stream.read(&mut buffer).await {
                Ok(n @ 1..) => {
                    let loud = buffer[..n].to_ascii_uppercase();
                    let _ = stream.write_all(&loud).await;
                }
                _ => return,
            }
        }
    })
    .await
}

const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

async fn ask(port: u16, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!("GET /chat HTTP/1.1\r\nhost: a.com\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.ends_with(end) {
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut buffer));
        match read.await.unwrap_or_else(|_| panic!("only {text:?}")) {
            Ok(n @ 1..) => text += std::str::from_utf8(&buffer[..n]).unwrap(),
            _ => return text + "<end>",
        }
    }
    text
}

const ASKED: &str = "connection: keep-alive, Upgrade\r\nupgrade: websocket\r\n";

/// What is counted at the endpoint: requests under way, those its destination has room for, and
/// connections.
fn counted(mesh: &Mesh) -> (u32, u32, usize) {
    let cluster = mesh.clusters().remove(0);
    let requests = cluster.limits.unwrap().requests.now;
    let endpoint = &cluster.endpoints[0];
    (endpoint.active, requests, endpoint.connections)
}

#[tokio::test]
async fn a_websocket_passes_and_counts_until_it_ends() {
    const ONE: &str = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: it}
spec: {host: a.com, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}}
";
    let mesh = mesh_with("HTTP", &[shouting(SWITCH).await], ONE);
    let port = proxy(&mesh).await;
    assert_eq!(counted(&mesh), (0, 0, 0));
    let mut stream = ask(port, ASKED).await;
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("connection: upgrade\r\n"), "{head}");
    assert!(head.contains("upgrade: websocket\r\n"), "{head}");
    for word in ["hello", "again"] {
        stream.write_all(word.as_bytes()).await.unwrap();
        let loud = word.to_ascii_uppercase();
        assert_eq!(read_until(&mut stream, &loud).await, loud);
    }
    assert_eq!(counted(&mesh), (1, 1, 1));
    let refused = read_until(&mut ask(port, ASKED).await, "overflow").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    // The endpoint is told that the client has finished, and ends the tunnel.
    stream.shutdown().await.unwrap();
    assert_eq!(read_until(&mut stream, "x").await, "<end>");
    // The connection made for the one that was refused is kept.
    nothing_counts_but(&mesh, 1).await;

    // Nor does anything stay counted where the client is gone without a word.
    let mut stream = ask(port, ASKED).await;
    read_until(&mut stream, "\r\n\r\n").await;
    assert_eq!(counted(&mesh), (1, 1, 1));
    stream.set_zero_linger().unwrap();
    drop(stream);
    nothing_counts_but(&mesh, 0).await;
}

/// Waits until no request is counted any more, and so many connections are.
async fn nothing_counts_but(mesh: &Mesh, connections: usize) {
    until(|| counted(mesh) == (0, 0, connections)).await;
}

#[tokio::test]
async fn the_routes_time_ends_with_the_switch() {
    const LIMIT: &str = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: it}
spec:
  hosts: [a.com]
  http: [{timeout: 20s, route: [{destination: {host: a.com}}]}]
";
    let port = proxy(&mesh_with("HTTP", &[shouting(SWITCH).await], LIMIT)).await;
    let mut stream = ask(port, ASKED).await;
    read_until(&mut stream, "\r\n\r\n").await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    stream.write_all(b"late").await.unwrap();
    assert_eq!(read_until(&mut stream, "LATE").await, "LATE");

    let silent = shouting("").await;
    let soon = LIMIT.replace("20s", "0.1s");
    let port = proxy(&mesh_with("HTTP", &[silent], &soon)).await;
    let mut stream = ask(port, ASKED).await;
    let answer = read_until(&mut stream, "upstream request timeout").await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn what_is_not_switched_is_answered_as_http() {
    let refused = "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno";
    let port = proxy(&mesh("HTTP", &[shouting(refused).await])).await;
    let answer = read_until(&mut ask(port, ASKED).await, "no").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(
        !answer.contains("x-envoy-upstream-service-time"),
        "{answer}"
    );

    // 200 is no switch: its body does not become a tunnel.
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    let port = proxy(&mesh("HTTP", &[shouting(ok).await])).await;
    let answer = read_until(&mut ask(port, ASKED).await, "x").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n<end>"), "{answer}");
}

#[tokio::test]
async fn other_protocols_are_refused_and_h2c_is_not_changed_to() {
    let answer = |request: Request<_>| async move {
        let text = format!("{:?}", request.headers().get("upgrade"));
        Response::new(Full::from(Bytes::from(text)))
    };
    let (at, seen) = upstream(false, answer).await;
    let port = proxy(&mesh("HTTP", &[at])).await;
    for protocol in ["foo", "websocket, foo"] {
        let headers = format!("connection: upgrade\r\nupgrade: {protocol}\r\n");
        let answer = read_until(&mut ask(port, &headers).await, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
    assert_eq!(seen.requests(), 0);
    for headers in [
        "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
        "upgrade: websocket\r\n",
    ] {
        let answer = read_until(&mut ask(port, headers).await, "None").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test]
async fn a_switch_nobody_asked_for_is_a_broken_protocol() {
    let port = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(SWITCH.as_bytes()).await;
        let _ = stream.read(&mut [0; 4096]).await;
    })
    .await;
    let port = proxy(&mesh("HTTP", &[port])).await;
    let answer = read_until(&mut ask(port, "").await, "protocol error").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

/// Envoy would say it with an extended CONNECT.
#[tokio::test]
async fn a_websocket_is_an_ordinary_request_where_http2_is_spoken() {
    let answer = |request: Request<_>| async move {
        let upgrade = request.headers().get("upgrade");
        let text = format!("{} {upgrade:?}", request.method());
        let response = Response::builder().header("x-saw", text);
        response.body(Full::default()).unwrap()
    };
    let (at, _) = upstream(true, answer).await;
    let port = proxy(&mesh("HTTP2", &[at])).await;
    let answer = read_until(&mut ask(port, ASKED).await, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("x-saw: GET None\r\n"), "{answer}");
}

/// All four shapes of calls, through a proxy that speaks HTTP/2 on both sides.
#[tokio::test]
async fn grpc_passes_through_a_proxy() {
    let mesh = mesh("GRPC", &[grpc::server("one").await]);
    let port = proxy(&mesh).await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{port}"));
    let channel = channel
        .unwrap()
        .origin(http::Uri::from_static("http://a.com"));
    let channel = channel.connect().await.unwrap();
    grpc::speak_in_all_shapes(tonic::client::Grpc::new(channel)).await;
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_request() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let at = raw(move |mut stream| {
        let tell = tell.clone();
        async move {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ = tell.send("came");
            let gone = !stream.read(&mut buffer).await.is_ok_and(|n| n > 0);
            let _ = tell.send(if gone { "gone" } else { "more" });
        }
    })
    .await;
    let port = proxy(&mesh("HTTP", &[at])).await;
    let stream = ask(port, "").await;
    assert_eq!(told.recv().await, Some("came"));
    drop(stream);
    let gone = tokio::time::timeout(Duration::from_secs(10), told.recv());
    assert_eq!(gone.await.unwrap(), Some("gone"));
}
