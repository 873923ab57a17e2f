//! From a decision to an explanation: what the route's policies make of this one request.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};

use super::super::route::{Choice, Route};
use super::super::{Decision, Plan, PlanRef, Routed, decide};
use super::{Action, Destination, Explanation, Fault, Mirrored, Retries, owner, reject};
use crate::body::Body;
use crate::context::ResponseFlags;
use crate::cors_policy::CorsDecision;
use crate::match_request::RequestHead;
use crate::reply::{LocalReply, is_grpc};
use crate::request_url::RequestUrl;
use crate::retries::{RetryOn, RetryPolicy};
use crate::rt::Rng;
use crate::source::Source;

/// A request as it reaches the rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'r> {
    pub(crate) request: &'r Request<()>,
    pub(crate) authority: &'r str,
    pub(crate) scheme: &'r str,
    pub(crate) port: u16,
}

/// What would be done with the request.
pub(crate) fn explain(plan: &PlanRef, source: &Source, asked: Asked<'_>) -> Explanation {
    let Asked { request, port, .. } = asked;
    let target = request.uri().path_and_query();
    let path = target.map_or("/", |it| it.as_str());
    let (method, headers) = (request.method().as_str(), request.headers());
    let head = RequestHead::new(method, asked.scheme, asked.authority, path, headers);
    let head = head.with_extensions(request.extensions());
    // Which destination the dice choose is not told, so these need not be the mesh's.
    let decision = decide(plan, port, &head, &Rng::seeded(0));

    let summary = format!("{method} {}://{}{path}", asked.scheme, asked.authority);
    let mut it = blank(summary, port);
    it.matched_path = path.to_owned();
    it.matched_authority = asked.authority.to_owned();
    let owner = owner::find(plan, source, port, asked.authority);
    it.virtual_service = owner.virtual_service;
    it.owned_because = owner.because;
    it.shadowed = owner.shadowed;
    match decision {
        Decision::Route(matched) => {
            let routed = Routed::new(plan.clone(), matched);
            it.rejected = reject::walk(plan, source, port, &head, Some(routed.place()));
            let origin = plan.rules.origins.get(routed.place() as usize);
            if let Some(origin) = origin {
                let owner = origin.owner().and_then(|it| plan.rules.owners.get(it));
                it.virtual_service = owner.map(|it| it.name.to_string());
                it.route = origin.rule();
                it.match_block = origin.block();
            }
            it.take(&routed, asked);
        }
        Decision::Reply(reply, matched) => {
            it.rejected = reject::walk(plan, source, port, &head, None);
            it.status = Some(answered_status(reply, asked));
            if let Some(matched) = matched {
                it.route_name = name_of(plan.route(matched.route));
                it.because = "nothing declares the host, and unknown hosts are refused".to_owned();
            } else if it.rejected.is_empty() {
                it.because = "nothing is known of the host".to_owned();
            } else {
                it.because = "no rule of the host matches".to_owned();
            }
        }
    }
    it
}

/// The explanation of a request that is answered before any rule is asked.
pub(crate) fn refused(summary: String, port: u16, grpc: bool, reply: LocalReply) -> Explanation {
    let mut it = blank(summary, port);
    it.owned_because = "no rule is asked".to_owned();
    it.because = match &*reply.details {
        "" => "the request is refused as it is".to_owned(),
        details => format!("the request is refused as it is ({details})"),
    };
    it.status = Some(reply.into_response::<Body>(grpc).status());
    it
}

fn blank(request: String, port: u16) -> Explanation {
    Explanation {
        request,
        port,
        matched_path: String::new(),
        matched_authority: String::new(),
        virtual_service: None,
        owned_because: String::new(),
        shadowed: Vec::new(),
        route: None,
        match_block: None,
        route_name: None,
        action: Action::NotFound,
        status: None,
        location: None,
        body: Bytes::new(),
        destinations: Vec::new(),
        path: None,
        authority: None,
        timeout: None,
        retries: None,
        fault: None,
        mirrors: Vec::new(),
        cors: None,
        rejected: Vec::new(),
        policy: BTreeMap::new(),
        because: String::new(),
    }
}

/// The status a reply has for this request: gRPC puts its own in a header.
fn answered_status(reply: LocalReply, asked: Asked<'_>) -> StatusCode {
    let grpc = is_grpc(asked.request.headers());
    reply.into_response::<Body>(grpc).status()
}

fn name_of(route: &Route) -> Option<String> {
    (!route.name.is_empty()).then(|| route.name.to_string())
}

impl Explanation {
    /// Tells what the route does, in the order in which it is done.
    fn take(&mut self, routed: &Routed, asked: Asked<'_>) {
        let (route, request) = (routed.route(), asked.request);
        let policies = &route.policies;
        self.route_name = name_of(route);
        self.fault = policies.fault.as_ref().map(|fault| Fault {
            delay: fault.written_delay(),
            abort: fault.written_abort(),
        });
        let answer = |status| answered_status(LocalReply::new(status, ResponseFlags::NONE), asked);
        if let Some(redirect) = &route.redirect {
            self.action = Action::Redirect;
            self.status = Some(answer(redirect.status()));
            self.location = Some(redirect.location(&RequestUrl::of(request)));
            self.because = "the rule redirects".to_owned();
            return;
        }
        if let Some(response) = &policies.direct_response {
            self.action = Action::DirectResponse;
            self.status = Some(answer(response.status()));
            self.body = response.body().clone();
            if response.names_location() {
                self.location = Some(RequestUrl::of(request).to_string());
            }
            self.because = "the rule answers itself".to_owned();
            return;
        }
        if let Some(cors) = &policies.cors {
            let decision = cors.decide(request.method(), request.headers());
            self.cors = Some(in_words(&decision));
            if matches!(decision, CorsDecision::Preflight(_)) {
                self.action = Action::DirectResponse;
                self.status = Some(StatusCode::OK);
                self.because = "a preflight is answered by the rule's corsPolicy".to_owned();
                return;
            }
        }
        self.timeout = policies.timeout.as_ref().and_then(|it| it.limit());
        self.retries = policies.retries.as_ref().map(told);
        if routed.passthrough().is_some() {
            self.action = Action::Passthrough;
            self.because = "nothing declares the host: it goes where DNS says".to_owned();
            return;
        }
        self.action = Action::Forward;
        self.destinations = destinations(&routed.plan, route, asked);
        self.policy = settings(&routed.plan, route);
        self.mirrors = mirrors(&routed.plan, route, asked);
        self.path = route
            .choices
            .first()
            .and_then(|it| rewritten_path(it, asked));
        let mut authorities = self.destinations.iter().map(|it| &it.authority);
        if let Some(first) = authorities.next()
            && authorities.all(|it| it == first)
        {
            self.authority.clone_from(first);
        }
        self.because = match self.destinations.len() {
            0 => "the rule has no destination: 503 NC".to_owned(),
            1 => "the rule has one destination".to_owned(),
            _ => "one roll of the dice chooses by weight".to_owned(),
        };
    }
}

fn told(policy: &RetryPolicy) -> Retries {
    let (attempts, on, per_try_timeout, backoff) = policy.settings();
    let is_default = *policy == RetryPolicy::istio_default();
    Retries {
        attempts,
        retry_on: match is_default {
            true => RetryOn::ISTIO_DEFAULT.to_owned(),
            false => on.to_string(),
        },
        per_try_timeout,
        backoff,
        is_default,
    }
}

fn in_words(decision: &CorsDecision) -> String {
    match decision {
        CorsDecision::Forward => {
            "no request from an origin the policy allows: nothing is added".to_owned()
        }
        CorsDecision::Allow(origin) => {
            format!(
                "the response is opened to {}",
                origin.to_str().unwrap_or("…")
            )
        }
        CorsDecision::Preflight(_) => "the preflight is answered here".to_owned(),
    }
}

fn destinations(plan: &Plan, route: &Route, asked: Asked<'_>) -> Vec<Destination> {
    let Some(weights) = &route.weights else {
        return Vec::new();
    };
    let alone = weights.only().is_some();
    let told = weights.iter().filter_map(|(place, weight)| {
        let choice = route.choices.get(*place as usize)?;
        let weight = if alone { 100 } else { weight };
        destination(plan, choice, weight, asked)
    });
    told.collect()
}

/// The settings of all destinations and where each is written; of several places, all.
fn settings(plan: &Plan, route: &Route) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    // Mirrors follow the destinations.
    let mirrors = route.mirrors.as_ref();
    let count = mirrors.map_or(route.choices.len(), |it| it.first as usize);
    let choices = route.choices.iter().take(count);
    let clusters = choices.filter_map(|it| it.cluster);
    let clusters = clusters.filter_map(|it| plan.clusters.get(it as usize));
    for (field, origin) in clusters.flat_map(|it| it.origins()) {
        let origin = origin.to_string();
        let known = settings.entry((*field).to_owned()).or_default();
        if known.is_empty() {
            *known = origin;
        } else if !known.split(", ").any(|it| it == origin) {
            *known = format!("{known}, {origin}");
        }
    }
    settings
}

fn mirrors(plan: &Plan, route: &Route, asked: Asked<'_>) -> Vec<Mirrored> {
    let Some(mirrors) = &route.mirrors else {
        return Vec::new();
    };
    let choices = route.choices.iter().skip(mirrors.first as usize);
    let told = choices.zip(mirrors.policy.shares());
    let told = told.filter_map(|(choice, share)| {
        let destination = destination(plan, choice, 0, asked)?;
        Some(Mirrored {
            destination,
            share: *share,
        })
    });
    told.collect()
}

fn destination(plan: &Plan, choice: &Choice, weight: u32, asked: Asked<'_>) -> Option<Destination> {
    let cluster = plan.clusters.get(choice.cluster? as usize)?;
    // `outbound|port|subset|host`
    let mut parts = cluster.name().splitn(4, '|').skip(1);
    let port = parts.next()?.parse().ok()?;
    let subset = Some(parts.next()?).filter(|it| !it.is_empty());
    let host = parts.next()?.to_owned();
    // What names stand for is not known before it is asked.
    let by_name = cluster.is_per_request() || cluster.names().next().is_some();
    let refusal = match (cluster.exists(), cluster.endpoints().len()) {
        _ if by_name => None,
        (false, _) => Some("503 NC: the destination does not exist"),
        (true, 0) => Some("503 UH: the destination has no endpoint"),
        (true, _) => None,
    };
    Some(Destination {
        host,
        subset: subset.map(str::to_owned),
        port,
        weight,
        endpoints: cluster.endpoints().len(),
        refusal: refusal.map(str::to_owned),
        authority: rewritten_authority(choice, asked),
    })
}

/// The request as this destination gets it.
fn rewritten(choice: &Choice, asked: Asked<'_>) -> Option<Request<()>> {
    let policy = choice.rewrite.as_ref()?;
    let mut request = asked.request.clone();
    policy.decide(asked.request).apply(&mut request);
    Some(request)
}

fn rewritten_path(choice: &Choice, asked: Asked<'_>) -> Option<String> {
    let request = rewritten(choice, asked)?;
    let path = request.uri().path_and_query()?.as_str();
    let before = asked.request.uri().path_and_query().map(|it| it.as_str());
    (before != Some(path)).then(|| path.to_owned())
}

fn rewritten_authority(choice: &Choice, asked: Asked<'_>) -> Option<String> {
    let request = rewritten(choice, asked)?;
    let host = request.headers().get(HOST)?.to_str().ok()?;
    (host != asked.authority).then(|| host.to_owned())
}
