//! One destination: what rules say of it, and the endpoints it has just now.

use std::sync::Arc;

use indexmap::IndexMap;
use tokio::time::Instant;

use super::live::Live;
use super::traffic_policy::Origin;
use crate::connection::{ConnectionSettings, UpstreamProtocol};
use crate::endpoint::{Endpoint, places_before};
use crate::limits::Limits;
use crate::load_balancer::{Algorithm, LoadBalancer, LoadBalancerPolicy, Pick};
use crate::outlier_detection::{Outcome, OutlierDetection, OutlierDetectionPolicy};
use crate::rt::Rng;
use crate::service_entry::Members;
use crate::tls::Tls;

/// A host's port, or a subset of it. Envoy calls it a cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    declared: Arc<Declared>,
    exists: bool,
    balancer: LoadBalancer,
    outliers: Option<OutlierDetection>,
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
    /// How one of its endpoints is picked.
    pub(super) balancer: LoadBalancerPolicy,
    /// When one of them is left out.
    pub(super) outliers: Option<OutlierDetectionPolicy>,
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
            && self.balancer == other.balancer
            && self.outliers == other.outliers
            && self.origins == other.origins
    }

    /// The endpoints the application gave that are meant, connected to as rules say. Each counts
    /// where one of its address did before, or for itself.
    fn given(&self, given: &[Endpoint], known: &[Endpoint]) -> Vec<Endpoint> {
        if self.labels.is_empty() {
            return self.meant(given.iter(), known);
        }
        let meant = given.iter().filter(|it| it.carries(&self.labels));
        self.meant(meant, known)
    }

    fn meant<'a>(
        &self,
        meant: impl Iterator<Item = &'a Endpoint> + Clone,
        known: &[Endpoint],
    ) -> Vec<Endpoint> {
        let places = places_before(meant.clone().map(Endpoint::address), known);
        let mut endpoints = Vec::with_capacity(places.len());
        for (endpoint, place) in meant.zip(places) {
            let known = place.and_then(|it| known.get(it as usize));
            let protocol = match endpoint.protocol() {
                UpstreamProtocol::AsRequested => self.protocol,
                said => said,
            };
            let settings = endpoint.settings().or(self.settings.as_ref());
            match known {
                Some(known) if known.is_known_as(endpoint, protocol, settings) => {
                    endpoints.push(known.clone());
                }
                known => {
                    let connected = endpoint.clone().with_protocol(protocol);
                    let connected = connected.with_settings(settings.cloned());
                    endpoints.push(match known {
                        Some(known) => connected.counting_with(known),
                        None => connected.counting_anew(),
                    });
                }
            }
        }
        endpoints
    }

    fn is_one_endpoint(&self) -> bool {
        self.members.as_ref().is_some_and(Members::are_one)
    }

    /// The endpoints as they are known, and whether the destination exists; endpoints that one
    /// before it had go on counting.
    fn endpoints(&self, live: &Live, before: Option<&Cluster>) -> (Arc<[Endpoint]>, bool) {
        let given = live.given(&self.host, self.port);
        let known = before.map(Cluster::endpoints).unwrap_or_default();
        let (endpoints, exists) = match (&self.members, given) {
            (None, _) => (Arc::default(), false),
            (Some(members), None) => (members.endpoints(&live.answers), members.exist()),
            (Some(_), Some(given)) => {
                return (self.given(given, known).into(), true);
            }
        };
        let endpoints = match (&*endpoints, known) {
            (_, []) => endpoints,
            // Whatever its address, it is the one endpoint of its name.
            ([now], [then]) if self.is_one_endpoint() => [now.clone().counting_with(then)].into(),
            (fresh, known) => count_on(fresh, known),
        };
        (endpoints, exists)
    }
}

/// What outlier detection asks of the requests of a destination.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Watch {
    #[default]
    Not,
    /// To be told of failures; a good answer ends rows of them, and that is all.
    Failures,
    /// To be told what becomes of each.
    All,
}

impl Cluster {
    /// A destination as it is known: the one of the plan before where nothing is different, else
    /// another that goes on where that one is.
    pub(super) fn make(
        mut declared: Declared,
        live: &Live,
        before: Option<&Arc<Self>>,
        dice: &Rng,
    ) -> Arc<Self> {
        let changes = before.map_or(0, |it| it.changes());
        let (endpoints, exists) = declared.endpoints(live, before.map(|it| &**it));
        let balancer = match before {
            Some(before) if before.declared.is_as(&declared) && before.has(&endpoints, exists) => {
                return before.clone();
            }
            Some(before) if before.declared.balancer == declared.balancer => {
                before.balancer.with_endpoints(endpoints.clone())
            }
            _ => LoadBalancer::new(declared.balancer.clone(), endpoints.clone(), dice),
        };
        if let Some(members) = &mut declared.members
            && live.given(&declared.host, declared.port).is_none()
        {
            members.share(&endpoints);
        }
        let before = before.and_then(|it| Some((it.outliers.as_ref()?, changes)));
        Arc::new(Self::of(Arc::new(declared), exists, balancer, before))
    }

    /// The same destination as it is known now; nothing where that changes nothing.
    pub(super) fn learned(&self, live: &Live) -> Option<Self> {
        let changes = self.changes();
        let (endpoints, exists) = self.declared.endpoints(live, Some(self));
        (!self.has(&endpoints, exists)).then(|| {
            let balancer = self.balancer.with_endpoints(endpoints);
            let before = self.outliers.as_ref().map(|it| (it, changes));
            Self::of(self.declared.clone(), exists, balancer, before)
        })
    }

    /// How many changes there were to who is left out.
    fn changes(&self) -> u32 {
        self.outliers.as_ref().map_or(0, OutlierDetection::changes)
    }

    /// A destination that goes on where the outlier detection of another is, whose changes up to so
    /// many `balancer` has seen.
    fn of(
        declared: Arc<Declared>,
        exists: bool,
        balancer: LoadBalancer,
        before: Option<(&OutlierDetection, u32)>,
    ) -> Self {
        let outliers = declared.outliers.clone().map(|policy| {
            let outliers = OutlierDetection::new(policy, balancer.endpoints(), Instant::now());
            let outliers = outliers.with_dice(balancer.dice().clone());
            match before {
                Some((before, changes)) => outliers.after(before, changes),
                None => outliers,
            }
        });
        // With places it was looked at when it was made.
        if outliers.is_some() && balancer.policy().locality.is_none() {
            balancer.refresh();
        }
        Self {
            declared,
            exists,
            balancer,
            outliers,
        }
    }

    fn has(&self, endpoints: &[Endpoint], exists: bool) -> bool {
        let ours = self.endpoints();
        self.exists == exists
            && ours.len() == endpoints.len()
            && ours.iter().zip(endpoints).all(|(a, b)| a.is_as(b))
    }

    /// The place of an endpoint for a request; nothing where there is none to send it to.
    pub(super) fn pick(&self, pick: Pick) -> Option<usize> {
        self.settle();
        self.balancer.pick(pick)
    }

    /// The same for a try that leaves the priorities of earlier ones.
    pub(super) fn pick_elsewhere(&self, pick: Pick, tried: &[u32]) -> Option<usize> {
        self.settle();
        self.balancer.pick_elsewhere(pick, tried)
    }

    /// Lets endpoints back whose time is over, and takes note of those that are out.
    pub(crate) fn settle(&self) {
        if let Some(outliers) = &self.outliers
            && outliers.is_stirred()
            && outliers.settle(self.endpoints(), Instant::now())
        {
            self.balancer.refresh();
        }
    }

    pub(crate) const fn balancer(&self) -> &LoadBalancer {
        &self.balancer
    }

    /// Which of its endpoints are left out, and why.
    pub(crate) const fn outliers(&self) -> Option<&OutlierDetection> {
        self.outliers.as_ref()
    }

    /// Whether it goes by a request's key: other destinations of a route have no use for it.
    pub(super) fn is_by_hash(&self) -> bool {
        self.balancer.policy().algorithm.is_by_hash()
    }

    /// Whether what becomes of its requests is to be reported.
    #[inline]
    pub(super) fn watch(&self) -> Watch {
        match &self.outliers {
            None => Watch::Not,
            Some(outliers) if outliers.is_plain() => Watch::Failures,
            Some(_) => Watch::All,
        }
    }

    /// Reports what became of a request to the endpoint of this place.
    pub(super) fn report(&self, place: u32, outcome: Outcome) {
        if let Some(outliers) = &self.outliers {
            outliers.report(self.endpoints(), place as usize, outcome);
        }
    }

    /// Whether requests go to the address they were sent to.
    pub(super) fn is_passthrough(&self) -> bool {
        self.balancer.policy().algorithm == Algorithm::Passthrough
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
        self.balancer.endpoints()
    }

    /// How much may be under way, and what is.
    pub(crate) fn limits(&self) -> Option<&Limits> {
        self.declared.settings.as_ref()?.limits.as_ref()
    }

    /// How its connections are encrypted.
    pub(super) fn tls(&self) -> Option<&Arc<Tls>> {
        self.declared.settings.as_ref()?.tls.as_ref()
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

/// The endpoints, those known by their address with the counters they have.
fn count_on(fresh: &[Endpoint], known: &[Endpoint]) -> Arc<[Endpoint]> {
    let places = places_before(fresh.iter().map(Endpoint::address), known);
    let count_on = |(endpoint, place): (&Endpoint, Option<u32>)| {
        let known = place.and_then(|it| known.get(it as usize));
        match known {
            Some(known) => endpoint.clone().counting_with(known),
            None => endpoint.clone(),
        }
    };
    fresh.iter().zip(places).map(count_on).collect()
}
