//! The two layers: one changes requests on their way in, one responses on their way out.

use std::future::Future;
use std::mem;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project::pin_project;
use tower::Layer;
use tower_service::Service;

use super::facts::NotedRequest;
use super::policy::{RequestHeaders, ResponseHeaders};
use crate::context::Preflight;
use crate::select::{Own, Select};

/// Wraps services in [`SetRequestHeaders`].
#[derive(Clone, Debug)]
pub struct RequestHeadersLayer<K = Own<RequestHeaders>> {
    policy: K,
}

impl RequestHeadersLayer {
    /// A layer that changes every request.
    #[must_use]
    pub fn new(policy: RequestHeaders) -> Self {
        Self::selecting(Own::new(policy))
    }
}

impl<K> RequestHeadersLayer<K> {
    pub(crate) const fn selecting(policy: K) -> Self {
        Self { policy }
    }
}

impl<S, K: Clone> Layer<S> for RequestHeadersLayer<K> {
    type Service = SetRequestHeaders<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        SetRequestHeaders {
            inner,
            policy: self.policy.clone(),
        }
    }
}

/// Changes the headers of requests.
///
/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct SetRequestHeaders<S, K = Own<RequestHeaders>> {
    inner: S,
    policy: K,
}

impl<S, B, K> Service<Request<B>> for SetRequestHeaders<S, K>
where
    S: Service<Request<B>>,
    K: Select<RequestHeaders, B>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if self.policy.get(&request).is_some() {
            // Taken out, because the policy may be borrowed from the request.
            let mut headers = mem::take(request.headers_mut());
            if let Some(policy) = self.policy.get(&request) {
                policy.apply(&request, &mut headers);
            }
            *request.headers_mut() = headers;
        }
        self.inner.call(request)
    }
}

/// Wraps services in [`SetResponseHeaders`].
#[derive(Clone, Debug)]
pub struct ResponseHeadersLayer<K = Own<ResponseHeaders>> {
    policy: K,
    marks: bool,
}

impl ResponseHeadersLayer {
    /// A layer that changes every response.
    #[must_use]
    pub fn new(policy: ResponseHeaders) -> Self {
        Self::selecting(Own::new(policy))
    }
}

impl<K> ResponseHeadersLayer<K> {
    pub(crate) const fn selecting(policy: K) -> Self {
        Self {
            policy,
            marks: false,
        }
    }

    /// The same, so that a layer further out which selects the same leaves its responses alone.
    pub(crate) fn marking(mut self) -> Self {
        self.marks = true;
        self
    }
}

impl<S, K: Clone> Layer<S> for ResponseHeadersLayer<K> {
    type Service = SetResponseHeaders<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        SetResponseHeaders {
            inner,
            policy: self.policy.clone(),
            marks: self.marks,
        }
    }
}

/// Changes the headers of responses.
///
/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct SetResponseHeaders<S, K = Own<ResponseHeaders>> {
    inner: S,
    policy: K,
    marks: bool,
}

/// Says that a response has been changed as its route says.
#[derive(Clone, Copy)]
struct Dressed;

/// Whether a response is not, or no longer, to be changed.
fn is_left_alone<R>(response: &Response<R>) -> bool {
    let noted = response.extensions();
    !noted.is_empty() && (noted.get::<Preflight>().is_some() || noted.get::<Dressed>().is_some())
}

impl<S, B, R, K> Service<Request<B>> for SetResponseHeaders<S, K>
where
    S: Service<Request<B>, Response = Response<R>>,
    K: Select<ResponseHeaders, B>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, K::Held>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let policy = self.policy.hold(&request);
        let asks = policy.as_ref().is_some_and(|it| it.asks());
        ResponseFuture {
            noted: asks.then(|| Box::new(NotedRequest::of(&request))),
            policy,
            inner: self.inner.call(request),
            marks: self.marks,
        }
    }
}

/// The future of a [`SetResponseHeaders`]; dropping it drops the inner one.
#[pin_project]
#[derive(Debug)]
pub struct ResponseFuture<F, H> {
    #[pin]
    inner: F,
    policy: Option<H>,
    /// There where the policy asks for it.
    noted: Option<Box<NotedRequest>>,
    marks: bool,
}

impl<F, R, E, H> Future for ResponseFuture<F, H>
where
    F: Future<Output = Result<Response<R>, E>>,
    H: Deref<Target = ResponseHeaders>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Changed where it lies: each move of a response is paid for.
        let mut polled = this.inner.poll(cx);
        if let (Poll::Ready(Ok(response)), Some(policy)) = (&mut polled, this.policy)
            && !is_left_alone(response)
            // What a fault adds to the flags is known further out.
            && !(*this.marks && policy.tells_flags)
        {
            policy.apply_to(response, this.noted.as_deref());
            if *this.marks {
                response.extensions_mut().insert(Dressed);
            }
        }
        polled
    }
}
