//! Which of a few shards a thread keeps to, for what all threads would else write to.

use std::sync::atomic::{AtomicUsize, Ordering};

/// More than cores of most machines; two threads on one shard are slower, not wrong.
pub(crate) const SHARDS: usize = 32;

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Threads take the shards in turn.
    static SHARD: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
}

/// The shard of this thread, below [`SHARDS`].
pub(crate) fn shard() -> usize {
    // The remainder says so to the compiler, too.
    SHARD.with(|place| *place) % SHARDS
}
