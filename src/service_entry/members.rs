//! What is behind a port of a host, and how it becomes endpoints.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::connection::{ConnectionSettings, UpstreamProtocol};
use crate::endpoint::{Address, Endpoint};

/// What DNS has answered for each name that was asked for; no addresses where it had none.
pub(crate) type Answers = HashMap<Arc<str>, Arc<[IpAddr]>>;

/// The endpoints behind a port of a host, as far as rules say.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    list: Arc<[Endpoint]>,
    finding: Finding,
}

/// How endpoints are found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Finding {
    /// They are those listed: `STATIC`, `NONE`.
    Listed,
    /// Every address of a name is one: `DNS`.
    AllAddresses,
    /// The first address of the name is the only one: `DNS_ROUND_ROBIN`.
    OneAddress,
    /// The host of a request is looked up when the request comes: `DYNAMIC_DNS`.
    PerRequest,
}

impl Members {
    pub(super) fn new(list: impl Into<Arc<[Endpoint]>>, finding: Finding) -> Self {
        let list = list.into();
        Self { list, finding }
    }

    /// The one endpoint of a host that nothing declares.
    pub(crate) fn undeclared(host: &str, port: u16) -> Self {
        let endpoint = Endpoint::new(Address::new(host, port), Arc::default());
        Self::new([endpoint], Finding::Listed)
    }

    /// The same, connected to in this way, and spoken to in this protocol where one is given.
    pub(crate) fn connected(
        mut self,
        settings: &Arc<ConnectionSettings>,
        protocol: Option<UpstreamProtocol>,
    ) -> Self {
        let connected = |member: &Endpoint| {
            let protocol = protocol.unwrap_or(member.protocol());
            let same = member.clone().with_protocol(protocol);
            same.with_settings(Some(settings.clone()))
        };
        self.list = self.list.iter().map(connected).collect();
        self
    }

    /// Whether Istio makes a cluster of them: none of names without any.
    pub(crate) fn exist(&self) -> bool {
        !self.list.is_empty() || !self.finding.is_by_name()
    }

    /// Whether the host of each request is looked up.
    pub(crate) fn are_per_request(&self) -> bool {
        self.finding == Finding::PerRequest
    }

    /// Whether one endpoint stands for all addresses its name has in turn.
    pub(crate) fn are_one(&self) -> bool {
        self.finding == Finding::OneAddress
    }

    /// Whether others would become the same endpoints.
    pub(crate) fn are_as(&self, other: &Self) -> bool {
        self.finding == other.finding
            && self.list.len() == other.list.len()
            && self.list.iter().zip(&*other.list).all(|(a, b)| a.is_as(b))
    }

    /// The names whose addresses they need.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        let by_name = self.finding.is_by_name();
        let names = self.list.iter().filter_map(move |it| match it.address() {
            Address::Name(name, _) if by_name => Some(name),
            _ => None,
        });
        // A star cannot be asked for.
        names.filter(|name| !name.starts_with('*'))
    }

    /// The endpoints they are, as names are known. A name that has not been asked for yet is one
    /// itself: whoever connects looks it up.
    pub(crate) fn endpoints(&self, answers: &Answers) -> Arc<[Endpoint]> {
        if !self.finding.is_by_name() {
            return self.list.clone();
        }
        let mut endpoints = Vec::with_capacity(self.list.len());
        for member in &*self.list {
            let Address::Name(name, port) = member.address() else {
                endpoints.push(member.clone());
                continue;
            };
            if name.starts_with('*') {
                continue;
            }
            let Some(answer) = answers.get(name) else {
                endpoints.push(member.clone());
                continue;
            };
            let at = |ip: IpAddr| member.at(Address::Socket((ip, *port).into()));
            if self.finding == Finding::OneAddress {
                endpoints.extend(answer.first().copied().map(at));
                continue;
            }
            // Their order is DNS's whim, and no reason to begin anew.
            let mut addresses = answer.to_vec();
            addresses.sort_unstable();
            addresses.dedup();
            endpoints.extend(addresses.into_iter().map(at));
        }
        endpoints.into()
    }

    /// Takes these in place of the like, where they are those listed: one list is enough.
    pub(crate) fn share(&mut self, endpoints: &Arc<[Endpoint]>) {
        if !self.finding.is_by_name() && self.list.len() == endpoints.len() {
            self.list = endpoints.clone();
        }
    }
}

impl Finding {
    const fn is_by_name(self) -> bool {
        matches!(self, Self::AllAddresses | Self::OneAddress)
    }
}
