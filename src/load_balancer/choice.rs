//! How one endpoint of many is chosen, with what is worked out for that beforehand.

use super::policy::Algorithm;
use super::schedule::{self, Schedule};
use super::turns::{Rotation, Turns};
use super::{Maglev, RingHash};
use crate::endpoint::Endpoint;

/// How to choose, with what is worked out for the endpoints there are.
#[derive(Debug)]
pub(super) enum Choice {
    Random,
    LeastRequest,
    /// By weight and requests under way.
    LeastRequestTurns(Turns),
    Rotation(Rotation),
    /// By weight, all turns of a round written out.
    Round(Rotation, Box<[u32]>),
    /// By weight, where a round is too long for that.
    Turns(Turns),
    RingHash(RingHash),
    Maglev(Maglev),
}

impl Choice {
    pub(super) fn new(
        algorithm: Algorithm,
        endpoints: &[Endpoint],
        shares: Option<&[f64]>,
        start: impl FnOnce() -> usize,
    ) -> Self {
        let mut weights = endpoints.iter().map(Endpoint::weight);
        let first = weights.next();
        let even = weights.all(|it| Some(it) == first);
        let total = endpoints
            .iter()
            .map(|it| f64::from(it.weight()))
            .sum::<f64>();
        let keyed = || -> Vec<(String, f64)> {
            let keyed = |(n, it): (usize, &Endpoint)| {
                let share = shares.and_then(|it| it.get(n).copied());
                let share = share.unwrap_or_else(|| f64::from(it.weight()) / total);
                (it.address().to_string(), share)
            };
            endpoints.iter().enumerate().map(keyed).collect()
        };
        match algorithm {
            Algorithm::Random | Algorithm::Passthrough => Self::Random,
            Algorithm::LeastRequest if even => Self::LeastRequest,
            Algorithm::LeastRequest => Self::LeastRequestTurns(turns(endpoints, start())),
            Algorithm::RoundRobin if even => Self::Rotation(Rotation::new(start())),
            Algorithm::RoundRobin => {
                let weights: Vec<u32> = endpoints.iter().map(Endpoint::weight).collect();
                match schedule::round(&weights) {
                    Some(round) => Self::Round(Rotation::new(start()), round),
                    None => Self::Turns(turns(endpoints, start())),
                }
            }
            Algorithm::RingHash { minimum_ring_size } => {
                Self::RingHash(RingHash::of_shares(&keyed(), minimum_ring_size))
            }
            Algorithm::Maglev { table_size } => {
                Self::Maglev(Maglev::of_shares(&keyed(), table_size))
            }
        }
    }
}

/// Turns by weight, some of the first ones skipped.
fn turns(endpoints: &[Endpoint], start: usize) -> Turns {
    let weight = |place: usize| {
        endpoints
            .get(place)
            .map_or(1.0, |it| f64::from(it.weight()))
    };
    let mut schedule = Schedule::new((0..endpoints.len()).map(weight));
    for _ in 0..start.checked_rem(endpoints.len()).unwrap_or_default() {
        schedule.next(|place| weight(place as usize));
    }
    Turns::of(schedule)
}
