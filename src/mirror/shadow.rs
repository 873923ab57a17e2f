//! A copy of a request: its head, its body, and the task that sends it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use http::header::{HOST, HeaderValue};
use http::{HeaderMap, Request, Response, Uri};
use http_body::Body;
use tokio::runtime::Handle;
use tower_service::Service;

use super::counts::Slot;
use crate::reply::LocalReply;
use crate::request_body::{BodyCopy, CopyWatch, RequestBody};

/// A copy that waits for its request to be taken up.
#[derive(Debug)]
pub(super) struct Shadow<N> {
    pub(super) request: Request<RequestBody<BodyCopy, N>>,
    pub(super) watch: CopyWatch,
    pub(super) slot: Slot,
}

/// The request's head with another body; extensions stay with the request.
pub(super) fn with_head<B, C>(request: &Request<B>, body: C) -> Request<C> {
    let mut copy = Request::new(body);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// Appends `-shadow` to the name of the host, before its port.
pub(super) fn append_suffix(headers: &mut HeaderMap, uri: &Uri) {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    let Some(host) = named.or_else(|| uri.authority().map(|it| it.as_str())) else {
        return;
    };
    let after_brackets = host.rfind(']').unwrap_or_default();
    let colon = host.get(after_brackets..).and_then(|rest| rest.find(':'));
    let end = colon.map_or(host.len(), |colon| after_brackets + colon);
    let (name, port) = host.split_at_checked(end).unwrap_or((host, ""));
    if let Ok(host) = HeaderValue::try_from(format!("{name}-shadow{port}")) {
        headers.insert(HOST, host);
    }
}

impl<N: Send + 'static> Shadow<N> {
    /// Sends the copy in a task of its own.
    pub(super) fn launch<M, R>(self, service: M)
    where
        M: Service<Request<RequestBody<BodyCopy, N>>, Response = Response<R>> + Send + 'static,
        M::Future: Send,
        M::Error: Send,
        R: Body + Send + 'static,
    {
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(self.run(service))),
            Err(_) => self.slot.note_no_runtime(),
        }
    }

    async fn run<M, R>(self, service: M)
    where
        M: Service<Request<RequestBody<BodyCopy, N>>, Response = Response<R>>,
        R: Body,
    {
        let Self {
            request,
            watch,
            slot,
        } = self;
        slot.note_sent();
        let mut work = pin!(send(service, request, &slot));
        poll_fn(|cx| {
            // A copy that is lost ends at once, though whoever sends it may not be reading it.
            if watch.poll_lost(cx).is_ready() {
                slot.note_body_lost();
                return Poll::Ready(());
            }
            work.as_mut().poll(cx)
        })
        .await;
    }
}

/// Sends a request and reads the answer to its end, so that its connection can be used again.
async fn send<M, Q, R>(mut service: M, request: Request<Q>, slot: &Slot)
where
    M: Service<Request<Q>, Response = Response<R>>,
    R: Body,
{
    if poll_fn(|cx| service.poll_ready(cx)).await.is_err() {
        return slot.note_failed();
    }
    let Ok(response) = service.call(request).await else {
        return slot.note_failed();
    };
    match LocalReply::of(&response) {
        Some(_) => slot.note_failed(),
        None => slot.note_answered(),
    }
    let mut body = pin!(response.into_body());
    loop {
        // A body that is always ready must not keep the thread for itself.
        tokio::task::coop::consume_budget().await;
        let frame = poll_fn(|cx| Pin::as_mut(&mut body).poll_frame(cx)).await;
        if !matches!(frame, Some(Ok(_))) {
            return;
        }
    }
}
