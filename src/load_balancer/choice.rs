//! How one endpoint of many is chosen, with what is worked out for that beforehand.

use std::sync::OnceLock;

use super::moved::Moved;
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
    /// Of all endpoints side by side, where only parts of them have been asked for so far.
    Later(OnceLock<Box<Self>>),
}

impl Choice {
    pub(super) const fn later() -> Self {
        Self::Later(OnceLock::new())
    }

    /// What there is of it to go on with.
    fn made(&self) -> &Self {
        match self {
            Self::Later(made) => made.get().map_or(self, |it| it),
            made => made,
        }
    }

    pub(super) fn new(
        algorithm: Algorithm,
        endpoints: &[Endpoint],
        shares: Option<&[f64]>,
        start: impl FnOnce() -> usize,
        before: Option<(&Self, &Moved)>,
    ) -> Self {
        let before = before.map(|(it, moved)| (it.made(), moved));
        let mut weights = endpoints.iter().map(Endpoint::weight);
        let first = weights.next();
        let even = weights.all(|it| Some(it) == first);
        let total = endpoints
            .iter()
            .map(|it| f64::from(it.weight()))
            .sum::<f64>();
        let shares = || -> Vec<f64> {
            let share = |it: &Endpoint| f64::from(it.weight()) / total;
            shares.map_or_else(|| endpoints.iter().map(share).collect(), <[f64]>::to_vec)
        };
        let name = |place: usize| {
            let endpoint = endpoints.get(place);
            endpoint.map_or_else(String::new, |it| it.address().to_string())
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
                let before = before.and_then(|(it, moved)| match it {
                    Self::RingHash(ring) => Some((ring, moved)),
                    _ => None,
                });
                let ring = RingHash::of_shares(&shares(), name, minimum_ring_size, before);
                Self::RingHash(ring)
            }
            Algorithm::Maglev { table_size } => {
                let before = before.and_then(|(it, moved)| match it {
                    Self::Maglev(table) => Some((table, moved)),
                    _ => None,
                });
                Self::Maglev(Maglev::of_shares(&shares(), name, table_size, before))
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
