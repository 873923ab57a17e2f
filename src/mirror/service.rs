//! The layer: sends a request on, and copies of it elsewhere.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::UPGRADE;
use http::{Method, Request, Response};
use http_body::Body;
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::counts::MirrorCounts;
use super::policy::MirrorPolicy;
use super::shadow::{Shadow, append_suffix, with_head};
use crate::context::ResponseFlags;
use crate::reply::LocalReply;
use crate::request_body::{BodyCopy, Carry, RequestBody};
use crate::rt::Rng;
use crate::select::{Own, Select};

/// How many copies are under way at once, unless told otherwise.
const MAX_IN_FLIGHT: usize = 1024;
/// How much of a copy waits to be sent: Envoy's buffer, 1 MiB.
const BODY_LIMIT: usize = 1 << 20;

/// Where a copy goes, and what is known of the request it is made of.
///
/// Used alone ([`Own`]) there is one mirror, and every request gets a roll of its own.
pub trait Shadows<N> {
    /// The roll the request was routed by; nothing where it was routed without.
    fn roll(&self, note: &N) -> Option<u64>;

    /// What travels beside the copy for the mirror at this place.
    fn shadow(&self, note: &N, place: usize) -> N;

    /// Changes the copy's head as a proxy does.
    fn dress<B>(&self, note: &N, copy: &mut Request<B>);
}

impl<P> Shadows<()> for Own<P> {
    fn roll(&self, (): &()) -> Option<u64> {
        None
    }

    fn shadow(&self, (): &(), _: usize) {}

    fn dress<B>(&self, (): &(), _: &mut Request<B>) {}
}

/// Wraps services in [`Mirror`].
///
/// `M` is the service that copies are sent through, each by a clone of its own.
#[derive(Clone, Debug)]
pub struct MirrorLayer<M, K = Own<MirrorPolicy>> {
    shadow: M,
    policy: K,
    settings: Settings,
}

#[derive(Clone, Debug)]
struct Settings {
    dice: Rng,
    counts: MirrorCounts,
    max_in_flight: usize,
    body_limit: usize,
    host_suffix: bool,
}

impl<M> MirrorLayer<M> {
    /// A layer that sends copies of requests through `shadow`.
    #[must_use]
    pub fn new(policy: MirrorPolicy, shadow: M) -> Self {
        Self::selecting(Own::new(policy), shadow, Rng::default())
    }
}

impl<M, K> MirrorLayer<M, K> {
    pub(crate) fn selecting(policy: K, shadow: M, dice: Rng) -> Self {
        Self {
            shadow,
            policy,
            settings: Settings {
                dice,
                counts: MirrorCounts::default(),
                max_in_flight: MAX_IN_FLIGHT,
                body_limit: BODY_LIMIT,
                host_suffix: false,
            },
        }
    }

    /// The same with other dice, such as seeded ones.
    #[must_use]
    pub fn rng(mut self, dice: Rng) -> Self {
        self.settings.dice = dice;
        self
    }

    /// Counts with these counters, which other layers may share; the limit then holds for all.
    #[must_use]
    pub fn counting_with(mut self, counts: MirrorCounts) -> Self {
        self.settings.counts = counts;
        self
    }

    /// How many copies are under way at once; 1024 unless told.
    #[must_use]
    pub const fn max_in_flight(mut self, most: usize) -> Self {
        self.settings.max_in_flight = most;
        self
    }

    /// How many bytes of one copy's body wait to be sent; 1 MiB unless told.
    #[must_use]
    pub const fn body_limit(mut self, bytes: usize) -> Self {
        self.settings.body_limit = bytes;
        self
    }

    /// Whether `-shadow` is appended to the host of copies; not unless told.
    #[must_use]
    pub const fn host_suffix(mut self, append: bool) -> Self {
        self.settings.host_suffix = append;
        self
    }

    /// What became of the copies.
    #[must_use]
    pub const fn counts(&self) -> &MirrorCounts {
        &self.settings.counts
    }
}

impl<S, M: Clone, K: Clone> Layer<S> for MirrorLayer<M, K> {
    type Service = Mirror<S, M, K>;

    fn layer(&self, inner: S) -> Self::Service {
        Mirror {
            inner,
            shadow: self.shadow.clone(),
            policy: self.policy.clone(),
            settings: self.settings.clone(),
        }
    }
}

/// Sends requests on, and copies of some elsewhere.
///
/// See the [module documentation](super).
#[derive(Clone, Debug)]
pub struct Mirror<S, M, K = Own<MirrorPolicy>> {
    inner: S,
    shadow: M,
    policy: K,
    settings: Settings,
}

impl<S, M, K> Mirror<S, M, K> {
    /// What became of the copies.
    #[must_use]
    pub const fn counts(&self) -> &MirrorCounts {
        &self.settings.counts
    }

    /// The copies of a request, made before it is sent.
    fn copies<B, N>(
        &self,
        request: &mut Request<RequestBody<B, N>>,
        chosen: &[usize],
    ) -> Vec<Shadow<N>>
    where
        K: Shadows<N>,
        B: Body<Data = Bytes>,
        N: Clone,
    {
        let Settings {
            counts,
            max_in_flight,
            body_limit,
            host_suffix,
            ..
        } = &self.settings;
        let mut copies = Vec::with_capacity(chosen.len());
        for place in chosen {
            let Some(slot) = counts.begin(*max_in_flight) else {
                continue;
            };
            let body = request.body_mut().copy(*body_limit);
            let watch = body.watch();
            let note = self.policy.shadow(request.body().note(), *place);
            let mut copy = with_head(request, RequestBody::new(body, note));
            self.policy.dress(request.body().note(), &mut copy);
            if *host_suffix {
                let uri = copy.uri().clone();
                append_suffix(copy.headers_mut(), &uri);
            }
            copies.push(Shadow {
                request: copy,
                watch,
                slot,
            });
        }
        copies
    }
}

impl<S, M, B, R, Q, K> Service<Request<B>> for Mirror<S, M, K>
where
    K: Select<MirrorPolicy, B> + Carry<B> + Shadows<K::Note>,
    K::Inner: Body<Data = Bytes>,
    K::Note: Send + 'static,
    S: Service<Request<RequestBody<K::Inner, K::Note>>, Response = Response<R>>,
    M: Service<Request<RequestBody<BodyCopy, K::Note>>, Response = Response<Q>>,
    M: Clone + Send + 'static,
    M::Future: Send,
    M::Error: Send,
    Q: Body + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, M, K::Note>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let dice = &self.settings.dice;
        let policy = self.policy.hold(&request);
        let mut request = self.policy.carry(request);
        let chosen: Vec<usize> = match policy {
            Some(policy) if !is_tunnel(&request) => {
                let roll = self.policy.roll(request.body().note());
                policy
                    .chosen(roll.unwrap_or_else(|| dice.next_u64()))
                    .collect()
            }
            _ => Vec::new(),
        };
        let copies = match chosen.is_empty() {
            true => Vec::new(),
            false => self.copies(&mut request, &chosen),
        };
        let waiting = (!copies.is_empty()).then(|| {
            Box::new(Waiting {
                copies,
                service: self.shadow.clone(),
            })
        });
        ResponseFuture {
            inner: self.inner.call(request),
            waiting,
        }
    }
}

/// Whether a request asks for a connection of its own, which cannot be copied.
fn is_tunnel<B>(request: &Request<B>) -> bool {
    request.method() == Method::CONNECT || request.headers().contains_key(UPGRADE)
}

/// The future of a [`Mirror`]; dropping it cancels the request, and its copies unless they have
/// set off with their whole body.
#[pin_project]
pub struct ResponseFuture<F, M, N> {
    #[pin]
    inner: F,
    waiting: Option<Box<Waiting<M, N>>>,
}

/// Copies that wait for their request to be taken up.
struct Waiting<M, N> {
    copies: Vec<Shadow<N>>,
    service: M,
}

/// Whether a request was answered because there was nowhere to send it.
fn went_nowhere<R>(response: &Response<R>) -> bool {
    let nowhere = ResponseFlags::NO_HEALTHY_UPSTREAM
        .union(ResponseFlags::NO_CLUSTER_FOUND)
        .union(ResponseFlags::UPSTREAM_OVERFLOW);
    LocalReply::of(response).is_some_and(|reply| reply.flags.intersects(nowhere))
}

impl<F, R, E, M, N, Q> Future for ResponseFuture<F, M, N>
where
    F: Future<Output = Result<Response<R>, E>>,
    N: Send + 'static,
    M: Service<Request<RequestBody<BodyCopy, N>>, Response = Response<Q>>,
    M: Clone + Send + 'static,
    M::Future: Send,
    M::Error: Send,
    Q: Body + Send + 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = this.inner.poll(cx);
        // Where a request goes is known when it was first polled.
        if let Some(waiting) = this.waiting.take()
            && !matches!(&result, Poll::Ready(Ok(response)) if went_nowhere(response))
        {
            let Waiting { copies, service } = *waiting;
            for copy in copies {
                copy.launch(service.clone());
            }
        }
        result
    }
}

impl<F: fmt::Debug, M, N> fmt::Debug for ResponseFuture<F, M, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("inner", &self.inner)
            .field("waiting", &self.waiting.is_some())
            .finish()
    }
}
