//! The one adapter for bodies that cannot be made from the text of a local answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::FromLocalReply;

/// Lets layers answer for themselves around a service whose responses have a body that cannot be
/// made from bytes.
///
/// Such are [`hyper::body::Incoming`](https://docs.rs/hyper), tonic's body, boxed bodies and
/// `Empty`. Put it directly around the service; responses then have a [`ReplyBody`]. It changes
/// nothing else: neither requests, nor errors, nor what stands in a response.
///
/// ```
/// use std::convert::Infallible;
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::{BodyExt as _, Empty};
/// use tower::{ServiceBuilder, ServiceExt as _, service_fn};
/// use tower_mesh::fault::{Abort, FaultLayer, FaultPolicy};
/// use tower_mesh::percent::Percent;
/// use tower_mesh::reply::ReplyBodyLayer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let abort = Abort::http_status(http::StatusCode::IM_A_TEAPOT)?;
/// let policy = FaultPolicy::default().abort(Percent::from_percentage(100.0)?, abort);
/// let service = ServiceBuilder::new()
///     .layer(FaultLayer::new(policy))
///     .layer(ReplyBodyLayer::new())
///     .service(service_fn(|_: Request<()>| async {
///         Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
///     }));
///
/// let response = service.oneshot(Request::new(())).await?;
///
/// assert_eq!(response.into_body().collect().await?.to_bytes(), "fault filter abort");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ReplyBodyLayer;

impl ReplyBodyLayer {
    /// The layer; there is nothing to say about it.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for ReplyBodyLayer {
    type Service = WithReplyBody<S>;

    fn layer(&self, inner: S) -> WithReplyBody<S> {
        WithReplyBody { inner }
    }
}

/// A service whose responses have a [`ReplyBody`]; made by [`ReplyBodyLayer`].
#[derive(Clone, Copy, Debug)]
pub struct WithReplyBody<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for WithReplyBody<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ReplyBody<R>>;
    type Error = S::Error;
    type Future = ReplyBodyFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ReplyBodyFuture {
            inner: self.inner.call(request),
        }
    }
}

/// The response to come of a [`WithReplyBody`]; dropping it cancels the request.
#[pin_project]
pub struct ReplyBodyFuture<F> {
    #[pin]
    inner: F,
}

impl<F, R, E> Future for ReplyBodyFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ReplyBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.project().inner.poll(cx));
        Poll::Ready(result.map(|response| response.map(ReplyBody::new)))
    }
}

impl<F> fmt::Debug for ReplyBodyFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyBodyFuture").finish_non_exhaustive()
    }
}

/// A service's own response body, unboxed, or the text of a local answer.
#[pin_project]
#[derive(Debug)]
pub struct ReplyBody<B>(#[pin] Content<B>);

#[pin_project(project = ContentProjected)]
#[derive(Debug)]
enum Content<B> {
    Inner(#[pin] B),
    Local(Bytes),
}

impl<B> ReplyBody<B> {
    /// A response body of an inner service.
    pub const fn new(body: B) -> Self {
        Self(Content::Inner(body))
    }
}

impl<B> FromLocalReply for ReplyBody<B> {
    fn from_local_reply(text: Bytes) -> Self {
        Self(Content::Local(text))
    }
}

impl<B: Body<Data = Bytes>> Body for ReplyBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().0.project() {
            ContentProjected::Inner(body) => body.poll_frame(cx),
            ContentProjected::Local(text) if text.is_empty() => Poll::Ready(None),
            ContentProjected::Local(text) => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(text)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Inner(body) => body.is_end_stream(),
            Content::Local(text) => text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Inner(body) => body.size_hint(),
            Content::Local(text) => SizeHint::with_exact(text.len() as u64),
        }
    }
}
