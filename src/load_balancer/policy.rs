//! The balancer of a destination, as data.

use super::locality::LocalityPolicy;
use super::warmup::Warmup;

/// How one of a destination's endpoints is chosen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Algorithm {
    /// `LEAST_REQUEST`, also `LEAST_CONN` and nothing at all: of two drawn at random the one with
    /// fewer requests under way; where weights differ, turns by `weight / (under way + 1)`.
    #[default]
    LeastRequest,
    /// `ROUND_ROBIN`: one after the other; where weights differ, turns by weight.
    RoundRobin,
    /// `RANDOM`: any, whatever its weight.
    Random,
    /// `PASSTHROUGH`: none of them, but the address the request was sent to.
    Passthrough,
    /// `consistentHash`, as a ring.
    RingHash {
        /// How many hashes the ring has at least; 1024 unless told, 8 388 608 at most.
        minimum_ring_size: u64,
    },
    /// `consistentHash.maglev`.
    Maglev {
        /// How many slots the table has, a prime or the next one; 65 537 unless told, 5 000 011
        /// at most.
        table_size: u64,
    },
}

impl Algorithm {
    /// Its name to Istio; `RING_HASH` and `MAGLEV`, as Envoy calls them, for `consistentHash`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LeastRequest => "LEAST_REQUEST",
            Self::RoundRobin => "ROUND_ROBIN",
            Self::Random => "RANDOM",
            Self::Passthrough => "PASSTHROUGH",
            Self::RingHash { .. } => "RING_HASH",
            Self::Maglev { .. } => "MAGLEV",
        }
    }

    /// Whether it goes by a key of the request.
    #[must_use]
    pub const fn is_by_hash(self) -> bool {
        matches!(self, Self::RingHash { .. } | Self::Maglev { .. })
    }
}

/// `trafficPolicy.loadBalancer` of a destination.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LoadBalancerPolicy {
    /// How an endpoint is chosen.
    pub algorithm: Algorithm,
    /// With fewer of the endpoints left in than this, in percent, all are used; never when 0. Istio
    /// writes it as `outlierDetection.minHealthPercent`.
    pub panic_threshold: u32,
    /// Which endpoints come first, and the shares of localities; nothing where place does not count.
    pub locality: Option<Box<LocalityPolicy>>,
    /// How new endpoints come to their share, with `LEAST_REQUEST` and `ROUND_ROBIN`; at once where
    /// there is nothing.
    pub warmup: Option<Warmup>,
}

impl LoadBalancerPolicy {
    /// A policy of this algorithm and nothing else.
    #[must_use]
    pub const fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            panic_threshold: 0,
            locality: None,
            warmup: None,
        }
    }
}
