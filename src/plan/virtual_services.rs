//! VirtualServices read once, before it is known on which ports they play a part.

use std::sync::Arc;

use super::clusters::{Clusters, read_destination};
use super::not_built;
use crate::api::{self, Resource, Spec};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::host;
use crate::match_request::MatchRequest;
use crate::route::{self, Weights};
use crate::source::Source;

/// A VirtualService whose matches and weights are compiled.
#[derive(Debug)]
pub(super) struct VirtualService<'r> {
    pub(super) namespace: &'r str,
    /// Full names, in lower case.
    pub(super) hosts: Vec<String>,
    rules: Vec<Rule<'r>>,
}

#[derive(Debug)]
struct Rule<'r> {
    written: &'r api::HttpRoute,
    blocks: Vec<Block<'r>>,
    /// Nothing where what the rule wants is not built yet.
    destinations: Option<Weights<Destination>>,
}

#[derive(Debug)]
struct Block<'r> {
    /// Nothing for a rule without match blocks.
    written: Option<&'r api::HttpMatchRequest>,
    rule: Arc<MatchRequest>,
    name: Arc<str>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Destination {
    host: String,
    subset: String,
    port: Option<u16>,
}

/// A rule as it stands on one port.
pub(super) struct PortRoute {
    pub(super) rule: Arc<MatchRequest>,
    pub(super) name: Arc<str>,
    pub(super) action: super::Action,
}

impl<'r> VirtualService<'r> {
    /// Reads what the resource says; whatever is wrong is told to `found`.
    pub(super) fn read(
        resource: &'r Resource,
        written: &'r api::VirtualService,
        source: &Source,
        clusters: &Clusters<'_>,
        found: &mut Diagnostics,
    ) -> Self {
        let namespace = resource.metadata.namespace_or_default();
        let at = At::Top.field("spec");
        let mut hosts = Vec::with_capacity(written.hosts.len());
        for (n, name) in written.hosts.iter().enumerate() {
            let full = host::resolve_short_name(name, namespace, &source.cluster_domain);
            let at = at.field("hosts");
            if name.is_empty() {
                let message = "a host may not be empty";
                found.push(Diagnostic::new(Code::InvalidValue, at.item(n), message));
            } else if hosts.contains(&full) {
                let message = format!("duplicate hosts in virtual service: {name}");
                found.push(Diagnostic::new(Code::InvalidValue, at.item(n), message));
            } else {
                hosts.push(full);
            }
        }
        if written.http.is_empty() && written.tcp.is_empty() && written.tls.is_empty() {
            let message = "http, tcp or tls must be provided in virtual service";
            found.push(Diagnostic::new(Code::MissingField, at, message));
        }
        not_built::virtual_service(written, at, found);
        let at_http = at.field("http");
        let mut rules = Vec::with_capacity(written.http.len());
        for (n, rule) in written.http.iter().enumerate() {
            let at = at_http.item(n);
            rules.extend(Rule::read(rule, namespace, source, clusters, at, found));
        }
        Self {
            namespace,
            hosts,
            rules,
        }
    }

    /// The routes this client has on a port, in order.
    ///
    /// Match blocks that cannot hold here are left out, and nothing follows a rule without match
    /// blocks or a block that matches everything. An empty list means that the resource plays no
    /// part on this port.
    pub(super) fn routes(
        &self,
        port: u16,
        source: &Source,
        clusters: &mut Clusters<'_>,
    ) -> Vec<PortRoute> {
        let mut routes = Vec::new();
        for rule in &self.rules {
            for block in &rule.blocks {
                let concerned = block.written.is_none_or(|written| {
                    MatchRequest::concerns(written, self.namespace, port, source)
                });
                if !concerned {
                    continue;
                }
                let action = match &rule.destinations {
                    Some(weights) => super::Action::Forward(
                        weights.map(|it| clusters.place(&it.host, &it.subset, it.port, port)),
                    ),
                    None => super::Action::NotBuilt,
                };
                routes.push(PortRoute {
                    rule: block.rule.clone(),
                    name: block.name.clone(),
                    action,
                });
                if block.rule.is_catch_all() {
                    return routes;
                }
            }
            if rule.written.r#match.is_empty() {
                return routes;
            }
        }
        routes
    }
}

impl<'r> Rule<'r> {
    fn read(
        written: &'r api::HttpRoute,
        namespace: &str,
        source: &Source,
        clusters: &Clusters<'_>,
        at: At<'_>,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let before = found.len();
        let blocks = Self::blocks(written, at.field("match"), found);
        let acts = written.redirect.is_some() || written.direct_response.is_some();
        let destinations = if written.route.is_empty() {
            if !acts && written.delegate.is_none() {
                let message = "HTTP route, redirect or direct_response is required";
                found.push(Diagnostic::new(Code::MissingField, at, message));
            }
            None
        } else {
            let at = at.field("route");
            route::compile(&written.route, at, found, |destination, at, found| {
                let (host, port) = read_destination(destination, namespace, source, at, found)?;
                clusters.check(destination, &host, at, found);
                Some(Destination {
                    host,
                    subset: destination.subset.clone(),
                    port,
                })
            })
        };
        let refused = found.iter().skip(before).any(|it| {
            it.severity() == crate::diagnostic::Severity::Error && it.code() != Code::NotBuilt
        });
        (!refused && written.delegate.is_none()).then_some(Self {
            written,
            blocks,
            destinations,
        })
    }

    fn blocks(written: &'r api::HttpRoute, at: At<'_>, found: &mut Diagnostics) -> Vec<Block<'r>> {
        if written.r#match.is_empty() {
            return vec![Block {
                written: None,
                rule: Arc::default(),
                name: written.name.as_str().into(),
            }];
        }
        let mut blocks = Vec::with_capacity(written.r#match.len());
        for (n, block) in written.r#match.iter().enumerate() {
            let Some(rule) = MatchRequest::compile(block, at.item(n), found) else {
                continue;
            };
            let name = match block.name.as_str() {
                "" => written.name.clone(),
                name => format!("{}.{name}", written.name),
            };
            blocks.push(Block {
                written: Some(block),
                rule: rule.into(),
                name: name.into(),
            });
        }
        blocks
    }
}

/// The VirtualServices a client sees, in the order Istio gives them: private ones, those exported
/// to its namespace by name, public ones; within each, the oldest first.
pub(super) fn visible<'r>(
    resources: &[&'r Resource],
    source: &Source,
) -> Vec<(&'r Resource, &'r api::VirtualService)> {
    let rank = |export_to: &[String]| {
        if export_to.iter().any(|to| to == ".") {
            0
        } else if export_to.contains(&source.namespace) {
            1
        } else {
            2
        }
    };
    let mut list: Vec<_> = resources
        .iter()
        .filter_map(|resource| match &resource.spec {
            Spec::VirtualService(written) => Some((*resource, &**written)),
            _ => None,
        })
        .filter(|(resource, written)| {
            source.sees(resource.metadata.namespace_or_default(), &written.export_to)
        })
        .collect();
    list.sort_by_key(|(_, written)| rank(&written.export_to));
    list
}

/// Whether the client is among the gateways the resource is bound to.
pub(super) fn is_bound(
    resource: &Resource,
    written: &api::VirtualService,
    source: &Source,
) -> bool {
    let mesh = ["mesh".to_owned()];
    let gateways = match written.gateways.as_slice() {
        [] => &mesh,
        gateways => gateways,
    };
    source.is_one_of(gateways, resource.metadata.namespace_or_default())
}
