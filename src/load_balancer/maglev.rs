//! A Maglev table: a key goes to the endpoint its hash finds in a table all fill in turn.

use twox_hash::XxHash64;

/// A table made exactly as Envoy makes it, so that both send a key to the same endpoint.
#[derive(Debug)]
pub struct Maglev {
    /// The place of an endpoint in each slot.
    table: Box<[u32]>,
}

/// The size of a table unless told.
pub(super) const DEFAULT_TABLE_SIZE: u64 = 65_537;
/// The largest table.
pub(super) const MAXIMUM_TABLE_SIZE: u64 = 5_000_011;

/// An endpoint's own order of the slots, and how far down it is.
struct Filler {
    place: u32,
    offset: u64,
    skip: u64,
    share: f64,
    due: f64,
    next: u64,
}

impl Maglev {
    /// A table of `size` slots over endpoints given by key (`ip:port`) and weight. A size that is
    /// no prime is the next that is one, and 5 000 011 is the most there is.
    ///
    /// ```
    /// use tower_mesh::load_balancer::{Maglev, hash};
    ///
    /// let table = Maglev::new(&[("10.0.0.1:80", 1), ("10.0.0.2:80", 1)], 65_537);
    /// assert_eq!(table.pick(hash(b"user-1"), 0), table.pick(hash(b"user-1"), 0));
    /// ```
    #[must_use]
    pub fn new(endpoints: &[(impl AsRef<str>, u32)], size: u64) -> Self {
        let total: f64 = endpoints.iter().map(|(_, weight)| f64::from(*weight)).sum();
        let share = |(name, weight): &(_, u32)| {
            let name: &str = AsRef::as_ref(name);
            (name.to_owned(), f64::from(*weight) / total)
        };
        let shares: Vec<_> = endpoints.iter().map(share).collect();
        Self::of_shares(&shares, size)
    }

    /// The same for shares of the whole.
    pub(super) fn of_shares(endpoints: &[(String, f64)], size: u64) -> Self {
        let size = prime(size);
        let mut sorted: Vec<_> = endpoints.iter().enumerate().collect();
        sorted.sort_by(|(_, (a, x)), (_, (b, y))| a.cmp(b).then(x.total_cmp(y)));
        let filler = |(place, (name, share)): (usize, &(String, f64))| Filler {
            place: place as u32,
            offset: super::hash(name.as_bytes()) % size,
            skip: XxHash64::oneshot(1, name.as_bytes()) % (size - 1) + 1,
            share: *share,
            due: 0.0,
            next: 0,
        };
        let mut table = Vec::new();
        if !endpoints.is_empty() {
            let mut fillers: Vec<Filler> = sorted.into_iter().map(filler).collect();
            table = fill(&mut fillers, size);
        }
        let table = table.into();
        Self { table }
    }

    /// The place of the endpoint for a hash; a retry looks elsewhere.
    #[must_use]
    pub fn pick(&self, hash: u64, attempt: u32) -> Option<usize> {
        let hash = match attempt {
            0 => hash,
            attempt => hash ^ (u64::MAX - u64::from(attempt) + 1),
        };
        let slot = hash.checked_rem(self.table.len() as u64)?;
        self.table.get(slot as usize).map(|place| *place as usize)
    }

    /// The endpoint of each slot.
    pub(super) fn places(&self) -> impl Iterator<Item = u32> + '_ {
        self.table.iter().copied()
    }
}

/// The next prime from a number on. Over another number of slots a walk comes back to where it was
/// before it has seen them all, and might never find a free one.
pub(super) fn prime(size: u64) -> u64 {
    let mut primes = (size.min(MAXIMUM_TABLE_SIZE)..).filter(|it| is_prime(*it));
    primes.next().unwrap_or(DEFAULT_TABLE_SIZE)
}

/// Whether a number is a prime.
pub(super) fn is_prime(number: u64) -> bool {
    number >= 2
        && (2..)
            .take_while(|n| n * n <= number)
            .all(|n| !number.is_multiple_of(n))
}

/// Every endpoint in turn takes its next free slot, one of a lesser weight not in every round.
fn fill(fillers: &mut [Filler], size: u64) -> Vec<u32> {
    const FREE: u32 = u32::MAX;
    let most = fillers.iter().map(|it| it.share).fold(0.0, f64::max);
    let mut table = vec![FREE; size as usize];
    let mut filled = 0;
    let mut round = 1.0;
    loop {
        for filler in &mut *fillers {
            if filled == size {
                return table;
            }
            if round * filler.share < filler.due {
                continue;
            }
            filler.due += most;
            loop {
                let slot = (filler.offset + filler.skip * filler.next) % size;
                filler.next += 1;
                if let Some(slot) = table.get_mut(slot as usize)
                    && *slot == FREE
                {
                    *slot = filler.place;
                    break;
                }
            }
            filled += 1;
        }
        round += 1.0;
    }
}
