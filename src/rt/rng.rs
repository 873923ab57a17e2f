//! One source of randomness for every decision that rolls dice.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng as _;
use rand::rngs::SmallRng;

thread_local! {
    static DICE: RefCell<SmallRng> = RefCell::new(rand::make_rng());
}

/// A cheap, cloneable stream of random numbers.
///
/// [`Rng::default`] draws from a generator of the calling thread, seeded by the
/// operating system, so threads share nothing. [`Rng::seeded`] is one repeatable
/// stream that all clones draw from, which is what tests and simulations want.
/// Not fit for secrets.
#[derive(Clone, Debug, Default)]
pub struct Rng {
    seeded: Option<Arc<AtomicU64>>,
}

impl Rng {
    /// A stream that yields the same numbers on every run.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seeded: Some(Arc::new(AtomicU64::new(seed))),
        }
    }

    /// Other dice, which repeat where these do and take nothing from them.
    pub(crate) fn beside(&self) -> Self {
        const ELSEWHERE: u64 = 0x5DEE_CE66_D1CE_4E5B;
        let state = self.seeded.as_ref().map(|it| it.load(Ordering::Relaxed));
        state.map_or_else(Self::default, |it| Self::seeded(it ^ ELSEWHERE))
    }

    /// The next number of the stream.
    #[must_use]
    #[inline]
    pub fn next_u64(&self) -> u64 {
        match &self.seeded {
            Some(state) => split_mix(state),
            None => DICE.with_borrow_mut(|dice| dice.next_u64()),
        }
    }
}

/// SplitMix64: a Weyl sequence, then two rounds of mixing; one atomic add keeps clones apart.
fn split_mix(state: &AtomicU64) -> u64 {
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut z = state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn a_seed_repeats_and_clones_share_the_stream() {
        let (a, b) = (Rng::seeded(7), Rng::seeded(7));
        let clone = a.clone();
        let drawn = [a.next_u64(), clone.next_u64(), a.next_u64()];
        assert_eq!(drawn, [b.next_u64(), b.next_u64(), b.next_u64()]);
    }

    #[test]
    fn dice_beside_repeat_and_roll_otherwise() {
        let dice = || Rng::seeded(7);
        let (one, beside) = (dice(), dice().beside());
        let first = one.beside().next_u64();
        assert_eq!(first, beside.next_u64());
        assert_eq!(one.next_u64(), dice().next_u64(), "nothing was taken");
        assert_ne!(first, dice().next_u64(), "and nothing is rolled twice");
    }

    #[test]
    fn without_a_seed_numbers_differ() {
        let rng = Rng::default();
        assert_ne!(rng.next_u64(), rng.next_u64());
    }
}
