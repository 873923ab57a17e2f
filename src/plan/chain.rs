//! The order of the layers: the only place that knows it.
//!
//! Envoy's order under Istio. Every layer is the public one; what a route does
//! not have, passes it by. Two chains of the same layers are made: most routes
//! have none of fault, redirect, direct response, CORS and mirrors, and take the short one.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::dispatch::Dispatch;
use super::mirrors::Mirroring;
use super::response_body::ResponseBody;
use super::routed::{FromRoute, Routed};
use crate::body::BoxError;
use crate::cors_policy::{Cors, CorsLayer};
use crate::direct_response::{DirectResponse, DirectResponseLayer};
use crate::fault::{Fault, FaultLayer};
use crate::headers::{
    RequestHeadersLayer, ResponseHeadersLayer, SetRequestHeaders, SetResponseHeaders,
};
use crate::mirror::{Mirror, MirrorLayer};
use crate::redirect::{Redirect, RedirectLayer};
use crate::request_body::RequestBody;
use crate::retries::{Retry, RetryLayer};
use crate::rewrite::{Rewrite, RewriteLayer};
use crate::rt::Rng;
use crate::timeout::{Timeout, TimeoutLayer};
use crate::transport::Transport;

/// From the request's headers to the way out: what is set, what is rewritten, the time for all
/// tries, the tries.
type Inner<T> = SetRequestHeaders<Rewrite<Timeout<Retry<Dispatch<T>, R>, R>, R>, R>;

/// The same with copies to mirrors, which leave by themselves: no retries, the same time.
type Mirrored<T> = SetRequestHeaders<
    Rewrite<Mirror<Timeout<Retry<Dispatch<T>, R>, R>, Timeout<Dispatch<T>, R>, R>, R>,
    R,
>;

/// What every route may have. Response headers dress every answer made below.
type Usual<T> = SetResponseHeaders<Inner<T>, R>;

/// All of it: faults first, then answers that need no upstream, which get no CORS headers.
///
/// Response headers stand twice: CORS has the last word on answers from further in, and the
/// answers made before CORS are dressed too.
type Whole<T> = SetResponseHeaders<
    Fault<Redirect<DirectResponse<Cors<SetResponseHeaders<Mirrored<T>, R>, R>, R>, R>, R>,
    R,
>;

type R = FromRoute;

/// All layers around the way out.
#[derive(Clone, Debug)]
pub(crate) struct Chain<T> {
    usual: Usual<T>,
    whole: Whole<T>,
}

impl<T: Clone> Chain<T> {
    /// `exceeded` if gRPC calls that are late are told so instead of that nobody was available.
    pub(crate) fn new(transport: T, dice: &Rng, mirroring: &Mirroring, exceeded: bool) -> Self {
        let dispatch = Dispatch::new(transport, dice.clone());
        let limit = TimeoutLayer::selecting(FromRoute).grpc_deadline_exceeded(exceeded);
        let shadow = limit.layer(dispatch.clone());
        let retry = RetryLayer::selecting(FromRoute, dice.clone());
        let retry = retry.grpc_deadline_exceeded(exceeded).layer(dispatch);
        let timeout = limit.layer(retry);
        let rewrite = RewriteLayer::selecting(FromRoute);
        let request_headers = RequestHeadersLayer::selecting(FromRoute);
        let response_headers = ResponseHeadersLayer::selecting(FromRoute);
        let inner: Inner<T> = request_headers.layer(rewrite.layer(timeout.clone()));
        let usual = response_headers.layer(inner);
        let mirror = MirrorLayer::selecting(FromRoute, shadow, dice.clone());
        let mirror = mirroring.apply(mirror).layer(timeout);
        let inner: Mirrored<T> = request_headers.layer(rewrite.layer(mirror));
        let dressed = response_headers.clone().marking().layer(inner);
        let cors = CorsLayer::selecting(FromRoute).layer(dressed);
        let direct_response = DirectResponseLayer::selecting(FromRoute).layer(cors);
        let redirect = RedirectLayer::selecting(FromRoute).layer(direct_response);
        let fault = FaultLayer::selecting(FromRoute, dice.clone()).layer(redirect);
        let whole = response_headers.layer(fault);
        Self { usual, whole }
    }
}

type Call<S, B> = <S as Service<Request<RequestBody<B, Routed>>>>::Future;

/// The future of one chain or the other.
#[pin_project(project = ChainProjected)]
pub(crate) enum ChainFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Usual(#[pin] Call<Usual<T>, B>),
    // In a box, so that usual routes do not carry the room for it.
    Whole(Pin<Box<Call<Whole<T>, B>>>),
}

impl<T, B> Future for ChainFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<T::ResponseBody>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            ChainProjected::Usual(future) => future.poll(cx),
            ChainProjected::Whole(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T, B> Service<Request<RequestBody<B, Routed>>> for Chain<T>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<T::ResponseBody>>;
    type Error = Infallible;
    type Future = ChainFuture<T, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody<B, Routed>>) -> Self::Future {
        match request.body().note().route().is_rare() {
            false => ChainFuture::Usual(self.usual.call(request)),
            true => ChainFuture::Whole(Box::pin(self.whole.call(request))),
        }
    }
}
