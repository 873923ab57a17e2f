//! What counts against a limit of `connectionPool` and `retryBudget`, together with what, and for
//! how long; and what is only set on a connection.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::ServiceExt as _;
use tower_mesh::context::ResponseFlags;
use tower_mesh::mesh::Mesh;

use crate::frames::Frames;
use crate::limits::{OVERFLOW, ask, held, pool};
use crate::support::{connections, get, mesh_with, raw, until, upstream};

/// A body counts until it has been read or is left, not until its head has come.
#[tokio::test]
async fn a_request_counts_to_the_end_of_its_body() {
    let port = raw(|mut stream| async move {
        while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhalf";
            let _ = stream.write_all(head).await;
        }
    })
    .await;
    let mesh = mesh_with("HTTP", &[port], &pool("", "http2MaxRequests: 1"));
    for leaves in [false, true] {
        let first = mesh.client().send(get("/")).await.unwrap();
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(ask(&mesh).await, OVERFLOW);
        match leaves {
            true => drop(first),
            false => drop(first.into_body().collect().await.unwrap()),
        }
        assert_eq!(ask(&mesh).await, "200", "leaves: {leaves}");
    }
}

/// `/v1` and `/v2` are subsets at port 80 and `/81` is another port; all else is the host as a whole.
fn apart(ports: [u16; 2]) -> String {
    let [one, two] = ports;
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: it}}
spec:
  hosts: [a.com]
  ports: [{{number: 80, name: it, protocol: HTTP}}, {{number: 81, name: more, protocol: HTTP}}]
  resolution: STATIC
  endpoints:
  - {{address: 127.0.0.1, ports: {{it: {one}, more: {one}}}, labels: {{v: v1}}}}
  - {{address: 127.0.0.1, ports: {{it: {two}, more: {two}}}, labels: {{v: v2}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: it}}
spec:
  host: a.com
  trafficPolicy: {{connectionPool: {{http: {{http2MaxRequests: 1}}}}}}
  subsets: [{{name: v1, labels: {{v: v1}}}}, {{name: v2, labels: {{v: v2}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: it}}
spec:
  hosts: [a.com]
  http:
  - {{match: [{{uri: {{exact: /v1}}}}], retries: {{attempts: 0}}, route: [{{destination: {{host: a.com, port: {{number: 80}}, subset: v1}}}}]}}
  - {{match: [{{uri: {{exact: /v2}}}}], retries: {{attempts: 0}}, route: [{{destination: {{host: a.com, port: {{number: 80}}, subset: v2}}}}]}}
  - {{match: [{{uri: {{exact: /81}}}}], retries: {{attempts: 0}}, route: [{{destination: {{host: a.com, port: {{number: 81}}}}}}]}}
  - {{retries: {{attempts: 0}}, route: [{{destination: {{host: a.com, port: {{number: 80}}}}}}]}}
"
    )
}

/// Not for an endpoint, and not for a rule: one under way for each of four destinations.
#[tokio::test]
async fn limits_are_those_of_a_host_port_and_subset() {
    let ((one, gate_one, _), (two, gate_two, _)) = (held(false).await, held(false).await);
    let (mesh, _) = Mesh::builder().yaml(&apart([one, two])).build().unwrap();
    let send = |path: &'static str| {
        let mesh = mesh.clone();
        async move {
            match mesh.client().send(get(path)).await {
                Ok(response) => {
                    let status = response.status().to_string();
                    response.into_body().collect().await.unwrap();
                    status
                }
                Err(error) => error.flags().to_string(),
            }
        }
    };
    let paths = ["/", "/81", "/v1", "/v2"];
    let under_way = paths.map(|path| tokio::spawn(send(path)));
    let full = || mesh.clusters().iter().filter(|it| it.active() == 1).count();
    until(|| full() == 4).await;
    until(|| connections(&mesh) == 4).await;
    for path in paths {
        assert_eq!(send(path).await, "UO", "{path}");
    }
    gate_one.add_permits(8);
    gate_two.add_permits(8);
    for answer in under_way {
        assert_eq!(answer.await.unwrap(), "200 OK");
    }
    for path in paths {
        assert_eq!(send(path).await, "200 OK", "{path}");
    }
}

/// Whatever a rule says of failures: a refusal for want of room is none.
#[tokio::test]
async fn a_refusal_is_not_tried_again() {
    let (port, gate, came) = held(false).await;
    let again = "retries: {attempts: 3, backoff: 1ms, \
                 retryOn: '5xx,gateway-error,reset,connect-failure,503'}";
    let rules = pool("", "http2MaxRequests: 1").replace("retries: {attempts: 0}", again);
    let mesh = mesh_with("HTTP", &[port], &rules);
    let first = {
        let mesh = mesh.clone();
        tokio::spawn(async move { ask(&mesh).await })
    };
    until(|| came.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
    let request = get("/").map(|_| tower_mesh::body::Body::empty());
    let refused = mesh.forward().oneshot(request).await.unwrap();
    assert_eq!(ResponseFlags::of(&refused).to_string(), "UO");
    assert_eq!(refused.headers()["x-envoy-overloaded"], "true");
    assert_eq!(refused.body().info().attempts(), 1);
    gate.add_permits(1);
    assert_eq!(first.await.unwrap(), "200");
}

/// As it is with HTTP/1.1: waiting is waiting.
#[tokio::test]
async fn requests_wait_for_a_stream_of_http2_too() {
    let (port, gate, came) = held(true).await;
    let rule = pool(
        "maxConnections: 1",
        "http1MaxPendingRequests: 1, maxConcurrentStreams: 1",
    );
    let mesh = mesh_with("HTTP2", &[port], &rule);
    let ask_later = || {
        let mesh = mesh.clone();
        tokio::spawn(async move { ask(&mesh).await })
    };
    let first = ask_later();
    until(|| came.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
    let second = ask_later();
    until(|| crate::support::waiting(&mesh) == 1).await;
    assert_eq!(ask(&mesh).await, OVERFLOW);
    gate.add_permits(2);
    assert_eq!(first.await.unwrap(), "200");
    assert_eq!(second.await.unwrap(), "200");
    assert_eq!(connections(&mesh), 1);
}

/// Asked of Envoy 1.40 as well: nine good requests and the one that fails allow a retry of ten
/// percent, eight do not.
#[tokio::test]
async fn a_budget_may_go_by_the_requests_of_a_while() {
    let answer = |request: Request<Incoming>| async move {
        let mut response = Response::new(Full::<Bytes>::default());
        if request.uri().path() == "/bad" {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        response
    };
    for (good, interval, tries) in [(9, 3600, 2), (8, 3600, 1), (9, 0, 1)] {
        let (port, seen) = upstream(false, answer).await;
        let rules = pool("", "idleTimeout: 1h")
            .replace(
                "trafficPolicy: {",
                &format!(
                    "trafficPolicy: {{retryBudget: {{percent: 10, minRetryConcurrency: 0, \
                     budgetInterval: {interval}s}}, "
                ),
            )
            .replace("attempts: 0", "attempts: 1, retryOn: 5xx, backoff: 1ms");
        let mesh = mesh_with("HTTP", &[port], &rules);
        for _ in 0..good {
            assert_eq!(ask(&mesh).await, "200");
        }
        mesh.client().send(get("/bad")).await.unwrap();
        assert_eq!(seen.requests(), good + tries, "{good} in {interval} s");
    }
}

#[tokio::test]
async fn the_clients_protocol_is_spoken_where_a_policy_says_so() {
    let answer = |_| async { Response::new(Full::<Bytes>::default()) };
    for (version, http2) in [(Version::HTTP_11, false), (Version::HTTP_2, true)] {
        let (port, seen) = upstream(http2, answer).await;
        for protocol in ["HTTP", "HTTP2"] {
            let mesh = mesh_with(protocol, &[port], &pool("", "useClientProtocol: true"));
            let mut request = get("/");
            *request.version_mut() = version;
            let response = mesh.client().send(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{protocol} {version:?}");
        }
        assert_eq!(seen.requests(), 2, "{version:?}");
    }
}

/// An endpoint that does not answer pings has gone; one that has lain idle is asked all the same.
#[tokio::test]
async fn http2_connections_are_asked_whether_they_live() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let port = raw(move |stream| {
        let tell = tell.clone();
        async move {
            let mut frames = Frames::greet(stream).await;
            while let Some(next) = frames.request_or_ping().await {
                match next {
                    Some(stream) => frames.answer(stream).await,
                    None => drop(tell.send(())),
                }
            }
        }
    })
    .await;
    let pings = pool("", "http2KeepAlive: {interval: 0.3s, timeout: 0.1s}");
    let mesh = mesh_with("HTTP2", &[port], &pings);
    assert_eq!(ask(&mesh).await, "200");
    told.recv().await.unwrap();
    until(|| connections(&mesh) == 0).await;
    // Without a word of them nobody is asked, however long the connection lies idle.
    let mesh = mesh_with("HTTP2", &[port], &pool("idleTimeout: 0s", ""));
    assert_eq!(ask(&mesh).await, "200");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(600)).await;
    tokio::time::resume();
    assert_eq!(ask(&mesh).await, "200");
    assert!(told.try_recv().is_err());
    assert_eq!(connections(&mesh), 1);
}

/// The timer of the socket that leads to a port, as the kernel tells it: its kind, and in how many
/// hundredths of a second it goes off.
#[cfg(target_os = "linux")]
fn timer(port: u16) -> Option<(u8, u64)> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let to = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let leads = fields.get(2)?.ends_with(&to) && *fields.get(3)? == "01";
        let (kind, due) = fields.get(5).filter(|_| leads)?.split_once(':')?;
        Some((kind.parse().ok()?, u64::from_str_radix(due, 16).ok()?))
    })
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn sockets_are_kept_alive_as_a_policy_says() {
    const KEEPALIVE: u8 = 2;
    let answer = |_| async { Response::new(Full::<Bytes>::default()) };
    for (policy, seconds) in [
        ("", None),
        (
            "tcpKeepalive: {time: 600s, interval: 5s, probes: 2}",
            Some(600),
        ),
        // As Linux has it, where no time is written.
        ("tcpKeepalive: {probes: 2}", Some(7200)),
    ] {
        let (port, _) = upstream(false, answer).await;
        let mesh = mesh_with("HTTP", &[port], &pool(policy, ""));
        assert_eq!(ask(&mesh).await, "200");
        // What was sent is acknowledged soon, and until then another timer runs.
        until(|| timer(port).is_some_and(|(kind, _)| kind != 1)).await;
        let timer = timer(port).unwrap();
        match seconds {
            None => assert_ne!(timer.0, KEEPALIVE, "{policy}"),
            Some(seconds) => {
                assert_eq!(timer.0, KEEPALIVE, "{policy}");
                let due = timer.1 / 100;
                assert!(due.abs_diff(seconds) <= 2, "{policy}: in {due} s");
            }
        }
    }
}
