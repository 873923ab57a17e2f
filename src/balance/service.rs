//! The service: a pick for each request, and a word on what became of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::{HOST, HeaderValue, SET_COOKIE};
use http::uri::Authority;
use http::{Request, Response, StatusCode};
use pin_project::{pin_project, pinned_drop};
use tower::util::Oneshot;
use tower_service::Service;

use super::Group;
use crate::context::{Connection, ResponseFlags, source_of};
use crate::endpoint::{Endpoint, InFlight};
use crate::failure::ClassifyFailure;
use crate::load_balancer::{Keyed, hash_request};
use crate::outlier_detection::Outcome;
use crate::reply::{FromLocalReply, GuardedBody, LocalReply, is_grpc};
use crate::rt::is_late;

/// A response's body whose request counts as under way until it has ended or is dropped.
pub type Balanced<R> = GuardedBody<R, InFlight>;

/// Sends each request through the service of one endpoint. See the [module
/// documentation](super).
pub struct Balance<F> {
    group: Arc<Group>,
    service_for: Arc<F>,
}

impl<F> Balance<F> {
    pub(super) fn new(group: Arc<Group>, service_for: F) -> Self {
        let service_for = Arc::new(service_for);
        Self { group, service_for }
    }
}

impl<F> Clone for Balance<F> {
    fn clone(&self) -> Self {
        Self {
            group: self.group.clone(),
            service_for: self.service_for.clone(),
        }
    }
}

impl<F> fmt::Debug for Balance<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balance")
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

impl<F, S, B, R> Service<Request<B>> for Balance<F>
where
    F: Fn(&Endpoint) -> S,
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: ClassifyFailure,
    R: FromLocalReply,
{
    type Response = Response<Balanced<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let grpc = is_grpc(request.headers());
        let mut cookies = Vec::new();
        let hash = match self.group.keys.as_slice() {
            [] => None,
            _ => self.group.hash(&request, &mut cookies),
        };
        let tried = self.group.pick(hash).map(|(endpoint, place)| Tried {
            in_flight: Some(endpoint.begin()),
            call: Oneshot::new((self.service_for)(endpoint), request),
            place,
            group: self.group.clone(),
        });
        ResponseFuture {
            tried,
            cookies,
            grpc,
        }
    }
}

impl Group {
    /// The hash of a request's key; cookies that its client is to keep are told to `cookies`.
    fn hash<B>(&self, request: &Request<B>, cookies: &mut Vec<HeaderValue>) -> Option<u64> {
        let authority = match request.headers().get(HOST) {
            Some(host) => host.to_str().unwrap_or_default(),
            None => request.uri().authority().map_or("", Authority::as_str),
        };
        let mut from = Keyed::new(authority, request.uri().query(), request.headers());
        let connection = request.extensions().get::<Connection>();
        from.connection = connection.map(|it| (it.remote, it.local));
        from.source = source_of(request);
        hash_request(&self.keys, &from, self.dice.next_u64(), cookies)
    }
}

/// The future of a [`Balance`]; dropping it ends the request.
#[pin_project]
pub struct ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    /// Nothing where there is no endpoint.
    #[pin]
    tried: Option<Tried<S, B>>,
    cookies: Vec<HeaderValue>,
    grpc: bool,
}

/// A request on its way to an endpoint.
#[pin_project(PinnedDrop, project = TriedProjected)]
struct Tried<S, B>
where
    S: Service<Request<B>>,
{
    #[pin]
    call: Oneshot<S, Request<B>>,
    /// Taken when the response is there.
    in_flight: Option<InFlight>,
    place: usize,
    group: Arc<Group>,
}

#[pinned_drop]
impl<S, B> PinnedDrop for Tried<S, B>
where
    S: Service<Request<B>>,
{
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        // Given up before its response: the endpoint is to blame only where its time was up.
        if this.in_flight.is_some() && is_late() {
            this.group.report(*this.place, Outcome::Timeout);
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: ClassifyFailure,
    R: FromLocalReply,
{
    type Output = Result<Response<Balanced<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(tried) = this.tried.as_pin_mut() else {
            let flags = ResponseFlags::NO_HEALTHY_UPSTREAM;
            let reply = LocalReply::new(StatusCode::SERVICE_UNAVAILABLE, flags)
                .body("no healthy upstream")
                .details("no_healthy_upstream");
            return Poll::Ready(Ok(reply.into_response(*this.grpc)));
        };
        let tried = tried.project();
        let ended = ready!(tried.call.poll(cx));
        let in_flight = tried.in_flight.take();
        if let Some(outcome) = Outcome::of(&ended, *this.grpc) {
            tried.group.report(*tried.place, outcome);
        }
        let mut response = ended?.map(|body| Balanced::new(body, in_flight));
        for cookie in std::mem::take(this.cookies) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        Poll::Ready(Ok(response))
    }
}
