//! The plan: all resources compiled into one immutable decision table.
//!
//! This floor alone knows every room. Which VirtualService owns a host, which
//! rules a client sees on a port and which endpoints stand behind a destination
//! is settled here, when a configuration is applied; what is left for a request
//! is one look-up of its host and a walk down that host's rules.
//!
//! The plan is plain data and answers plain questions ([`Plan::decide`]), so
//! traffic, tests and explanations ask the same code.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::context::ResponseFlags;
use crate::match_request::{Hosts, MatchRequest, RequestHead};
use crate::reply::LocalReply;
use crate::route::Weights;
use crate::rt::Rng;

mod clusters;
mod compile;
mod destination_rules;
mod gateway_hosts;
mod mesh_hosts;
mod not_built;
mod virtual_services;

pub(crate) use clusters::Cluster;
pub(crate) use compile::{Options, compile};

/// Where requests for hosts that nothing declares go, and on which ports what is known.
#[derive(Debug)]
pub(crate) struct Plan {
    tables: HashMap<u16, Table>,
    /// For ports that no service listens on.
    elsewhere: Table,
    routes: Vec<Route>,
    clusters: Vec<Cluster>,
    /// What rules without a name are called.
    nameless: Arc<str>,
    refused: Arc<str>,
    unknown_hosts: UnknownHosts,
}

/// The virtual hosts of one port.
#[derive(Debug, Default)]
struct Table {
    hosts: Hosts<Range<u32>>,
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

/// One compiled rule for one match block.
#[derive(Debug)]
pub(crate) struct Route {
    rule: Arc<MatchRequest>,
    name: Arc<str>,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
    /// To a cluster, by its place in the plan.
    Forward(Weights<u32>),
    /// What the rule wants is not built yet, and the configuration was read leniently.
    NotBuilt,
}

/// What is to be done with a request.
#[derive(Debug)]
pub(crate) enum Decision<'p> {
    /// Send it to an endpoint of this cluster.
    Forward {
        route: &'p Arc<str>,
        cluster: &'p Cluster,
    },
    /// Send it where its host resolves to.
    Passthrough,
    /// Answer it here.
    Reply {
        route: &'p Arc<str>,
        reply: LocalReply,
    },
}

impl Plan {
    /// Decides by the request as it came, the port it was addressed to, and a roll of the dice.
    pub(crate) fn decide(&self, port: u16, request: &RequestHead<'_>, dice: &Rng) -> Decision<'_> {
        let table = self.tables.get(&port).unwrap_or(&self.elsewhere);
        let Some(range) = table.hosts.find(request.authority) else {
            return self.unknown_host();
        };
        let routes = self.routes.get(range.start as usize..range.end as usize);
        let matching = |route: &&Route| route.rule.matches(request);
        let Some(route) = routes.unwrap_or_default().iter().find(matching) else {
            let reply = LocalReply::new(http::StatusCode::NOT_FOUND, ResponseFlags::NO_ROUTE_FOUND);
            let reply = reply.details("route_not_found");
            return Decision::Reply {
                route: &self.nameless,
                reply,
            };
        };
        let weights = match &route.action {
            Action::Forward(weights) => weights,
            Action::NotBuilt => {
                let reply = LocalReply::new(http::StatusCode::NOT_IMPLEMENTED, ResponseFlags::NONE);
                return Decision::Reply {
                    route: &route.name,
                    reply: reply.body("the action of this route is not built yet"),
                };
            }
        };
        let cluster = match weights.only() {
            Some(only) => *only,
            None => *weights.pick(dice.next_u64()),
        };
        match self.clusters.get(cluster as usize) {
            Some(cluster) if cluster.exists() => Decision::Forward {
                route: &route.name,
                cluster,
            },
            _ => Decision::Reply {
                route: &route.name,
                reply: no_cluster(),
            },
        }
    }

    fn unknown_host(&self) -> Decision<'_> {
        match self.unknown_hosts {
            UnknownHosts::Passthrough => Decision::Passthrough,
            UnknownHosts::Refused => Decision::Reply {
                route: &self.refused,
                reply: LocalReply::new(http::StatusCode::BAD_GATEWAY, ResponseFlags::NONE)
                    .details("direct_response"),
            },
            UnknownHosts::NotFound => Decision::Reply {
                route: &self.nameless,
                reply: LocalReply::new(http::StatusCode::NOT_FOUND, ResponseFlags::NO_ROUTE_FOUND)
                    .details("route_not_found"),
            },
        }
    }
}

fn no_cluster() -> LocalReply {
    let flags = ResponseFlags::NO_CLUSTER_FOUND;
    LocalReply::new(http::StatusCode::SERVICE_UNAVAILABLE, flags).details("cluster_not_found")
}
