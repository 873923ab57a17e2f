//! Endpoints in priorities and localities, and a balancer for each part of them.

use std::sync::Arc;

use super::balancer::{LoadBalancer, Pick};
use super::locality::Group;
use super::priorities::{Count, OVERPROVISIONING, elsewhere, health, loads};
use super::status::PriorityStatus;
use super::turns::Turns;
use super::zones::{ZoneAware, Zones};
use crate::endpoint::{Endpoint, Locality};

/// The endpoints in use where these are not simply all, side by side.
#[derive(Debug)]
pub(super) struct Spread {
    levels: Vec<Level>,
    /// The priority of each place, whether or not it is left out.
    priorities: Box<[u32]>,
    by_hash: bool,
}

/// The endpoints of one priority.
#[derive(Debug)]
struct Level {
    /// The percentage up to which the traffic is its own.
    upto: u64,
    /// How whole it is, in percent.
    health: u64,
    /// Whether all its endpoints are used, for too few are left in.
    panics: bool,
    parts: Vec<Part>,
    /// Whose turn it is, and by which weights, where there are several parts.
    turns: Turns,
    weights: Vec<f64>,
    /// How parts are chosen instead, where they are zones.
    zones: Option<Zones>,
}

/// Which part of which priority.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartOf {
    level: usize,
    part: usize,
}

/// Endpoints side by side.
#[derive(Debug)]
struct Part {
    places: Vec<u32>,
    balancer: LoadBalancer,
}

impl Spread {
    /// Nothing where all endpoints are used side by side; those that are ejected are left out, if
    /// `detects`. `balance` makes the balancer of a part,
    /// of endpoints with these shares where they are not those of their weights.
    pub(super) fn new(
        (endpoints, detects): (&[Endpoint], bool),
        (groups, zones): (Vec<Group>, Option<&ZoneAware>),
        threshold: u32,
        by_hash: bool,
        balance: impl Fn(PartOf, Arc<[Endpoint]>, Option<&[f64]>) -> LoadBalancer,
    ) -> Option<Self> {
        if endpoints.is_empty() {
            return None;
        }
        let is_left = |place: &u32| {
            let endpoint = endpoints.get(*place as usize);
            endpoint.is_some_and(|it| !detects || !it.is_ejected())
        };
        let out = |it: &Endpoint| detects && it.is_ejected();
        if matches!(&*groups, [only] if only.places.len() == endpoints.len())
            && !endpoints.iter().any(out)
        {
            return None;
        }
        let mut priorities: Vec<Vec<Group>> = Vec::new();
        for group in groups {
            if priorities.len() <= group.priority {
                priorities.resize_with(group.priority + 1, Vec::new);
            }
            priorities.get_mut(group.priority)?.push(group);
        }
        let count = |groups: &Vec<Group>| Count {
            left: places(groups).filter(|it| is_left(it)).count() as u64,
            all: places(groups).count() as u64,
        };
        let counts: Vec<Count> = priorities.iter().map(count).collect();
        let loads = loads(&counts, threshold);
        let own = zones.map(|it| &it.own);
        let divide = |groups: &[Group]| {
            let zones = zones.filter(|_| !by_hash)?;
            let nowhere = Locality::default();
            let left = |it: &&Group| it.places.iter().filter(|it| is_left(it)).count() as u64;
            let count = |it: &&Group| (locality_of(endpoints, it).unwrap_or(&nowhere), left(it));
            let ordered = ordered(endpoints, groups, own);
            let counts: Vec<_> = ordered.iter().map(count).collect();
            zones.divide(&counts)
        };
        // Zones count in the first priority only.
        let mut divided = match (&*priorities, &*loads) {
            ([first, ..], [load, ..]) if !load.panics => divide(first),
            _ => None,
        };
        if let ([groups], [count], [load]) = (&*priorities, &*counts, &*loads) {
            let whole = load.panics || count.left == count.all;
            let whole = whole && count.all == endpoints.len() as u64;
            let one = groups.len() <= 1 || (zones.is_some() && divided.is_none());
            if whole && (load.panics || one) {
                return None;
            }
        }
        let some = |places: &[u32]| -> Arc<[Endpoint]> {
            let there = places.iter().filter_map(|it| endpoints.get(*it as usize));
            there.cloned().collect()
        };
        let mut levels = Vec::with_capacity(priorities.len());
        let mut upto = 0;
        for ((groups, load), count) in priorities.iter().zip(&loads).zip(&counts) {
            upto += load.percent;
            let level = levels.len();
            let part = |(part, (weight, places)): (usize, (f64, Vec<u32>))| {
                let balancer = balance(PartOf { level, part }, some(&places), None);
                (weight, Part { places, balancer })
            };
            let divided = divided.take();
            let (weights, parts): (Vec<f64>, Vec<Part>) = if load.panics {
                // All of the priority, wherever they are.
                std::iter::once(part((0, (1.0, places(groups).collect())))).unzip()
            } else if divided.is_some() {
                // A zone that nobody is left in stands there, too, and gets nothing.
                let ordered = ordered(endpoints, groups, own).into_iter();
                let left = ordered.map(|it| (1.0, left(it, is_left)));
                left.enumerate().map(part).unzip()
            } else if zones.is_some() {
                let mut left: Vec<u32> = places(groups).filter(|it| is_left(it)).collect();
                left.sort_unstable();
                std::iter::once(part((0, (1.0, left)))).unzip()
            } else if by_hash && groups.len() > 1 {
                let of = PartOf { level, part: 0 };
                let balance = |endpoints: Arc<[Endpoint]>, shares: Option<&[f64]>| {
                    balance(of, endpoints, shares)
                };
                std::iter::once(merged(endpoints, groups, is_left, balance)).unzip()
            } else {
                let left = groups
                    .iter()
                    .map(|it| (effective(it, is_left), left(it, is_left)));
                let left = left.filter(|(_, it)| !it.is_empty());
                left.enumerate().map(part).unzip()
            };
            levels.push(Level {
                upto,
                health: health(count),
                panics: load.panics,
                parts,
                turns: Turns::new(weights.iter().copied()),
                weights,
                zones: divided,
            });
        }
        let mut priority_of = vec![0; endpoints.len()];
        for (priority, groups) in priorities.iter().enumerate() {
            for place in places(groups) {
                if let Some(of) = priority_of.get_mut(place as usize) {
                    *of = priority as u32;
                }
            }
        }
        Some(Self {
            levels,
            priorities: priority_of.into(),
            by_hash,
        })
    }

    /// The balancer of a part.
    pub(super) fn part(&self, of: PartOf) -> Option<&LoadBalancer> {
        let part = self.levels.get(of.level)?.parts.get(of.part)?;
        Some(&part.balancer)
    }

    pub(super) fn status(&self) -> Vec<PriorityStatus> {
        let mut before = 0;
        let status = |level: &Level| {
            let percent = level.upto - before;
            before = level.upto;
            let parts = level.parts.iter();
            PriorityStatus {
                percent,
                panics: level.panics,
                endpoints: parts.clone().flat_map(|it| it.places.clone()).collect(),
                tables: parts.filter_map(|it| it.balancer.table()).collect(),
            }
        };
        self.levels.iter().map(status).collect()
    }

    pub(super) fn pick(&self, pick: Pick) -> Option<usize> {
        let dice = match self.by_hash {
            true => pick.hash.unwrap_or(pick.roll),
            false => pick.roll,
        };
        let percent = dice % 100 + 1;
        let level = self.levels.iter().find(|it| percent <= it.upto)?;
        level.pick(pick)
    }

    /// The same for a try that leaves the priorities of earlier ones, whose places are given.
    pub(super) fn pick_elsewhere(&self, pick: Pick, tried: &[u32]) -> Option<usize> {
        let healths: Vec<u64> = self.levels.iter().map(|it| it.health).collect();
        let priority_of = |place: &u32| {
            let priority = self.priorities.get(*place as usize)?;
            Some(*priority as usize)
        };
        let tried = tried.iter().filter_map(priority_of);
        let Some(percents) = elsewhere(&healths, tried) else {
            return self.pick(pick);
        };
        let dice = match self.by_hash {
            true => pick.hash.unwrap_or(pick.roll),
            false => pick.roll,
        };
        let percent = dice % 100 + 1;
        let mut upto = 0;
        let meant = self.levels.iter().zip(percents).find(|(_, own)| {
            upto += own;
            percent <= upto
        });
        meant?.0.pick(pick)
    }
}

impl Level {
    fn pick(&self, pick: Pick) -> Option<usize> {
        let part = match (self.parts.as_slice(), &self.zones) {
            ([only], _) => only,
            (parts, Some(zones)) => parts.get(zones.pick(pick.roll, parts.len()))?,
            (parts, None) => {
                let weight = |part: u32| self.weights.get(part as usize).copied().unwrap_or(1.0);
                parts.get(self.turns.next(weight)?)?
            }
        };
        let place = part.balancer.pick(pick)?;
        part.places.get(place).map(|place| *place as usize)
    }
}

fn places(groups: &[Group]) -> impl Iterator<Item = u32> + '_ {
    groups.iter().flat_map(|it| it.places.iter().copied())
}

fn locality_of<'e>(endpoints: &'e [Endpoint], group: &Group) -> Option<&'e Locality> {
    endpoints.get(*group.places.first()? as usize)?.locality()
}

/// The client's own zone first, as shares of zones are counted.
fn ordered<'g>(
    endpoints: &[Endpoint],
    groups: &'g [Group],
    own: Option<&Locality>,
) -> Vec<&'g Group> {
    let mut ordered: Vec<&Group> = groups.iter().collect();
    ordered.sort_by_key(|it| locality_of(endpoints, it) != own);
    ordered
}

fn left(group: &Group, is_left: impl Fn(&u32) -> bool) -> Vec<u32> {
    group.places.iter().copied().filter(is_left).collect()
}

/// The weight of a locality, less where less than seven tenths of it are left.
fn effective(group: &Group, is_left: impl Fn(&u32) -> bool) -> f64 {
    let left = group.places.iter().filter(|it| is_left(it)).count();
    let part = OVERPROVISIONING as f64 / 100.0 * left as f64 / group.places.len() as f64;
    f64::from(group.weight) * part.min(1.0)
}

/// One part of all localities, for rings and tables: the share of an endpoint is that of its
/// locality, divided by weight among those left in there.
fn merged(
    endpoints: &[Endpoint],
    groups: &[Group],
    is_left: impl Fn(&u32) -> bool + Copy,
    balance: impl FnOnce(Arc<[Endpoint]>, Option<&[f64]>) -> LoadBalancer,
) -> (f64, Part) {
    let total: f64 = groups.iter().map(|it| f64::from(it.weight)).sum();
    let (mut places, mut shares, mut there) = (Vec::new(), Vec::new(), Vec::new());
    for group in groups {
        let left = left(group, is_left);
        let of = |place: &u32| endpoints.get(*place as usize);
        let weight = |place: &u32| of(place).map_or(0.0, |it| f64::from(it.weight()));
        let sum: f64 = left.iter().map(weight).sum();
        shares.extend(
            left.iter()
                .map(|it| f64::from(group.weight) / total * weight(it) / sum),
        );
        there.extend(left.iter().filter_map(of).cloned());
        places.extend(left);
    }
    let balancer = balance(there.into(), Some(&shares));
    (1.0, Part { places, balancer })
}
