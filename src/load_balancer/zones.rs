//! `zoneAwareLbSetting`: how much of the traffic stays in the client's zone, and where the rest goes.

use crate::endpoint::Locality;

/// `zoneAwareLbSetting` as it concerns one client, besides what fails over where.
///
/// Each zone sends as much to itself as its share of the endpoints allows, so that all endpoints
/// have the same to do while clients are asked evenly; what is beyond it goes where endpoints are
/// left over. It takes effect where the instances of the client are known, in two zones at least,
/// and for endpoints of the first priority in two zones at least.
///
/// Source: Istio's `zoneAwareLbSetting`, Envoy's `zone_aware_lb_config`, and its
/// `ZoneAwareLoadBalancerBase` for the arithmetic.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ZoneAware {
    /// The client's own place.
    pub own: Locality,
    /// How many instances of the client there are in each place.
    pub instances: Vec<(Locality, u32)>,
    /// `minClusterSize`: with fewer endpoints left in, zones do not count; 6 unless told.
    pub minimum_cluster_size: u64,
}

/// The whole, as Envoy counts shares.
const WHOLE: u64 = 10_000;

/// How requests are divided among zones, of which the client's comes first if it is there.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Zones {
    /// All stay.
    Own,
    /// So many of ten thousand stay; of the rest each zone gets what is left over in it, added up.
    Shared { own: u64, upto: Vec<u64> },
}

impl ZoneAware {
    /// The shares of zones with so many endpoints left in; nothing where zones do not count.
    pub(super) fn divide(&self, zones: &[(&Locality, u64)]) -> Option<Zones> {
        let instances = || self.instances.iter().filter(|(_, count)| *count > 0);
        let there = instances().any(|(place, _)| *place == self.own);
        let left: u64 = zones.iter().map(|(_, left)| left).sum();
        if zones.len() < 2
            || instances().count() < 2
            || !there
            || left == 0
            || left < self.minimum_cluster_size
        {
            return None;
        }
        let all: u64 = instances().map(|(_, count)| u64::from(*count)).sum();
        // Of the endpoints and of the clients; clients where there is no endpoint play no part.
        let share = |(place, count): &(&Locality, u64)| {
            let own = instances().find(|(it, _)| it == *place);
            let own = own.map_or(0, |(_, count)| u64::from(*count));
            let own = if *count == 0 { 0 } else { WHOLE * own / all };
            (WHOLE * count / left, own)
        };
        let shares: Vec<(u64, u64)> = zones.iter().map(share).collect();
        let has_own = zones.first().is_some_and(|(place, _)| **place == self.own);
        let first = shares.first().copied().filter(|_| has_own);
        let (theirs, ours) = first.unwrap_or_default();
        if theirs > 0 && theirs >= ours {
            return Some(Zones::Own);
        }
        let own = (WHOLE * theirs).checked_div(ours).unwrap_or_default();
        let mut sum = 0;
        let mut add = |(n, (theirs, ours)): (usize, &(u64, u64))| {
            if !(has_own && n == 0) {
                sum += theirs.saturating_sub(*ours);
            }
            sum
        };
        let upto = shares.iter().enumerate().map(&mut add).collect();
        Some(Zones::Shared { own, upto })
    }
}

impl Zones {
    /// Which of so many zones a request goes to, by a roll of the dice.
    pub(super) fn pick(&self, roll: u64, count: usize) -> usize {
        let Self::Shared { own, upto } = self else {
            return 0;
        };
        // What picks the endpoint is to say nothing of the zone.
        let roll = super::hash(&roll.to_le_bytes());
        let (of_own, roll) = (roll % WHOLE, roll / WHOLE);
        if of_own < *own {
            return 0;
        }
        match upto.last().copied().unwrap_or_default() {
            // Shares rounded down may leave nothing over.
            0 => roll.checked_rem(count as u64).unwrap_or_default() as usize,
            all => upto.partition_point(|it| *it <= roll % all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ZoneAware, Zones};
    use crate::endpoint::Locality;

    fn divide(instances: &[(&str, u32)], endpoints: &[(&str, u64)], least: u64) -> Option<Zones> {
        let place = |zone: &str| Locality::new(&format!("r/{zone}"));
        let zones = ZoneAware {
            own: place("a"),
            instances: instances.iter().map(|(it, n)| (place(it), *n)).collect(),
            minimum_cluster_size: least,
        };
        let endpoints: Vec<_> = endpoints.iter().map(|(it, n)| (place(it), *n)).collect();
        let endpoints: Vec<_> = endpoints.iter().map(|(it, n)| (it, *n)).collect();
        zones.divide(&endpoints)
    }

    /// The scenarios of Istio's own tests, and the example in Envoy's source.
    #[test]
    fn zones_are_divided_as_envoy_divides_them() {
        let shared = |own, upto: &[u64]| {
            let upto = upto.to_vec();
            Some(Zones::Shared { own, upto })
        };
        let even = [("a", 1), ("b", 1)];
        assert_eq!(divide(&even, &[("a", 1), ("b", 1)], 1), Some(Zones::Own));
        assert_eq!(divide(&even, &[("a", 2), ("b", 1)], 1), Some(Zones::Own));
        // A third is all there is for the half of the clients.
        let third = [("a", 2), ("b", 4)];
        assert_eq!(divide(&even, &third, 6), shared(6666, &[0, 1666]));
        assert_eq!(divide(&even, &third, 7), None);
        let clients = [("a", 40), ("b", 40), ("c", 20)];
        let endpoints = [("a", 25), ("b", 50), ("c", 25)];
        assert_eq!(
            divide(&clients, &endpoints, 6),
            shared(6250, &[0, 1000, 1500])
        );
        // Nobody at home: all goes where clients are few.
        assert_eq!(
            divide(&even, &[("c", 1), ("d", 1)], 1),
            shared(0, &[5000, 10_000])
        );
        assert_eq!(
            divide(&even, &[("a", 0), ("b", 3)], 1),
            shared(0, &[0, 5000])
        );
    }

    #[test]
    fn zones_do_not_count_where_too_little_is_known() {
        let two = [("a", 3), ("b", 3)];
        assert_eq!(divide(&[], &two, 1), None);
        assert_eq!(divide(&[("a", 5)], &two, 1), None);
        assert_eq!(
            divide(&[("b", 1), ("c", 1)], &two, 1),
            None,
            "where this one is not"
        );
        assert_eq!(divide(&[("a", 1), ("b", 1)], &[("a", 6)], 1), None);
    }

    #[test]
    fn requests_go_where_the_shares_say() {
        let zones = divide(&[("a", 1), ("b", 1)], &[("a", 2), ("b", 4)], 6).expect("in force");
        let dice = crate::rt::Rng::seeded(3);
        let mut had = [0_u32; 2];
        for _ in 0..10_000 {
            had[zones.pick(dice.next_u64(), 2)] += 1;
        }
        // Five standard deviations of two thirds of 10 000.
        assert!(had[0].abs_diff(6666) < 236, "{had:?}");
    }
}
