//! One destination: what rules say of it, and the endpoints it has just now.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::live::Live;
use super::traffic_policy::Origin;
use crate::connection::{ConnectionSettings, UpstreamProtocol};
use crate::endpoint::{Address, Endpoint};
use crate::limits::Limits;
use crate::service_entry::Members;

/// A host's port, or a subset of it. Envoy calls it a cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    declared: Arc<Declared>,
    endpoints: Vec<Endpoint>,
    exists: bool,
}

/// What rules say of a destination, which other endpoints do not change.
#[derive(Debug)]
pub(super) struct Declared {
    /// `outbound|port|subset|host`.
    pub(super) name: Arc<str>,
    pub(super) host: Arc<str>,
    pub(super) port: u16,
    pub(super) subset: String,
    /// The labels its endpoints carry.
    pub(super) labels: IndexMap<String, String>,
    /// What is behind it; nothing for a destination that does not exist, which is answered with
    /// 503 NC.
    pub(super) members: Option<Members>,
    /// How its endpoints are connected to; nothing where no rule says.
    pub(super) settings: Option<Arc<ConnectionSettings>>,
    /// What is spoken to endpoints that do not say.
    pub(super) protocol: UpstreamProtocol,
    /// The settings of its traffic policy, by the field's name, and where each was written.
    pub(super) origins: Box<[(&'static str, Origin)]>,
}

impl Declared {
    /// Whether another says the same. Whatever is added to it belongs here.
    fn is_as(&self, other: &Self) -> bool {
        let members = match (&self.members, &other.members) {
            (Some(ours), Some(theirs)) => ours.are_as(theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        self.name == other.name
            && self.labels == other.labels
            && members
            && self.settings == other.settings
            && self.protocol == other.protocol
            && self.origins == other.origins
    }

    /// An endpoint the application gave, connected to as rules say.
    fn connected(&self, endpoint: Endpoint) -> Endpoint {
        let protocol = match endpoint.protocol() {
            UpstreamProtocol::AsRequested => self.protocol,
            said => said,
        };
        let settings = endpoint.settings().or(self.settings.as_ref()).cloned();
        endpoint.with_protocol(protocol).with_settings(settings)
    }

    fn is_one_endpoint(&self) -> bool {
        self.members.as_ref().is_some_and(Members::are_one)
    }
}

impl Cluster {
    /// A destination as it is known; endpoints that one before it had go on counting.
    pub(super) fn new(declared: Arc<Declared>, live: &Live, before: Option<&Self>) -> Self {
        let given = live.given(&declared.host, declared.port);
        let (mut endpoints, exists) = match (&declared.members, given) {
            (None, _) => (Vec::new(), false),
            (Some(members), None) => (members.endpoints(&live.answers), members.exist()),
            (Some(_), Some(given)) => {
                let meant = given.iter().filter(|it| it.carries(&declared.labels));
                let connected = |it: &Endpoint| declared.connected(it.clone());
                (meant.map(connected).collect(), true)
            }
        };
        let known = before.map(Self::endpoints).unwrap_or_default();
        match (endpoints.as_mut_slice(), known) {
            // Whatever its address, it is the one endpoint of its name.
            ([now], [then]) if given.is_none() && declared.is_one_endpoint() => {
                *now = now.clone().counting_with(then);
            }
            (endpoints, known) => count_on(endpoints, known),
        }
        Self {
            declared,
            endpoints,
            exists,
        }
    }

    /// The same destination as it is known now; nothing where that changes nothing.
    pub(super) fn learned(&self, live: &Live) -> Option<Self> {
        let fresh = Self::new(self.declared.clone(), live, Some(self));
        (!self.has_endpoints_of(&fresh)).then_some(fresh)
    }

    /// Whether another would do all that this one does; it may stay in its place.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.declared.is_as(&other.declared) && self.has_endpoints_of(other)
    }

    fn has_endpoints_of(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.endpoints(), other.endpoints());
        self.exists == other.exists
            && ours.len() == theirs.len()
            && ours.iter().zip(theirs).all(|(a, b)| a.is_as(b))
    }

    /// `outbound|port|subset|host`.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.declared.name
    }

    /// The full name of its host.
    pub(crate) fn host(&self) -> &str {
        &self.declared.host
    }

    /// The port of the host.
    pub(crate) fn port(&self) -> u16 {
        self.declared.port
    }

    /// The subset, empty for the whole host.
    pub(crate) fn subset(&self) -> &str {
        &self.declared.subset
    }

    pub(crate) const fn exists(&self) -> bool {
        self.exists
    }

    /// What is behind it as far as names are known.
    pub(crate) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// How much may be under way, and what is.
    pub(crate) fn limits(&self) -> Option<&Limits> {
        self.declared.settings.as_ref()?.limits.as_ref()
    }

    /// The names whose addresses it needs.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.declared.members.iter().flat_map(Members::names)
    }

    /// Whether the host of each request is to be looked up.
    pub(super) fn is_per_request(&self) -> bool {
        let members = self.declared.members.as_ref();
        members.is_some_and(Members::are_per_request)
    }

    /// The settings of its traffic policy, by the field's name, and where each was written.
    pub(crate) fn origins(&self) -> &[(&'static str, Origin)] {
        &self.declared.origins
    }
}

/// Gives endpoints known by their address the counters they have.
fn count_on(fresh: &mut [Endpoint], known: &[Endpoint]) {
    let known: HashMap<&Address, &Endpoint> = known.iter().map(|it| (it.address(), it)).collect();
    for endpoint in fresh {
        if let Some(known) = known.get(endpoint.address()) {
            *endpoint = endpoint.clone().counting_with(known);
        }
    }
}
