//! `localityLbSetting` and `zoneAwareLbSetting`: which endpoints come first, and the shares of places.

use std::collections::{BTreeMap, VecDeque};

use super::zones::ZoneAware;
use crate::api;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::endpoint::{Endpoint, Locality};
use crate::source::Source;

/// How many endpoints are remembered that others may stand beside.
const LATELY: usize = 4;

/// Envoy's `min_cluster_size` unless told.
const MINIMUM_CLUSTER_SIZE: u64 = 6;

const NETWORK: &str = "topology.istio.io/network";

/// `localityLbSetting` as it concerns one client.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LocalityPolicy {
    /// What is preferred; nothing where only shares count.
    pub failover: Option<Failover>,
    /// Whether localities get requests by weight: by what `distribute` gives them, else by the
    /// weights of their endpoints. Without it endpoints of one priority stand side by side.
    pub weighted: bool,
    /// `distribute[].to` of the first entry whose `from` is the client's locality. Localities that
    /// are not in it get no requests.
    pub distribute: Option<Vec<(String, u32)>>,
    /// Whether outlier detection leaves endpoints out. Where it does not, one that it left out under
    /// rules before is used.
    pub detects: bool,
    /// `zoneAwareLbSetting`: how requests are divided among the zones of the first priority.
    pub zones: Option<ZoneAware>,
}

/// Which endpoints come first, as long as enough of them are left in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Failover {
    /// `failoverPriority`: labels, and the values endpoints of the first priority have.
    pub labels: Vec<(String, String)>,
    /// The client's locality, where that of endpoints counts.
    pub locality: Option<Locality>,
    /// `failover[].to` for the client's region.
    pub region: Option<String>,
    /// Whether all of a region stand together.
    pub by_region: bool,
}

/// The endpoints of one locality with one priority.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Group {
    /// From 0, the first, without gaps.
    pub(super) priority: usize,
    pub(super) weight: u32,
    pub(super) places: Vec<u32>,
}

/// The policy in force for this client; `detects` tells whether endpoints that fail are noticed,
/// without which nothing fails over.
pub(crate) fn compile(
    written: Option<&api::LocalityLoadBalancerSetting>,
    source: &Source,
    detects: bool,
) -> Option<Box<LocalityPolicy>> {
    let default = api::LocalityLoadBalancerSetting::default();
    // The mesh's own setting is on and empty.
    let written = written.unwrap_or(&default);
    if written.enabled == Some(false) {
        return None;
    }
    if !written.distribute.is_empty() {
        let mut shares = written.distribute.iter();
        let shares = shares.find(|it| matches(&source.locality, &it.from));
        let shares = shares.map(|it| it.to.iter().map(|(to, share)| (to.clone(), *share)));
        return Some(Box::new(LocalityPolicy {
            failover: None,
            weighted: true,
            distribute: shares.map(Iterator::collect),
            detects,
            zones: None,
        }));
    }
    if !detects {
        return None;
    }
    let by_label = !written.failover_priority.is_empty();
    let by_place = !by_label || !written.failover.is_empty();
    Some(Box::new(LocalityPolicy {
        failover: Some(Failover {
            labels: labels(&written.failover_priority, source),
            locality: by_place.then(|| source.locality.clone()),
            region: region(&written.failover, source),
            by_region: false,
        }),
        weighted: by_label || !written.failover.is_empty(),
        distribute: None,
        detects,
        zones: None,
    }))
}

/// The same of `zoneAwareLbSetting`: regions come one after the other, whether or not endpoints
/// that fail are noticed.
pub(crate) fn compile_zones(
    written: &api::ZoneAwareLoadBalancerSetting,
    source: &Source,
    detects: bool,
) -> Option<Box<LocalityPolicy>> {
    if written.enabled == Some(false) {
        return None;
    }
    Some(Box::new(LocalityPolicy {
        failover: Some(Failover {
            labels: labels(&written.failover_priority, source),
            locality: Some(source.locality.clone()),
            region: region(&written.failover, source),
            by_region: true,
        }),
        weighted: false,
        distribute: None,
        detects,
        zones: Some(ZoneAware {
            own: source.locality.clone(),
            instances: source.instances.clone(),
            minimum_cluster_size: written.min_cluster_size.unwrap_or(MINIMUM_CLUSTER_SIZE),
        }),
    }))
}

/// Says where zones will not count, for want of what no rule says.
pub(crate) fn check_zones(
    written: &api::ZoneAwareLoadBalancerSetting,
    source: &Source,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    if written.enabled == Some(false) {
        return;
    }
    let there = source.instances.iter().filter(|(_, count)| *count > 0);
    if there.clone().count() < 2 || !there.clone().any(|(it, _)| *it == source.locality) {
        let message = "requests stay in the client's region, but zones do not count: nobody said \
                       where the instances of the client are";
        let hint =
            "say it by MeshBuilder::instances, for two zones at least and this one among them";
        found.push(Diagnostic::new(Code::NeverFires, at, message).hint(hint));
    }
}

/// Where the client's region fails over to.
fn region(written: &[api::LocalityFailover], source: &Source) -> Option<String> {
    let mut regions = written.iter();
    let region = regions.find(|it| it.from == source.locality.region);
    region.map(|it| it.to.clone())
}

/// The labels of `failoverPriority` with the values to be had: those written, else the client's.
fn labels(written: &[String], source: &Source) -> Vec<(String, String)> {
    let place = Place {
        locality: Some(&source.locality),
        network: &source.network,
    };
    let is_bare = place.locality.is_none_or(|it| *it == Locality::default());
    if source.labels.is_empty() && source.network.is_empty() && is_bare {
        // Without any labels of its own a client prefers nothing by label.
        return Vec::new();
    }
    let value = |label: &String| match label.split_once('=') {
        Some((label, value)) => (label.to_owned(), value.to_owned()),
        None => {
            let own = source.labels.get(label).map(String::as_str);
            let own = own.or_else(|| place.label(label)).unwrap_or_default();
            (label.clone(), own.to_owned())
        }
    };
    written.iter().map(value).collect()
}

/// What stands in the labels that name a place, where nobody wrote them.
struct Place<'p> {
    locality: Option<&'p Locality>,
    network: &'p str,
}

impl<'p> Place<'p> {
    fn label(&self, label: &str) -> Option<&'p str> {
        let locality = self.locality;
        match label {
            "topology.kubernetes.io/region" => locality.map(|it| &*it.region),
            "topology.kubernetes.io/zone" => locality.map(|it| &*it.zone),
            "topology.istio.io/subzone" => locality.map(|it| &*it.subzone),
            NETWORK => Some(self.network),
            _ => None,
        }
    }
}

/// Whether a locality is what a rule says: `region/zone/subzone`, the rest of which may be left
/// out or be `*`.
fn matches(locality: &Locality, rule: &str) -> bool {
    let rule = Locality::new(rule);
    let is = |rule: &str, own: &str| rule == "*" || rule == own;
    let may = |rule: &str, own: &str| rule.is_empty() || is(rule, own);
    is(&rule.region, &locality.region)
        && may(&rule.zone, &locality.zone)
        && may(&rule.subzone, &locality.subzone)
}

impl Failover {
    /// How far behind an endpoint stands; only the order counts.
    fn distance(&self, endpoint: &Endpoint) -> usize {
        let by_label = self.by_label(endpoint);
        match &self.locality {
            // There are five classes by place.
            Some(own) => by_label * 5 + self.by_place(own, endpoint.locality()),
            None => by_label,
        }
    }

    fn by_label(&self, endpoint: &Endpoint) -> usize {
        let place = Place {
            locality: endpoint.locality(),
            network: endpoint.network(),
        };
        let count = self.labels.len();
        let mut behind = 0;
        for (n, (label, want)) in self.labels.iter().enumerate() {
            let has = endpoint.labels().get(label).map(String::as_str);
            let has = has.or_else(|| place.label(label)).unwrap_or_default();
            if has == want {
                continue;
            }
            // Endpoints in other networks have an order of their own, after all in this one.
            if n == 0 && label == NETWORK {
                behind = count;
                continue;
            }
            return behind + count - n;
        }
        behind
    }

    fn by_place(&self, own: &Locality, its: Option<&Locality>) -> usize {
        let nowhere = Locality::default();
        let its = its.unwrap_or(&nowhere);
        if own.region == its.region {
            if self.by_region {
                return 0;
            }
            return match (own.zone == its.zone, own.subzone == its.subzone) {
                (true, true) => 0,
                (true, false) => 1,
                (false, _) => 2,
            };
        }
        match &self.region {
            Some(to) if *to != its.region => 4,
            _ => 3,
        }
    }
}

impl LocalityPolicy {
    /// The endpoints by priority and, inside one, by locality; each locality's weight is the sum
    /// of those of its endpoints unless shares are written.
    pub(super) fn groups(&self, endpoints: &[Endpoint]) -> Vec<Group> {
        let nowhere = Locality::default();
        let failover = self.failover.as_ref();
        let by_label = failover.is_some_and(|it| !it.labels.is_empty());
        let by_locality = self.weighted || self.zones.is_some();
        let mut groups: Vec<(&Locality, Group)> = Vec::new();
        let mut known: BTreeMap<(usize, &Locality), usize> = BTreeMap::new();
        // Many endpoints stand where one did that was seen lately.
        let mut lately: VecDeque<(&Endpoint, usize)> = VecDeque::with_capacity(LATELY);
        for (place, endpoint) in endpoints.iter().enumerate() {
            let beside = lately
                .iter()
                .find(|(it, _)| it.is_beside(endpoint, by_label));
            let at = match beside {
                Some((_, at)) => *at,
                None => {
                    let distance = failover.map_or(0, |it| it.distance(endpoint));
                    let locality = endpoint.locality().filter(|_| by_locality);
                    let locality = locality.unwrap_or(&nowhere);
                    let at = *known.entry((distance, locality)).or_insert_with(|| {
                        let group = Group {
                            priority: distance,
                            weight: 0,
                            places: Vec::new(),
                        };
                        groups.push((locality, group));
                        groups.len() - 1
                    });
                    if lately.len() == LATELY {
                        lately.pop_back();
                    }
                    lately.push_front((endpoint, at));
                    at
                }
            };
            if let Some((_, group)) = groups.get_mut(at) {
                group.places.push(place as u32);
                group.weight = group.weight.saturating_add(endpoint.weight());
            }
        }
        groups.sort_by_key(|(locality, group)| (group.priority, *locality));
        let mut groups: Vec<Group> = match &self.distribute {
            Some(shares) => distribute(groups, shares),
            None => groups.into_iter().map(|(_, group)| group).collect(),
        };
        let (mut priority, mut last) = (0, None);
        for group in &mut groups {
            if last.is_some_and(|last| last != group.priority) {
                priority += 1;
            }
            last = Some(group.priority);
            group.priority = priority;
        }
        groups
    }
}

/// Gives each locality its share; one for several goes by their weights, rounded up.
fn distribute(mut left: Vec<(&Locality, Group)>, shares: &[(String, u32)]) -> Vec<Group> {
    let mut groups = Vec::new();
    for (to, share) in shares {
        let is_meant = |(locality, _): &(&Locality, Group)| matches(locality, to);
        let (mut meant, others): (Vec<_>, Vec<_>) = left.into_iter().partition(is_meant);
        left = others;
        let total: u64 = meant.iter().map(|(_, it)| u64::from(it.weight)).sum();
        for (_, group) in &mut meant {
            let weight = u64::from(group.weight) * u64::from(*share);
            let weight = weight.div_ceil(total.max(1));
            group.weight = u32::try_from(weight).unwrap_or(u32::MAX);
        }
        groups.append(&mut meant);
    }
    groups.sort_by_key(|(locality, _)| *locality);
    groups.into_iter().map(|(_, group)| group).collect()
}
