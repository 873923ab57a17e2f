//! Every way an endpoint can fail, as it arrives: flag, reason and details are Envoy's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Response;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{ONCE, listen, mesh_with, raw, told, told_while};

/// What a client is told of an endpoint that does this with its connections.
async fn http1<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let port = raw(serve).await;
    told(&mesh_with("HTTP", &[port], ONCE)).await
}

/// What a client is told of an endpoint that writes this and closes.
async fn answers(answer: impl Into<Bytes>) -> String {
    let answer: Bytes = answer.into();
    http1(move |mut stream| {
        let answer = answer.clone();
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
            // Reads on, so that what was written is not lost to a reset.
            while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {}
        }
    })
    .await
}

/// Knows when the client has read a part of the body.
type Heard = Arc<tokio::sync::Notify>;

/// What a client is told of an endpoint that does this with an HTTP/2 request.
async fn http2<F>(respond: fn(h2::server::SendResponse<Bytes>, Heard) -> F) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let heard = Heard::default();
    let telling = heard.clone();
    let port = raw(move |stream| {
        let heard = heard.clone();
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_request, answer))) = connection.accept().await {
                tokio::spawn(respond(answer, heard.clone()));
            }
        }
    })
    .await;
    let mesh = mesh_with("HTTP2", &[port], ONCE);
    told_while(&mesh, || telling.notify_one()).await
}

#[tokio::test]
async fn no_connection() {
    let (listener, port) = listen().await;
    drop(listener);
    for protocol in ["HTTP", "HTTP2"] {
        assert_eq!(
            told(&mesh_with(protocol, &[port], ONCE)).await,
            "503 UF remote connection failure \
             {remote_connection_failure|delayed_connect_error:_Connection_refused}"
        );
    }
}

#[tokio::test]
async fn closed_or_reset_before_the_response() {
    let closed = "503 UC connection termination {connection_termination}";
    assert_eq!(answers("").await, closed);
    let reset = http1(|mut stream| async move {
        let _ = stream.read(&mut [0; 1]).await;
        // Closed with bytes unread, a socket is reset.
    });
    assert_eq!(reset.await, closed);
}

#[tokio::test]
async fn what_is_not_http() {
    let broken = "502 UPE protocol error {protocol_error}";
    assert_eq!(answers("this is not HTTP\r\n\r\n").await, broken);
    // Nor is half a head.
    assert_eq!(answers("HTTP/1.1 200 OK\r\ncontent-le").await, broken);
    // The limit is 60 KiB, and is noticed when the buffer of that size is full.
    let headers = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(200_000));
    assert_eq!(answers(headers).await, broken);
    let headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: a\r\n".repeat(101));
    assert_eq!(answers(headers).await, broken);
}

#[tokio::test]
async fn cut_short_in_the_midst_of_the_body() {
    let cut = "UPE upstream_reset_after_response_started{protocol_error}";
    let half = answers("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    assert_eq!(half, format!("200 \"half\" {cut}"));
    let half = answers("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n").await;
    assert_eq!(half, format!("200 \"half\" {cut}"));
    assert_eq!(answers("HTTP/1.1 200 OK\r\n\r\nall").await, "200 \"all\"");
}

#[tokio::test]
async fn an_http2_stream_is_refused_or_reset() {
    let refused = http2(|mut answer, _| async move {
        answer.send_reset(h2::Reason::REFUSED_STREAM);
    });
    assert_eq!(
        refused.await,
        "503 UR remote refused stream reset {remote_refused_stream_reset}"
    );
    let reset = http2(|mut answer, _| async move {
        answer.send_reset(h2::Reason::INTERNAL_ERROR);
    });
    assert_eq!(reset.await, "503 UR remote reset {remote_reset}");
    let midway = http2(|mut answer, heard| async move {
        let mut body = answer.send_response(Response::new(()), false).unwrap();
        body.send_data(Bytes::from("half"), false).unwrap();
        heard.notified().await;
        body.send_reset(h2::Reason::CANCEL);
    });
    assert_eq!(
        midway.await,
        "200 \"half\" UR upstream_reset_after_response_started{remote_reset}"
    );
}

#[tokio::test]
async fn a_refused_stream_is_tried_again_by_istios_default() {
    let port = raw(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let mut first = true;
        while let Some(Ok((_request, mut answer))) = connection.accept().await {
            match std::mem::take(&mut first) {
                true => answer.send_reset(h2::Reason::REFUSED_STREAM),
                false => drop(answer.send_response(Response::new(()), true)),
            }
        }
    })
    .await;
    assert_eq!(told(&mesh_with("HTTP2", &[port], "")).await, "200 \"\"");
}

#[tokio::test]
async fn an_endpoint_that_goes_away_refuses_what_it_has_not_looked_at() {
    let port = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        // SETTINGS, then GOAWAY: no stream was processed, no error.
        let _ = stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
        let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let _ = stream.write_all(&goaway).await;
        while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {}
    })
    .await;
    assert_eq!(
        told(&mesh_with("HTTP2", &[port], ONCE)).await,
        "503 UR remote refused stream reset {remote_refused_stream_reset}"
    );
}

#[tokio::test]
async fn an_endpoint_that_does_not_speak_http2() {
    let port = raw(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {}
    })
    .await;
    assert_eq!(
        told(&mesh_with("HTTP2", &[port], ONCE)).await,
        "502 UPE protocol error {protocol_error}"
    );
    let headers = http2(|mut answer, _| async move {
        let response = Response::builder().header("x", "a".repeat(70_000));
        let _ = answer.send_response(response.body(()).unwrap(), true);
    });
    assert_eq!(headers.await, "502 UPE protocol error {protocol_error}");
}

/// hyper keeps what comes before an answer to itself, so there is nothing to pass on, and nothing
/// that keeps a failure behind it from being tried again.
#[tokio::test]
async fn interim_answers_are_not_passed_on() {
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let good = format!("{hints}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert!(answers(good).await.starts_with("200 "));
    let bad = format!("{hints}HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n");
    let tries = Arc::new(AtomicUsize::new(0));
    let seen = tries.clone();
    let port = raw(move |mut stream| {
        let (bad, seen) = (bad.clone(), seen.clone());
        async move {
            while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {
                seen.fetch_add(1, Ordering::Relaxed);
                let _ = stream.write_all(bad.as_bytes()).await;
            }
        }
    })
    .await;
    let again = ONCE.replace("attempts: 0", "attempts: 2, retryOn: 5xx, backoff: 1ms");
    told(&mesh_with("HTTP", &[port], &again)).await;
    assert_eq!(tries.load(Ordering::Relaxed), 3);
}

/// Envoy refuses them from 60 KiB on.
#[tokio::test]
async fn headers_of_an_answer_have_a_limit() {
    let with = |kib: usize| {
        let line = format!("x-long: {}\r\n", "x".repeat(kib << 10));
        format!("HTTP/1.1 200 OK\r\n{line}content-length: 0\r\n\r\n")
    };
    assert!(answers(with(59)).await.starts_with("200 "));
    let told = answers(with(121)).await;
    assert!(told.starts_with("502 UPE"), "{told}");
}
