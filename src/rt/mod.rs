//! Doors to the outside world, shut in tests: dice here, and all time is tokio's.

mod rng;
mod timer;

pub use rng::Rng;
pub use timer::Timer;
