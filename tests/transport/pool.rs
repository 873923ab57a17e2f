//! Connections: kept, used again, replaced, and closed with what they belong to.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower_mesh::endpoint::{Address, Endpoint};
use tower_mesh::mesh::Mesh;
use tower_mesh::transport::{HttpTransport, Transport as _};

use crate::support::{ONCE, connections, get, mesh, mesh_with, raw, until, upstream};

async fn ok(mesh: &Mesh) {
    let response = mesh.client().send(get("/")).await.unwrap();
    response.into_body().collect().await.unwrap();
}

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let (port, seen) = upstream(false, |_| async { Response::new(Full::from("hello")) }).await;
    let mesh = mesh("HTTP", &[port]);
    for _ in 0..20 {
        ok(&mesh).await;
        // The connection's own task has to notice that the response has ended.
        tokio::task::yield_now().await;
    }
    assert_eq!((seen.requests(), seen.connections()), (20, 1));
    // As many at a time need as many connections, which then wait for more.
    let at_once = || futures::future::join_all((0..5).map(|_| ok(&mesh)));
    at_once().await;
    tokio::task::yield_now().await;
    at_once().await;
    assert_eq!(seen.requests(), 30);
    assert!(seen.connections() <= 5, "{}", seen.connections());
}

#[tokio::test]
async fn a_body_left_early_takes_its_connection_along() {
    let (port, seen) = upstream(false, |_| async {
        Response::new(Full::from(Bytes::from(vec![0; 1 << 22])))
    })
    .await;
    let mesh = mesh("HTTP", &[port]);
    let response = mesh.client().send(get("/")).await.unwrap();
    drop(response);
    tokio::task::yield_now().await;
    ok(&mesh).await;
    assert_eq!(seen.connections(), 2);
}

#[tokio::test]
async fn a_kept_connection_found_closed_is_replaced() {
    // Answers once on each connection and closes it a little later.
    let port = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await;
    })
    .await;
    let mesh = mesh_with("HTTP", &[port], ONCE);
    for _ in 0..50 {
        ok(&mesh).await;
        until(|| connections(&mesh) == 0).await;
    }
}

/// The time of a try begins when this says that there is a connection.
#[tokio::test]
async fn a_request_is_connecting_until_it_has_a_connection() {
    let (port, seen) = upstream(false, |_| std::future::pending()).await;
    let endpoint = Endpoint::new(Address::new("127.0.0.1", port), Default::default());
    let request = Request::get("/").header("host", "a.com");
    let request = request.body(tower_mesh::body::Body::empty()).unwrap();
    let mut sending = HttpTransport::new().send(&endpoint, request);
    assert!(HttpTransport::is_connecting(&sending));
    let connected = std::future::poll_fn(|cx| {
        assert!(std::pin::Pin::new(&mut sending).poll(cx).is_pending());
        match HttpTransport::is_connecting(&sending) {
            true => std::task::Poll::Pending,
            false => std::task::Poll::Ready(()),
        }
    });
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, connected)
        .await
        .expect("a connection");
    assert!(seen.requests() <= 1, "and no answer");
}

/// With one request allowed at a time: the one that goes on with another connection is still one.
#[tokio::test]
async fn a_request_that_changes_its_connection_counts_once() {
    let close = std::sync::Arc::new(tokio::sync::Notify::new());
    let told = close.clone();
    let port = raw(move |mut stream| {
        let told = told.clone();
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            let _ = stream.write_all(answer).await;
            told.notified().await;
        }
    })
    .await;
    let limit = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: it}
spec: {host: a.com, trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}}
";
    let mesh = mesh_with("HTTP", &[port], &format!("{limit}{ONCE}"));
    let mut answered = 0;
    // The end of a connection is found at every moment of the next request's way.
    for turns in 0..300 {
        ok(&mesh).await;
        close.notify_one();
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        match mesh.client().send(get("/")).await {
            Ok(_) => answered += 1,
            // It was written before the end was seen.
            Err(error) => assert_eq!(error.flags().to_string(), "UC"),
        }
        close.notify_one();
        until(|| connections(&mesh) == 0).await;
    }
    assert!(answered > 100, "{answered}");
}

#[tokio::test]
async fn connections_close_with_the_endpoint() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let port = raw(move |mut stream| {
        let tell = tell.clone();
        async move {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {
                let _ = stream.write_all(answer).await;
            }
            let _ = tell.send(());
        }
    })
    .await;
    let mesh = mesh("HTTP", &[port]);
    ok(&mesh).await;
    ok(&mesh).await;
    assert!(told.try_recv().is_err());
    mesh.apply(&tower_mesh::api::Resources::new()).unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(10), told.recv());
    assert_eq!(closed.await.unwrap(), Some(()));
}

/// A connection that has begun without a PROXY header, or with another, is not used where rules ask
/// for one.
#[tokio::test]
async fn connections_are_kept_apart_by_how_they_begin() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let port = raw(move |mut stream| {
        let tell = tell.clone();
        async move {
            let (mut read, mut began) = (Vec::new(), false);
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = stream.read(&mut piece).await {
                read.extend_from_slice(&piece[..n]);
                if !std::mem::replace(&mut began, true) {
                    let _ = tell.send(read[..3].to_vec());
                }
                if read.ends_with(b"\r\n\r\n") {
                    read.clear();
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    let _ = stream.write_all(answer).await;
                }
            }
        }
    })
    .await;
    let policy = |policy: &str| {
        let rule = format!(
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
             metadata: {{name: it}}\nspec: {{host: a.com, trafficPolicy: {{{policy}}}}}\n{ONCE}"
        );
        let yaml = crate::support::yaml("HTTP", &[port], &rule);
        tower_mesh::api::Resources::from_yaml("it.yaml", &yaml)
    };
    let mesh = mesh("HTTP", &[port]);
    for (said, begins) in [
        ("proxyProtocol: {version: V1}", Some("PRO")),
        ("proxyProtocol: {version: V2}", Some("\r\n\r")),
        ("loadBalancer: {simple: RANDOM}", Some("GET")),
        // Those of before are still there.
        ("proxyProtocol: {version: V2}", None),
        ("loadBalancer: {simple: RANDOM}", None),
    ] {
        mesh.apply(&policy(said)).unwrap();
        for _ in 0..3 {
            ok(&mesh).await;
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
        }
        let new = told.try_recv().ok();
        assert_eq!(new.as_deref(), begins.map(str::as_bytes), "{said}");
        assert!(told.try_recv().is_err(), "{said}: more than one connection");
    }
}

#[tokio::test]
async fn connections_to_hosts_that_nothing_declares_are_kept_too() {
    let (port, seen) = upstream(false, |_| async { Response::new(Full::from("hello")) }).await;
    let (mesh, _) = Mesh::builder().build().unwrap();
    for _ in 0..5 {
        let request = Request::get(format!("http://127.0.0.1:{port}/"));
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let response = mesh.client().send(request).await.unwrap();
        response.into_body().collect().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!((seen.requests(), seen.connections()), (5, 1));
}

/// A mesh outlives the runtime its connections were made on.
#[test]
fn another_runtime_makes_connections_of_its_own() {
    let serving = tokio::runtime::Runtime::new().unwrap();
    let answer = |_| async { Response::new(Full::from("hello")) };
    let (port, seen) = serving.block_on(upstream(false, answer));
    let mesh = mesh_with("HTTP", &[port], ONCE);
    for _ in 0..3 {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        runtime.block_on(ok(&mesh));
    }
    assert_eq!(seen.connections(), 3);
}
