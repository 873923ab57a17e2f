//! Every way an endpoint can fail, and which words of `retryOn` have the request sent again: what
//! clients are told, and how often endpoints have seen it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::frames::Frames;
use crate::support::{listen, mesh_with, raw, told, told_while};

const WORDS: [&str; 10] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "refused-stream",
    "retriable-4xx",
    "retriable-status-codes",
    "503",
    "unavailable,cancelled,internal,resource-exhausted,deadline-exceeded",
];

/// Those that stand for any failure.
const ANY: [&str; 3] = ["5xx", "gateway-error", "reset"];

/// How often requests were seen.
type Seen = Arc<AtomicUsize>;

/// How long connecting and each try may take.
type Times = [&'static str; 2];

/// Nothing takes so long, on a machine however busy.
const PATIENT: Times = ["20s", "20s"];

/// One try that may be made again on `word`.
fn rules(word: &str, [connect, each]: Times) -> String {
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: it}}
spec:
  hosts: [a.com]
  http:
  - retries: {{attempts: 1, retryOn: '{word}', backoff: 2ms, perTryTimeout: {each}}}
    route: [{{destination: {{host: a.com}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: it}}
spec: {{host: a.com, trafficPolicy: {{connectionPool: {{tcp: {{connectTimeout: {connect}}}}}}}}}
"
    )
}

/// Asks at `port` under each word. With one of `retried` the endpoint is to see the request twice and
/// the client to be told that tries are exhausted, else once. `seen` is nothing where nobody can
/// count.
async fn check(
    (protocol, port): (&str, u16),
    seen: Option<&Seen>,
    want: &str,
    retried: &[&str],
    times: Times,
) {
    for word in WORDS {
        if let Some(seen) = seen {
            seen.store(0, Ordering::SeqCst);
        }
        let again = retried.contains(&word);
        let mesh = mesh_with(protocol, &[port], &rules(word, times));
        // Two tries are told of by a flag, in the place Envoy has for it.
        let (status, rest) = want.split_once(' ').unwrap();
        let (flags, rest) = rest.split_once(' ').unwrap();
        let want = match again {
            true => format!("{status} URX,{flags} {rest}"),
            false => want.to_owned(),
        };
        assert_eq!(told(&mesh).await, want, "retryOn: {word}");
        if let Some(seen) = seen {
            let tries = 1 + usize::from(again);
            assert_eq!(seen.load(Ordering::SeqCst), tries, "retryOn: {word}");
        }
    }
}

/// An endpoint that does this with each connection once a request has come.
async fn endpoint<F>(then: impl Fn(TcpStream) -> F + Clone + Send + 'static) -> (u16, Seen)
where
    F: Future<Output = ()> + Send + 'static,
{
    let seen = Seen::default();
    let count = seen.clone();
    let port = raw(move |mut stream| {
        let (count, then) = (count.clone(), then.clone());
        async move {
            if stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {
                count.fetch_add(1, Ordering::SeqCst);
                then(stream).await;
            }
        }
    })
    .await;
    (port, seen)
}

/// One that writes this and closes.
async fn writes(answer: impl Into<Bytes>) -> (u16, Seen) {
    let answer: Bytes = answer.into();
    endpoint(move |mut stream| {
        let answer = answer.clone();
        async move {
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
            // Reads on, so that what was written is not lost to a reset.
            while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {}
        }
    })
    .await
}

/// One that does this with each HTTP/2 request.
async fn http2<F>(
    respond: impl Fn(h2::server::SendResponse<Bytes>) -> F + Clone + Send + 'static,
) -> (u16, Seen)
where
    F: Future<Output = ()> + Send + 'static,
{
    let seen = Seen::default();
    let count = seen.clone();
    let port = raw(move |stream| {
        let (count, respond) = (count.clone(), respond.clone());
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_request, answer))) = connection.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(respond(answer));
            }
        }
    })
    .await;
    (port, seen)
}

/// One that does this with the frames of each HTTP/2 connection once a request has come.
async fn frames<F>(then: fn(Frames) -> F) -> (u16, Seen)
where
    F: Future<Output = ()> + Send + 'static,
{
    let seen = Seen::default();
    let count = seen.clone();
    let port = raw(move |stream| {
        let count = count.clone();
        async move {
            let mut frames = Frames::greet(stream).await;
            if frames.request().await.is_some() {
                count.fetch_add(1, Ordering::SeqCst);
                then(frames).await;
            }
        }
    })
    .await;
    (port, seen)
}

const CONNECTING: [&str; 5] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
];

#[tokio::test]
async fn no_connection_is_a_connect_failure() {
    let (listener, port) = listen().await;
    drop(listener);
    let want = "503 UF remote connection failure \
                {remote_connection_failure|delayed_connect_error:_Connection_refused}";
    for protocol in ["HTTP", "HTTP2"] {
        check((protocol, port), None, want, &CONNECTING, PATIENT).await;
    }
}

#[tokio::test]
async fn no_connection_in_time_is_a_connect_failure() {
    // A listener whose queue is full takes no more connections.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) =
        tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await
    {
        queued.push(stream.unwrap());
        assert!(queued.len() < 100, "its queue has no end");
    }
    let want = "503 UF connection timeout {connection_timeout}";
    let times = ["0.05s", "20s"];
    check(("HTTP", address.port()), None, want, &CONNECTING, times).await;
}

#[tokio::test]
async fn closed_or_reset_before_the_response_is_a_reset() {
    let want = "503 UC connection termination {connection_termination}";
    let (port, seen) = writes("").await;
    check(("HTTP", port), Some(&seen), want, &ANY, PATIENT).await;
    // Closed at once and without lingering, a socket is reset.
    let (port, seen) = endpoint(|stream| async move { stream.set_zero_linger().unwrap() }).await;
    check(("HTTP", port), Some(&seen), want, &ANY, PATIENT).await;
    let (port, seen) = frames(|frames| async move { drop(frames) }).await;
    check(("HTTP2", port), Some(&seen), want, &ANY, PATIENT).await;
}

#[tokio::test]
async fn a_refused_stream_has_a_word_of_its_own() {
    let refused = [&ANY[..], &["refused-stream"]].concat();
    let want = "503 UR remote refused stream reset {remote_refused_stream_reset}";
    let (port, seen) = http2(|mut answer| async move {
        answer.send_reset(h2::Reason::REFUSED_STREAM);
    })
    .await;
    check(("HTTP2", port), Some(&seen), want, &refused, PATIENT).await;
    // One that leaves and says that it has not looked at the request refuses it as well.
    let (port, seen) = frames(|mut frames| async move {
        frames.go_away(0).await;
        frames.linger().await;
    })
    .await;
    check(("HTTP2", port), Some(&seen), want, &refused, PATIENT).await;
}

#[tokio::test]
async fn other_resets_of_a_stream_may_come_after_the_request_was_served() {
    let want = "503 UR remote reset {remote_reset}";
    let (port, seen) = http2(|mut answer| async move {
        answer.send_reset(h2::Reason::INTERNAL_ERROR);
    })
    .await;
    check(("HTTP2", port), Some(&seen), want, &ANY, PATIENT).await;
    // So may leaving, where the request is among those it says it has looked at.
    let want = "503 UC connection termination {connection_termination}";
    let (port, seen) = frames(|mut frames| async move { frames.go_away(1).await }).await;
    check(("HTTP2", port), Some(&seen), want, &ANY, PATIENT).await;
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error() {
    let want = "502 UPE protocol error {protocol_error}";
    let many = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(200_000));
    let half = "HTTP/1.1 200 OK\r\ncontent-le".to_owned();
    for answer in ["this is not HTTP\r\n\r\n".to_owned(), half, many] {
        let (port, seen) = writes(answer).await;
        check(("HTTP", port), Some(&seen), want, &ANY, PATIENT).await;
    }
}

#[tokio::test]
async fn silence_is_ended_by_the_time_of_a_try() {
    let (port, seen) = endpoint(|mut stream| async move {
        while stream.read(&mut [0; 4096]).await.is_ok_and(|n| n > 0) {}
    })
    .await;
    let want = "504 UT upstream request timeout upstream_per_try_timeout";
    let times = ["20s", "0.2s"];
    check(("HTTP", port), Some(&seen), want, &ANY, times).await;
}

/// Whatever `retryOn` says: the client has the head of the response already.
#[tokio::test]
async fn what_breaks_in_the_midst_of_a_body_is_never_sent_again() {
    let all = WORDS.map(|it| it.split(',').next().unwrap()).join(",");
    let heard = Arc::new(tokio::sync::Notify::new());
    let once = async |protocol: &str, (port, seen): (u16, Seen), want: &str| {
        let mesh = mesh_with(protocol, &[port], &rules(&all, PATIENT));
        assert_eq!(told_while(&mesh, || heard.notify_waiters()).await, want);
        assert_eq!(seen.load(Ordering::SeqCst), 1);
    };
    let half = writes("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    let want = "200 \"half\" UPE upstream_reset_after_response_started{protocol_error}";
    once("HTTP", half, want).await;
    let read = heard.clone();
    let reset = http2(move |mut answer| {
        let read = read.clone();
        async move {
            let mut body = answer.send_response(Response::new(()), false).unwrap();
            body.send_data(Bytes::from("half"), false).unwrap();
            read.notified().await;
            body.send_reset(h2::Reason::CANCEL);
        }
    })
    .await;
    let want = "200 \"half\" UR upstream_reset_after_response_started{remote_reset}";
    once("HTTP2", reset, want).await;
    // Without a length, the end of the connection is the end of the body.
    let all = writes("HTTP/1.1 200 OK\r\n\r\nall").await;
    once("HTTP", all, "200 \"all\"").await;
}
