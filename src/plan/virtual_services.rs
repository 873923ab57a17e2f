//! VirtualServices read once, before it is known on which ports they play a part.

use std::sync::Arc;

use indexmap::IndexSet;

use super::balancing::Balancing;
use super::blocks::{Block, Written, read_blocks};
use super::clusters::{Clusters, FullNames, read_destination};
use super::delegates::{Delegates, Merged};
use super::origin::{Listed, NarrowBlock, Origin};
use super::policies::{matched_path, read_policies, report_combinations};
use super::route::{Choice, Policies, Route};
use super::{mirrors, not_built};
use crate::api::{self, Resource};
use crate::context::MatchedPath;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::headers::{self, Names, ResponseHeaders};
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
    pub(super) hosts: Vec<Arc<str>>,
    rules: Vec<Rule<'r>>,
}

#[derive(Debug)]
struct Rule<'r> {
    /// As it stands in the resource, or merged from a delegate's.
    written: Written<'r>,
    blocks: Vec<Block>,
    /// Nothing where the rule answers itself.
    destinations: Option<Weights<Destination>>,
    policies: Arc<Policies>,
    rewrite: Option<RewritePolicy>,
    mirrors: Vec<CompiledMirror<Destination>>,
}

#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) host: Arc<str>,
    pub(super) subset: String,
    pub(super) port: Option<u16>,
    /// In a box, for few have any and destinations are moved often.
    headers: Option<Box<api::Headers>>,
}

impl<'r> VirtualService<'r> {
    /// Reads what the resource says; whatever is wrong is told to `found`.
    pub(super) fn read(
        resource: &'r Resource,
        written: &'r api::VirtualService,
        source: &Source,
        clusters: &Clusters<'_>,
        delegates: &Delegates<'_>,
        found: &mut Diagnostics,
    ) -> Self {
        let namespace = resource.metadata.namespace_or_default();
        let at = At::Top.field("spec");
        // What is wrong with them is the validation's to say.
        let names = written.hosts.iter().filter(|name| !name.is_empty());
        let full = |name: &String| -> Arc<str> {
            host::full_name(name, namespace, &source.cluster_domain).into()
        };
        let hosts = match written.hosts.as_slice() {
            [_] => names.map(full).collect(),
            _ => {
                let hosts: IndexSet<Arc<str>> = names.map(full).collect();
                hosts.into_iter().collect()
            }
        };
        not_built::virtual_service(written, at, found);
        if written.hosts.is_empty() {
            delegates.check(resource, at, found);
        }
        let at_http = at.field("http");
        let mut rules = Vec::with_capacity(written.http.len());
        let mut names = FullNames::new(namespace, source);
        for (n, rule) in written.http.iter().enumerate() {
            let at = at_http.item(n);
            let read = Rule::read(Written::Here(rule), &mut names, clusters, at, found);
            report_combinations(rule, at, found);
            if rule.delegate.is_none() {
                rules.extend(read);
            } else if !written.hosts.is_empty() {
                let taken = delegates.take(rule, namespace, at, found);
                let refused = read.is_none();
                let at = at.field("delegate");
                let merged = taken
                    .into_iter()
                    .map(|it| Rule::merged(it, refused, source, clusters, at, found));
                rules.extend(merged.flatten());
            }
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
        let mut routes = Vec::with_capacity(self.blocks());
        for (n, rule) in self.rules.iter().enumerate() {
            for block in &rule.blocks {
                let concerned = rule.block(block).is_none_or(|written| {
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
            let blocks = rule.blocks.iter();
            blocks.map(move |block| (n, block.place, rule.block(block)))
        });
        let narrow = blocks.filter_map(|(rule, block, written)| {
            NarrowBlock::new(rule, block?, written?, self.namespace, source)
        });
        narrow.collect()
    }
}

impl<'r> Rule<'r> {
    /// A block as it is written; nothing for a rule without match blocks.
    fn block(&self, block: &Block) -> Option<&api::HttpMatchRequest> {
        self.written.r#match.get(block.place?)
    }

    fn on_port(&self, block: &Block, port: u16, clusters: &mut Clusters<'_>) -> Route {
        let matched = matched_path(self.block(block));
        // One that is written, not one that is left when those of weight 0 are dropped.
        let single = self.written.route.len() <= 1;
        let destinations = self.destinations.as_ref().map_or(1, |it| it.iter().count());
        let mut choices = Vec::with_capacity(destinations);
        let weights = self.destinations.as_ref().map(|weights| {
            weights.map(|it| {
                let place = clusters.place(&it.host, &it.subset, it.port, port);
                let names = Names {
                    route: &block.name,
                    cluster: clusters.name(place),
                };
                let mut choice = self.choice(it.headers.as_deref(), matched, single, names);
                choice.cluster = Some(place);
                choices.push(choice);
                // A rule has far fewer than 2^32 destinations.
                (choices.len() - 1) as u32
            })
        });
        if weights.is_none() {
            let names = Names {
                route: &block.name,
                cluster: "",
            };
            choices.push(self.choice(None, matched, true, names));
        }
        let tells_requests = choices.iter().any(|it: &Choice| {
            let headers = it.response_headers.as_deref();
            headers.is_some_and(ResponseHeaders::asks)
        });
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
            tells_requests,
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
        let (balancing, by_hash) =
            clusters.balancing(named, choices.iter().filter_map(|it| it.cluster))?;
        Some(Arc::new(Balancing {
            keeps_endpoint: single && by_hash,
            ..balancing
        }))
    }

    /// What happens to requests for one destination: the rule's operations and its own.
    fn choice(
        &self,
        own: Option<&api::Headers>,
        matched: MatchedPath,
        single: bool,
        names: Names<'_>,
    ) -> Choice {
        let route = self.written.headers.as_ref();
        if route.is_none() && own.is_none() && self.rewrite.is_none() {
            return Choice::default();
        }
        let (request_headers, response_headers) = headers::compile(route, own, single, names);
        let answers = self.written.redirect.is_some() || self.written.direct_response.is_some();
        let response_headers = match answers {
            true => response_headers.map(ResponseHeaders::sparing_faults),
            false => response_headers,
        };
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
    fn redirect(&self, block: &Block, port: u16) -> Option<Arc<RedirectPolicy>> {
        let written = self.written.redirect.as_ref()?;
        let matched = matched_path(self.block(block));
        // What is wrong with it was said when the rule was read.
        let mut said = Diagnostics::default();
        redirect::compile(written, matched, port, false, At::Top, &mut said).map(Arc::new)
    }

    /// Reads a rule that a delegate's and the entry naming it make together.
    ///
    /// What is wrong with either is told where that is written. Istio does not look at what they
    /// come to together, and takes one action before another; `refused` says that the entry has
    /// been refused already.
    fn merged(
        merged: Merged<'_>,
        refused: bool,
        source: &Source,
        clusters: &Clusters<'_>,
        at: At<'_>,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let mut names = FullNames::new(merged.namespace, source);
        let mut about = Diagnostics::default();
        let rule = Rule::read(
            Written::Merged(Box::new(merged.rule)),
            &mut names,
            clusters,
            At::Top,
            &mut about,
        );
        if rule.is_none() && !refused {
            let (own, mut alone) = (Written::Here(merged.own), Diagnostics::default());
            let sound = Rule::read(own, &mut names, clusters, At::Top, &mut alone).is_some();
            for fault in about.iter().filter(|_| sound) {
                let message = format!(
                    "{} with this entry: {}: {}",
                    merged.from,
                    fault.path(),
                    fault.message()
                );
                found.push(Diagnostic::new(fault.code(), at, message));
            }
        }
        rule
    }

    fn read(
        written: Written<'r>,
        names: &mut FullNames<'_>,
        clusters: &Clusters<'_>,
        at: At<'_>,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let before = found.len();
        let blocks = read_blocks(&written, at.field("match"), found);
        let acts = written.redirect.is_some() || written.direct_response.is_some();
        let mut resolve = |to: &api::Destination, at: At<'_>, found: &mut Diagnostics| {
            let (host, port) = read_destination(to, names, at, found)?;
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
                destination.headers = item.headers.clone().map(Box::new);
                Some(destination)
            })
        };
        let mirrors = mirror::compile(&written, at, found, resolve);
        let policies = read_policies(&written, at, found);
        let rewrite = written.rewrite.as_ref();
        let rewrite = rewrite.and_then(|it| rewrite::compile(it, at.field("rewrite"), found));
        if let Some(headers) = &written.headers {
            headers::check(headers, true, at.field("headers"), found);
        }
        let at_route = at.field("route");
        let single = written.route.len() == 1;
        for (n, destination) in written.route.iter().enumerate() {
            if let Some(headers) = &destination.headers {
                headers::check(headers, single, at_route.item(n).field("headers"), found);
            }
        }
        let refused = found.len() > before
            && found.iter().skip(before).any(|it| {
                it.severity() == crate::diagnostic::Severity::Error && it.code() != Code::NotBuilt
            });
        (!refused).then_some(Self {
            written,
            blocks,
            destinations,
            policies,
            rewrite,
            mirrors,
        })
    }
}
