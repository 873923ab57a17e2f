//! Bodies that are sent again, and bodies that tell when they have gone out.

use std::convert::Infallible;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures::FutureExt as _;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};

use super::{CopyLost, Filled, RequestBody};

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

#[tokio::test]
async fn a_copy_says_the_same_whether_the_body_is_sent_once_or_again() {
    for (copy_first, armed) in [(true, false), (true, true), (false, true)] {
        let mut body = streamed(&["one ", "", "two ", "three"]);
        let (replay, copy);
        if copy_first {
            copy = body.copy(100);
            replay = armed.then(|| body.arm(100));
        } else {
            replay = Some(body.arm(100));
            copy = body.copy(100);
        }
        let mut body = Box::pin(body);
        let _ = body.frame().await;
        match replay {
            // The first try stops in the middle, and the next begins anew.
            Some(replay) => {
                drop(body);
                assert_eq!(read(replay.again().expect("kept")).await, "one two three");
            }
            None => assert_eq!(read(body).await, "two three"),
        }
        let copied = copy.collect().await.expect("whole").to_bytes();
        assert_eq!(copied, "one two three", "{copy_first} {armed}");
    }
}

#[tokio::test]
async fn a_copy_made_of_a_later_try_is_whole() {
    let mut body = streamed(&["one ", "two"]);
    let replay = body.arm(100);
    assert_eq!(read(body).await, "one two");
    let mut again = replay.again().expect("kept");
    let copy = again.copy(100);
    assert_eq!(copy.collect().await.expect("whole").to_bytes(), "one two");
    assert_eq!(read(again).await, "one two");
}

#[tokio::test]
async fn exactly_the_limit_waits_for_a_copys_reader_and_no_more() {
    for (limit, want) in [(8, Ok("12345678")), (7, Err(CopyLost::TooSlow))] {
        let mut body = streamed(&["1234", "5678"]);
        let copy = body.copy(limit);
        assert_eq!(read(body).await, "12345678", "the body is never harmed");
        let copied = copy.collect().await.map(|it| it.to_bytes());
        assert_eq!(copied, want.map(Bytes::from));
    }
}

#[tokio::test]
async fn a_copy_may_be_longer_than_its_limit_where_it_is_read() {
    let mut body = streamed(&["1234", "5678", "9"]);
    let mut copy = body.copy(4);
    let mut body = Box::pin(body);
    let mut copied = String::new();
    while body.frame().await.is_some() {
        if let Some(Ok(frame)) = copy.frame().now_or_never().flatten() {
            copied += std::str::from_utf8(frame.data_ref().expect("data")).expect("text");
        }
    }
    assert_eq!(copied, "123456789");
    assert!(copy.frame().await.is_none());
}

#[tokio::test]
async fn a_copy_ends_with_its_body_and_whoever_drops_it_harms_nobody() {
    let mut body = RequestBody::new(Full::new(Bytes::from("hello")), ());
    let (copy, dropped) = (body.copy(100), body.copy(100));
    assert_eq!(copy.size_hint().exact(), Some(5));
    drop(dropped);
    // Who knows the length stops at the last frame.
    let mut body = Box::pin(body);
    let _ = body.frame().await;
    drop(body);
    assert_eq!(copy.collect().await.expect("whole").to_bytes(), "hello");

    let mut body = streamed(&["1", "2"]);
    let copy = body.copy(100);
    let mut body = Box::pin(body);
    let _ = body.frame().await;
    drop(body);
    assert_eq!(copy.collect().await.map(|_| ()), Err(CopyLost::Abandoned));

    let mut body = RequestBody::new(Empty::<Bytes>::new(), ());
    assert!(body.copy(0).is_end_stream());
}

/// A client that sends its body byte by byte, some of them none at all.
fn crumbs(count: usize) -> RequestBody<impl http_body::Body<Data = Bytes, Error = Infallible>> {
    let crumb = |n: usize| match n % 2 {
        0 => Ok(Frame::data(Bytes::from_static(b"x"))),
        _ => Ok(Frame::data(Bytes::new())),
    };
    RequestBody::new(
        StreamBody::new(futures::stream::iter((0..count).map(crumb))),
        (),
    )
}

/// How many frames and bytes a body has.
async fn measure<B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>>(
    body: B,
) -> (usize, usize) {
    let mut body = std::pin::pin!(body);
    let (mut frames, mut bytes) = (0, 0);
    while let Some(frame) = body.frame().await {
        frames += 1;
        bytes += frame.expect("whole").data_ref().map_or(0, Bytes::len);
    }
    (frames, bytes)
}

#[tokio::test]
async fn a_body_of_crumbs_is_kept_as_few_frames() {
    let mut body = crumbs(200_000);
    let replay = body.arm(100_000);
    let copy = body.copy(100_000);
    assert_eq!(measure(body).await, (200_000, 100_000), "as it came");
    for again in [
        measure(replay.again().expect("kept")).await,
        measure(copy).await,
    ] {
        assert!(again.0 <= 10 && again.1 == 100_000, "{again:?}");
    }
}

#[tokio::test]
async fn what_is_put_together_keeps_its_order() {
    let sizes = [1, 5000, 3, 4, 0, 4095, 9000, 4096, 1, 1];
    let piece = |(n, size): (usize, &usize)| Bytes::from(vec![n as u8; *size]);
    let pieces: Vec<Bytes> = sizes.iter().enumerate().map(piece).collect();
    let want = pieces.concat();
    let frames = pieces
        .into_iter()
        .map(|it| Ok::<_, Infallible>(Frame::data(it)));
    let mut body = RequestBody::new(StreamBody::new(futures::stream::iter(frames)), ());
    let replay = body.arm(want.len());
    // The first try stops in the midst of what is put together, and the next goes on from there.
    let mut first = Box::pin(body);
    for _ in 0..4 {
        let _ = first.frame().await;
    }
    drop(first);
    for _ in 0..2 {
        let again = replay.again().expect("kept");
        assert_eq!(
            again.collect().await.expect("it cannot fail").to_bytes(),
            want
        );
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_so_though_it_has_ended() {
    for (limit, want) in [(8, Filled::Whole), (7, Filled::TooLong)] {
        let mut body = streamed(&["1234", "5678"]);
        let replay = body.arm(limit);
        assert_eq!(read(body).await, "12345678");
        let filled = std::future::poll_fn(|cx| replay.poll_fill(cx)).await;
        assert_eq!(filled, want, "{limit}");
    }
}

/// Claims an endless body, whatever of it has been read.
struct Boasts(&'static [u8]);

impl http_body::Body for Boasts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match std::mem::take(&mut self.0) {
            [] => Poll::Ready(None),
            text => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text))))),
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(u64::MAX)
    }
}

#[tokio::test]
async fn a_body_that_claims_more_than_can_be_counted_is_kept_all_the_same() {
    let mut body = RequestBody::new(Boasts(b"text"), ());
    let replay = body.arm(100);
    let mut body = Box::pin(body);
    assert!(body.frame().await.is_some());
    let again = replay.again().expect("kept");
    assert_eq!(again.size_hint().exact(), Some(u64::MAX));
    assert_eq!(read(again).await, "text");
}
