//! A Maglev table: a key goes to the endpoint its hash finds in a table all fill in turn.

use twox_hash::XxHash64;

use super::moved::Moved;
use super::ring_hash::keyed;

/// A table made exactly as Envoy makes it, so that both send a key to the same endpoint.
#[derive(Debug)]
pub struct Maglev {
    /// The place of an endpoint in each slot.
    table: Box<[u32]>,
    /// Those that filled it, by their keys.
    orders: Box<[Order]>,
}

/// The size of a table unless told.
pub(super) const DEFAULT_TABLE_SIZE: u64 = 65_537;
/// The largest table.
pub(super) const MAXIMUM_TABLE_SIZE: u64 = 5_000_011;

/// An endpoint's own order of the slots.
#[derive(Clone, Copy, Debug)]
struct Order {
    place: u32,
    offset: u32,
    skip: u32,
}

/// How far down its order an endpoint is.
struct Filler {
    place: u32,
    /// The next slot it asks for.
    slot: usize,
    skip: usize,
    share: f64,
    due: f64,
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
        let (shares, name) = keyed(endpoints);
        Self::of_shares(&shares, name, size, None)
    }

    /// The same for shares of the whole; `name` gives the key of an endpoint. Of endpoints that were
    /// in a table `before` of as many slots, the orders are those of there.
    pub(super) fn of_shares(
        shares: &[f64],
        name: impl Fn(usize) -> String,
        size: u64,
        before: Option<(&Self, &Moved)>,
    ) -> Self {
        let size = prime(size);
        if shares.is_empty() {
            return Self {
                table: Box::default(),
                orders: Box::default(),
            };
        }
        let share = |place: u32| shares.get(place as usize).copied().unwrap_or_default();
        let mut orders: Vec<Order> = Vec::new();
        let mut there = vec![false; shares.len()];
        if let Some((before, moved)) = before.filter(|it| it.0.table.len() as u64 == size) {
            for order in &before.orders {
                let Some(place) = moved.now(order.place) else {
                    continue;
                };
                if let Some(there) = there.get_mut(place as usize) {
                    *there = true;
                }
                orders.push(Order { place, ..*order });
            }
        }
        let order = |(place, _): (usize, &bool)| {
            let name = name(place);
            let order = Order {
                place: place as u32,
                // Both are below the size of the largest table.
                offset: (super::hash(name.as_bytes()) % size) as u32,
                skip: (XxHash64::oneshot(1, name.as_bytes()) % (size - 1) + 1) as u32,
            };
            (name, order)
        };
        let fresh = there.iter().enumerate().filter(|(_, there)| !**there);
        let mut fresh: Vec<(String, Order)> = fresh.map(order).collect();
        fresh.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut orders = merge(&orders, fresh, &name);
        // Only those of one key begin and go on alike, and hardly any others.
        for alike in orders.chunk_by_mut(|a, b| (a.offset, a.skip) == (b.offset, b.skip)) {
            if alike.len() > 1 {
                alike.sort_by(|a, b| {
                    let by_name = name(a.place as usize).cmp(&name(b.place as usize));
                    let by_share = || share(a.place).total_cmp(&share(b.place));
                    by_name.then_with(by_share).then(a.place.cmp(&b.place))
                });
            }
        }
        let filler = |order: &Order| Filler {
            place: order.place,
            slot: order.offset as usize,
            skip: order.skip as usize,
            share: share(order.place),
            due: 0.0,
        };
        let mut fillers: Vec<Filler> = orders.iter().map(filler).collect();
        Self {
            table: fill(&mut fillers, size as usize).into(),
            orders: orders.into(),
        }
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

/// Puts orders among others that are in the order of their keys, as these are.
fn merge(
    orders: &[Order],
    fresh: Vec<(String, Order)>,
    name: impl Fn(usize) -> String,
) -> Vec<Order> {
    let mut merged = Vec::with_capacity(orders.len() + fresh.len());
    let mut rest = orders;
    for (key, order) in fresh {
        let at = rest.partition_point(|it| name(it.place as usize) < key);
        let (before, after) = rest.split_at(at);
        merged.extend_from_slice(before);
        merged.push(order);
        rest = after;
    }
    merged.extend_from_slice(rest);
    merged
}

/// Every endpoint in turn takes its next free slot, one of a lesser weight not in every round.
fn fill(fillers: &mut [Filler], size: usize) -> Vec<u32> {
    const FREE: u32 = u32::MAX;
    let most = fillers.iter().map(|it| it.share).fold(0.0, f64::max);
    let mut table = vec![FREE; size];
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
                let asked = filler.slot;
                filler.slot += filler.skip;
                // Both were less than that.
                if filler.slot >= size {
                    filler.slot -= size;
                }
                if let Some(slot) = table.get_mut(asked)
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
