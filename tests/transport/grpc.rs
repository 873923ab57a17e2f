//! gRPC as its users write it: tonic's client over the mesh, tonic's server behind it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tonic::server::NamedService;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use tower::service_fn;
use tower_mesh::body::BoxError;
use tower_mesh::mesh::Mesh;

use crate::support::{ONCE, mesh, mesh_with};
use crate::text::Text;

type Texts = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

/// Calls in all four shapes; each answer begins with the endpoint's name.
#[derive(Clone)]
struct Shapes {
    name: &'static str,
}

impl NamedService for Shapes {
    const NAME: &'static str = "test.Shapes";
}

impl tower::Service<http::Request<tonic::body::Body>> for Shapes {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let name = self.name;
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Text);
            let shape = request.uri().path().rsplit('/').next();
            Ok(match shape.unwrap_or_default() {
                "Unary" => {
                    let answer = service_fn(move |it: Request<String>| async move {
                        match it.into_inner().as_str() {
                            "fail" => Err(Status::failed_precondition("as asked")),
                            text => Ok(Response::new(format!("{name} {text}"))),
                        }
                    });
                    grpc.unary(answer, request).await
                }
                "ServerStreaming" => {
                    let answer = service_fn(move |it: Request<String>| async move {
                        let text = it.into_inner();
                        let parts = (0..3).map(move |n| Ok(format!("{name} {text}{n}")));
                        // What ends the stream is known at the trailers only.
                        let end = stream::iter([Err(Status::data_loss("at the end"))]);
                        let texts: Texts = Box::pin(stream::iter(parts).chain(end));
                        Ok(Response::new(texts))
                    });
                    grpc.server_streaming(answer, request).await
                }
                "ClientStreaming" => {
                    let answer = service_fn(move |it: Request<Streaming<String>>| async move {
                        let texts: Vec<_> = it.into_inner().collect().await;
                        let texts: Result<Vec<String>, Status> = texts.into_iter().collect();
                        Ok(Response::new(format!("{name} {}", texts?.join("+"))))
                    });
                    grpc.client_streaming(answer, request).await
                }
                "Streaming" => {
                    let answer = service_fn(move |it: Request<Streaming<String>>| async move {
                        let texts = it.into_inner();
                        let texts = texts.map(move |it| it.map(|it| format!("{name} {it}")));
                        let texts: Texts = Box::pin(texts);
                        Ok(Response::new(texts))
                    });
                    grpc.streaming(answer, request).await
                }
                _ => Status::unimplemented("no such call").into_http(),
            })
        })
    }
}

pub(crate) async fn server(name: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tonic::transport::Server::builder().add_service(Shapes { name });
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    port
}

type Client =
    tonic::client::Grpc<tower_mesh::mesh::MeshClient<tower_mesh::transport::HttpTransport>>;

async fn client(mesh: &Mesh) -> Client {
    let origin = http::Uri::from_static("http://a.com");
    let mut client = tonic::client::Grpc::with_origin(mesh.client(), origin);
    client.ready().await.unwrap();
    client
}

fn path(shape: &str) -> PathAndQuery {
    format!("/test.Shapes/{shape}").parse().unwrap()
}

async fn unary(mesh: &Mesh, text: &str) -> Result<String, Status> {
    let mut client = client(mesh).await;
    let request = Request::new(text.to_owned());
    let answer = client.unary(request, path("Unary"), Text).await?;
    Ok(answer.into_inner())
}

/// Calls the server `one` in all four shapes.
pub(crate) async fn speak_in_all_shapes<T>(mut grpc: tonic::client::Grpc<T>)
where
    T: tonic::client::GrpcService<tonic::body::Body, Error: std::fmt::Debug>,
    T::ResponseBody: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Send,
{
    grpc.ready().await.unwrap();
    let request = Request::new("hello".to_owned());
    let answer = grpc.unary(request, path("Unary"), Text).await.unwrap();
    assert_eq!(answer.into_inner(), "one hello");

    grpc.ready().await.unwrap();
    let request = Request::new("x".to_owned());
    let answer = grpc.server_streaming(request, path("ServerStreaming"), Text);
    let texts: Vec<_> = answer.await.unwrap().into_inner().collect().await;
    let (end, texts) = texts.split_last().unwrap();
    let texts: Vec<&String> = texts.iter().map(|it| it.as_ref().unwrap()).collect();
    assert_eq!(texts, ["one x0", "one x1", "one x2"]);
    assert_eq!(end.as_ref().unwrap_err().code(), tonic::Code::DataLoss);

    grpc.ready().await.unwrap();
    let request = Request::new(stream::iter(["a", "b", "c"].map(str::to_owned)));
    let answer = grpc.client_streaming(request, path("ClientStreaming"), Text);
    assert_eq!(answer.await.unwrap().into_inner(), "one a+b+c");

    // Each message is answered before the next is sent: nothing waits for the whole.
    grpc.ready().await.unwrap();
    let (send, receive) = futures::channel::mpsc::unbounded();
    send.unbounded_send("first".to_owned()).unwrap();
    let answer = grpc.streaming(Request::new(receive), path("Streaming"), Text);
    let mut texts = answer.await.unwrap().into_inner();
    for (got, next) in [("first", "second"), ("second", "third"), ("third", "")] {
        let text = tokio::time::timeout(Duration::from_secs(10), texts.next());
        assert_eq!(text.await.unwrap().unwrap().unwrap(), format!("one {got}"));
        match next {
            "" => send.close_channel(),
            next => send.unbounded_send(next.to_owned()).unwrap(),
        }
    }
    assert!(texts.next().await.is_none());
}

#[tokio::test]
async fn all_four_shapes_of_calls_pass() {
    let mesh = mesh("GRPC", &[server("one").await]);
    assert_eq!(unary(&mesh, "hello").await.unwrap(), "one hello");
    let failed = unary(&mesh, "fail").await.unwrap_err();
    assert_eq!(failed.code(), tonic::Code::FailedPrecondition);
    assert_eq!(failed.message(), "as asked");

    speak_in_all_shapes(client(&mesh).await).await;
}

/// A stub keeps to one connection only where there is one endpoint: each call is balanced.
#[tokio::test]
async fn calls_of_one_stub_are_balanced_over_endpoints() {
    let mesh = mesh("GRPC", &[server("one").await, server("two").await]);
    let mut grpc = client(&mesh).await;
    let mut by_name = [0, 0];
    for _ in 0..400 {
        grpc.ready().await.unwrap();
        let request = Request::new("x".to_owned());
        let answer = grpc.unary(request, path("Unary"), Text).await.unwrap();
        let is_two = answer.into_inner().starts_with("two");
        by_name[usize::from(is_two)] += 1;
    }
    // Half each; six standard deviations of 10 are 60.
    assert!((140..=260).contains(&by_name[0]), "{by_name:?}");
}

/// Many calls at a time: what one endpoint is busy with is counted until its trailers.
#[tokio::test]
async fn open_streams_count_as_requests_under_way() {
    let mesh = mesh("GRPC", &[server("one").await, server("two").await]);
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut grpc = client(&mesh).await;
        let (send, receive) = futures::channel::mpsc::unbounded();
        send.unbounded_send("x".to_owned()).unwrap();
        let answer = grpc.streaming(Request::new(receive), path("Streaming"), Text);
        let mut texts = answer.await.unwrap().into_inner();
        let first = texts.next().await.unwrap().unwrap();
        streams.push((first, send, texts));
    }
    let ones = streams.iter().filter(|it| it.0.starts_with("one")).count();
    // The less busy of two drawn endpoints gets the call, so neither runs away.
    assert!((7..=13).contains(&ones), "{ones}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let status = unary(&mesh_with("GRPC", &[port], ONCE), "x")
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert_eq!(
        status.message(),
        "upstream connect error or disconnect/reset before headers. \
         reset reason: remote connection failure"
    );
}
