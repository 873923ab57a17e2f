//! The request body that leaves for an endpoint: erased once, at the end of the chain.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// Any error, as tower and hyper pass it around.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong while a body was read; cloneable, and with its cause.
#[derive(Clone, Debug)]
pub struct BodyError(Arc<dyn std::error::Error + Send + Sync>);

impl BodyError {
    /// Wraps the error of a body.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(Arc::from(error.into()))
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reading a body failed: {}", self.0)
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

/// A body of any origin: nothing, one piece in memory, or a boxed stream.
///
/// Transports get requests with this body. An empty body costs nothing and one
/// in memory is not boxed. It is `Send` and not `Sync`, as axum's and tonic's are.
pub struct Body(Kind);

enum Kind {
    /// What is left of one piece in memory; nothing, once it is taken.
    Full(Bytes),
    Stream(Boxed),
}

type Boxed = Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError> + Send>>;

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl Body {
    /// The body that is nothing.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Kind::Full(Bytes::new()))
    }

    /// A body that is erased already.
    pub(crate) fn boxed(body: Boxed) -> Self {
        Self(Kind::Stream(body))
    }

    /// Erases a body; one that has ended already becomes the empty one.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self::boxed(Box::pin(body.map_err(BodyError::new)))
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self(Kind::Full(bytes.into()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Full(bytes) if bytes.is_empty() => "Body::Empty",
            Kind::Full(_) => "Body::Full",
            Kind::Stream(_) => "Body::Stream",
        })
    }
}

/// A body that may be only `Send`, made `Sync` for those who ask for it, as reqwest does.
///
/// It costs a lock that nobody ever waits for. Everything else is as the body says.
#[derive(Debug)]
pub struct SyncBody<B>(Mutex<Pin<Box<B>>>);

impl<B> SyncBody<B> {
    /// The body, `Sync`.
    pub fn new(body: B) -> Self {
        Self(Mutex::new(Box::pin(body)))
    }

    fn shared(&self) -> MutexGuard<'_, Pin<Box<B>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: HttpBody> HttpBody for SyncBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let body = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        body.as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.shared().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.shared().size_hint()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body::Body as _;
    use http_body_util::{BodyExt as _, Empty, Full};

    use super::Body;

    #[tokio::test]
    async fn says_the_same_as_what_it_was_made_from() {
        let full = Body::new(Full::new(Bytes::from("hello")));
        assert_eq!(full.size_hint().exact(), Some(5));
        assert_eq!(full.collect().await.expect("in memory").to_bytes(), "hello");
        let bytes = Body::from("hello");
        assert_eq!(bytes.size_hint().exact(), Some(5));
        assert_eq!(
            bytes.collect().await.expect("in memory").to_bytes(),
            "hello"
        );
        for empty in [
            Body::new(Empty::<Bytes>::new()),
            Body::from(""),
            Body::empty(),
        ] {
            assert!(empty.is_end_stream());
            assert_eq!(format!("{empty:?}"), "Body::Empty");
        }
    }
}
