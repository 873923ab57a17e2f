//! Bodies that are sent again, and bodies that tell when they have gone out.

use std::convert::Infallible;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};

use super::RequestBody;

fn streamed(
    pieces: &'static [&'static str],
) -> RequestBody<impl http_body::Body<Data = Bytes, Error = Infallible>> {
    let frames = pieces
        .iter()
        .map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))));
    RequestBody::new(StreamBody::new(futures::stream::iter(frames)), ())
}

async fn read<B>(body: B) -> String
where
    B: http_body::Body<Data = Bytes, Error = Infallible>,
{
    let bytes = body.collect().await.expect("it cannot fail").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn an_armed_body_can_be_sent_again_from_its_beginning() {
    let mut body = streamed(&["one ", "two ", "three"]);
    let replay = body.arm(100);
    let mut body = Box::pin(body);
    // The first try stops in the middle.
    let _ = body.frame().await;
    drop(body);
    assert_eq!(read(replay.again().expect("kept")).await, "one two three");
    assert_eq!(read(replay.again().expect("kept")).await, "one two three");
}

#[tokio::test]
async fn exactly_the_limit_is_kept_and_no_more() {
    for (limit, kept) in [(8, true), (7, false)] {
        let mut body = streamed(&["1234", "5678"]);
        let replay = body.arm(limit);
        assert_eq!(
            read(body).await,
            "12345678",
            "the first try is never harmed"
        );
        assert_eq!(replay.again().is_some(), kept, "{limit}");
    }
}

#[tokio::test]
async fn an_empty_body_is_kept_at_no_cost() {
    let mut body = RequestBody::new(Empty::<Bytes>::new(), ());
    let replay = body.arm(0);
    assert!(body.is_end_stream());
    assert!(replay.again().expect("nothing to keep").is_end_stream());
}

#[tokio::test]
async fn the_end_of_a_body_wakes_who_waits_for_it() {
    let mut body = streamed(&["one"]);
    let end = body.track();
    let context = Context::from_waker(Waker::noop());
    assert_eq!(end.poll(&context), Poll::Pending);
    let reading = tokio::spawn(read(body));
    std::future::poll_fn(|cx| end.poll(cx)).await;
    assert_eq!(reading.await.expect("it does not panic"), "one");
    // Neither who stops at the last frame nor who stops short asks for the end.
    let mut whole = RequestBody::new(Full::new(Bytes::from_static(b"one")), ());
    let end = whole.track();
    let _frame = whole.frame().await;
    assert_eq!(end.poll(&context), Poll::Ready(()), "the last frame");
    let mut short = streamed(&["one"]);
    let end = short.track();
    drop(short);
    assert_eq!(end.poll(&context), Poll::Ready(()), "given up");
    let mut armed = streamed(&["one"]);
    let end = armed.track();
    let replay = armed.arm(100);
    drop(armed);
    assert_eq!(end.poll(&context), Poll::Pending, "another try may follow");
    assert_eq!(read(replay.again().expect("kept")).await, "one");
    assert_eq!(end.poll(&context), Poll::Ready(()), "sent by another try");
    assert_eq!(
        RequestBody::new(Empty::<Bytes>::new(), ())
            .track()
            .poll(&context),
        Poll::Ready(())
    );
}
