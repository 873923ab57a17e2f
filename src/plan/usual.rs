//! The layers that nearly every route takes, as one service.
//!
//! [`Usual`] is response headers around request headers around rewrite around
//! timeout around retries. Each step is the layer's own code: what its service does
//! to a request before it hands it on, and to the answer afterwards. Only the
//! handing on is left out, for a layer that looks into a request or an answer and
//! then hands it on moves it once more. `tests/mesh/usual.rs` holds it to those
//! layers, one around the other.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project::pin_project;

use super::dispatch::Dispatch;
use super::response_body::ResponseBody;
use super::routed::{FromRoute, Routed};
use super::stream_info::StreamInfo;
use super::tell::tell_first_attempt;
use super::tries::DispatchFuture;
use crate::body::{Body, BoxError};
use crate::headers::{NotedRequest, RequestHeaders, ResponseHeaders};
use crate::request_body::RequestBody;
use crate::retries::{self, ArmedBox, Retry};
use crate::rewrite::RewritePolicy;
use crate::rt::drop_late;
use crate::timeout::{TimeoutPolicy, Watch};
use crate::transport::Transport;

/// Response headers, request headers, rewrite, timeout, retries.
#[derive(Clone, Debug)]
pub(crate) struct Usual<T> {
    retry: Retry<Dispatch<T>, FromRoute>,
    deadline_exceeded: bool,
}

/// The answer to a request.
pub(crate) type Answer<T> = Response<ResponseBody<<T as Transport>::ResponseBody>>;

/// All tries of a request.
type Tries<T, B> = retries::ResponseFuture<Dispatch<T>, FromRoute, B, Routed, DispatchFuture<T>>;

impl<T> Usual<T> {
    pub(super) const fn new(retry: Retry<Dispatch<T>, FromRoute>, deadline_exceeded: bool) -> Self {
        Self {
            retry,
            deadline_exceeded,
        }
    }
}

impl<T: Transport + Clone> Usual<T> {
    /// Does what each layer does to a request before it hands it on.
    #[inline]
    pub(super) fn prepare<B>(
        &self,
        routed: &Routed,
        request: &mut Request<RequestBody<B>>,
    ) -> Prepared<T, B>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let ruled = routed.ruled();
        let response_headers: Option<&ResponseHeaders> = ruled.policy();
        let asks = response_headers.is_some_and(ResponseHeaders::asks);
        let noted = asks.then(|| Box::new(NotedRequest::of(request)));
        tell_first_attempt(routed, request.headers_mut());
        let headers: Option<&RequestHeaders> = ruled.policy();
        if let Some(headers) = headers {
            headers.apply_in(request);
        }
        let rewrite: Option<&RewritePolicy> = ruled.policy();
        if let Some(rewrite) = rewrite {
            rewrite.decide(request).apply(request);
        }
        let time: Option<&TimeoutPolicy> = ruled.policy();
        let time = time.copied().unwrap_or_default();
        let grpc = Some(routed.grpc);
        let watch = Watch::begin(time, &FromRoute, self.deadline_exceeded, grpc, request);
        let armed = self.retry.arm(routed, grpc, request);
        Prepared {
            noted,
            watch,
            armed,
        }
    }

    /// Sends what was prepared and has left for the way out.
    #[inline]
    pub(super) fn send<B>(
        &self,
        prepared: Prepared<T, B>,
        info: StreamInfo,
        request: Request<Body>,
    ) -> UsualFuture<T, B> {
        let call = self.retry.inner().send(info, request);
        UsualFuture {
            tries: Some(Tries::new(call, prepared.armed)),
            watch: prepared.watch,
            noted: prepared.noted,
        }
    }
}

/// What the layers keep of a request.
pub(crate) struct Prepared<T: Transport, B> {
    /// The request as it came, where headers of its response tell of it.
    noted: Option<Box<NotedRequest>>,
    watch: Option<Watch<FromRoute>>,
    armed: Option<ArmedBox<Dispatch<T>, FromRoute, B, Routed>>,
}

/// The answer to come.
#[pin_project]
pub(crate) struct UsualFuture<T: Transport, B> {
    // Gone once the time is up.
    #[pin]
    tries: Option<Tries<T, B>>,
    watch: Option<Watch<FromRoute>>,
    noted: Option<Box<NotedRequest>>,
}

impl<T, B> UsualFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// The answer, changed as the route says and by `finish`.
    ///
    /// Changed where it lies: each move of a response is paid for.
    #[inline]
    pub(super) fn poll_response<E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        finish: impl FnOnce(&mut Answer<T>) -> Result<(), E>,
    ) -> Poll<Result<Answer<T>, E>> {
        let mut this = self.project();
        let mut polled = match this.tries.as_mut().as_pin_mut() {
            Some(tries) => tries.poll(cx),
            None => Poll::Pending,
        };
        if let Some(watch) = this.watch {
            match &mut polled {
                Poll::Ready(Ok(response)) => watch.limit_body(response),
                Poll::Pending => {
                    ready!(watch.poll_late(cx));
                    let left = drop_late(|| this.tries.set(None));
                    polled = Poll::Ready(Ok(watch.reply(left)));
                }
                Poll::Ready(Err(_)) => {}
            }
        }
        let Poll::Ready(Ok(response)) = &mut polled else {
            return Poll::Pending;
        };
        // Taken out, for it has the policy that changes the response.
        if let Some(routed) = response.body_mut().info_mut().take_route() {
            let headers: Option<&ResponseHeaders> = routed.policy();
            if let Some(headers) = headers {
                headers.apply_to(response, this.noted.as_deref());
            }
            response.body_mut().info_mut().set_route(routed);
        }
        if let Err(error) = finish(response) {
            return Poll::Ready(Err(error));
        }
        polled.map_err(|never| match never {})
    }
}
