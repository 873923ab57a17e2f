//! Doors to the outside world, shut in tests: dice here, and all time is tokio's.

mod connecting;
mod late;
mod later;
mod rng;
mod shard;
mod timer;
mod wall_clock;

pub(crate) use connecting::{expect_connected, is_connecting, say_connecting};
pub(crate) use late::{Left, drop_late, is_late, leave};
#[cfg(feature = "client")]
pub(crate) use later::FAR;
pub(crate) use later::later;
pub use rng::Rng;
pub(crate) use shard::{SHARDS, shard};
pub use timer::Timer;
pub(crate) use wall_clock::WallClock;
