//! The built-in transport over real sockets, and the proxy inside axum.

use std::time::Duration;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tower::ServiceExt as _;
use tower_mesh::mesh::{ErrorKind, Mesh};

use crate::support::{mesh, text};

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn at(port: u16) -> Mesh {
    mesh(&format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: it}}
spec:
  hosts: [a.com]
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {port}}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1}}]
"
    ))
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let (listener, port) = listen().await;
    let app = Router::new().fallback(|request: Request<AxumBody>| async {
        AxumBody::from_stream(request.into_body().into_data_stream())
    });
    tokio::spawn(async move { axum::serve(listener, app).await });

    let (send, receive) = futures::channel::mpsc::unbounded::<Bytes>();
    let frames = futures::StreamExt::map(receive, |piece| {
        Ok::<_, std::convert::Infallible>(http_body::Frame::data(piece))
    });
    let request = Request::post("http://a.com/")
        .body(StreamBody::new(frames))
        .unwrap();
    let response = tokio::spawn(async move { at(port).client().send(request).await });
    let mut pieces = Vec::new();
    send.unbounded_send(Bytes::from("one")).unwrap();
    let mut body = response.await.unwrap().unwrap().into_body();
    // Each piece comes back before the next is sent, so nothing waits for the whole.
    for next in ["two", "three", ""] {
        pieces.push(body.frame().await.unwrap().unwrap().into_data().unwrap());
        match next {
            "" => send.close_channel(),
            next => send.unbounded_send(Bytes::from(next)).unwrap(),
        }
    }
    assert!(body.frame().await.is_none());
    assert_eq!(pieces, ["one", "two", "three"]);
}

#[tokio::test]
async fn a_refused_connection_is_a_connect_failure() {
    let (listener, port) = listen().await;
    drop(listener);
    let request = Request::get("http://a.com/")
        .body(Full::<Bytes>::default())
        .unwrap();
    let error = at(port).client().send(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(
        error.to_string(),
        "upstream connect error or disconnect/reset before headers. \
         retried and the latest reset reason: remote connection failure (503 URX,UF)"
    );
    assert_eq!(
        error.reply().details,
        "upstream_reset_before_response_started\
         {remote_connection_failure|delayed_connect_error:_Connection_refused}"
    );
}

/// An upstream that reads a request, writes `answer` and closes.
async fn raw(answer: &'static str) -> u16 {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

#[tokio::test]
async fn closed_connections_and_garbage_are_told_apart() {
    for (answer, want) in [
        ("", "503 UC connection termination"),
        ("this is not HTTP\r\n\r\n", "502 UPE protocol error"),
    ] {
        let request = Request::get("http://a.com/")
            .body(Full::<Bytes>::default())
            .unwrap();
        let error = at(raw(answer).await)
            .client()
            .send(request)
            .await
            .unwrap_err();
        let reply = error.reply();
        let reason = reply.body.rsplit(": ").next().unwrap();
        let got = format!("{} {} {reason}", reply.status.as_u16(), reply.flags);
        assert_eq!(got, want);
    }
}

#[tokio::test]
async fn a_body_cut_short_is_an_error_of_the_body() {
    let port = raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let request = Request::get("http://a.com/")
        .body(Full::<Bytes>::default())
        .unwrap();
    let response = at(port).client().send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_proxy_is_a_fallback_for_axum() {
    let (listener, port) = listen().await;
    let app = Router::new().fallback(|request: Request<AxumBody>| async move {
        let headers = request.headers();
        let show = |name: &str| headers.get(name).map(|it| it.to_str().unwrap().to_owned());
        format!("{:?} {:?}", show("host"), show("x-envoy-attempt-count"))
    });
    tokio::spawn(async move { axum::serve(listener, app).await });

    let outer: Router = Router::new()
        .route("/own", get(|| async { "own" }))
        .fallback_service(at(port).forward());
    let ask = |path: &str| {
        let request = Request::get(path).header("host", "a.com");
        outer
            .clone()
            .oneshot(request.body(AxumBody::empty()).unwrap())
    };
    let own = ask("/own").await.unwrap();
    assert_eq!(text(own.into_body()).await, "own");
    let forwarded = ask("/other").await.unwrap();
    assert!(
        forwarded
            .headers()
            .contains_key("x-envoy-upstream-service-time")
    );
    assert_eq!(
        text(forwarded.into_body()).await,
        r#"Some("a.com") Some("1")"#
    );
}

#[tokio::test]
async fn connections_are_used_again() {
    let (listener, port) = listen().await;
    let accepted = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = accepted.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    let _ = stream.write_all(answer).await;
                }
            });
        }
    });
    let mesh = at(port);
    for _ in 0..20 {
        let request = Request::get("http://a.com/")
            .body(Full::<Bytes>::default())
            .unwrap();
        let response = mesh.client().send(request).await.unwrap();
        let whole = tokio::time::timeout(Duration::from_secs(20), response.into_body().collect());
        assert_eq!(whole.await.unwrap().unwrap().to_bytes(), "ok");
        // Gives the connection's own task a turn to return to the pool.
        tokio::task::yield_now().await;
    }
    assert_eq!(accepted.load(std::sync::atomic::Ordering::Relaxed), 1);
}
