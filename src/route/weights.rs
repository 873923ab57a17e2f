//! The pick itself: cumulative weights and one roll.

/// Choices with their shares.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Weights<T> {
    /// Each choice with the end of its range, ascending; never empty.
    ranges: Vec<(u32, T)>,
    total: u32,
}

/// Why weights cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidWeights {
    /// There is nothing to choose from, or nothing has a share.
    #[error("total destination weight = 0")]
    Zero,
    /// The sum does not fit 32 bits, which Envoy refuses too.
    #[error("total destination weight is over 4294967295")]
    Overflow,
}

impl<T> Weights<T> {
    /// Choices in the order of their ranges.
    ///
    /// One choice alone takes everything, even with weight 0; among several, those of
    /// weight 0 are never taken.
    ///
    /// # Errors
    ///
    /// When nothing has a share, or the sum of the weights does not fit 32 bits.
    pub fn new(choices: impl IntoIterator<Item = (T, u32)>) -> Result<Self, InvalidWeights> {
        let mut choices: Vec<(T, u32)> = choices.into_iter().collect();
        if let [(_, weight)] = choices.as_mut_slice() {
            *weight = 1;
        }
        let mut total = Some(0_u32);
        // In place: the list keeps its memory.
        let taken = choices.into_iter().filter(|(_, weight)| *weight > 0);
        let ranges = taken.map(|(choice, weight)| {
            total = total.and_then(|it| it.checked_add(weight));
            (total.unwrap_or(u32::MAX), choice)
        });
        let ranges = ranges.collect();
        match total {
            None => Err(InvalidWeights::Overflow),
            Some(0) => Err(InvalidWeights::Zero),
            Some(total) => Ok(Self { ranges, total }),
        }
    }

    /// The only choice, for which no dice need be rolled.
    #[must_use]
    #[inline]
    pub fn only(&self) -> Option<&T> {
        match self.ranges.as_slice() {
            [(_, only)] => Some(only),
            _ => None,
        }
    }

    /// The choice whose range holds `roll` modulo the sum.
    #[must_use]
    #[inline]
    pub fn pick(&self, roll: u64) -> &T {
        // The remainder is below a u32, so nothing is lost.
        let point = (roll % u64::from(self.total)) as u32;
        let place = self.ranges.partition_point(|(end, _)| *end <= point);
        match self.ranges.get(place) {
            Some((_, choice)) => choice,
            None => unreachable!("the last range ends at the sum"),
        }
    }

    /// The same shares of other things.
    pub fn map<U>(&self, mut make: impl FnMut(&T) -> U) -> Weights<U> {
        let ranges = self.ranges.iter().map(|(end, it)| (*end, make(it)));
        Weights {
            ranges: ranges.collect(),
            total: self.total,
        }
    }

    /// The choices with their weights, in order; those that are never taken are not among them.
    pub fn iter(&self) -> impl Iterator<Item = (&T, u32)> {
        let starts = std::iter::once(0).chain(self.ranges.iter().map(|(end, _)| *end));
        let ranges = self.ranges.iter().zip(starts);
        ranges.map(|((end, choice), start)| (choice, end - start))
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidWeights, Weights};
    use crate::rt::Rng;

    #[test]
    fn ranges_follow_the_order_written() {
        let weights = Weights::new([("a", 20), ("b", 0), ("c", 80)]).expect("valid");
        let picked = [0, 19, 20, 99, 100].map(|roll| *weights.pick(roll));
        assert_eq!(picked, ["a", "a", "c", "c", "a"]);
        let listed: Vec<_> = weights.iter().collect();
        assert_eq!(listed, [(&"a", 20), (&"c", 80)]);
    }

    #[test]
    fn a_single_destination_ignores_its_weight() {
        let weights = Weights::new([("a", 0)]).expect("valid");
        assert_eq!(*weights.pick(u64::MAX), "a");
    }

    #[test]
    fn sums_are_checked() {
        let none: [(&str, u32); 0] = [];
        assert_eq!(Weights::new(none), Err(InvalidWeights::Zero));
        assert_eq!(
            Weights::new([("a", 0), ("b", 0)]),
            Err(InvalidWeights::Zero)
        );
        let large = [("a", u32::MAX), ("b", 1)];
        assert_eq!(Weights::new(large), Err(InvalidWeights::Overflow));
    }

    /// A million picks; the alarm stands at five standard deviations, p < 1e-6.
    #[test]
    fn shares_are_kept() {
        let rng = Rng::seeded(1);
        let weights = Weights::new([(0_usize, 33), (1, 33), (2, 34), (3, 1)]).expect("valid");
        let n = 1_000_000;
        let mut seen = [0_u32; 4];
        for _ in 0..n {
            seen[*weights.pick(rng.next_u64())] += 1;
        }
        for ((_, weight), seen) in weights.iter().zip(seen) {
            let share = f64::from(weight) / 101.0;
            let deviation = (f64::from(n) * share * (1.0 - share)).sqrt();
            let off = (f64::from(seen) - f64::from(n) * share).abs();
            assert!(off < 5.0 * deviation, "{weight}: {seen}");
        }
    }
}
