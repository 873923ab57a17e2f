//! What the application changes about rules while they are compiled.

use std::fmt;
use std::sync::Arc;

use crate::outlier_detection::OutlierDetectionPolicy;

type Change = dyn Fn(&str, &mut OutlierDetectionPolicy) + Send + Sync;

/// Changes to the outlier detection of hosts that have one.
#[derive(Clone, Default)]
pub(crate) struct AdjustOutliers(Option<Arc<Change>>);

impl AdjustOutliers {
    pub(crate) fn new(
        change: impl Fn(&str, &mut OutlierDetectionPolicy) + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(change)))
    }

    /// The policy of a host as the application wants it.
    pub(super) fn adjust(
        &self,
        host: &str,
        mut policy: OutlierDetectionPolicy,
    ) -> OutlierDetectionPolicy {
        if let Some(change) = &self.0 {
            change(host, &mut policy);
        }
        policy
    }
}

impl fmt::Debug for AdjustOutliers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AdjustOutliers")
            .field(&self.0.is_some())
            .finish()
    }
}
