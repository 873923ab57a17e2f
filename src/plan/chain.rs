//! The order of the layers: the only place that knows it.
//!
//! Envoy's order under Istio. Every layer is the public one; what a route does
//! not have, passes it by. Most routes have none of fault, redirect, direct
//! response, CORS and mirrors, and take the rest in one step ([`Usual`]).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Request;
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::dispatch::Dispatch;
use super::mirrors::Mirroring;
use super::routed::{FromRoute, Routed};
use super::stream_info::StreamInfo;
use super::tell::FirstTry;
use super::usual::{Answer, Prepared, Usual, UsualFuture};
use crate::body::{Body, BoxError};
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

/// From the request's headers to the way out: what is set, what is rewritten, copies to mirrors,
/// which leave by themselves, without retries and with the same time; the time for all tries, the
/// tries.
type Mirrored<T> = FirstTry<
    SetRequestHeaders<
        Rewrite<Mirror<Timeout<Retry<Dispatch<T>, R>, R>, Timeout<Dispatch<T>, R>, R>, R>,
        R,
    >,
>;

/// All of it: faults first, then answers that need no upstream, which get no CORS headers.
///
/// Response headers stand twice: CORS has the last word on answers from further in, and the
/// answers made before CORS are dressed too.
type Whole<T> = SetResponseHeaders<
    Fault<Redirect<DirectResponse<Cors<SetResponseHeaders<Mirrored<T>, R>, R>, R>, R>, R>,
    R,
>;

type R = FromRoute;

/// All layers around the way out; clones share them.
#[derive(Debug)]
pub(crate) struct Chain<T>(Arc<Both<T>>);

#[derive(Debug)]
struct Both<T> {
    usual: Usual<T>,
    /// Cloned for each of the few requests that take it.
    whole: Whole<T>,
}

impl<T> Clone for Chain<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> Chain<T> {
    /// `exceeded` if gRPC calls that are late are told so instead of that nobody was available.
    pub(crate) fn new(transport: T, dice: &Rng, mirroring: &Mirroring, exceeded: bool) -> Self {
        let dispatch = Dispatch::new(transport, dice.clone());
        let limit = TimeoutLayer::selecting(FromRoute).grpc_deadline_exceeded(exceeded);
        let shadow = limit.layer(dispatch.clone());
        let retry = RetryLayer::selecting(FromRoute, dice.clone());
        let retry = retry.grpc_deadline_exceeded(exceeded).layer(dispatch);
        let usual = Usual::new(retry.clone(), exceeded);
        let timeout = limit.layer(retry);
        let rewrite = RewriteLayer::selecting(FromRoute);
        let request_headers = RequestHeadersLayer::selecting(FromRoute);
        let response_headers = ResponseHeadersLayer::selecting(FromRoute);
        let mirror = MirrorLayer::selecting(FromRoute, shadow, dice.clone());
        let mirror = mirroring.apply(mirror).layer(timeout);
        let inner: Mirrored<T> = FirstTry(request_headers.layer(rewrite.layer(mirror)));
        let dressed = response_headers.clone().marking().layer(inner);
        let cors = CorsLayer::selecting(FromRoute).layer(dressed);
        let direct_response = DirectResponseLayer::selecting(FromRoute).layer(cors);
        let redirect = RedirectLayer::selecting(FromRoute).layer(direct_response);
        let fault = FaultLayer::selecting(FromRoute, dice.clone()).layer(redirect);
        let whole = response_headers.layer(fault);
        Self(Arc::new(Both { usual, whole }))
    }
}

impl<T: Transport + Clone> Chain<T> {
    /// Prepares a request for [`send`](Self::send); nothing for one that is to take
    /// [the whole chain](Self::send_whole).
    #[inline]
    pub(crate) fn prepare<B>(
        &self,
        routed: &Routed,
        request: &mut Request<RequestBody<B>>,
    ) -> Option<Prepared<T, B>>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let usual = !routed.route().is_rare();
        usual.then(|| self.0.usual.prepare(routed, request))
    }

    /// Sends what was prepared, its body erased; `info` knows its route.
    #[inline]
    pub(crate) fn send<B>(
        &self,
        prepared: Prepared<T, B>,
        info: StreamInfo,
        request: Request<Body>,
    ) -> ChainFuture<T, B>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        ChainFuture::Usual(self.0.usual.send(prepared, info, request))
    }

    /// Begins to send a request through all layers.
    pub(crate) fn send_whole<B>(
        &self,
        routed: Routed,
        request: Request<RequestBody<B>>,
    ) -> ChainFuture<T, B>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut whole = self.0.whole.clone();
        let request = request.map(|body| body.with_note(routed));
        ChainFuture::Whole(Box::pin(whole.call(request)))
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
    Usual(#[pin] UsualFuture<T, B>),
    // In a box, so that usual routes do not carry the room for it.
    Whole(Pin<Box<Call<Whole<T>, B>>>),
}

impl<T, B> ChainFuture<T, B>
where
    T: Transport + Clone,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// The answer, changed by `finish`.
    #[inline]
    pub(crate) fn poll_response<E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        finish: impl FnOnce(&mut Answer<T>) -> Result<(), E>,
    ) -> Poll<Result<Answer<T>, E>> {
        match self.project() {
            ChainProjected::Usual(future) => future.poll_response(cx, finish),
            ChainProjected::Whole(future) => {
                let Ok(mut response) = ready!(future.as_mut().poll(cx));
                finish(&mut response)?;
                Poll::Ready(Ok(response))
            }
        }
    }
}
