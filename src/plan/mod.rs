//! The plan: all resources compiled into one immutable decision table.
//!
//! This floor alone knows every room. Which VirtualService owns a host, which
//! rules a client sees on a port and which endpoints stand behind a destination
//! is settled here, when a configuration is applied; what is left for a request
//! is one look-up of its host and one of its rule.
//!
//! The plan is plain data and answers plain questions ([`decide`]), so
//! traffic, tests and explanations ask the same code.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::context::ResponseFlags;
use crate::match_request::{Hosts, RequestHead, RouteIndex};
use crate::reply::LocalReply;
use crate::rt::Rng;

mod adjust;
mod attempts;
mod balancing;
mod blocks;
mod chain;
mod check_destination_rule;
mod cluster;
mod clusters;
mod compile;
mod delegates;
mod destination_rules;
mod dispatch;
mod explain;
#[cfg(all(test, feature = "yaml"))]
mod fields;
mod gateway_hosts;
mod live;
mod look_up;
mod mesh_hosts;
mod mirrors;
mod not_built;
mod origin;
mod policies;
mod references;
mod response_body;
mod route;
mod routed;
mod scheme;
mod shadowed;
mod stream_info;
mod tell;
#[cfg(all(test, feature = "yaml"))]
mod tests;
mod traffic_policy;
mod tries;
mod usual;
mod virtual_services;
mod visible;

pub(crate) use adjust::{AdjustOutliers, AdjustRetries};
pub(crate) use chain::{Chain, ChainFuture};
pub(crate) use cluster::Cluster;
pub(crate) use compile::{Before, Options, compile};
pub use explain::{Action, Destination, Explanation, Fault, Mirrored, Rejected, Retries, Shadowed};
pub(crate) use explain::{Asked, explain, refused};
pub(crate) use live::Live;
pub(crate) use mirrors::Mirroring;
use origin::{Origin, Owners};
pub use response_body::ResponseBody;
#[cfg(feature = "tracing")]
pub(crate) use response_body::Watch;
use route::{Choice, Route};
pub(crate) use routed::{Matched, PlanRef, Routed};
pub use stream_info::StreamInfo;
pub(crate) use stream_info::Told;
pub(crate) use usual::Answer;

/// The rules in force and the endpoints they lead to.
///
/// Each part is shared by all plans that have it in common: another set of endpoints is another
/// list of clusters beside the same rules, and the clusters that stay are the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    rules: Arc<Rules>,
    clusters: Arc<[Arc<Cluster>]>,
    live: Arc<Live>,
}

/// Where requests go: the virtual hosts of each port, and what becomes of all others.
#[derive(Debug)]
struct Rules {
    tables: FxHashMap<u16, Table>,
    /// For ports that no service listens on.
    elsewhere: Table,
    routes: Vec<Route>,
    /// Where each of the routes comes from; no request asks.
    origins: Vec<Origin>,
    owners: Owners,
    /// The route of hosts that nothing declares, where they may be reached.
    allow_any: Route,
    /// The route of hosts that nothing declares, where they may not.
    block_all: Route,
    unknown_hosts: UnknownHosts,
}

/// The virtual hosts of one port.
#[derive(Debug, Default)]
struct Table {
    hosts: Hosts<Arc<VirtualHost>>,
}

/// The rules of one or more host names.
#[derive(Debug)]
struct VirtualHost {
    /// The place of its first route among the plan's.
    first: u32,
    index: RouteIndex,
}

impl VirtualHost {
    /// The places of its routes among the plan's.
    fn places(&self) -> std::ops::Range<u32> {
        // Tables hold fewer than 2^32 routes.
        self.first..self.first.saturating_add(self.index.rules().len() as u32)
    }
}

/// What becomes of a request whose host nothing declares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum UnknownHosts {
    /// It goes where its host resolves to: `ALLOW_ANY`.
    Passthrough,
    /// It is refused with 502: `REGISTRY_ONLY`.
    Refused,
    /// It is not found: a gateway serves the hosts it lists.
    NotFound,
}

/// What is to be done with a request.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Hand it to the chain with a note of this.
    Route(Matched),
    /// Answer it here; what it met, where it met something, is for the log.
    Reply(LocalReply, Option<Matched>),
}

/// The places of the routes that no table lists.
const ALLOW_ANY: u32 = u32::MAX;
const BLOCK_ALL: u32 = u32::MAX - 1;

/// Decides by the request as it came, the port it was addressed to, and a roll of the dice.
#[inline]
pub(crate) fn decide(plan: &Plan, port: u16, request: &RequestHead<'_>, dice: &Rng) -> Decision {
    let rules = &*plan.rules;
    let table = rules.tables.get(&port).unwrap_or(&rules.elsewhere);
    let Some(host) = table.hosts.find(request.authority) else {
        return unknown_host(plan, port, request.authority);
    };
    let Some(place) = host.index.find(request) else {
        return Decision::Reply(no_route(), None);
    };
    // Tables hold fewer than 2^32 routes.
    let place = host.first.saturating_add(place as u32);
    let route = plan.route(place);
    // One roll for the split and for mirrors, as in Envoy.
    let roll = route.mirrors.is_some().then(|| dice.next_u64());
    let choice = match roll {
        Some(roll) => route.choose_by(roll),
        None => route.choose(dice),
    };
    let choice = choice.unwrap_or_default();
    let mut matched = Matched::new(place, choice);
    if let Some(roll) = roll {
        matched.note_roll(roll);
    }
    let passes = route.balancing.as_ref().is_some_and(|it| it.passes);
    if passes
        && plan
            .cluster(route, choice)
            .is_some_and(Cluster::is_passthrough)
    {
        matched.pass_to(balancing::original_destination(request.authority, port));
    }
    Decision::Route(matched)
}

fn unknown_host(plan: &Plan, port: u16, authority: &str) -> Decision {
    match plan.rules.unknown_hosts {
        UnknownHosts::Passthrough => {
            let mut matched = Matched::new(ALLOW_ANY, 0);
            matched.pass_to(balancing::original_destination(authority, port));
            Decision::Route(matched)
        }
        UnknownHosts::Refused => {
            let reply = LocalReply::new(http::StatusCode::BAD_GATEWAY, ResponseFlags::NONE);
            let matched = Matched::new(BLOCK_ALL, 0);
            Decision::Reply(reply.details("direct_response"), Some(matched))
        }
        UnknownHosts::NotFound => Decision::Reply(no_route(), None),
    }
}

/// The answer to a request that no rule is for.
pub(crate) fn no_route() -> LocalReply {
    LocalReply::new(http::StatusCode::NOT_FOUND, ResponseFlags::NO_ROUTE_FOUND)
        .details("route_not_found")
}

impl Plan {
    /// Tells for as long as it is kept whether these rules are in memory still.
    #[cfg(test)]
    pub(crate) fn alive(&self) -> impl Fn() -> bool + use<> {
        let rules = Arc::downgrade(&self.rules);
        move || rules.strong_count() > 0
    }

    /// The destination of this place among a route's, where there is one.
    #[inline]
    fn cluster(&self, route: &Route, choice: u32) -> Option<&Cluster> {
        let cluster = route.choices.get(choice as usize)?.cluster?;
        let cluster: &Cluster = self.clusters.get(cluster as usize)?;
        Some(cluster).filter(|it| it.exists())
    }

    /// The route of this place.
    #[inline]
    fn route(&self, place: u32) -> &Route {
        let rules = &*self.rules;
        match place {
            ALLOW_ANY => &rules.allow_any,
            place => rules.routes.get(place as usize).unwrap_or(&rules.block_all),
        }
    }
}
