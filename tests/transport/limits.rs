//! `connectionPool` and `retryBudget` over real connections: who waits, who is refused, what is
//! counted afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use tokio::sync::Semaphore;
use tower_mesh::api::Resources;
use tower_mesh::mesh::Mesh;

use crate::support::{
    ONCE, Seen, connections, get, listen, mesh_with, raw, until, upstream, waiting,
};

/// A DestinationRule with this connection pool.
pub(crate) fn pool(tcp: &str, http: &str) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: it}}
spec: {{host: a.com, trafficPolicy: {{connectionPool: {{tcp: {{{tcp}}}, http: {{{http}}}}}}}}}
{ONCE}"
    )
}

/// What a client is told: the status, with flags where the mesh answered.
pub(crate) async fn ask(mesh: &Mesh) -> String {
    match mesh.client().send(get("/")).await {
        Ok(response) => {
            let status = response.status().as_u16();
            response.into_body().collect().await.unwrap();
            status.to_string()
        }
        Err(error) => {
            let overloaded = error.clone().into_response::<Full<Bytes>>();
            let overloaded = overloaded.headers().contains_key("x-envoy-overloaded");
            let (status, flags) = (error.reply().status.as_u16(), error.flags());
            let kind = error.kind();
            format!("{status} {flags} {kind:?} {overloaded}")
        }
    }
}

/// An upstream that answers when told to, and how many requests have come.
pub(crate) async fn held(http2: bool) -> (u16, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (port, gate, came, _) = held_and_seen(http2).await;
    (port, gate, came)
}

/// The same, and what is seen of its connections.
async fn held_and_seen(http2: bool) -> (u16, Arc<Semaphore>, Arc<AtomicUsize>, Seen) {
    let (gate, came) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let inside = (gate.clone(), came.clone());
    let (port, seen) = upstream(http2, move |_| {
        let (gate, came) = inside.clone();
        async move {
            came.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            Response::new(Full::from("hello"))
        }
    })
    .await;
    (port, gate, came, seen)
}

pub(crate) const OVERFLOW: &str = "503 UO Overflow true";

#[tokio::test]
async fn requests_beyond_the_limit_are_refused_at_once_whatever_the_protocol() {
    for (protocol, http2) in [("HTTP", false), ("HTTP2", true)] {
        let (port, gate, came) = held(http2).await;
        let mesh = mesh_with(protocol, &[port], &pool("", "http2MaxRequests: 2"));
        let ask_later = || {
            let mesh = mesh.clone();
            tokio::spawn(async move { ask(&mesh).await })
        };
        let first = (ask_later(), ask_later());
        until(|| came.load(Ordering::SeqCst) == 2).await;
        assert_eq!(ask(&mesh).await, OVERFLOW, "{protocol}");
        gate.add_permits(3);
        assert_eq!(first.0.await.unwrap(), "200");
        assert_eq!(first.1.await.unwrap(), "200");
        assert_eq!(ask(&mesh).await, "200", "{protocol}");
    }
}

/// Istio's httpbin example: one connection, one waiting; the third at the same time is refused.
#[tokio::test]
async fn one_connection_and_one_that_waits() {
    let (port, gate, came) = held(false).await;
    let rule = pool("maxConnections: 1", "http1MaxPendingRequests: 1");
    let mesh = mesh_with("HTTP", &[port], &rule);
    let ask_later = || {
        let mesh = mesh.clone();
        tokio::spawn(async move { ask(&mesh).await })
    };
    let first = ask_later();
    until(|| came.load(Ordering::SeqCst) == 1).await;
    let second = ask_later();
    until(|| waiting(&mesh) == 1).await;
    assert_eq!(ask(&mesh).await, OVERFLOW);
    // Whoever gives up waiting makes room for another.
    second.abort();
    let _ = second.await;
    let third = ask_later();
    until(|| waiting(&mesh) == 1).await;
    assert_eq!(ask(&mesh).await, OVERFLOW);
    gate.add_permits(2);
    assert_eq!(first.await.unwrap(), "200");
    assert_eq!(third.await.unwrap(), "200");
    assert_eq!(came.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn connections_are_limited_for_all_endpoints_but_each_may_have_one() {
    let ((one, gate_one, came_one), (two, gate_two, came_two)) =
        (held(false).await, held(false).await);
    let mesh = mesh_with("HTTP", &[one, two], &pool("maxConnections: 1", ""));
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let mesh = mesh.clone();
            tokio::spawn(async move { ask(&mesh).await })
        })
        .collect();
    let came = || {
        (
            came_one.load(Ordering::SeqCst),
            came_two.load(Ordering::SeqCst),
        )
    };
    until(|| came() == (1, 1)).await;
    until(|| waiting(&mesh) == 6).await;
    assert_eq!(came(), (1, 1), "one connection to each");
    gate_one.add_permits(8);
    gate_two.add_permits(8);
    for answer in asked {
        assert_eq!(answer.await.unwrap(), "200");
    }
}

#[tokio::test]
async fn what_is_under_way_counts_on_when_rules_change() {
    let (port, gate, came) = held(false).await;
    let mesh = mesh_with("HTTP", &[port], &pool("", "http2MaxRequests: 5"));
    let first = tokio::spawn({
        let mesh = mesh.clone();
        async move { ask(&mesh).await }
    });
    until(|| came.load(Ordering::SeqCst) == 1).await;
    let tighter = crate::support::yaml("HTTP", &[port], &pool("", "http2MaxRequests: 1"));
    mesh.apply(&Resources::from_yaml("it.yaml", &tighter))
        .unwrap();
    assert_eq!(ask(&mesh).await, OVERFLOW);
    gate.add_permits(2);
    assert_eq!(first.await.unwrap(), "200");
    assert_eq!(ask(&mesh).await, "200");
}

#[tokio::test]
async fn the_time_to_connect_is_the_rules() {
    // A listener whose queue is full takes no more connections.
    let (listener, port) = listen().await;
    let socket = listener.into_std().unwrap();
    let mut waiting = Vec::new();
    loop {
        let address = socket.local_addr().unwrap();
        let connect = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_millis(200), connect).await {
            Ok(Ok(stream)) => waiting.push(stream),
            _ => break,
        }
        assert!(waiting.len() < 5000, "its queue has no end");
    }
    let mesh = mesh_with("HTTP", &[port], &pool("connectTimeout: 0.1s", ""));
    let error = mesh.client().send(get("/")).await.unwrap_err();
    assert_eq!(
        error.reply().details,
        "upstream_reset_before_response_started{connection_timeout}"
    );
    assert_eq!(error.flags().to_string(), "UF");
}

#[tokio::test]
async fn a_connection_serves_as_many_requests_and_as_long_as_it_may() {
    let hello = |_| async { Response::new(Full::from("hello")) };
    for (protocol, http2) in [("HTTP", false), ("HTTP2", true)] {
        for (rule, connections) in [
            (pool("", "maxRequestsPerConnection: 2"), 3),
            (pool("", "maxRequestsPerConnection: 1"), 6),
            (pool("maxConnectionDuration: 3600s, idleTimeout: 0s", ""), 1),
        ] {
            let (port, seen) = upstream(http2, hello).await;
            let mesh = mesh_with(protocol, &[port], &rule);
            for _ in 0..6 {
                assert_eq!(ask(&mesh).await, "200");
                tokio::task::yield_now().await;
            }
            assert_eq!(seen.connections(), connections, "{protocol} {rule}");
        }
        for rule in [
            pool("maxConnectionDuration: 0.3s", ""),
            pool("", "idleTimeout: 0.3s"),
        ] {
            let (port, seen) = upstream(http2, hello).await;
            let mesh = mesh_with(protocol, &[port], &rule);
            assert_eq!(ask(&mesh).await, "200");
            until(|| connections(&mesh) == 0).await;
            assert_eq!(ask(&mesh).await, "200");
            assert_eq!(seen.connections(), 2, "{protocol} {rule}");
        }
    }
}

/// What is under way ends in peace; nothing else begins on its connection.
#[tokio::test]
async fn a_connection_whose_time_is_up_takes_no_more_requests() {
    for (protocol, http2) in [("HTTP", false), ("HTTP2", true)] {
        let (port, gate, came, seen) = held_and_seen(http2).await;
        let mesh = mesh_with(protocol, &[port], &pool("maxConnectionDuration: 600s", ""));
        let asking = mesh.clone();
        let under_way = tokio::spawn(async move { ask(&asking).await });
        until(|| came.load(Ordering::SeqCst) == 1).await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(601)).await;
        tokio::time::resume();
        gate.add_permits(2);
        assert_eq!(under_way.await.unwrap(), "200", "{protocol}");
        assert_eq!(ask(&mesh).await, "200", "{protocol}");
        assert_eq!(seen.connections(), 2, "{protocol}");
    }
}

#[tokio::test]
async fn streams_beyond_a_connections_share_need_another() {
    let (port, gate, came) = held(true).await;
    let mesh = mesh_with("HTTP2", &[port], &pool("", "maxConcurrentStreams: 2"));
    let asked: Vec<_> = (0..5)
        .map(|_| {
            let mesh = mesh.clone();
            tokio::spawn(async move { ask(&mesh).await })
        })
        .collect();
    until(|| came.load(Ordering::SeqCst) == 5).await;
    assert_eq!(connections(&mesh), 3);
    gate.add_permits(5);
    for answer in asked {
        assert_eq!(answer.await.unwrap(), "200");
    }
}

#[tokio::test]
async fn policies_say_which_protocol_is_spoken() {
    let version = |it: http::Request<hyper::body::Incoming>| async move {
        Response::new(Full::from(format!("{:?}", it.version())))
    };
    let (two, _) = upstream(true, version).await;
    let upgraded = mesh_with("HTTP", &[two], &pool("", "h2UpgradePolicy: UPGRADE"));
    assert_eq!(ask(&upgraded).await, "200");
    let (one, _) = upstream(false, version).await;
    let client = mesh_with("HTTP2", &[one], &pool("", "useClientProtocol: true"));
    assert_eq!(ask(&client).await, "200");
}

#[cfg(unix)]
#[tokio::test]
async fn an_endpoint_may_be_a_unix_socket() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let path = std::env::temp_dir().join(format!("tower-mesh-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            let _ = stream.write_all(answer).await;
        }
    });
    let yaml = format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: it}}
spec:
  hosts: [a.com]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: \"unix://{}\"}}]
",
        path.display()
    );
    let (mesh, _) = Mesh::builder().yaml(&yaml).build().unwrap();
    let response = mesh.client().send(get("/")).await.unwrap();
    let host = response.body().info().upstream_host().unwrap().to_string();
    assert_eq!(host, path.display().to_string());
    let _ = std::fs::remove_file(&path);
}

/// A connection that fails is no longer counted, and takes those who wait for it along.
#[tokio::test]
async fn a_connection_that_breaks_makes_room_for_another() {
    use tokio::io::AsyncReadExt as _;

    let port = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
    })
    .await;
    let mesh = mesh_with("HTTP", &[port], &pool("maxConnections: 1", ""));
    for _ in 0..5 {
        let several = futures::future::join_all((0..3).map(|_| ask(&mesh)));
        for answer in several.await {
            assert_eq!(answer, "503 UC Reset false");
        }
    }
}

#[tokio::test]
async fn a_mesh_tells_who_waits_and_how_many_connections_there_are() {
    let (port, gate, came) = held(false).await;
    let mesh = mesh_with(
        "HTTP",
        &[port],
        &pool("maxConnections: 1", "http1MaxPendingRequests: 1"),
    );
    let ask_later = || {
        let mesh = mesh.clone();
        tokio::spawn(async move { ask(&mesh).await })
    };
    let first = ask_later();
    until(|| came.load(Ordering::SeqCst) == 1).await;
    let second = ask_later();
    let told = || mesh.clusters().remove(0);
    until(|| told().endpoints[0].pending == 1).await;
    let status = told();
    assert_eq!(
        (status.endpoints[0].active, status.endpoints[0].connections),
        (2, 1)
    );
    let limits = status.limits.unwrap();
    assert!(limits.connections.is_open && limits.pending.is_open && !limits.requests.is_open);
    assert_eq!(ask(&mesh).await, OVERFLOW);
    gate.add_permits(2);
    assert_eq!(
        (first.await.unwrap(), second.await.unwrap()),
        ("200".to_owned(), "200".to_owned())
    );
    let status = told();
    assert_eq!((status.endpoints[0].pending, status.active()), (0, 0));
    assert!(!status.limits.unwrap().pending.is_open);
}

#[tokio::test]
async fn a_refusal_is_not_the_endpoints_fault() {
    let (port, gate, came) = held(false).await;
    let detects = pool("", "http2MaxRequests: 1").replace(
        "trafficPolicy: {",
        "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100}, ",
    );
    let mesh = mesh_with("HTTP", &[port], &detects);
    let first = {
        let mesh = mesh.clone();
        tokio::spawn(async move { ask(&mesh).await })
    };
    until(|| came.load(Ordering::SeqCst) == 1).await;
    assert_eq!(ask(&mesh).await, OVERFLOW);
    assert_eq!(mesh.clusters()[0].endpoints[0].ejections, 0);
    gate.add_permits(2);
    assert_eq!(first.await.unwrap(), "200");
    assert_eq!(ask(&mesh).await, "200");
}
