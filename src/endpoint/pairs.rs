//! Which endpoints of one list are those of another.

use std::collections::HashMap;

use super::{Address, Endpoint};

/// Of each address the place that an endpoint of it had before, if one had.
///
/// Lists that differ little cost a comparison for each endpoint; only what has no neighbour in
/// common with its place before is looked up. Endpoints of one address are paired in their order.
pub(crate) fn places_before<'a>(
    fresh: impl Iterator<Item = &'a Address>,
    known: &[Endpoint],
) -> Vec<Option<u32>> {
    let mut places = Vec::with_capacity(known.len().max(fresh.size_hint().0));
    let (mut unpaired, mut passed) = (Vec::new(), Vec::new());
    // The next of those before, and how many of the new ones were not found there since.
    let (mut at, mut run) = (0, 0);
    for address in fresh {
        let is = |at: &usize| known.get(*at).is_some_and(|it| it.address() == address);
        // As before; after others took the place of as many; after one went.
        let found = [at, at + run, at + 1].into_iter().find(is);
        match found {
            Some(found) => {
                passed.extend(at..found);
                (at, run) = (found + 1, 0);
            }
            None => {
                unpaired.push((places.len(), address));
                run += 1;
            }
        }
        places.push(found.map(|it| it as u32));
    }
    passed.extend(at..known.len());
    if unpaired.is_empty() || passed.is_empty() {
        return places;
    }
    let mut left: HashMap<&Address, Vec<u32>> = HashMap::with_capacity(passed.len());
    for at in passed.into_iter().rev() {
        if let Some(it) = known.get(at) {
            left.entry(it.address()).or_default().push(at as u32);
        }
    }
    for (place, address) in unpaired {
        if let Some(before) = places.get_mut(place) {
            *before = left.get_mut(address).and_then(Vec::pop);
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{Address, Endpoint};

    fn endpoints(ports: &[u16]) -> Vec<Endpoint> {
        let one = |port: &u16| Endpoint::new(Address::new("127.0.0.1", *port), Arc::default());
        ports.iter().map(one).collect()
    }

    fn places_before(fresh: &[Endpoint], known: &[Endpoint]) -> Vec<Option<u32>> {
        super::places_before(fresh.iter().map(Endpoint::address), known)
    }

    #[test]
    fn one_that_changes_leaves_the_others_where_they_were() {
        let places = |fresh: &[u16]| places_before(&endpoints(fresh), &endpoints(&[1, 2, 3, 4]));
        let (one, two, three, four) = (Some(0), Some(1), Some(2), Some(3));
        assert_eq!(places(&[1, 2, 3, 4]), [one, two, three, four]);
        assert_eq!(places(&[1, 9, 3, 4]), [one, None, three, four]);
        assert_eq!(places(&[9, 8, 7, 4]), [None, None, None, four]);
        assert_eq!(places(&[1, 3, 4]), [one, three, four]);
        assert_eq!(places(&[9, 1, 2, 3, 4]), [None, one, two, three, four]);
        assert_eq!(places(&[4, 3, 2, 1]), [four, three, two, one]);
        assert_eq!(places(&[1, 1, 4]), [one, None, four]);
    }

    proptest! {
        #[test]
        fn as_many_are_paired_as_can_be_and_each_once(
            fresh in proptest::collection::vec(0_u16..12, 0..12),
            known in proptest::collection::vec(0_u16..12, 0..12),
        ) {
            let places = places_before(&endpoints(&fresh), &endpoints(&known));
            let mut seen = std::collections::HashSet::new();
            for (port, place) in fresh.iter().zip(&places) {
                if let Some(place) = place {
                    prop_assert_eq!(known[*place as usize], *port);
                    prop_assert!(seen.insert(*place));
                }
            }
            for port in 0..12 {
                let count = |ports: &[u16]| ports.iter().filter(|it| **it == port).count();
                let paired = fresh.iter().zip(&places);
                let paired = paired.filter(|(it, place)| **it == port && place.is_some()).count();
                prop_assert_eq!(paired, count(&fresh).min(count(&known)));
            }
        }
    }
}
