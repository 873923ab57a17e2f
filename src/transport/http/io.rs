//! The bytes of a connection, and a look at the first that come.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::connection::Living;

/// A stream of bytes to an endpoint.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    /// One of the others, encrypted.
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<Self>>),
}

/// What an endpoint has said first: on a connection, or where requests go one after the other, since
/// the last was sent.
#[derive(Debug, Default)]
pub(super) struct FirstWord(AtomicU8);

const NOTHING: u8 = 0;
const HTTP2: u8 = 1;
const OTHER: u8 = 2;

impl FirstWord {
    /// It has said nothing yet.
    pub(super) fn is_missing(&self) -> bool {
        self.0.load(Ordering::Relaxed) == NOTHING
    }

    /// What it said is how HTTP/2 begins: with a frame of settings.
    pub(super) fn is_http2(&self) -> bool {
        self.0.load(Ordering::Relaxed) == HTTP2
    }

    /// What comes from here on is an answer to another request.
    pub(super) fn forget(&self) {
        self.0.store(NOTHING, Ordering::Relaxed);
    }

    fn note(&self, bytes: &[u8]) {
        let word = match bytes {
            [] => return,
            // Length, then type: a server's first frame is SETTINGS. Fewer bytes may become one.
            [0, _, _, 4, ..] => HTTP2,
            [0] | [0, _] | [0, _, _] => HTTP2,
            _ => OTHER,
        };
        self.0.store(word, Ordering::Relaxed);
    }
}

/// A connection's bytes, and what goes with them for as long as they flow.
#[derive(Debug)]
pub(super) struct Io {
    stream: Stream,
    first: Arc<FirstWord>,
    /// Last, so that the stream is closed when others learn of it.
    _living: Living,
}

impl Io {
    pub(super) const fn new(stream: Stream, first: Arc<FirstWord>, living: Living) -> Self {
        Self {
            stream,
            first,
            _living: living,
        }
    }
}

macro_rules! each {
    ($stream:expr, $it:ident => $do:expr) => {
        match $stream {
            Stream::Tcp($it) => $do,
            #[cfg(unix)]
            Stream::Unix($it) => $do,
            #[cfg(feature = "tls")]
            Stream::Tls($it) => $do,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self.get_mut(), it => Pin::new(it).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), it => Pin::new(it).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), it => Pin::new(it).poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, it => it.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), it => Pin::new(it).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), it => Pin::new(it).poll_shutdown(cx))
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if self.first.is_missing() {
            let read = buffer.filled().get(before..);
            self.first.note(read.unwrap_or_default());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
