//! An endpoint: an address that requests can be sent to, and what is known of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

use indexmap::IndexMap;
use tokio::time::Instant;

use crate::connection::{ConnectionSettings, UpstreamProtocol};
use crate::limits::Limits;

mod address;
mod ejections;
mod in_flight;
#[cfg(feature = "client")]
mod kept;
mod locality;
mod pairs;

pub use address::Address;
pub(crate) use ejections::{Ejections, Seldom, Tally};
pub use in_flight::InFlight;
use in_flight::Load;
#[cfg(feature = "client")]
pub(crate) use kept::Kept;
pub use locality::Locality;
pub(crate) use locality::Place;
pub(crate) use pairs::places_before;

/// One endpoint of a destination: immutable, but for the counters beside it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    address: Address,
    labels: Arc<IndexMap<String, String>>,
    weight: u32,
    /// Nothing for the many that do not say; a request clones its endpoint.
    place: Option<Arc<Place>>,
    load: Arc<Load>,
    protocol: UpstreamProtocol,
    /// Whether it stands for one place only, which things may be kept for.
    passing: bool,
    settings: Option<Arc<ConnectionSettings>>,
}

impl Endpoint {
    /// An endpoint with nothing under way.
    #[must_use]
    pub fn new(address: Address, labels: Arc<IndexMap<String, String>>) -> Self {
        let load = Arc::default();
        Self {
            address,
            labels,
            weight: 1,
            place: None,
            load,
            protocol: UpstreamProtocol::default(),
            passing: false,
            settings: None,
        }
    }

    /// The same endpoint with this share of the traffic: `WorkloadEntry.weight`; 0 counts as 1, as
    /// where nothing is written.
    #[must_use]
    pub const fn with_weight(mut self, weight: u32) -> Self {
        self.weight = if weight == 0 { 1 } else { weight };
        self
    }

    /// The same endpoint, in this locality: `WorkloadEntry.locality`.
    #[must_use]
    pub fn with_locality(mut self, locality: Locality) -> Self {
        let mut place = self.place.as_deref().cloned().unwrap_or_default();
        place.locality = locality;
        self.place = Some(Arc::new(place));
        self
    }

    /// The same endpoint, in this network: `WorkloadEntry.network`.
    #[must_use]
    pub fn with_network(mut self, network: impl Into<String>) -> Self {
        let mut place = self.place.as_deref().cloned().unwrap_or_default();
        place.network = network.into();
        self.place = Some(Arc::new(place));
        self
    }

    /// The same endpoint, in a place that others may be in too.
    pub(crate) fn in_place(mut self, place: Option<Arc<Place>>) -> Self {
        self.place = place;
        self
    }

    /// The same, spoken to in this protocol; in that of each request unless told.
    #[must_use]
    pub const fn with_protocol(mut self, protocol: UpstreamProtocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// The same, with settings for its connections.
    #[must_use]
    pub fn with_settings(mut self, settings: Option<Arc<ConnectionSettings>>) -> Self {
        self.settings = settings;
        self
    }

    /// The same, made for one request: what is known of it is not kept with it.
    pub(crate) const fn passing(mut self) -> Self {
        self.passing = true;
        self
    }

    /// What is spoken to it.
    #[must_use]
    pub const fn protocol(&self) -> UpstreamProtocol {
        self.protocol
    }

    /// How connections to it are made; [`ConnectionSettings::DEFAULT`] where there is nothing.
    #[must_use]
    pub const fn settings(&self) -> Option<&Arc<ConnectionSettings>> {
        self.settings.as_ref()
    }

    /// What a transport keeps for this endpoint, made when first asked for.
    ///
    /// It lives as long as the endpoint. Nothing for one made for a request alone.
    #[cfg(feature = "client")]
    pub(crate) fn keep<T>(&self, make: impl FnOnce() -> T) -> Option<&T>
    where
        T: Kept,
    {
        if self.passing {
            return None;
        }
        let kept = self.load.kept.get_or_init(|| Box::new(make()));
        let kept: &dyn std::any::Any = &**kept;
        kept.downcast_ref()
    }

    /// How many connections to it the built-in transport has.
    #[must_use]
    pub fn connections(&self) -> usize {
        #[cfg(feature = "client")]
        return self.load.kept.get().map_or(0, |it| it.connections());
        #[cfg(not(feature = "client"))]
        0
    }

    /// How many requests wait for one of its connections in the built-in transport.
    #[must_use]
    pub fn pending(&self) -> usize {
        #[cfg(feature = "client")]
        return self.load.kept.get().map_or(0, |it| it.waiting());
        #[cfg(not(feature = "client"))]
        0
    }

    /// The same endpoint, counting on where `known` counts.
    pub(crate) fn counting_with(mut self, known: &Self) -> Self {
        self.load = known.load.clone();
        self
    }

    /// The same endpoint, counting for itself.
    pub(crate) fn counting_anew(mut self) -> Self {
        self.load = Arc::default();
        self
    }

    /// The like of this endpoint at another address, counting for itself.
    pub(crate) fn at(&self, address: Address) -> Self {
        Self {
            address,
            load: Arc::default(),
            ..self.clone()
        }
    }

    /// The same endpoint, found at this address for one request.
    pub(crate) fn moved_to(&self, address: Address) -> Self {
        Self {
            address,
            passing: true,
            ..self.clone()
        }
    }

    /// Whether another says the same of the same address, whatever either counts.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        self.address == other.address
            && self.is_known_as(other, other.protocol, other.settings.as_ref())
    }

    /// Whether another of its address says the same, connected to in this way.
    #[inline]
    pub(crate) fn is_known_as(
        &self,
        other: &Self,
        protocol: UpstreamProtocol,
        settings: Option<&Arc<ConnectionSettings>>,
    ) -> bool {
        self.weight == other.weight
            && self.protocol == protocol
            && self.is_beside(other, true)
            && both(self.settings.as_ref(), settings)
    }

    /// Whether it carries all of these labels.
    pub(crate) fn carries(&self, labels: &IndexMap<String, String>) -> bool {
        let mut labels = labels.iter();
        labels.all(|(key, value)| self.labels.get(key) == Some(value))
    }

    /// Whether its name stands for many, one of which a request has to name.
    pub(crate) fn is_wildcard(&self) -> bool {
        matches!(&self.address, Address::Name(name, _) if name.starts_with('*'))
    }

    /// The same endpoint; where its name is a wildcard, the host of the request stands for it.
    pub(crate) fn named_by(&self, host: &str) -> Self {
        let mut named = self.clone().passing();
        if let Address::Name(name, port) = &self.address
            && name.starts_with('*')
        {
            named.address =
                Address::of_host(host.trim_matches(['[', ']']).trim_end_matches('.'), *port);
        }
        named
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Its labels, which subsets select by.
    #[must_use]
    pub fn labels(&self) -> &IndexMap<String, String> {
        &self.labels
    }

    /// Its share of the traffic, beside those of the other endpoints; 1 unless told.
    #[must_use]
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// Where it is; nothing where nobody said so.
    #[must_use]
    pub fn locality(&self) -> Option<&Locality> {
        let place = self.place.as_deref()?;
        Some(&place.locality).filter(|it| **it != Locality::default())
    }

    /// Whether it is in the same place as another; with labels, whether it carries the same, too.
    #[inline]
    pub(crate) fn is_beside(&self, other: &Self, with_labels: bool) -> bool {
        both(self.place.as_ref(), other.place.as_ref())
            && (!with_labels || same(&self.labels, &other.labels))
    }

    /// The network it is in; empty where nobody said so.
    #[must_use]
    pub fn network(&self) -> &str {
        self.place.as_deref().map_or("", |it| &it.network)
    }

    /// How many requests are under way to it.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.load.active.load(Ordering::Relaxed)
    }

    /// Whether outlier detection has left it out for now.
    #[must_use]
    pub fn is_ejected(&self) -> bool {
        self.load.ejected.load(Ordering::Relaxed)
    }

    pub(crate) fn set_ejected(&self, ejected: bool) {
        self.load.ejected.store(ejected, Ordering::Relaxed);
    }

    /// Errors, gateway errors and failures on this side, each in a row.
    pub(crate) fn failures(&self) -> &[AtomicU32; 3] {
        &self.load.failures
    }

    /// What is asked of few endpoints.
    pub(crate) fn seldom(&self) -> &Seldom {
        self.load.seldom.get_or_init(Box::default)
    }

    pub(crate) fn ejections(&self) -> MutexGuard<'_, Ejections> {
        let ejections = &self.seldom().ejections;
        ejections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often outlier detection has left it out, and when it is let back if it is out.
    #[must_use]
    pub fn ejected(&self) -> (u64, Option<Instant>) {
        if self.load.seldom.get().is_none() {
            return (0, None);
        }
        let ejections = self.ejections();
        (ejections.in_all, ejections.back)
    }

    /// The share of good answers in the last whole interval, in percent, where outlier detection
    /// looks at it and there were enough.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        self.load.seldom.get()?;
        let [answers, _] = self.ejections().success_rates;
        answers
    }

    /// Notes its share of good answers, or that of what was not its own doing.
    pub(crate) fn note_success_rate(&self, which: usize, rate: Option<f64>) {
        if let Some(noted) = self.ejections().success_rates.get_mut(which) {
            *noted = rate;
        }
    }

    /// When a balancer that warms endpoints up first had it.
    pub(crate) fn known_since(&self, now: Instant) -> Instant {
        *self.seldom().known_since.get_or_init(|| now)
    }

    /// Counts one request until the guard is dropped.
    #[inline]
    pub fn begin(&self) -> InFlight {
        InFlight::begin(&self.load)
    }

    /// How much may be under way at its destination.
    pub(crate) fn limits(&self) -> Option<&Limits> {
        self.settings.as_ref()?.limits.as_ref()
    }
}

/// Whether two are equal; what is one and the same needs no look inside.
#[inline]
fn same<T: PartialEq>(ours: &Arc<T>, theirs: &Arc<T>) -> bool {
    Arc::ptr_eq(ours, theirs) || ours == theirs
}

/// The same of what need not be there.
#[inline]
fn both<T: PartialEq>(ours: Option<&Arc<T>>, theirs: Option<&Arc<T>>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => same(ours, theirs),
        (ours, theirs) => ours.is_none() && theirs.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Address, Endpoint};

    #[test]
    fn a_request_counts_until_its_guard_is_dropped() {
        let endpoint = Endpoint::new(Address::new("127.0.0.1", 80), Arc::default());
        let (first, second) = (endpoint.begin(), endpoint.begin());
        assert_eq!(endpoint.active(), 2);
        let replacement = Endpoint::new(Address::new("127.0.0.1", 80), Arc::default());
        let replacement = replacement.counting_with(&endpoint);
        drop(first);
        assert_eq!(replacement.active(), 1);
        drop(second);
        assert_eq!(replacement.active(), 0);
    }

    /// Ten thousand endpoints take two megabytes and not four.
    #[test]
    fn an_endpoint_and_its_counters_are_small() {
        assert!(size_of::<Endpoint>() <= 72, "{}", size_of::<Endpoint>());
        assert_eq!(size_of::<super::Load>(), 64);
    }
}
