//! One route: what it matches, where it leads, and the policies of every concept on the way.

use std::sync::Arc;

use super::balancing::Balancing;
use super::routed::OfRoute;
use crate::cors_policy::CorsPolicy;
use crate::direct_response::DirectResponsePolicy;
use crate::fault::FaultPolicy;
use crate::headers::{RequestHeaders, ResponseHeaders};
use crate::match_request::MatchRequest;
use crate::mirror::MirrorPolicy;
use crate::redirect::{RedirectPolicy, RedirectScheme};
use crate::retries::RetryPolicy;
use crate::rewrite::RewritePolicy;
use crate::route::Weights;
use crate::rt::Rng;
use crate::timeout::TimeoutPolicy;

/// One compiled rule for one match block on one port.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) rule: Arc<MatchRequest>,
    pub(super) name: Arc<str>,
    /// The destinations' places among `choices`, by weight; nothing where the rule answers itself.
    pub(super) weights: Option<Weights<u32>>,
    pub(super) choices: Vec<Choice>,
    pub(super) policies: Arc<Policies>,
    pub(super) redirect: Option<Arc<RedirectPolicy>>,
    pub(super) mirrors: Option<Arc<Mirrors>>,
    /// What its requests note for the balancers of its destinations.
    pub(super) balancing: Option<Arc<Balancing>>,
    /// Whether headers of its responses tell of the requests as they were sent.
    pub(super) tells_requests: bool,
}

/// Where copies of a route's requests go.
#[derive(Clone, Debug)]
pub(super) struct Mirrors {
    pub(super) policy: MirrorPolicy,
    /// The place of the first mirror's destination among the choices; the others follow it.
    pub(super) first: u32,
}

/// One destination of a route, or the answer of a route that has none.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// Its place among the plan's clusters.
    pub(super) cluster: Option<u32>,
    pub(super) request_headers: Option<Arc<RequestHeaders>>,
    pub(super) response_headers: Option<Arc<ResponseHeaders>>,
    pub(super) rewrite: Option<Arc<RewritePolicy>>,
}

impl Choice {
    /// A destination without further ado.
    pub(super) fn of(cluster: u32) -> Self {
        Self {
            cluster: Some(cluster),
            ..Self::default()
        }
    }
}

/// The policies of a rule that hold whichever match block or destination it comes to.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies {
    pub(super) fault: Option<FaultPolicy>,
    pub(super) direct_response: Option<DirectResponsePolicy>,
    pub(super) cors: Option<CorsPolicy>,
    pub(super) timeout: Option<TimeoutPolicy>,
    pub(super) retries: Option<RetryPolicy>,
}

impl Policies {
    /// What Istio does for a service without a VirtualService.
    pub(super) fn istio_default() -> Self {
        Self {
            retries: Some(RetryPolicy::istio_default()),
            ..Self::default()
        }
    }
}

impl Route {
    /// A route that is in no table.
    pub(super) fn unlisted(name: &str, policies: Policies) -> Self {
        Self {
            rule: Arc::default(),
            name: name.into(),
            weights: None,
            choices: Vec::new(),
            policies: Arc::new(policies),
            redirect: None,
            mirrors: None,
            balancing: None,
            tells_requests: false,
        }
    }

    /// The route that `httpsRedirect` of a Gateway's server puts before all others.
    pub(super) fn to_https() -> Self {
        let to = RedirectPolicy::new().scheme(RedirectScheme::Https);
        Self {
            rule: Arc::new(MatchRequest::of_plain_http()),
            redirect: Some(Arc::new(to.keep_port())),
            choices: vec![Choice::default()],
            ..Self::unlisted("", Policies::default())
        }
    }

    /// The destination one roll of the dice gives, by its place among the choices.
    #[inline]
    pub(super) fn choose(&self, dice: &Rng) -> Option<u32> {
        let weights = self.weights.as_ref()?;
        Some(match weights.only() {
            Some(only) => *only,
            None => *weights.pick(dice.next_u64()),
        })
    }

    /// The same for a roll that is made already.
    pub(super) fn choose_by(&self, roll: u64) -> Option<u32> {
        Some(*self.weights.as_ref()?.pick(roll))
    }

    /// Whether the route has one of the concepts that most routes do without.
    #[inline]
    pub(super) fn is_rare(&self) -> bool {
        let policies = &self.policies;
        policies.fault.is_some()
            || policies.direct_response.is_some()
            || policies.cors.is_some()
            || self.redirect.is_some()
            || self.mirrors.is_some()
    }
}

/// Where the policies of a request are: its route, and the destination chosen.
#[derive(Clone, Copy)]
pub(crate) struct Ruled<'r> {
    pub(super) route: &'r Route,
    pub(super) choice: Option<&'r Choice>,
}

impl<'r> Ruled<'r> {
    #[inline]
    pub(super) fn policy<P: OfRoute>(self) -> Option<&'r P> {
        P::of(self)
    }
}

macro_rules! of_route {
    ($($policy:ty: |$ruled:ident| $find:expr;)*) => { $(
        impl OfRoute for $policy {
            #[inline]
            fn of($ruled: Ruled<'_>) -> Option<&Self> {
                $find
            }
        }
    )* };
}

of_route! {
    FaultPolicy: |it| it.route.policies.fault.as_ref();
    DirectResponsePolicy: |it| it.route.policies.direct_response.as_ref();
    CorsPolicy: |it| it.route.policies.cors.as_ref();
    TimeoutPolicy: |it| it.route.policies.timeout.as_ref();
    RetryPolicy: |it| it.route.policies.retries.as_ref();
    RequestHeaders: |it| it.choice?.request_headers.as_deref();
    ResponseHeaders: |it| it.choice?.response_headers.as_deref();
    RewritePolicy: |it| it.choice?.rewrite.as_deref();
    MirrorPolicy: |it| it.route.mirrors.as_deref().map(|it| &it.policy);
    RedirectPolicy: |it| it.route.redirect.as_deref();
}
