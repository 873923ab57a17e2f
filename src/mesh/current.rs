//! The plan in force, read by every request and replaced as a whole.
//!
//! A request holds the plan it was matched under until its response body ends,
//! so reading the plan counts a reference. Were that one count, every core would
//! write to it with every request. So each of a few shards has a count of its
//! own, and a thread keeps to one shard. Nothing is pinned to a thread: replacing
//! the plan reaches every shard at once, and the old plan lives exactly as long
//! as its requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::plan::{Plan, PlanRef};
use crate::rt::{SHARDS, shard};

pub(super) struct Current {
    shards: Box<[Shard; SHARDS]>,
}

/// On a cache line of its own.
#[repr(align(128))]
struct Shard(Mutex<PlanRef>);

impl Shard {
    fn lock(&self) -> MutexGuard<'_, PlanRef> {
        // The plan is replaced whole, so a poisoned lock guards one as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    pub(super) fn new(plan: &Plan) -> Self {
        let shard = || Shard(Mutex::new(Arc::new(plan.clone())));
        Self {
            shards: Box::new(std::array::from_fn(|_| shard())),
        }
    }

    /// The plan in force, counted on this thread's shard.
    pub(super) fn get(&self) -> PlanRef {
        self.shards[shard()].lock().clone()
    }

    pub(super) fn replace(&self, plan: &Plan) {
        for shard in self.shards.iter() {
            let old = std::mem::replace(&mut *shard.lock(), Arc::new(plan.clone()));
            // What may be the last of a plan is freed outside of the lock.
            drop(old);
        }
    }
}
