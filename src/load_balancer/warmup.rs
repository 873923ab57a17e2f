//! `warmup`: new endpoints get their share little by little.

use std::time::Duration;

use tokio::time::Instant;

use super::turns::Turns;
use crate::api;
use crate::endpoint::Endpoint;

/// How the share of a new endpoint grows.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Warmup {
    /// How long it takes.
    pub duration: Duration,
    /// The least share, in percent of the full one; 10 unless told.
    pub minimum_percent: f64,
    /// The shape of the curve: 1, a straight line, unless told; with more, shares grow faster at
    /// first.
    pub aggression: f64,
}

impl Warmup {
    /// The usual curve over this time.
    #[must_use]
    pub const fn new(duration: Duration) -> Self {
        Self {
            duration,
            minimum_percent: 10.0,
            aggression: 1.0,
        }
    }

    /// The part of its full share that an endpoint of this age gets.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_mesh::load_balancer::Warmup;
    ///
    /// let warmup = Warmup::new(Duration::from_secs(60));
    /// assert_eq!(warmup.factor(Duration::ZERO), 0.1);
    /// assert_eq!(warmup.factor(Duration::from_secs(30)), 0.5);
    /// assert_eq!(warmup.factor(Duration::from_secs(60)), 1.0);
    /// ```
    #[must_use]
    pub fn factor(&self, age: Duration) -> f64 {
        if age >= self.duration {
            return 1.0;
        }
        let age = age.max(Duration::from_millis(1)).as_secs_f64();
        let grown = (age / self.duration.as_secs_f64()).powf(self.aggression.recip());
        // A share of nothing would never come to its turn.
        grown.max(self.minimum_percent / 100.0).clamp(1e-6, 1.0)
    }
}

/// The warm-up that is written, if one is.
pub(super) fn compile(written: &api::LoadBalancerSettings) -> Option<Warmup> {
    let Some(own) = &written.warmup else {
        return written.warmup_duration_secs.map(Warmup::new);
    };
    let usual = Warmup::new(own.duration?);
    Some(Warmup {
        minimum_percent: own.minimum_percent.unwrap_or(usual.minimum_percent),
        aggression: own.aggression.unwrap_or(usual.aggression),
        ..usual
    })
}

/// Turns while endpoints warm up, by weights that grow.
#[derive(Debug)]
pub(super) struct Warming {
    warmup: Warmup,
    /// When the last of the endpoints is warm.
    pub(super) until: Instant,
    pub(super) turns: Turns,
}

impl Warming {
    /// Nothing where all are warm.
    pub(super) fn new(warmup: Warmup, endpoints: &[Endpoint], now: Instant) -> Option<Self> {
        let since = endpoints.iter().map(|it| it.known_since(now));
        let until = since.max()?.checked_add(warmup.duration)?;
        if until <= now {
            return None;
        }
        let weight = |it: &Endpoint| {
            let age = now.saturating_duration_since(it.known_since(now));
            f64::from(it.weight()) * warmup.factor(age)
        };
        let turns = Turns::new(endpoints.iter().map(weight));
        Some(Self {
            warmup,
            until,
            turns,
        })
    }

    /// The weight of an endpoint just now.
    pub(super) fn weight(&self, endpoint: &Endpoint, now: Instant) -> f64 {
        let age = now.saturating_duration_since(endpoint.known_since(now));
        f64::from(endpoint.weight()) * self.warmup.factor(age)
    }
}
