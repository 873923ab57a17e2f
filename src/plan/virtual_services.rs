//! VirtualServices read once, before it is known on which ports they play a part.

use std::sync::Arc;

use indexmap::IndexSet;

use super::balancing::Balancing;
use super::clusters::{Clusters, read_destination};
use super::origin::{Listed, NarrowBlock, Origin};
use super::policies::{matched_path, read_policies, report_combinations};
use super::route::{Choice, Policies, Route};
use super::{mirrors, not_built};
use crate::api::{self, Resource, Spec};
use crate::context::MatchedPath;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::headers;
use crate::host;
use crate::match_request::MatchRequest;
use crate::mirror::{self, CompiledMirror};
use crate::redirect::{self, RedirectPolicy};
use crate::rewrite::{self, RewritePolicy};
use crate::route::{self, Weights};
use crate::source::Source;

/// A VirtualService whose matches and weights are compiled.
#[derive(Debug)]
pub(super) struct VirtualService<'r> {
    /// Its place among the owners.
    pub(super) owner: u32,
    pub(super) namespace: &'r str,
    /// Full names, in lower case.
    pub(super) hosts: Vec<String>,
    rules: Vec<Rule<'r>>,
}

#[derive(Debug)]
struct Rule<'r> {
    written: &'r api::HttpRoute,
    blocks: Vec<Block<'r>>,
    /// Nothing where the rule answers itself.
    destinations: Option<Weights<Destination>>,
    policies: Arc<Policies>,
    rewrite: Option<RewritePolicy>,
    mirrors: Vec<CompiledMirror<Destination>>,
}

#[derive(Debug)]
struct Block<'r> {
    /// Its place among the blocks written; nothing for a rule without match blocks.
    place: Option<usize>,
    /// Nothing for a rule without match blocks.
    written: Option<&'r api::HttpMatchRequest>,
    rule: Arc<MatchRequest>,
    name: Arc<str>,
}

#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) host: String,
    pub(super) subset: String,
    pub(super) port: Option<u16>,
    headers: Option<api::Headers>,
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
        // What is wrong with them is the validation's to say.
        let mut hosts: IndexSet<String> = IndexSet::with_capacity(written.hosts.len());
        let names = written.hosts.iter().filter(|name| !name.is_empty());
        hosts.extend(
            names.map(|name| host::resolve_short_name(name, namespace, &source.cluster_domain)),
        );
        let hosts = hosts.into_iter().collect();
        not_built::virtual_service(written, at, found);
        let at_http = at.field("http");
        let mut rules = Vec::with_capacity(written.http.len());
        for (n, rule) in written.http.iter().enumerate() {
            let at = at_http.item(n);
            rules.extend(Rule::read(rule, namespace, source, clusters, at, found));
        }
        Self {
            owner: 0,
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
    ) -> Vec<Listed> {
        let mut routes = Vec::new();
        for (n, rule) in self.rules.iter().enumerate() {
            for block in &rule.blocks {
                let concerned = block.written.is_none_or(|written| {
                    MatchRequest::concerns(written, self.namespace, port, source)
                });
                if !concerned {
                    continue;
                }
                let origin = Origin::new(self.owner, n, block.place);
                routes.push((rule.on_port(block, port, clusters), origin));
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

    /// How many match blocks the rules have, a rule without any counting as one.
    pub(super) fn blocks(&self) -> usize {
        self.rules.iter().map(|it| it.blocks.len()).sum()
    }

    /// The blocks that are not for every client and every port, for explanations.
    pub(super) fn narrow_blocks(&self, source: &Source) -> Vec<NarrowBlock> {
        let blocks = self.rules.iter().enumerate().flat_map(|(n, rule)| {
            let place = move |block: &Block<'r>| (n, block.place, block.written);
            rule.blocks.iter().map(place)
        });
        let narrow = blocks.filter_map(|(rule, block, written)| {
            NarrowBlock::new(rule, block?, written?, self.namespace, source)
        });
        narrow.collect()
    }
}

impl<'r> Rule<'r> {
    fn on_port(&self, block: &Block<'_>, port: u16, clusters: &mut Clusters<'_>) -> Route {
        let matched = matched_path(block.written);
        // One that is written, not one that is left when those of weight 0 are dropped.
        let single = self.written.route.len() <= 1;
        let mut choices = Vec::new();
        let weights = self.destinations.as_ref().map(|weights| {
            weights.map(|it| {
                let mut choice = self.choice(it.headers.as_ref(), matched, single);
                choice.cluster = Some(clusters.place(&it.host, &it.subset, it.port, port));
                choices.push(choice);
                // A rule has far fewer than 2^32 destinations.
                (choices.len() - 1) as u32
            })
        });
        if weights.is_none() {
            choices.push(self.choice(None, matched, true));
        }
        let mirrors = mirrors::on_port(&self.mirrors, port, &mut choices, clusters);
        Route {
            rule: block.rule.clone(),
            name: block.name.clone(),
            weights,
            balancing: self.balancing(&choices, single, clusters),
            choices,
            policies: self.policies.clone(),
            redirect: self.redirect(block, port),
            mirrors,
        }
    }

    /// What requests note for the balancers of all the rule's destinations.
    fn balancing(
        &self,
        choices: &[Choice],
        single: bool,
        clusters: &Clusters<'_>,
    ) -> Option<Arc<Balancing>> {
        let destinations = self.destinations.as_ref()?;
        let named = destinations
            .iter()
            .map(|(it, _)| (&*it.host, &*it.subset, it.port));
        let balancing = clusters.balancing(named, choices.iter().filter_map(|it| it.cluster))?;
        let keeps_endpoint = single && !balancing.keys.is_empty();
        Some(Arc::new(Balancing {
            keeps_endpoint,
            ..balancing
        }))
    }

    /// What happens to requests for one destination: the rule's operations and its own.
    fn choice(&self, own: Option<&api::Headers>, matched: MatchedPath, single: bool) -> Choice {
        let route = self.written.headers.as_ref();
        let (request_headers, response_headers) = headers::compile(route, own, single);
        let rewrite = RewritePolicy::of_block(
            self.rewrite.as_ref(),
            matched,
            route.and_then(headers::authority_of),
            own.and_then(headers::authority_of),
            single,
        );
        Choice {
            cluster: None,
            request_headers: request_headers.map(Arc::new),
            response_headers: response_headers.map(Arc::new),
            rewrite: rewrite.map(Arc::new),
        }
    }

    /// The redirect as it is for one match block on one port.
    fn redirect(&self, block: &Block<'_>, port: u16) -> Option<Arc<RedirectPolicy>> {
        let written = self.written.redirect.as_ref()?;
        let matched = matched_path(block.written);
        // What is wrong with it was said when the rule was read.
        let mut said = Diagnostics::default();
        redirect::compile(written, matched, port, false, At::Top, &mut said).map(Arc::new)
    }

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
        let resolve = |to: &api::Destination, at: At<'_>, found: &mut Diagnostics| {
            let (host, port) = read_destination(to, namespace, source, at, found)?;
            clusters.check(to, &host, at, found);
            Some(Destination {
                host,
                subset: to.subset.clone(),
                port,
                headers: None,
            })
        };
        let destinations = if written.route.is_empty() {
            if !acts && written.delegate.is_none() {
                let message = "HTTP route, redirect or direct_response is required";
                found.push(Diagnostic::new(Code::MissingField, at, message));
            }
            None
        } else {
            let at = at.field("route");
            route::compile(&written.route, at, found, |item, at, found| {
                let mut destination = resolve(item.destination.as_ref()?, at, found)?;
                destination.headers = item.headers.clone();
                Some(destination)
            })
        };
        let mirrors = mirror::compile(written, at, found, resolve);
        let policies = read_policies(written, at, found);
        let rewrite = written.rewrite.as_ref();
        let rewrite = rewrite.and_then(|it| rewrite::compile(it, at.field("rewrite"), found));
        if let Some(headers) = &written.headers {
            headers::check(headers, at.field("headers"), found);
        }
        let at_route = at.field("route");
        for (n, destination) in written.route.iter().enumerate() {
            if let Some(headers) = &destination.headers {
                headers::check(headers, at_route.item(n).field("headers"), found);
            }
        }
        report_combinations(written, at, found);
        let refused = found.iter().skip(before).any(|it| {
            it.severity() == crate::diagnostic::Severity::Error && it.code() != Code::NotBuilt
        });
        (!refused && written.delegate.is_none()).then_some(Self {
            written,
            blocks,
            destinations,
            policies: Arc::new(policies),
            rewrite,
            mirrors,
        })
    }

    fn blocks(written: &'r api::HttpRoute, at: At<'_>, found: &mut Diagnostics) -> Vec<Block<'r>> {
        if written.r#match.is_empty() {
            return vec![Block {
                place: None,
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
                place: Some(n),
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
    let rank = |namespace: &str, export_to: &[String]| {
        if export_to.is_empty() || export_to.iter().any(|to| to == "*") {
            2
        } else {
            u8::from(namespace != source.namespace)
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
    list.sort_by_key(|(resource, written)| {
        rank(resource.metadata.namespace_or_default(), &written.export_to)
    });
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
