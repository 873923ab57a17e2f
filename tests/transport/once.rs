//! A request that was written is never written again but by `retryOn`; one that was not goes through
//! another connection. Endpoints count what they have seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower_mesh::mesh::Mesh;

use crate::frames::Frames;
use crate::support::{ONCE, connections, mesh_with, raw, until};

/// The status, with flags where the mesh answered.
async fn ask(mesh: &Mesh, method: &Method) -> String {
    let body = match *method {
        Method::GET => Full::default(),
        _ => Full::from(Bytes::from("a body")),
    };
    let request = Request::builder().method(method).uri("http://a.com/");
    let sent = mesh.client().send(request.body(body).unwrap()).await;
    match sent {
        Ok(response) => {
            let status = response.status().as_u16();
            response.into_body().collect().await.unwrap();
            // The connection's own task has to notice that the response has ended.
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            status.to_string()
        }
        Err(error) => format!("{} {}", error.reply().status.as_u16(), error.flags()),
    }
}

/// A request with its body, if it is sent.
async fn request(stream: &mut tokio::net::TcpStream) -> bool {
    let mut read = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let n = stream.read(&mut piece).await.unwrap_or_default();
        if n == 0 {
            return false;
        }
        read.extend_from_slice(&piece[..n]);
        let whole = match read.starts_with(b"POST") {
            true => read.ends_with(b"\r\n\r\na body"),
            false => read.ends_with(b"\r\n\r\n"),
        };
        if whole {
            return true;
        }
    }
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// Of Istio's default conditions and those that want proof that nothing was sent.
const NOT_FOR_RESETS: &str = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: it}
spec:
  hosts: [a.com]
  http:
  - retries: {attempts: 3, retryOn: 'connect-failure,refused-stream,reset-before-request,503', backoff: 2ms}
    route: [{destination: {host: a.com}}]
";

#[tokio::test]
async fn a_request_written_on_a_kept_connection_is_seen_once() {
    for (rules, method) in [
        ("", Method::GET),
        ("", Method::POST),
        (ONCE, Method::GET),
        (NOT_FOR_RESETS, Method::GET),
        (NOT_FOR_RESETS, Method::POST),
    ] {
        // Serves one request of each connection, reads another and closes.
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        let http1 = raw(move |mut stream| {
            let count = count.clone();
            async move {
                for answer in [ANSWER, b""] {
                    if request(&mut stream).await {
                        count.fetch_add(1, Ordering::SeqCst);
                        let _ = stream.write_all(answer).await;
                    }
                }
            }
        })
        .await;
        let count = seen.clone();
        let http2 = raw(move |stream| {
            let count = count.clone();
            async move {
                let mut frames = Frames::greet(stream).await;
                for answered in [true, false] {
                    if let Some(stream) = frames.request().await {
                        count.fetch_add(1, Ordering::SeqCst);
                        if answered {
                            frames.answer(stream).await;
                        }
                    }
                }
            }
        })
        .await;
        for (protocol, port) in [("HTTP", http1), ("HTTP2", http2)] {
            let mesh = mesh_with(protocol, &[port], rules);
            for n in 1..=6 {
                let kept = n % 2 == 0;
                let want = if kept { "503 UC" } else { "200" };
                let before = seen.load(Ordering::SeqCst);
                let told = ask(&mesh, &method).await;
                let about = format!("{protocol} {method} {rules} request {n}");
                assert_eq!(told, want, "{about}");
                assert_eq!(seen.load(Ordering::SeqCst), before + 1, "{about}");
            }
        }
    }
}

#[tokio::test]
async fn a_kept_connection_that_has_closed_is_not_written_to() {
    // Each connection serves one request and is closed, at leave or with a word.
    for (protocol, word) in [("HTTP", false), ("HTTP2", false), ("HTTP2", true)] {
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        let port = raw(move |mut stream| {
            let count = count.clone();
            async move {
                if protocol == "HTTP" {
                    assert!(request(&mut stream).await);
                    count.fetch_add(1, Ordering::SeqCst);
                    let _ = stream.write_all(ANSWER).await;
                    return;
                }
                let mut frames = Frames::greet(stream).await;
                while let Some(stream) = frames.request().await {
                    count.fetch_add(1, Ordering::SeqCst);
                    frames.answer(stream).await;
                    if word {
                        // Stays until the client has gone.
                        frames.go_away(stream).await;
                    } else {
                        return;
                    }
                }
            }
        })
        .await;
        let mesh = mesh_with(protocol, &[port], ONCE);
        for n in 1..=20 {
            let told = ask(&mesh, &Method::POST).await;
            assert_eq!(told, "200", "{protocol} {word} request {n}");
            assert_eq!(seen.load(Ordering::SeqCst), n, "{protocol} {word}");
            until(|| connections(&mesh) == 0).await;
        }
    }
}

/// The endpoint serves one stream, gets the next, and says that it has not looked at it.
#[tokio::test]
async fn a_stream_above_the_last_one_of_a_goaway_is_sent_again_if_rules_say_so() {
    for (rules, want, sent) in [
        (ONCE, "503 UR", 1),
        (NOT_FOR_RESETS, "200", 2),
        ("", "200", 2),
    ] {
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        let port = raw(move |stream| {
            let count = count.clone();
            async move {
                let mut frames = Frames::greet(stream).await;
                while let Some(stream) = frames.request().await {
                    count.fetch_add(1, Ordering::SeqCst);
                    match stream {
                        1 => frames.answer(stream).await,
                        _ => frames.go_away(1).await,
                    }
                }
            }
        })
        .await;
        let mesh = mesh_with("HTTP2", &[port], rules);
        assert_eq!(ask(&mesh, &Method::POST).await, "200");
        assert_eq!(ask(&mesh, &Method::POST).await, want);
        assert_eq!(seen.load(Ordering::SeqCst), 1 + sent);
    }
}
