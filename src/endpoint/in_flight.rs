//! What an endpoint counts, and one request that is counted.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

#[cfg(feature = "client")]
use super::Kept;
use super::Seldom;
use crate::limits::RequestPermit;

/// The counters of one endpoint, which outlive a change of configuration; on a cache line of their
/// own, for every thread writes to them. What few endpoints need is in boxes.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Load {
    pub(super) active: AtomicU32,
    pub(super) failures: [AtomicU32; 3],
    pub(super) ejected: AtomicBool,
    /// What a transport keeps for the endpoint.
    #[cfg(feature = "client")]
    pub(super) kept: OnceLock<Box<dyn Kept>>,
    pub(super) seldom: OnceLock<Box<Seldom>>,
}

/// One request under way; dropping it is the end of the request.
#[derive(Debug)]
#[must_use = "the request counts as ended when this is dropped"]
pub struct InFlight {
    load: Arc<Load>,
    permit: Option<RequestPermit>,
}

impl InFlight {
    #[inline]
    pub(super) fn begin(load: &Arc<Load>) -> Self {
        load.active.fetch_add(1, Ordering::Relaxed);
        Self {
            load: load.clone(),
            permit: None,
        }
    }

    /// The endpoint's errors, gateway errors and failures on this side, each in a row.
    pub(crate) fn failures(&self) -> &[AtomicU32; 3] {
        &self.load.failures
    }

    /// The same, with the permit that the request has of its destination.
    #[inline]
    pub(crate) fn permitted(mut self, permit: RequestPermit) -> Self {
        self.permit = Some(permit);
        self
    }
}

impl Drop for InFlight {
    #[inline]
    fn drop(&mut self) {
        self.load.active.fetch_sub(1, Ordering::Relaxed);
    }
}
