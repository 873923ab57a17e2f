//! Doors to the outside world, shut in tests: dice here, and all time is tokio's.

mod late;
mod later;
mod rng;
mod timer;
mod wall_clock;

pub(crate) use late::{drop_late, is_late};
pub(crate) use later::later;
pub use rng::Rng;
pub use timer::Timer;
pub(crate) use wall_clock::WallClock;
