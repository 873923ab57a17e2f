//! A try that was given up while its upstream's connection still held the request's body.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::channel::mpsc;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full, StreamBody};
use tokio::sync::Notify;
use tokio::time::timeout;
use tower::{Layer as _, Service as _, service_fn};
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::Mesh;
use tower_mesh::retries::{RetryLayer, RetryOn, RetryPolicy};
use tower_mesh::rt::Rng;

type Answer = Pin<Box<dyn Future<Output = io::Result<Response<Full<Bytes>>>> + Send>>;

/// Answers the first try at once with 503 while a connection reads on; the second says what it
/// was sent.
#[derive(Clone, Default)]
struct Upstream {
    tries: Arc<AtomicU32>,
    /// Makes the connection look whether there is more.
    look: Arc<Notify>,
    /// The connection ended because its body failed.
    broken: Arc<Notify>,
}

impl Upstream {
    fn answer<B>(&self, body: B) -> Answer
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::fmt::Debug,
    {
        let mut body = Box::pin(body);
        if self.tries.fetch_add(1, Ordering::SeqCst) > 0 {
            return Box::pin(async move {
                let sent = body.collect().await.unwrap().to_bytes();
                Ok(Response::new(Full::new(sent)))
            });
        }
        let (look, broken) = (self.look.clone(), self.broken.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    frame = body.frame() => match frame {
                        None => break,
                        Some(Ok(_)) => {}
                        Some(Err(_)) => return broken.notify_one(),
                    },
                    () = look.notified() => {}
                }
            }
        });
        let mut response = Response::new(Full::default());
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
        Box::pin(async move {
            // The connection has begun to read.
            tokio::task::yield_now().await;
            Ok(response)
        })
    }
}

type Sender = mpsc::UnboundedSender<Result<Frame<Bytes>, Infallible>>;

/// A body that says what is put into the sender.
fn upload() -> (
    Sender,
    impl Body<Data = Bytes, Error = Infallible> + Send + Unpin,
) {
    let (sender, receiver) = mpsc::unbounded();
    (sender, StreamBody::new(receiver.boxed()))
}

fn say(sender: &Sender, text: &'static str) {
    let _ = sender.unbounded_send(Ok(Frame::data(Bytes::from_static(text.as_bytes()))));
}

fn layer() -> RetryLayer {
    keeping(8)
}

/// Keeps this much of a body for the next try.
fn keeping(limit: usize) -> RetryLayer {
    let policy = RetryPolicy::new(1, RetryOn::parse("5xx").unwrap()).body_limit(limit);
    RetryLayer::new(policy.backoff(Duration::from_secs(1))).rng(Rng::seeded(1))
}

/// What the client gets, unless it waits for ever.
async fn outcome<B>(answer: impl Future<Output = Response<B>>) -> (u16, Bytes)
where
    B: Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let response = timeout(Duration::from_secs(60), answer).await;
    let response = response.expect("the request waits for ever");
    let status = response.status().as_u16();
    (
        status,
        response.into_body().collect().await.unwrap().to_bytes(),
    )
}

#[tokio::test(start_paused = true)]
async fn it_does_not_use_up_what_the_next_try_sends() {
    let over = "exceeded request buffer limit while retrying upstream";
    // As Envoy does, the body is read on while nobody tries: more than is kept ends the request.
    for (limit, want) in [(10, (200, "1234567890")), (8, (507, over))] {
        let upstream = Upstream::default();
        let mut service = keeping(limit).layer(service_fn(|request: Request<_>| {
            upstream.answer(request.into_body())
        }));
        let (sender, body) = upload();
        say(&sender, "12345");
        let feeding = async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            say(&sender, "67890");
            upstream.look.notify_one();
            sender.close_channel();
        };
        let answer = async { service.call(Request::new(body)).await.unwrap() };
        let (answer, ()) = tokio::join!(outcome(answer), feeding);
        assert_eq!(answer, (want.0, Bytes::from(want.1)), "{limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_does_not_take_the_next_tries_waker() {
    let upstream = Upstream::default();
    let shared = upstream.clone();
    let mut service = layer().layer(service_fn(move |request: Request<_>| {
        shared.answer(request.into_body())
    }));
    let (sender, body) = upload();
    say(&sender, "1");
    let feeding = async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        upstream.look.notify_one();
        tokio::time::sleep(Duration::from_secs(1)).await;
        say(&sender, "2");
        sender.close_channel();
    };
    // In a task of its own nothing but the body wakes it.
    let answer = tokio::spawn(service.call(Request::new(body)));
    let answer = async { answer.await.unwrap().unwrap() };
    let (answer, ()) = tokio::join!(outcome(answer), feeding);
    assert_eq!(answer, (200, Bytes::from("12")));
}

#[tokio::test(start_paused = true)]
async fn its_connection_learns_that_it_was_given_up() {
    let rules = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: shop}\n\
                 spec:\n  hosts: [shop.com]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  \
                 resolution: STATIC\n  endpoints: [{address: 10.0.0.1}]\n---\n\
                 apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: shop}\n\
                 spec:\n  hosts: [shop.com]\n  http:\n  - retries: {attempts: 1, retryOn: 5xx}\n    \
                 route: [{destination: {host: shop.com}}]\n";
    let built = Mesh::builder().yaml(rules).rng(Rng::seeded(1)).build();
    let (mesh, _) = built.unwrap_or_else(|found| panic!("{found}"));
    let upstream = Upstream::default();
    let shared = upstream.clone();
    let mut client = mesh.client_with(move |_: &Endpoint| {
        let upstream = shared.clone();
        service_fn(move |request: Request<_>| upstream.answer(request.into_body()))
    });
    let (sender, body) = upload();
    say(&sender, "1");
    let feeding = async {
        timeout(Duration::from_secs(5), upstream.broken.notified())
            .await
            .expect("still open");
        sender.close_channel();
    };
    let request = Request::post("http://shop.com/").body(body).unwrap();
    let answer = async { client.call(request).await.unwrap() };
    let (answer, ()) = tokio::join!(outcome(answer), feeding);
    assert_eq!(answer, (200, Bytes::from("1")));
}
