//! One destination's balancer: its endpoints, and what is worked out for them beforehand.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::choice::Choice;
use super::least_request;
use super::locality::Group;
use super::moved::Moved;
use super::policy::{Algorithm, LoadBalancerPolicy};
use super::spread::{PartOf, Spread};
use super::status::TableStatus;
use super::warmup::Warming;
use crate::endpoint::Endpoint;
use crate::rt::Rng;

/// The endpoints of a destination and the balancer that picks among them.
///
/// A pick takes `&self`, allocates nothing and takes the same time for three endpoints as for ten
/// thousand; where weights differ under `LEAST_REQUEST` its time grows with the logarithm of
/// their number. Threads that meet while they take turns go on with turns of their own.
///
/// ```
/// use std::sync::Arc;
/// use tower_mesh::endpoint::{Address, Endpoint};
/// use tower_mesh::load_balancer::{Algorithm, LoadBalancer, LoadBalancerPolicy, Pick};
/// use tower_mesh::rt::Rng;
///
/// let endpoint = |port| Endpoint::new(Address::new("127.0.0.1", port), Arc::default());
/// let policy = LoadBalancerPolicy::new(Algorithm::RoundRobin);
/// let balancer = LoadBalancer::new(policy, vec![endpoint(1), endpoint(2)], &Rng::default());
/// let mut pick = || balancer.pick(Pick::rolled(7)).map(|it| balancer.endpoints()[it].address());
/// assert_ne!(pick(), pick());
/// ```
#[derive(Debug)]
pub struct LoadBalancer {
    policy: LoadBalancerPolicy,
    endpoints: Arc<[Endpoint]>,
    pub(super) choice: Choice,
    dice: Rng,
    /// Whether there is something in `spread` or `warming`, for picks that need not look.
    special: AtomicBool,
    /// The endpoints in use where some are out or come before others.
    pub(super) spread: ArcSwapOption<Spread>,
    /// While there are new endpoints.
    warming: Option<Box<Warming>>,
    refreshing: Mutex<()>,
}

/// What a pick goes by.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Pick {
    /// A roll of the dice.
    pub roll: u64,
    /// The hash of the request's key, where it has one.
    pub hash: Option<u64>,
    /// Counts the picks for one try, from 0: each further one looks elsewhere.
    pub again: u32,
}

impl Pick {
    /// A pick by a roll of the dice alone.
    #[must_use]
    pub const fn rolled(roll: u64) -> Self {
        Self {
            roll,
            hash: None,
            again: 0,
        }
    }

    /// The same for a request with a key.
    #[must_use]
    pub const fn hash(mut self, hash: Option<u64>) -> Self {
        self.hash = hash;
        self
    }

    /// The same, after so many other picks for the same try.
    #[must_use]
    pub const fn again(mut self, again: u32) -> Self {
        self.again = again;
        self
    }
}

impl LoadBalancer {
    /// A balancer over these endpoints. Dice are rolled where there are turns to take, so that many
    /// clients do not all begin with the first endpoint.
    #[must_use]
    pub fn new(
        policy: LoadBalancerPolicy,
        endpoints: impl Into<Arc<[Endpoint]>>,
        dice: &Rng,
    ) -> Self {
        Self::starting(policy, endpoints.into(), dice.clone(), None, None)
    }

    /// The same over other endpoints; a rotation goes on where it is.
    #[must_use]
    pub fn with_endpoints(&self, endpoints: impl Into<Arc<[Endpoint]>>) -> Self {
        let (policy, dice) = (self.policy.clone(), self.dice.clone());
        Self::starting(policy, endpoints.into(), dice, self.turn(), Some(self))
    }

    fn turn(&self) -> Option<usize> {
        match &self.choice {
            Choice::Rotation(turn) | Choice::Round(turn, _) => Some(turn.now()),
            _ => None,
        }
    }

    pub(super) fn starting(
        policy: LoadBalancerPolicy,
        endpoints: Arc<[Endpoint]>,
        dice: Rng,
        turn: Option<usize>,
        before: Option<&Self>,
    ) -> Self {
        let placed = policy.locality.is_some();
        // With places rings and tables are those of parts, nearly always.
        let later = placed && policy.algorithm.is_by_hash();
        let choice = later.then(Choice::later);
        let mut balancer = Self::side_by_side(policy, endpoints, dice, turn, choice, None, before);
        if placed {
            let spread = before.map(|it| it.spread.load());
            balancer.refresh_after(spread.as_ref().and_then(|it| it.as_deref()));
        }
        if later && balancer.spread.load().is_none() {
            balancer.choice = balancer.whole(before);
        }
        balancer
    }

    /// What all endpoints side by side are chosen by.
    fn whole(&self, before: Option<&Self>) -> Choice {
        let start = || self.dice.next_u64() as usize;
        made(self.policy.algorithm, &self.endpoints, None, start, before)
    }

    /// A balancer that knows no places; `shares` stand for weights on rings and in tables. What
    /// stands in rings and tables of `before` is used again.
    fn side_by_side(
        policy: LoadBalancerPolicy,
        endpoints: Arc<[Endpoint]>,
        dice: Rng,
        turn: Option<usize>,
        choice: Option<Choice>,
        shares: Option<&[f64]>,
        before: Option<&Self>,
    ) -> Self {
        let start = || turn.unwrap_or_else(|| dice.next_u64() as usize);
        let algorithm = policy.algorithm;
        let choice = choice.unwrap_or_else(|| made(algorithm, &endpoints, shares, start, before));
        let warms = matches!(
            policy.algorithm,
            Algorithm::LeastRequest | Algorithm::RoundRobin
        );
        let warmup = policy.warmup.filter(|_| warms);
        let warming = warmup.and_then(|it| Warming::new(it, &endpoints, Instant::now()));
        Self {
            policy,
            endpoints,
            choice,
            dice,
            special: AtomicBool::new(warming.is_some()),
            spread: ArcSwapOption::empty(),
            warming: warming.map(Box::new),
            refreshing: Mutex::new(()),
        }
    }

    /// How it balances.
    #[must_use]
    pub const fn policy(&self) -> &LoadBalancerPolicy {
        &self.policy
    }

    /// What it rolls.
    pub(crate) const fn dice(&self) -> &Rng {
        &self.dice
    }

    /// The endpoints, in the order picks count them.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The place of the endpoint a request is to go to; nothing where there is none.
    #[must_use]
    pub fn pick(&self, pick: Pick) -> Option<usize> {
        if self.special.load(Ordering::Relaxed) {
            return self.pick_specially(pick);
        }
        self.choose(pick)
    }

    /// The same for a try that leaves the priorities of earlier ones, whose endpoints' places are
    /// given in their order: `retryRemoteLocalities`. It changes nothing where there is one
    /// priority, or fewer than two tries.
    #[must_use]
    pub fn pick_elsewhere(&self, pick: Pick, tried: &[u32]) -> Option<usize> {
        match &*self.spread.load() {
            Some(spread) => spread.pick_elsewhere(pick, tried),
            None => self.pick(pick),
        }
    }

    /// Apart, so that what it needs is not set up for every pick.
    #[inline(never)]
    fn pick_specially(&self, pick: Pick) -> Option<usize> {
        if let Some(spread) = &*self.spread.load() {
            return spread.pick(pick);
        }
        let Some(warming) = &self.warming else {
            return self.choose(pick);
        };
        let now = Instant::now();
        if warming.until <= now {
            if let Ok(_refreshing) = self.refreshing.try_lock() {
                let spread = self.spread.load().is_some();
                self.special.store(spread, Ordering::Relaxed);
            }
            return self.choose(pick);
        }
        warming.turns.next(|place| {
            let Some(endpoint) = self.endpoints.get(place as usize) else {
                return 1.0;
            };
            let busy = match self.policy.algorithm {
                Algorithm::LeastRequest => f64::from(endpoint.active()),
                _ => 0.0,
            };
            warming.weight(endpoint, now) / (busy + 1.0)
        })
    }

    /// Takes note of which endpoints are left out now.
    pub fn refresh(&self) {
        self.refresh_after(self.spread.load().as_deref());
    }

    /// The same; rings and tables of `before` are used again.
    fn refresh_after(&self, before: Option<&Spread>) {
        let _refreshing = self
            .refreshing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let groups = match &self.policy.locality {
            Some(locality) => Some(locality.groups(&self.endpoints)),
            None if self.endpoints.iter().all(|it| !it.is_ejected()) => None,
            None => Some(vec![Group {
                priority: 0,
                weight: 1,
                places: (0..self.endpoints.len() as u32).collect(),
            }]),
        };
        let locality = self.policy.locality.as_ref();
        let detects = locality.is_none_or(|it| it.detects);
        let zones = locality.and_then(|it| it.zones.as_ref());
        // The first time the rotation goes on; later it is that of parts, and begins anywhere.
        let is_first = self.spread.load().is_none();
        let turn = self.turn().filter(|_| is_first);
        let mut policy = self.policy.clone();
        policy.locality = None;
        let balance = |of: PartOf, endpoints: Arc<[Endpoint]>, shares: Option<&[f64]>| {
            let (dice, turn) = (self.dice.clone(), turn);
            let before = before.and_then(|it| it.part(of)).unwrap_or(self);
            Self::side_by_side(
                policy.clone(),
                endpoints,
                dice,
                turn,
                None,
                shares,
                Some(before),
            )
        };
        let (threshold, by_hash) = (policy.panic_threshold, policy.algorithm.is_by_hash());
        let endpoints = (&*self.endpoints, detects);
        let spread =
            groups.and_then(|it| Spread::new(endpoints, (it, zones), threshold, by_hash, balance));
        let special = spread.is_some() || self.warming.is_some();
        self.spread.store(spread.map(Arc::new));
        self.special.store(special, Ordering::Relaxed);
    }

    /// Apart, for it is made once and seldom asked.
    #[inline(never)]
    fn choose_later(&self, made: &OnceLock<Box<Choice>>, pick: Pick) -> Option<usize> {
        self.choose_by(made.get_or_init(|| Box::new(self.whole(None))), pick)
    }

    fn choose(&self, pick: Pick) -> Option<usize> {
        self.choose_by(&self.choice, pick)
    }

    /// Every request picks, and would pay for a call.
    #[inline(always)]
    fn choose_by(&self, choice: &Choice, pick: Pick) -> Option<usize> {
        let endpoints = &*self.endpoints;
        match choice {
            Choice::LeastRequest => least_request(endpoints, pick.roll),
            Choice::Rotation(turn) => turn.next(endpoints.len()),
            Choice::Round(turn, round) => turn.next_in(round),
            Choice::Random => {
                // The high half of a product: as even as the roll is.
                let place = (u128::from(pick.roll) * endpoints.len() as u128) >> 64;
                (!endpoints.is_empty()).then_some(place as usize)
            }
            Choice::RingHash(ring) => ring.pick(pick.hash.unwrap_or(pick.roll), pick.again),
            Choice::Maglev(table) => table.pick(pick.hash.unwrap_or(pick.roll), pick.again),
            Choice::Later(made) => self.choose_later(made, pick),
            Choice::Turns(turns) => turns.next(|place| self.weight(place)),
            Choice::LeastRequestTurns(turns) => turns.next(|place| {
                let active = endpoints.get(place as usize).map_or(0, Endpoint::active);
                self.weight(place) / (f64::from(active) + 1.0)
            }),
        }
    }

    pub(super) fn warms_up(&self) -> bool {
        let warming = self.warming.as_ref();
        warming.is_some_and(|it| Instant::now() < it.until)
    }

    /// The ring or table it goes by.
    pub(super) fn table(&self) -> Option<TableStatus> {
        match &self.choice {
            Choice::RingHash(ring) => Some(TableStatus::of(ring.places())),
            Choice::Maglev(table) => Some(TableStatus::of(table.places())),
            _ => None,
        }
    }

    fn weight(&self, place: u32) -> f64 {
        let endpoint = self.endpoints.get(place as usize);
        endpoint.map_or(1.0, |it| f64::from(it.weight()))
    }
}

/// What these endpoints are chosen by; what stands in the ring or table of `before` is used again.
fn made(
    algorithm: Algorithm,
    endpoints: &[Endpoint],
    shares: Option<&[f64]>,
    start: impl FnOnce() -> usize,
    before: Option<&LoadBalancer>,
) -> Choice {
    let before = before.filter(|_| algorithm.is_by_hash());
    let before = before.map(|it| (&it.choice, Moved::of(&it.endpoints, endpoints)));
    let before = before.as_ref().map(|(choice, moved)| (*choice, moved));
    Choice::new(algorithm, endpoints, shares, start, before)
}
