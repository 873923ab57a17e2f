//! The futures of the services an application holds: how an exchange crosses each border back.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Response, StatusCode};
use pin_project::pin_project;
use tokio::time::Instant;

use super::exchange::{Exchange, Notes, Refused};
use super::upgrade::switched_unasked;
use super::{MeshError, hop};
use crate::body::BoxError;
use crate::context::ResponseFlags;
use crate::plan::ResponseBody;
use crate::reply::LocalReply;
use crate::transport::Transport;

/// The future of a [`MeshClient`](super::MeshClient); dropping it cancels the request.
#[pin_project]
pub struct ResponseFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    #[pin]
    exchange: Exchange<T, B>,
}

/// The future of an [`Inbound`](super::Inbound); dropping it cancels the request.
#[pin_project]
pub struct InboundFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    #[pin]
    exchange: Exchange<T, B>,
}

/// The future of a [`Forward`](super::Forward); dropping it cancels the request.
#[pin_project]
pub struct ForwardFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    #[pin]
    exchange: Exchange<T, B>,
    began: Instant,
}

impl<T, B> ResponseFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    pub(super) const fn new(exchange: Exchange<T, B>) -> Self {
        Self { exchange }
    }
}

impl<T, B> InboundFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    pub(super) const fn new(exchange: Exchange<T, B>) -> Self {
        Self { exchange }
    }
}

impl<T, B> ForwardFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(exchange: Exchange<T, B>) -> Self {
        let began = Instant::now();
        Self { exchange, began }
    }
}

impl<T, B> Future for ResponseFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<T::ResponseBody>>, MeshError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let grpc = this.exchange.notes.grpc;
        this.exchange.poll_response(cx, |response, seen| {
            let reply = match grpc || response.extensions().is_empty() {
                true => None,
                false => failure(response),
            };
            let Some(reply) = reply else {
                seen.answered(response);
                return Ok(());
            };
            let body = response.body();
            let error = MeshError::new(reply, body.cause(), body.info());
            seen.failed(&error);
            Err(error)
        })
    }
}

impl<T, B> Future for InboundFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<T::ResponseBody>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let exchange = self.project().exchange;
        exchange.poll_response(cx, |response, seen| {
            seen.answered(response);
            Ok(())
        })
    }
}

impl<T, B> Future for ForwardFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<T::ResponseBody>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut exchange = this.exchange;
        let Notes { unread, http1, .. } = exchange.notes;
        let polled = exchange
            .as_mut()
            .poll_response(cx, |_, _| Ok::<_, Infallible>(()));
        let Ok(mut response) = ready!(polled);
        // A reply of our own that nobody asked an upstream for has left the request unread.
        // A bad request ends its connection, whoever calls it that short of the upstream.
        let close = LocalReply::of(&response).map(|reply| {
            let bad = http1 && reply.status == StatusCode::BAD_REQUEST;
            bad || unread && !reply.took_the_request()
        });
        let notes = exchange.project().notes;
        let upgrade = notes.upgrade.take();
        match (close, upgrade) {
            (Some(close), upgrade) => {
                // What would follow is not HTTP.
                hop::dress_response(response.headers_mut(), close || upgrade.is_some());
            }
            (None, Some(downstream)) => response = downstream.answered(response),
            (None, None) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                response = switched_unasked(&response);
            }
            (None, None) => {
                hop::dress_upstream_response(response.headers_mut(), this.began.elapsed());
            }
        }
        notes.seen.answered(&mut response);
        Poll::Ready(Ok(response))
    }
}

impl<T, B> fmt::Debug for ResponseFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<T, B> fmt::Debug for InboundFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundFuture").finish_non_exhaustive()
    }
}

impl<T, B> fmt::Debug for ForwardFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardFuture").finish_non_exhaustive()
    }
}

/// The reply a response was made from, where it says that something failed.
fn failure<B>(response: &Response<B>) -> Option<LocalReply> {
    let mut reply = LocalReply::of(response)?.clone();
    let refused = response.extensions().get::<Refused>().is_some();
    if !refused && !reply.is_failure() {
        return None;
    }
    // Layers further out may have added flags of theirs.
    reply.flags = ResponseFlags::of(response);
    Some(reply)
}
