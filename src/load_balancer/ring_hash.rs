//! A ring of hashes (Ketama): a key goes to the endpoint whose hash is the next on the ring.

use std::fmt::Write as _;

use twox_hash::XxHash64;

use super::moved::Moved;

/// A ring made exactly as Envoy makes it, so that both send a key to the same endpoint.
#[derive(Debug)]
pub struct RingHash {
    /// Hashes in ascending order, each with the place of its endpoint.
    ring: Box<[(u64, u32)]>,
}

/// The most hashes a ring may have.
pub(super) const MAXIMUM_RING_SIZE: u64 = 8 << 20;

impl RingHash {
    /// A ring of at least `minimum` hashes over endpoints, given by key (`ip:port`) and weight.
    ///
    /// ```
    /// use tower_mesh::load_balancer::{RingHash, hash};
    ///
    /// let ring = RingHash::new(&[("10.0.0.1:80", 1), ("10.0.0.2:80", 1)], 1024);
    /// assert_eq!(ring.pick(hash(b"user-1"), 0), ring.pick(hash(b"user-1"), 0));
    /// ```
    #[must_use]
    pub fn new(endpoints: &[(impl AsRef<str>, u32)], minimum: u64) -> Self {
        let (shares, name) = keyed(endpoints);
        Self::of_shares(&shares, name, minimum, None)
    }

    /// The same for shares of the whole; `name` gives the key of an endpoint. What another ring was
    /// `before` is not worked out anew for endpoints that have as many hashes as they had there.
    pub(super) fn of_shares(
        shares: &[f64],
        name: impl Fn(usize) -> String,
        minimum: u64,
        before: Option<(&Self, &Moved)>,
    ) -> Self {
        let there = shares.iter().copied().filter(|it| *it > 0.0);
        let least = there.fold(1.0, f64::min);
        let scale = ((least * minimum as f64).ceil() / least).min(MAXIMUM_RING_SIZE as f64);
        let (mut made, mut wanted) = (0.0, 0.0);
        let count = |share: &f64| {
            wanted += scale * share;
            let mut count = 0;
            while made < wanted {
                count += 1;
                made += 1.0;
            }
            count
        };
        let counts: Vec<u32> = shares.iter().map(count).collect();
        let mut ring = match before {
            Some((before, moved)) => before.of_unchanged(moved, &counts),
            None => Vec::new(),
        };
        let mut there = vec![false; counts.len()];
        for (_, place) in &ring {
            if let Some(there) = there.get_mut(*place as usize) {
                *there = true;
            }
        }
        let mut fresh = Vec::new();
        let mut key = String::new();
        for (place, (count, _)) in counts.iter().zip(&there).enumerate().filter(|it| !it.1.1) {
            let name = name(place);
            for n in 0..*count {
                key.clear();
                // Writing to a string cannot fail.
                let _ = write!(key, "{name}_{n}");
                fresh.push((hash(key.as_bytes()), place as u32));
            }
        }
        fresh.sort_unstable();
        ring.append(&mut fresh);
        // Finds the two runs and puts one into the other.
        ring.sort();
        let ring = ring.into();
        Self { ring }
    }

    /// The hashes of endpoints that have as many now, by their places now.
    fn of_unchanged(&self, moved: &Moved, counts: &[u32]) -> Vec<(u64, u32)> {
        let mut had = vec![0_u32; moved.places.len()];
        for (_, place) in &self.ring {
            if let Some(had) = had.get_mut(*place as usize) {
                *had += 1;
            }
        }
        let now = |place: u32| {
            let now = moved.now(place)?;
            let same = counts.get(now as usize) == had.get(place as usize);
            same.then_some(now)
        };
        let hashes = self.ring.iter();
        hashes
            .filter_map(|(hash, place)| Some((*hash, now(*place)?)))
            .collect()
    }

    /// The place of the endpoint for a hash; a retry goes on along the ring.
    #[must_use]
    pub fn pick(&self, hash: u64, attempt: u32) -> Option<usize> {
        let first = self.ring.partition_point(|(it, _)| *it < hash);
        let place = (first + attempt as usize).checked_rem(self.ring.len())?;
        let (_, endpoint) = self.ring.get(place)?;
        Some(*endpoint as usize)
    }

    /// The endpoint of each hash.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> + '_ {
        self.ring.iter().map(|(_, place)| *place)
    }

    /// How many hashes the ring has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.ring.len()
    }
}

/// Hashes a key as Envoy does: XXH64 with seed 0.
#[must_use]
pub fn hash(key: &[u8]) -> u64 {
    XxHash64::oneshot(0, key)
}

/// The shares of endpoints given by key and weight, and the key of each by its place.
pub(super) fn keyed(endpoints: &[(impl AsRef<str>, u32)]) -> (Vec<f64>, impl Fn(usize) -> String) {
    let total: f64 = endpoints.iter().map(|(_, weight)| f64::from(*weight)).sum();
    let shares = endpoints
        .iter()
        .map(|(_, weight)| f64::from(*weight) / total);
    let name = |place: usize| {
        let key = endpoints.get(place);
        key.map_or_else(String::new, |(key, _)| key.as_ref().to_owned())
    };
    (shares.collect(), name)
}
