//! Doors to the outside world, shut in tests: dice here, and all time is tokio's.

mod late;
mod rng;
mod timer;

pub(crate) use late::{drop_late, is_late};
pub use rng::Rng;
pub use timer::Timer;
