//! A ring of hashes (Ketama): a key goes to the endpoint whose hash is the next on the ring.

use twox_hash::XxHash64;

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
        let total: f64 = endpoints.iter().map(|(_, weight)| f64::from(*weight)).sum();
        let share = |(name, weight): &(_, u32)| {
            let name: &str = AsRef::as_ref(name);
            (name.to_owned(), f64::from(*weight) / total)
        };
        let shares: Vec<_> = endpoints.iter().map(share).collect();
        Self::of_shares(&shares, minimum)
    }

    /// The same for shares of the whole.
    pub(super) fn of_shares(endpoints: &[(String, f64)], minimum: u64) -> Self {
        let shares = endpoints.iter().map(|(_, share)| *share);
        let least = shares.filter(|it| *it > 0.0);
        let least = least.fold(1.0, f64::min);
        let scale = ((least * minimum as f64).ceil() / least).min(MAXIMUM_RING_SIZE as f64);
        let mut ring = Vec::new();
        let (mut made, mut wanted) = (0.0, 0.0);
        let mut key = Vec::new();
        for (place, (name, share)) in endpoints.iter().enumerate() {
            wanted += scale * share;
            let mut n = 0_u64;
            while made < wanted {
                key.clear();
                key.extend_from_slice(name.as_bytes());
                key.extend_from_slice(format!("_{n}").as_bytes());
                ring.push((hash(&key), place as u32));
                n += 1;
                made += 1.0;
            }
        }
        ring.sort_unstable();
        let ring = ring.into();
        Self { ring }
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
