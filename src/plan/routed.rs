//! What travels with a request once it is matched, and how layers read their policies through it.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request};
use tokio::time::Instant;

use super::route::Ruled;
use super::{Choice, Cluster, Plan, Route};
use crate::endpoint::Endpoint;
use crate::headers::SentRequest;
use crate::request_body::{Carry, RequestBody};
use crate::retries::RetryPolicy;
use crate::select::Select;
use crate::timeout::{TimeoutPolicy, expected_millis, grpc_timeout};

/// The plan a request was matched under, counted where few threads count; the counts of its two
/// halves are touched only when a plan is replaced.
pub(crate) type PlanRef = Arc<Plan>;

/// The note beside a request's body: the plan, the rule, the destination the dice chose.
#[derive(Clone)]
pub(crate) struct Routed {
    pub(super) plan: PlanRef,
    matched: Matched,
    /// The try under way, from 1.
    pub(super) attempt: u32,
    /// Whether the request passes through a proxy, which tells endpoints so.
    pub(super) proxy: bool,
    /// Whether the request came as a gRPC call.
    pub(super) grpc: bool,
    /// Whether the request has a `Host` header.
    pub(super) names_host: bool,
}

/// What a request met in a plan.
#[derive(Clone)]
pub(crate) struct Matched {
    pub(super) route: u32,
    pub(super) choice: u32,
    /// What few requests have; in a box, for the note is moved and cloned often.
    seldom: Option<Box<Seldom>>,
}

#[derive(Clone, Default)]
struct Seldom {
    /// The endpoint of the last try, where another follows.
    last: Option<u32>,
    /// Endpoints of earlier tries, by their place, where another is to be preferred.
    tried: Vec<u32>,
    /// The endpoints of all tries so far, where another priority is to be preferred.
    left: Vec<u32>,
    /// An endpoint that is in no cluster.
    passthrough: Option<Endpoint>,
    /// The roll that mirrored requests are routed by.
    roll: Option<u64>,
    /// Cookies the client is to keep.
    cookies: Vec<HeaderValue>,
    /// When the request had gone out whole, noted for tries after the first.
    sent: Option<Instant>,
    /// The request as it was sent, where headers of its response tell of it.
    told: Option<Arc<SentRequest>>,
}

impl Matched {
    #[inline]
    pub(super) const fn new(route: u32, choice: u32) -> Self {
        Self {
            route,
            choice,
            seldom: None,
        }
    }

    /// Notes that the request goes to an endpoint that is in no cluster.
    pub(super) fn pass_to(&mut self, endpoint: Endpoint) {
        self.seldom.get_or_insert_default().passthrough = Some(endpoint);
    }

    /// Notes that the request was routed by this roll of the dice.
    pub(super) fn note_roll(&mut self, roll: u64) {
        self.seldom.get_or_insert_default().roll = Some(roll);
    }
}

impl Routed {
    #[inline]
    pub(crate) const fn new(plan: PlanRef, matched: Matched) -> Self {
        Self {
            plan,
            matched,
            attempt: 1,
            proxy: false,
            grpc: false,
            names_host: false,
        }
    }

    /// The same, for a request that comes through a proxy or not, as a gRPC call or not, and with
    /// a `Host` header or not.
    #[inline]
    pub(crate) const fn coming(mut self, proxy: bool, grpc: bool, names_host: bool) -> Self {
        self.proxy = proxy;
        self.grpc = grpc;
        self.names_host = names_host;
        self
    }

    /// The roll the request was routed by, where mirrors need it.
    pub(super) fn roll(&self) -> Option<u64> {
        self.matched.seldom.as_ref()?.roll
    }

    /// The same request on its way to another destination of its route.
    pub(super) fn to_choice(&self, choice: u32) -> Self {
        let mut other = self.clone();
        other.matched.choice = choice;
        if let Some(seldom) = &mut other.matched.seldom {
            seldom.passthrough = None;
        }
        other
    }

    /// Notes cookies the client is to keep, beside those of earlier tries.
    pub(super) fn note_cookies(&mut self, cookies: Vec<HeaderValue>) {
        let seldom = self.matched.seldom.get_or_insert_default();
        seldom.cookies.extend(cookies);
    }

    /// Keeps the cookies of the tries so far for the one that is answered.
    pub(super) fn keep_cookies(&mut self, cookies: &[HeaderValue]) {
        if !cookies.is_empty() {
            let seldom = self.matched.seldom.get_or_insert_default();
            seldom.cookies = cookies.to_vec();
        }
    }

    /// Cookies the client is to keep.
    #[inline]
    pub(super) fn cookies(&self) -> &[HeaderValue] {
        let cookies = self.matched.seldom.as_ref().map(|it| it.cookies.as_slice());
        cookies.unwrap_or_default()
    }

    /// Notes the request as it is sent, for the headers of its response.
    pub(super) fn note_sent(&mut self, sent: Arc<SentRequest>) {
        self.matched.seldom.get_or_insert_default().told = Some(sent);
    }

    /// The request as it was sent, where headers of its response tell of it.
    #[inline]
    pub(super) fn take_sent(&mut self) -> Option<Arc<SentRequest>> {
        self.matched.seldom.as_mut()?.told.take()
    }

    /// The endpoint that is in no cluster, where the request goes to one.
    pub(super) fn passthrough(&self) -> Option<&Endpoint> {
        self.matched.seldom.as_ref()?.passthrough.as_ref()
    }

    /// Notes that another try follows one at the endpoint of this place, of a request that had
    /// gone out whole by then, where that is known.
    pub(super) fn try_again(&mut self, last: Option<u32>, sent: Option<Instant>) {
        self.attempt = self.attempt.saturating_add(1);
        let hashed = self.route().balancing.as_ref();
        let hashed = hashed.is_some_and(|it| it.keeps_endpoint);
        let retries: Option<&RetryPolicy> = self.policy();
        let left = last.filter(|_| retries.is_some_and(RetryPolicy::leaves_localities));
        let tried = last.filter(|_| retries.is_some_and(|it| it.avoids_tried_hosts(hashed)));
        if last.is_some() || sent.is_some() {
            let seldom = self.matched.seldom.get_or_insert_default();
            seldom.last = last;
            seldom.left.extend(left);
            seldom.tried.extend(tried);
            seldom.sent = sent;
        }
    }

    /// The same before [another try](Self::try_again) was noted, with the endpoint of the last.
    pub(super) fn before(&self) -> (Self, Option<u32>) {
        let mut before = self.clone();
        before.attempt = self.attempt.saturating_sub(1);
        let seldom = before.matched.seldom.as_ref();
        let last = seldom.and_then(|it| it.last);
        (before, last)
    }

    /// The time for the request with all its tries, by its rule and by what a gRPC call asks for.
    pub(super) fn time(&self, headers: &HeaderMap) -> Option<Duration> {
        let written: Option<&TimeoutPolicy> = self.policy();
        let written = written.copied().unwrap_or_default();
        match self.grpc {
            true => written.for_grpc(grpc_timeout(headers)).limit(),
            false => written.limit(),
        }
    }

    /// How many milliseconds the endpoint has for this try, as a proxy tells it.
    pub(super) fn expected_millis(&self, headers: &HeaderMap) -> Option<u64> {
        let retries: Option<&RetryPolicy> = self.policy();
        let per_try = retries.and_then(RetryPolicy::time_for_try);
        let sent = self.matched.seldom.as_ref().and_then(|it| it.sent);
        let elapsed = sent.map(|it| it.elapsed()).unwrap_or_default();
        expected_millis(self.time(headers), per_try, elapsed)
    }

    /// The same for the time a copy has, which is that of the request where it has one.
    pub(super) fn copy_millis(&self, headers: &HeaderMap) -> Option<u64> {
        let mirrors = self.route().mirrors.as_ref();
        let is_copy = mirrors.is_some_and(|it| self.matched.choice >= it.first);
        let whole = self.time(headers).filter(|_| is_copy)?;
        expected_millis(Some(whole), None, Duration::ZERO)
    }

    /// The endpoints of earlier tries, by their place, where another is to be preferred.
    #[inline]
    pub(super) fn tried(&self) -> &[u32] {
        let tried = self.matched.seldom.as_ref().map(|it| it.tried.as_slice());
        tried.unwrap_or_default()
    }

    /// The endpoints of all tries so far, by their place, where another priority is to be preferred.
    #[inline]
    pub(super) fn left(&self) -> &[u32] {
        let left = self.matched.seldom.as_ref().map(|it| it.left.as_slice());
        left.unwrap_or_default()
    }

    #[inline]
    pub(super) fn route(&self) -> &Route {
        self.plan.route(self.matched.route)
    }

    /// The place of its route.
    pub(super) const fn place(&self) -> u32 {
        self.matched.route
    }

    #[inline]
    pub(super) fn choice(&self) -> Option<&Choice> {
        self.route().choices.get(self.matched.choice as usize)
    }

    /// Where its policies are; looked up once by whoever asks for several.
    #[inline]
    pub(super) fn ruled(&self) -> Ruled<'_> {
        let route = self.route();
        let choice = route.choices.get(self.matched.choice as usize);
        Ruled { route, choice }
    }

    #[inline]
    pub(super) fn policy<P: OfRoute>(&self) -> Option<&P> {
        self.ruled().policy()
    }

    #[inline]
    pub(super) fn cluster(&self) -> Option<&Cluster> {
        self.plan.cluster(self.route(), self.matched.choice)
    }
}

impl fmt::Debug for Matched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matched")
            .field("route", &self.route)
            .field("choice", &self.choice)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Routed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routed")
            .field("matched", &self.matched)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// A policy that a route may have, or the destination chosen.
pub(crate) trait OfRoute: Sized + 'static {
    fn of(ruled: Ruled<'_>) -> Option<&Self>;
}

/// Selects the policy of the route a request was matched to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FromRoute;

/// A policy of a route, kept by keeping the plan.
pub(crate) struct Held<P> {
    routed: Routed,
    policy: PhantomData<fn() -> P>,
}

impl<P: OfRoute> Deref for Held<P> {
    type Target = P;

    fn deref(&self) -> &P {
        match self.routed.policy() {
            Some(policy) => policy,
            None => unreachable!("only a policy that is there is held, and plans do not change"),
        }
    }
}

impl<P> fmt::Debug for Held<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.routed.fmt(f)
    }
}

impl<P: OfRoute, B> Select<P, RequestBody<B, Routed>> for FromRoute {
    type Held = Held<P>;

    fn get<'a>(&'a self, request: &'a Request<RequestBody<B, Routed>>) -> Option<&'a P> {
        request.body().note().policy()
    }

    fn hold(&self, request: &Request<RequestBody<B, Routed>>) -> Option<Held<P>> {
        let routed = request.body().note();
        routed.policy::<P>()?;
        Some(Held {
            routed: routed.clone(),
            policy: PhantomData,
        })
    }
}

impl<B> Carry<RequestBody<B, Routed>> for FromRoute {
    type Inner = B;
    type Note = Routed;

    #[inline]
    fn carry(&self, request: Request<RequestBody<B, Routed>>) -> Request<RequestBody<B, Routed>> {
        request
    }

    fn is_grpc(&self, routed: &Routed) -> Option<bool> {
        Some(routed.grpc)
    }
}
