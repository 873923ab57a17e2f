//! Doors to the outside world, shut in tests: dice here, and all time is tokio's.

mod rng;

pub use rng::Rng;
