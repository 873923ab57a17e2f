//! Two choices at random, the less busy one wins.

use crate::endpoint::Endpoint;

/// Picks by one roll of the dice; nothing where there are no endpoints.
///
/// Both draws come from one roll: its lower and its upper half.
///
/// ```
/// use std::sync::Arc;
/// use tower_mesh::endpoint::{Address, Endpoint};
/// use tower_mesh::load_balancer::least_request;
///
/// let endpoint = |port| Endpoint::new(Address::new("127.0.0.1", port), Arc::default());
/// let endpoints = [endpoint(1), endpoint(2)];
/// let busy = endpoints[0].begin();
/// // The roll draws 0 and 1; 0 has a request under way.
/// assert_eq!(least_request(&endpoints, 1 << 63), Some(1));
/// # drop(busy);
/// ```
#[must_use]
pub fn least_request(endpoints: &[Endpoint], roll: u64) -> Option<usize> {
    let count = endpoints.len() as u64;
    let draw = |half: u64| ((half * count) >> 32) as usize;
    let (first, second) = (draw(roll & 0xffff_ffff), draw(roll >> 32));
    let (a, b) = (endpoints.get(first)?, endpoints.get(second)?);
    Some(if b.active() < a.active() {
        second
    } else {
        first
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::least_request;
    use crate::endpoint::{Address, Endpoint};
    use crate::rt::Rng;

    fn endpoints(count: u16) -> Vec<Endpoint> {
        let one = |port| Endpoint::new(Address::new("127.0.0.1", port), Arc::default());
        (0..count).map(one).collect()
    }

    #[test]
    fn nobody_is_picked_from_nothing() {
        assert_eq!(least_request(&[], 7), None);
        assert_eq!(least_request(&endpoints(1), u64::MAX), Some(0));
    }

    /// A hundred requests always under way over ten endpoints: with two choices none is ever
    /// far above the mean of ten, where a random pick would reach thirty.
    #[test]
    fn the_load_stays_even() {
        let rng = Rng::seeded(3);
        let endpoints = endpoints(10);
        let mut under_way = std::collections::VecDeque::new();
        let mut worst = 0;
        for _ in 0..200_000 {
            let picked = least_request(&endpoints, rng.next_u64()).expect("ten to pick from");
            under_way.push_back(endpoints[picked].begin());
            worst = worst.max(endpoints[picked].active());
            if under_way.len() > 100 {
                let any = (rng.next_u64() % 100) as usize;
                drop(under_way.swap_remove_back(any));
            }
        }
        assert!(worst <= 19, "{worst}");
        drop(under_way);
        assert!(endpoints.iter().all(|it| it.active() == 0));
    }

    #[test]
    fn idle_endpoints_share_evenly() {
        let rng = Rng::seeded(4);
        let endpoints = endpoints(4);
        let mut seen = [0_u32; 4];
        for _ in 0..100_000 {
            seen[least_request(&endpoints, rng.next_u64()).expect("four to pick from")] += 1;
        }
        // Five standard deviations of a quarter of 100 000.
        assert!(seen.iter().all(|it| it.abs_diff(25_000) < 685), "{seen:?}");
    }
}
