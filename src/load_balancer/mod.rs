//! `trafficPolicy.loadBalancer`: which endpoint of a destination a request goes to.
//!
//! | written | how |
//! |---|---|
//! | nothing, `LEAST_REQUEST`, `LEAST_CONN` | of two drawn at random, with replacement, the one with fewer requests under way, of two equals the first |
//! | `ROUND_ROBIN` | one after the other, beginning anywhere |
//! | `RANDOM` | any, whatever its weight |
//! | `PASSTHROUGH` | the address the request was sent to |
//! | `consistentHash` | the endpoint the request's key leads to, on a ring or in a Maglev table; any, where the request has no key |
//!
//! Where the weights of endpoints differ, `ROUND_ROBIN` gives turns by weight, and
//! `LEAST_REQUEST` turns by `weight / (under way + 1)`. Rings and tables are those
//! Envoy makes of the same endpoints, so both send a key to the same one.
//!
//! Endpoints that outlier detection has left out are not picked. Where none is left
//! there is nothing to pick, unless a panic threshold says that all are used then.
//!
//! # Place
//!
//! With `outlierDetection` endpoints near the client come first: those of its subzone, then of its
//! zone, its region, and all others (`failover`, `failoverPriority`). A priority keeps all its
//! requests while at least five of seven of its endpoints are left in, for they count as 1.4 times
//! as many; beyond that the next one gets the rest, in whole percents. The panic threshold holds
//! for each priority. `distribute` gives localities shares and the others nothing. A balancer
//! without such settings is none the slower.
//!
//! `zoneAwareLbSetting` has regions come one after the other, the client's first, and divides what
//! the first gets among its zones: as much stays in the client's own as [`ZoneAware`] says.
//!
//! # Warm-up
//!
//! For the time of `warmup` an endpoint that was not there before gets
//! `max(minimumPercent, (age / duration)^(1 / aggression))` of its share. Picks take turns by weight
//! until all are warm. An endpoint that outlier detection lets back does not warm up again.
//!
//! # Retries
//!
//! A retry asks again where it gets an endpoint that was tried before, up to five
//! times, and then takes what it gets. A request is counted from when it begins
//! until its response body ends or is dropped.
//!
//! Turns are those of all threads together, in strict order, for as long as threads
//! hardly ever meet while they take one. Once they have met 64 times, each thread
//! takes turns of its own, as each of Envoy's workers does from the start, and no
//! thread waits for what another writes.
//!
//! Source: Istio's `LoadBalancerSettings`, Envoy's `lb_policy` of a cluster and
//! `hash_policy` of a route.

mod balancer;
mod choice;
mod config;
mod hash_policy;
mod least_request;
mod locality;
mod maglev;
mod moved;
mod policy;
mod priorities;
mod ring_hash;
mod schedule;
mod spread;
mod status;
#[cfg(test)]
mod tests;
mod turns;
mod warmup;
mod zones;

pub use balancer::{LoadBalancer, Pick};
pub(crate) use config::{compile, hash_policy};
pub use hash_policy::{HashCookie, HashPolicy, Keyed, hash_request};
pub use least_request::least_request;
pub use locality::{Failover, LocalityPolicy};
pub(crate) use locality::{check_zones, compile as compile_locality, compile_zones};
pub use maglev::Maglev;
pub use policy::{Algorithm, LoadBalancerPolicy};
pub use ring_hash::{RingHash, hash};
pub use status::{BalancerStatus, PriorityStatus, TableStatus};
pub use warmup::Warmup;
pub use zones::ZoneAware;
