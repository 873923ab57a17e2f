//! One try at one endpoint: waits for what becomes of it, and makes what went wrong an answer.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;
use http::header::SET_COOKIE;
use pin_project::{pin_project, pinned_drop};

use super::attempts;
use super::cluster::Watch;
use super::dispatch::no_cluster;
use super::look_up::LookUp;
use super::response_body::ResponseBody;
use super::stream_info::StreamInfo;
use crate::body::BoxError;
use crate::endpoint::InFlight;
use crate::failure::ClassifyFailure;
use crate::headers::{SentRequest, join_response_lines};
use crate::outlier_detection::Outcome;
use crate::reply::LocalReply;
use crate::rt::{is_late, leave, say_connecting};
use crate::transport::Transport;

/// One try at one endpoint.
#[pin_project(PinnedDrop, project = DispatchProjected)]
pub(crate) struct DispatchFuture<T: Transport> {
    #[pin]
    pub(super) call: Option<T::Future>,
    /// What comes before the call, where the endpoint's address is not known yet.
    pub(super) look_up: Option<Box<LookUp<T>>>,
    pub(super) in_flight: Option<InFlight>,
    /// There from the start when there is no call.
    pub(super) reply: Option<Box<LocalReply>>,
    pub(super) info: Option<StreamInfo>,
    pub(super) grpc: bool,
    pub(super) watch: Watch,
}

#[pinned_drop]
impl<T: Transport> PinnedDrop for DispatchFuture<T> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        // Given up before its response: the endpoint is to blame only where its time was up.
        if this.info.is_some() && is_late() {
            if *this.watch != Watch::Not {
                attempts::report(this.info.as_ref(), Outcome::Timeout);
            }
            leave(|| this.info.take().unwrap_or_default());
        }
    }
}

impl<T: Transport> DispatchFuture<T> {
    /// The answer to a request that nobody is sent, as it would have been sent where headers of its
    /// response tell of it.
    #[cold]
    pub(super) fn refused(
        reply: LocalReply,
        mut info: StreamInfo,
        grpc: bool,
        sent: Option<Arc<SentRequest>>,
    ) -> Self {
        if let Some(sent) = sent {
            info.note_sent(sent);
        }
        Self {
            call: None,
            look_up: None,
            in_flight: None,
            reply: Some(Box::new(reply)),
            info: Some(info),
            grpc,
            watch: Watch::Not,
        }
    }

    /// What is sent once the address of its endpoint is known.
    pub(super) fn waiting(
        look_up: LookUp<T>,
        in_flight: InFlight,
        info: StreamInfo,
        grpc: bool,
        watch: Watch,
    ) -> Self {
        Self {
            call: None,
            look_up: Some(Box::new(look_up)),
            in_flight: Some(in_flight),
            reply: None,
            info: Some(info),
            grpc,
            watch,
        }
    }
}

impl<T: Transport> Future for DispatchFuture<T> {
    type Output = Result<Response<ResponseBody<T::ResponseBody>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(look_up) = this.look_up {
            let Poll::Ready(found) = look_up.poll(cx) else {
                say_connecting();
                return Poll::Pending;
            };
            match found {
                Ok(call) => this.call.set(Some(call)),
                Err(reply) => *this.reply = Some(Box::new(reply)),
            }
            *this.look_up = None;
        }
        let ended = match this.call.as_mut().as_pin_mut() {
            Some(mut call) => match call.as_mut().poll(cx) {
                Poll::Ready(ended) => ended,
                Poll::Pending => {
                    if T::is_connecting(&call) {
                        say_connecting();
                    }
                    return Poll::Pending;
                }
            },
            None => return Poll::Ready(Ok(this.answer())),
        };
        this.call.set(None);
        let watch = std::mem::take(this.watch);
        match ended {
            Ok(response) => {
                let (mut head, body) = response.into_parts();
                let proxy = |info: &StreamInfo| info.routed().proxy;
                if this.info.as_ref().is_some_and(proxy) {
                    join_response_lines(&mut head.headers);
                }
                if watch != Watch::Not {
                    let outcome = Outcome::of_response(head.status, &head.headers, *this.grpc);
                    attempts::report_answer(watch, this.in_flight, this.info.as_ref(), outcome);
                }
                let mut info = this.info.take().unwrap_or_default();
                let in_flight = this.in_flight.take();
                info.tell_sent(&mut head.extensions);
                for cookie in info.cookies() {
                    head.headers.append(SET_COOKIE, cookie.clone());
                }
                let body = ResponseBody::upstream(body, info, in_flight);
                Poll::Ready(Ok(Response::from_parts(head, body)))
            }
            Err(error) => {
                if watch != Watch::Not
                    && let Some(outcome) = Outcome::of_failure(&error.classify())
                {
                    attempts::report(this.info.as_ref(), outcome);
                }
                *this.reply = Some(Box::new(LocalReply::for_failure(error.classify(), false)));
                let error: BoxError = error.into();
                let response = this.answer();
                Poll::Ready(Ok(
                    response.map(|body| body.caused_by(Some(Arc::from(error))))
                ))
            }
        }
    }
}

impl<T: Transport> DispatchProjected<'_, T> {
    /// The local answer, about this request.
    fn answer<B>(&mut self) -> Response<ResponseBody<B>> {
        *self.in_flight = None;
        // A future is not polled again once it has ended; if it is, there is nothing to say.
        let reply = self.reply.take().map_or_else(no_cluster, |reply| *reply);
        let mut info = self.info.take().unwrap_or_default();
        let mut response: Response<ResponseBody<B>> = reply.into_response(*self.grpc);
        info.tell_sent(response.extensions_mut());
        response.map(|body| body.about(info))
    }
}

impl<T: Transport> fmt::Debug for DispatchFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatchFuture").finish_non_exhaustive()
    }
}
