//! Which protocol an endpoint is spoken to in, and what HTTP/2 makes of a request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tower_mesh::connection::{ConnectionSettings, Http2KeepAlive, TcpKeepalive, UpstreamProtocol};
use tower_mesh::endpoint::{Address, Endpoint};
use tower_mesh::mesh::Mesh;

use crate::support::{get, listen, mesh, upstream};

async fn echo(request: Request<hyper::body::Incoming>) -> Response<Full<Bytes>> {
    let host = request.headers().get("host");
    let text = format!("{:?} {} host={host:?}", request.version(), request.uri());
    Response::new(Full::from(text))
}

async fn text(mesh: &Mesh, version: Version) -> String {
    let mut request = get("/x");
    *request.version_mut() = version;
    let response = mesh.client().send(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn the_port_says_which_protocol_is_spoken() {
    let (one, _) = upstream(false, echo).await;
    let (two, _) = upstream(true, echo).await;
    let http1 = "HTTP/1.1 /x host=Some(\"a.com\")";
    let http2 = "HTTP/2.0 http://a.com/x host=None";
    for version in [Version::HTTP_11, Version::HTTP_2] {
        assert_eq!(text(&mesh("HTTP", &[one]), version).await, http1);
        for protocol in ["HTTP2", "GRPC", "http2"] {
            assert_eq!(text(&mesh(protocol, &[two]), version).await, http2);
        }
    }
    // Where nothing is said, what the client speaks.
    assert_eq!(text(&mesh("\"\"", &[one]), Version::HTTP_11).await, http1);
    assert_eq!(text(&mesh("\"\"", &[two]), Version::HTTP_2).await, http2);
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    // Nobody is answered before all have come.
    let all_there = Arc::new(tokio::sync::Barrier::new(40));
    let (port, seen) = upstream(true, move |_| {
        let all_there = all_there.clone();
        async move {
            all_there.wait().await;
            Response::new(Full::default())
        }
    })
    .await;
    let mesh = mesh("HTTP2", &[port]);
    let all = (0..40).map(|_| async {
        let response = mesh.client().send(get("/")).await.unwrap();
        response.into_body().collect().await.unwrap();
    });
    futures::future::join_all(all).await;
    assert_eq!((seen.requests(), seen.connections()), (40, 1));
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut answer))) = connection.accept().await {
            tokio::spawn(async move {
                let mut body = request.into_body();
                while let Some(data) = body.data().await {
                    let _ = body.flow_control().release_capacity(data.unwrap().len());
                }
                let trailers = body.trailers().await.unwrap().unwrap();
                let mut body = answer.send_response(Response::new(()), false).unwrap();
                body.send_data(Bytes::from("answer"), false).unwrap();
                body.send_trailers(trailers).unwrap();
            });
        }
    });
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "42".parse().unwrap());
    let frames = [
        Frame::data(Bytes::from("question")),
        Frame::trailers(trailers.clone()),
    ];
    let frames = frames.map(Ok::<_, std::convert::Infallible>);
    let body = StreamBody::new(futures::stream::iter(frames));
    let request = Request::post("http://a.com/").body(body).unwrap();
    let response = mesh("HTTP2", &[port]).client().send(request).await.unwrap();
    let whole = response.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers(), Some(&trailers));
    assert_eq!(whole.to_bytes(), "answer");
}

#[tokio::test]
async fn leaving_resets_the_stream_and_nothing_else() {
    let (listener, port) = listen().await;
    let (tell, told) = tokio::sync::oneshot::channel();
    let (came, has_come) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, mut first) = connection.accept().await.unwrap().unwrap();
        came.send(()).unwrap();
        let reset = tokio::spawn(async move {
            let reason = std::future::poll_fn(|cx| first.poll_reset(cx)).await;
            let _ = tell.send(reason.unwrap());
        });
        while let Some(Ok((_, mut answer))) = connection.accept().await {
            let _ = answer.send_response(Response::new(()), true);
        }
        let _ = reset.await;
    });
    let mesh = mesh("HTTP2", &[port]);
    let client = mesh.client();
    tokio::select! {
        answer = client.send(get("/1")) => panic!("{answer:?}"),
        come = has_come => come.unwrap(),
    }
    let reason = tokio::time::timeout(Duration::from_secs(10), told).await;
    assert_eq!(reason.unwrap().unwrap(), h2::Reason::CANCEL);
    assert_eq!(client.send(get("/2")).await.unwrap().status(), 200);
}

/// Code may set times that no clock reaches, and requests go their way all the same.
#[tokio::test]
async fn times_out_of_reach_never_come() {
    let never = Duration::MAX;
    let mut settings = ConnectionSettings::default();
    settings.connect_timeout = never;
    settings.idle_timeout = Some(never);
    settings.max_connection_duration = Some(never);
    settings.http2_keep_alive = Some(Http2KeepAlive::new(never, never));
    let mut keepalive = TcpKeepalive::default();
    keepalive.probes = Some(3);
    keepalive.time = Some(never);
    keepalive.interval = Some(never);
    settings.tcp_keepalive = Some(keepalive);
    let settings = Arc::new(settings);
    for http2 in [false, true] {
        let (port, seen) = upstream(http2, echo).await;
        let mesh = mesh("\"\"", &[port]);
        let endpoint = Endpoint::new(Address::new("127.0.0.1", port), Arc::default());
        let protocol = match http2 {
            false => UpstreamProtocol::Http1,
            true => UpstreamProtocol::Http2,
        };
        let endpoint = endpoint.with_protocol(protocol);
        let endpoint = endpoint.with_settings(Some(settings.clone()));
        mesh.set_endpoints("a.com", 80, vec![endpoint]);
        for _ in 0..2 {
            text(&mesh, Version::HTTP_11).await;
        }
        assert_eq!(seen.requests(), 2, "{http2}");
    }
}
