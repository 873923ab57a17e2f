//! Turns by weight: the endpoint whose turn is due first comes first, as Envoy's EDF scheduler has it.
//!
//! Each endpoint is due every `1 / weight`. Of those due at the same time the one
//! that has waited longest comes first, so weights 1, 2 and 3 give the order
//! 2 1 2 0 1 2, again and again.

use std::collections::BTreeMap;

/// A round may be this many turns an endpoint, or [`SHORT`] in all; longer ones are worked out turn
/// by turn.
const TURNS_EACH: u64 = 64;
const SHORT: u64 = 1024;

/// All turns of one round, each as a place among `weights`; nothing where a round is too long to
/// be written out.
pub(super) fn round(weights: &[u32]) -> Option<Box<[u32]>> {
    let divisor = weights.iter().copied().fold(0, divisor);
    if divisor == 0 {
        return None;
    }
    let turns: u64 = weights.iter().map(|it| u64::from(it / divisor)).sum();
    if turns > SHORT.max(TURNS_EACH * weights.len() as u64) {
        return None;
    }
    // Who has the same weight is always due together, the first first.
    let mut alike: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (place, weight) in weights.iter().enumerate() {
        let places = alike.entry(weight / divisor).or_default();
        places.push(place as u32);
    }
    // Turn `n` is due at `n / weight`; of two due at once the lesser weight has waited longer.
    let turns_of = |weight: u32| (1..=u64::from(weight)).map(move |n| (n, weight));
    let mut due: Vec<(u64, u32)> = alike.keys().copied().flat_map(turns_of).collect();
    due.sort_unstable_by(|(n, a), (m, b)| {
        // All are below 2^32.
        let when = (n * u64::from(*b)).cmp(&(m * u64::from(*a)));
        when.then(a.cmp(b))
    });
    let mut round = Vec::with_capacity(turns as usize);
    for places in due.iter().filter_map(|(_, weight)| alike.get(weight)) {
        round.extend_from_slice(places);
    }
    Some(round.into())
}

fn divisor(a: u32, b: u32) -> u32 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Turns worked out one by one, for weights that change from turn to turn.
///
/// A tournament: who is due first has won against all others, and when it has had its turn it plays
/// again only those whom its way up led past, one a round.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// Who won everything, and behind it, for each match, who lost it. The two who meet in match `n`
    /// come from the matches `2 n` and `2 n + 1`; those beyond the last are the endpoints themselves.
    matches: Box<[Entry]>,
    given: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: f64,
    since: u64,
    place: u32,
}

impl Entry {
    /// Whether its turn comes first. No two wait since the same turn.
    fn is_before(&self, other: &Self) -> bool {
        // What is not negative is ordered as its bits are.
        let key = |it: &Self| (u128::from(it.due.to_bits()) << 64) | u128::from(it.since);
        key(self) < key(other)
    }
}

impl Schedule {
    /// The first turns of endpoints of these weights.
    pub(super) fn new(weights: impl Iterator<Item = f64>) -> Self {
        let entries: Vec<Entry> = weights
            .enumerate()
            .map(|(n, weight)| Entry {
                due: 1.0 / weight,
                since: n as u64,
                place: n as u32,
            })
            .collect();
        let (count, given) = (entries.len(), entries.len() as u64);
        // Who comes out of each match, those beyond the last being the endpoints.
        let mut winners = [&*entries, &*entries].concat();
        let mut matches = entries;
        for at in (1..count).rev() {
            let (Some(&one), Some(&other)) = (winners.get(2 * at), winners.get(2 * at + 1)) else {
                continue;
            };
            let (winner, loser) = match other.is_before(&one) {
                true => (other, one),
                false => (one, other),
            };
            if let (Some(won), Some(lost)) = (winners.get_mut(at), matches.get_mut(at)) {
                (*won, *lost) = (winner, loser);
            }
        }
        if let (Some(all), Some(winner)) = (matches.first_mut(), winners.get(1)) {
            *all = *winner;
        }
        let matches = matches.into_boxed_slice();
        Self { matches, given }
    }

    /// Whose turn it is; `weight` says with which weight it waits for its next.
    pub(super) fn next(&mut self, weight: impl FnOnce(u32) -> f64) -> Option<u32> {
        let mut entry = *self.matches.first()?;
        let place = entry.place;
        entry.due += 1.0 / weight(place);
        entry.since = self.given;
        self.given = self.given.wrapping_add(1);
        // A branch and a swap: with numbers chosen without one it took a fifth more.
        let mut at = (place as usize + self.matches.len()) / 2;
        while at > 0 {
            let other = self.matches.get_mut(at)?;
            if other.is_before(&entry) {
                std::mem::swap(other, &mut entry);
            }
            at /= 2;
        }
        *self.matches.first_mut()? = entry;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, prop_assume, proptest};

    use super::{Schedule, round};

    /// The order of turns by exact fractions, an endpoint at a time, without any cleverness.
    fn one_by_one(weights: &[u32], count: usize) -> Vec<u32> {
        // (turns had, waiting since)
        let mut state: Vec<(u64, usize)> = (0..weights.len()).map(|n| (0, n)).collect();
        let mut order = Vec::new();
        for n in 0..count {
            let next = (0..weights.len()).min_by(|a, b| {
                let (x, y) = (state[*a], state[*b]);
                let left = u128::from(x.0 + 1) * u128::from(weights[*b]);
                let right = u128::from(y.0 + 1) * u128::from(weights[*a]);
                left.cmp(&right).then(x.1.cmp(&y.1))
            });
            let next = next.expect("somebody");
            state[next] = (state[next].0 + 1, weights.len() + n);
            order.push(next as u32);
        }
        order
    }

    #[test]
    fn weights_one_two_three_take_turns_as_envoy_gives_them() {
        assert_eq!(*round(&[1, 2, 3]).expect("short"), [2, 1, 2, 0, 1, 2]);
        assert_eq!(*round(&[10, 20, 30]).expect("short"), [2, 1, 2, 0, 1, 2]);
        assert_eq!(round(&[1, 1_000_000]), None);
        assert_eq!(round(&[]), None);
        assert_eq!(round(&[0, 0]), None);
    }

    #[test]
    fn turns_worked_out_one_by_one_are_those_of_the_round() {
        let mut turns = Schedule::new([1.0, 2.0, 3.0].into_iter());
        let order: Vec<_> = (0..6).map(|_| turns.next(|it| f64::from(it + 1))).collect();
        // One round; later ones may differ in who of two due at once is first, by a last bit.
        assert_eq!(order, [2, 1, 2, 0, 1, 2].map(Some));
        assert_eq!(Schedule::new(std::iter::empty()).next(|_| 1.0), None);
    }

    proptest! {
        #[test]
        fn a_round_is_what_turns_one_by_one_come_to(weights in proptest::collection::vec(1_u32..9, 1..9)) {
            let round = round(&weights).expect("short");
            let want = one_by_one(&weights, round.len() * 3);
            let thrice = [&*round, &*round, &*round].concat();
            prop_assert_eq!(thrice, want);
        }

        /// Weights that change with each turn, as those of least request do.
        #[test]
        fn whose_turn_it_is_is_the_least_of_all(
            weights in proptest::collection::vec(1_u32..9, 1..40),
            changes in proptest::collection::vec(1_u32..9, 200),
        ) {
            let mut schedule = Schedule::new(weights.iter().map(|it| f64::from(*it)));
            let mut waiting: Vec<(f64, usize)> = Vec::new();
            waiting.extend(weights.iter().enumerate().map(|(n, it)| (1.0 / f64::from(*it), n)));
            for (n, weight) in changes.into_iter().enumerate() {
                let order = |a: &usize, b: &usize| {
                    let (a, b) = (waiting[*a], waiting[*b]);
                    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
                };
                let want = (0..waiting.len()).min_by(order).expect("somebody");
                let next = schedule.next(|_| f64::from(weight));
                prop_assert_eq!(next, Some(want as u32));
                waiting[want].0 += 1.0 / f64::from(weight);
                waiting[want].1 = weights.len() + n;
            }
        }

        #[test]
        fn everyone_gets_its_share_within_one_turn(weights in proptest::collection::vec(1_u32..1000, 2..20)) {
            let total: u32 = weights.iter().sum();
            prop_assume!(total > 0);
            let mut turns = Schedule::new(weights.iter().map(|it| f64::from(*it)));
            let mut had = vec![0_u32; weights.len()];
            for _ in 0..total {
                let next = turns.next(|it| f64::from(weights[it as usize])).expect("somebody");
                had[next as usize] += 1;
            }
            for (had, weight) in had.iter().zip(&weights) {
                prop_assert!(had.abs_diff(*weight) <= 1, "{had} of {weight}");
            }
        }
    }
}
