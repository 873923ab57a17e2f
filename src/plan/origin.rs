//! Where routes come from: what explanations ask and no request does.
//!
//! It stands in tables of its own beside the routes, so that a route stays as
//! small as it was: twelve bytes a route, and for each VirtualService its name,
//! its hosts and the match blocks that are not for every client and port.

use std::sync::Arc;

use super::route::Route;
use super::virtual_services::VirtualService;
use crate::api::{self, Resource, Spec};
use crate::host;
use crate::match_request::MatchRequest;
use crate::source::Source;

/// The place in the resources a route was compiled from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Origin {
    owner: u32,
    rule: u32,
    block: u32,
}

/// A route on its way into a table.
pub(super) type Listed = (Route, Origin);

const NOWHERE: u32 = u32::MAX;

impl Origin {
    /// A route no resource writes: a service's own, when no VirtualService owns it.
    pub(super) const NONE: Self = Self {
        owner: NOWHERE,
        rule: NOWHERE,
        block: NOWHERE,
    };

    pub(super) fn new(owner: u32, rule: usize, block: Option<usize>) -> Self {
        let small = |place: usize| u32::try_from(place).unwrap_or(NOWHERE);
        Self {
            owner,
            rule: small(rule),
            block: block.map_or(NOWHERE, small),
        }
    }

    pub(super) fn owner(self) -> Option<usize> {
        place(self.owner)
    }

    /// The rule's place among those of its VirtualService, delegates merged in.
    pub(super) fn rule(self) -> Option<usize> {
        place(self.rule)
    }

    /// The match block's place in the rule.
    pub(super) fn block(self) -> Option<usize> {
        place(self.block)
    }
}

fn place(place: u32) -> Option<usize> {
    (place != NOWHERE).then_some(place as usize)
}

/// Every VirtualService, those the client sees first, the oldest of them first.
#[derive(Debug, Default)]
pub(super) struct Owners(Vec<OneOwner>);

/// One VirtualService.
#[derive(Debug)]
pub(super) struct OneOwner {
    /// `namespace/name`.
    pub(super) name: Box<str>,
    /// Full names, in lower case.
    pub(super) hosts: Box<[Arc<str>]>,
    pub(super) standing: Standing,
    /// How many match blocks its rules have, a rule without any counting as one.
    blocks: usize,
    pub(super) narrow: Box<[NarrowBlock]>,
}

/// What a VirtualService is to this client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// Its rules are for this client.
    Bound,
    /// Its `gateways` do not name this client.
    OtherGateways,
    /// Its `exportTo` does not name this client's namespace.
    NotExported,
}

/// A match block that is not for every client, or not for every port.
#[derive(Debug)]
pub(super) struct NarrowBlock {
    rule: u32,
    block: u32,
    /// The field by which it is for other clients.
    foreign: Option<&'static str>,
    /// The only port it is for.
    pub(super) port: Option<u32>,
}

impl NarrowBlock {
    /// Nothing for a block that is for every client and every port.
    pub(super) fn new(
        rule: usize,
        block: usize,
        written: &api::HttpMatchRequest,
        namespace: &str,
        source: &Source,
    ) -> Option<Self> {
        if MatchRequest::is_for_all(written) {
            return None;
        }
        let foreign = MatchRequest::foreign_field(written, namespace, source);
        let port = MatchRequest::port_of(written);
        (foreign.is_some() || port.is_some()).then(|| Self {
            rule: u32::try_from(rule).unwrap_or(NOWHERE),
            block: u32::try_from(block).unwrap_or(NOWHERE),
            foreign,
            port,
        })
    }

    /// The field that keeps a request to this port from it.
    pub(super) fn keeps_out(&self, port: u16) -> Option<&'static str> {
        match self.port {
            Some(wanted) if wanted != u32::from(port) => Some("port"),
            _ => self.foreign,
        }
    }

    /// Its rule's place and its own, in the order in which blocks are asked.
    pub(super) const fn place(&self) -> (usize, usize) {
        (self.rule as usize, self.block as usize)
    }
}

impl OneOwner {
    /// Whether any of its rules is for this client on a port.
    pub(super) fn concerns(&self, port: u16) -> bool {
        let narrow = self.narrow.iter();
        let out = narrow.filter(|it| it.keeps_out(port).is_some());
        self.blocks > out.count()
    }
}

fn name_of(resource: &Resource) -> Box<str> {
    let metadata = &resource.metadata;
    let name = [metadata.namespace_or_default(), "/", &metadata.name].concat();
    name.into()
}

impl Owners {
    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, count: usize) {
        self.0.reserve(count);
    }

    /// Adds a VirtualService the client sees, which `source` is bound to if it is given; gives
    /// its place.
    pub(super) fn add(
        &mut self,
        resource: &Resource,
        read: &VirtualService<'_>,
        source: Option<&Source>,
    ) -> u32 {
        let place = u32::try_from(self.0.len()).unwrap_or(NOWHERE);
        let narrow = source.map(|source| read.narrow_blocks(source));
        self.0.push(OneOwner {
            name: name_of(resource),
            hosts: read.hosts.iter().cloned().collect(),
            standing: match source {
                Some(_) => Standing::Bound,
                None => Standing::OtherGateways,
            },
            blocks: read.blocks(),
            narrow: narrow.unwrap_or_default().into(),
        });
        place
    }

    /// Adds those of the VirtualServices that are not exported to the client.
    pub(super) fn add_hidden(&mut self, resources: &[&Resource], source: &Source) {
        for resource in resources {
            let Spec::VirtualService(written) = &resource.spec else {
                continue;
            };
            let namespace = resource.metadata.namespace_or_default();
            if source.sees(namespace, &written.export_to) {
                continue;
            }
            let full = |it: &String| host::full_name(it, namespace, &source.cluster_domain).into();
            self.0.push(OneOwner {
                name: name_of(resource),
                hosts: written.hosts.iter().map(full).collect(),
                standing: Standing::NotExported,
                blocks: 0,
                narrow: Box::default(),
            });
        }
    }

    pub(super) fn get(&self, place: usize) -> Option<&OneOwner> {
        self.0.get(place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &OneOwner> {
        self.0.iter()
    }
}
