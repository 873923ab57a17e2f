//! What a balancer goes by just now, for whoever wants to see it.

use std::collections::HashMap;

use super::balancer::LoadBalancer;
use super::policy::Algorithm;
use crate::endpoint::Endpoint;

/// A balancer at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BalancerStatus {
    /// How an endpoint is chosen.
    pub algorithm: Algorithm,
    /// The priorities, the first first; one where all endpoints stand side by side.
    pub priorities: Vec<PriorityStatus>,
    /// Whether some endpoints are new and have not come to their share yet.
    pub warms_up: bool,
}

/// The endpoints of one priority.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PriorityStatus {
    /// Its share of the traffic.
    pub percent: u64,
    /// Whether so few are left in that those that are out are used as well.
    pub panics: bool,
    /// The places, among all endpoints, of those that are picked from.
    pub endpoints: Vec<u32>,
    /// Its ring or Maglev table, under `consistentHash`.
    pub tables: Vec<TableStatus>,
}

/// A ring or a Maglev table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TableStatus {
    /// How many hashes, or slots, there are.
    pub size: u64,
    /// How many the endpoint with the fewest has.
    pub fewest: u64,
    /// How many the endpoint with the most has.
    pub most: u64,
}

impl TableStatus {
    pub(super) fn of(places: impl Iterator<Item = u32>) -> Self {
        let mut counts: HashMap<u32, u64> = HashMap::new();
        for place in places {
            *counts.entry(place).or_default() += 1;
        }
        Self {
            size: counts.values().sum(),
            fewest: counts.values().copied().min().unwrap_or_default(),
            most: counts.values().copied().max().unwrap_or_default(),
        }
    }
}

impl LoadBalancer {
    /// What it goes by now. Rings and tables are counted through for it.
    #[must_use]
    pub fn status(&self) -> BalancerStatus {
        let priorities = match &*self.spread.load() {
            Some(spread) => spread.status(),
            None => vec![PriorityStatus {
                percent: 100,
                panics: self.endpoints().iter().any(Endpoint::is_ejected),
                endpoints: (0..self.endpoints().len() as u32).collect(),
                tables: self.table().into_iter().collect(),
            }],
        };
        BalancerStatus {
            algorithm: self.policy().algorithm,
            priorities,
            warms_up: self.warms_up(),
        }
    }
}
