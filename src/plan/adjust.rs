//! What the application changes about rules while they are compiled.

use std::fmt;
use std::sync::Arc;

use super::route::Route;
use crate::outlier_detection::OutlierDetectionPolicy;
use crate::retries::RetryPolicy;

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

type ChangeRetries = dyn Fn(&str, RetryPolicy) -> RetryPolicy + Send + Sync;

/// Changes to the retries of routes that have any.
#[derive(Clone, Default)]
pub(crate) struct AdjustRetries(Option<Arc<ChangeRetries>>);

impl AdjustRetries {
    pub(crate) fn new(
        change: impl Fn(&str, RetryPolicy) -> RetryPolicy + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(change)))
    }

    /// Gives routes the retries that the application wants; `host` tells the full name of a
    /// destination's host.
    pub(super) fn adjust<'c>(&self, routes: &mut [Route], host: impl Fn(u32) -> Option<&'c str>) {
        let Some(change) = &self.0 else {
            return;
        };
        for route in routes {
            let first = route.choices.first().and_then(|it| it.cluster);
            if let Some(host) = first.and_then(&host)
                && let Some(policy) = &route.policies.retries
            {
                let changed = change(host, policy.clone());
                Arc::make_mut(&mut route.policies).retries = Some(changed);
            }
        }
    }
}

impl fmt::Debug for AdjustRetries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AdjustRetries")
            .field(&self.0.is_some())
            .finish()
    }
}
