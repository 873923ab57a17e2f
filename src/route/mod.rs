//! `http[].route`: the weighted split over destinations.
//!
//! One roll of the dice decides, once per request; retries stay with what was
//! chosen. With several destinations those of weight 0 are left out and the sum
//! need not be 100; a single destination takes everything, whatever its weight.
//!
//! Source: Istio's `HTTPRouteDestination.weight`, Envoy's `WeightedCluster`. There is no difference
//! from the sidecar, and no layer: the mesh alone chooses between destinations.
//!
//! ```
//! use tower_mesh::route::Weights;
//!
//! let weights = Weights::new([("v1", 90), ("v2", 10)])?;
//! assert_eq!(weights.pick(89), &"v1");
//! assert_eq!(weights.pick(90), &"v2");
//! # Ok::<(), tower_mesh::route::InvalidWeights>(())
//! ```

mod config;
mod weights;

pub(crate) use config::compile;
pub use weights::{InvalidWeights, Weights};
