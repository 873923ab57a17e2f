//! Services for endpoints, one of which each request goes to: `loadBalancer` and `outlierDetection`
//! as one layer, to be used alone.
//!
//! | written | said here |
//! |---|---|
//! | `trafficPolicy.loadBalancer` | the [`LoadBalancerPolicy`] of [`BalanceLayer::new`] |
//! | `consistentHash`, the key | [`BalanceLayer::hash_policies`] |
//! | `trafficPolicy.outlierDetection` | [`BalanceLayer::outlier_detection`] |
//!
//! The layer goes around a function that gives the service of an endpoint, as
//! [`MeshClient`](crate::mesh::MeshClient)s of one's own transports do. It is asked for each request, so it should hand out
//! clones of services it keeps. What it gives is made ready and called; readiness of the whole is
//! not waited for, since which service is needed is known only with the request.
//!
//! A request counts as under way until its response's body has ended or is dropped. Where no
//! endpoint is left it is answered with 503, flag UH. Errors of services are passed on, and blamed
//! on the endpoint by what [`ClassifyFailure`](crate::failure::ClassifyFailure) says of them. A
//! request that is dropped is nobody's fault, unless a [timeout](crate::timeout) drops it. Response
//! bodies have to be made from text: see [`FromLocalReply`](crate::reply::FromLocalReply).
//!
//! A mesh picks and judges with the very same [`LoadBalancer`] and
//! [`OutlierDetection`]; only there retries avoid
//! endpoints that were tried.
//!
//! ```
//! use std::sync::Arc;
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};
//! use tower_mesh::balance::BalanceLayer;
//! use tower_mesh::endpoint::{Address, Endpoint};
//! use tower_mesh::load_balancer::{Algorithm, LoadBalancerPolicy};
//! use tower_mesh::outlier_detection::OutlierDetectionPolicy;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), std::io::Error> {
//! let endpoint = |port| Endpoint::new(Address::new("127.0.0.1", port), Arc::default());
//! let mut outliers = OutlierDetectionPolicy::default();
//! outliers.consecutive_5xx_errors = 2;
//! outliers.eject_at_least_one = true;
//! let layer = BalanceLayer::new(
//!     LoadBalancerPolicy::new(Algorithm::RoundRobin),
//!     vec![endpoint(1), endpoint(2)],
//! );
//! let layer = layer.outlier_detection(outliers);
//! // The first endpoint is broken.
//! let mut service = layer.layer(|endpoint: &Endpoint| {
//!     let broken = endpoint.address().to_string() == "127.0.0.1:1";
//!     service_fn(move |_: Request<()>| async move {
//!         let mut response = Response::new(Full::<Bytes>::default());
//!         if broken {
//!             *response.status_mut() = StatusCode::BAD_GATEWAY;
//!         }
//!         Ok::<_, std::io::Error>(response)
//!     })
//! });
//!
//! let mut failed = 0;
//! for _ in 0..10 {
//!     let response = service.ready().await?.call(Request::new(())).await?;
//!     failed += usize::from(response.status() == StatusCode::BAD_GATEWAY);
//! }
//! assert_eq!(failed, 2, "then it is left out");
//! assert!(layer.endpoints()[0].is_ejected());
//! # Ok(())
//! # }
//! ```

mod service;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::time::Instant;
use tower_layer::Layer;

use crate::endpoint::Endpoint;
use crate::load_balancer::{BalancerStatus, HashPolicy, LoadBalancer, LoadBalancerPolicy, Pick};
use crate::outlier_detection::{Outcome, OutlierDetection, OutlierDetectionPolicy};
use crate::rt::Rng;

pub use service::{Balance, Balanced, ResponseFuture};

/// Wraps functions that give services for endpoints in [`Balance`]. See the [module
/// documentation](self).
#[derive(Clone, Debug)]
pub struct BalanceLayer {
    group: Arc<Group>,
}

/// Endpoints, and what is known of them.
#[derive(Debug)]
struct Group {
    balancer: LoadBalancer,
    outliers: Option<OutlierDetection>,
    keys: Vec<HashPolicy>,
    dice: Rng,
}

impl BalanceLayer {
    /// A layer that picks among these endpoints; what it wraps counts together. None is left out.
    #[must_use]
    pub fn new(policy: LoadBalancerPolicy, endpoints: impl Into<Arc<[Endpoint]>>) -> Self {
        Self::of(policy, endpoints.into(), None, Vec::new(), Rng::default())
    }

    /// The same, beginning anew, with endpoints left out that fail. With fewer left in than
    /// [`min_health_percent`](OutlierDetectionPolicy::min_health_percent) all are used.
    #[must_use]
    pub fn outlier_detection(self, policy: OutlierDetectionPolicy) -> Self {
        self.again(Some(policy), |_| {})
    }

    /// The same, beginning anew, with the part of a request that `consistentHash` goes by; with
    /// several, all that a request has.
    #[must_use]
    pub fn hash_policies(self, keys: impl Into<Vec<HashPolicy>>) -> Self {
        let keys = keys.into();
        self.again(None, |it| it.keys = keys)
    }

    /// The same, beginning anew, with these dice.
    #[must_use]
    pub fn rng(self, dice: Rng) -> Self {
        self.again(None, |it| it.dice = dice)
    }

    fn again(
        self,
        outliers: Option<OutlierDetectionPolicy>,
        change: impl FnOnce(&mut Parts),
    ) -> Self {
        let group = &*self.group;
        let before = group.outliers.as_ref().map(|it| it.policy().clone());
        let mut parts = Parts {
            keys: group.keys.clone(),
            dice: group.dice.clone(),
        };
        change(&mut parts);
        let endpoints: Vec<Endpoint> = group.balancer.endpoints().to_vec();
        let policy = group.balancer.policy().clone();
        Self::of(
            policy,
            endpoints.into(),
            outliers.or(before),
            parts.keys,
            parts.dice,
        )
    }

    fn of(
        mut policy: LoadBalancerPolicy,
        endpoints: Arc<[Endpoint]>,
        outliers: Option<OutlierDetectionPolicy>,
        keys: Vec<HashPolicy>,
        dice: Rng,
    ) -> Self {
        if let Some(outliers) = &outliers {
            policy.panic_threshold = outliers.min_health_percent;
        }
        let outliers = outliers.map(|policy| {
            let outliers = OutlierDetection::new(policy, &endpoints, Instant::now());
            outliers.with_dice(dice.clone())
        });
        let balancer = LoadBalancer::new(policy, endpoints, &dice);
        if outliers.is_some() {
            balancer.refresh();
        }
        let group = Group {
            balancer,
            outliers,
            keys,
            dice,
        };
        Self {
            group: Arc::new(group),
        }
    }

    /// The endpoints, with what they count.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        self.group.balancer.endpoints()
    }

    /// What picks go by just now.
    #[must_use]
    pub fn status(&self) -> BalancerStatus {
        self.group.settle();
        self.group.balancer.status()
    }
}

/// What may be told after the endpoints.
struct Parts {
    keys: Vec<HashPolicy>,
    dice: Rng,
}

impl Group {
    /// Lets endpoints back whose time is over, and takes note of those that are out.
    fn settle(&self) {
        if let Some(outliers) = &self.outliers
            && outliers.is_stirred()
            && outliers.settle(self.balancer.endpoints(), Instant::now())
        {
            self.balancer.refresh();
        }
    }

    fn pick(&self, hash: Option<u64>) -> Option<(&Endpoint, usize)> {
        self.settle();
        let pick = Pick::rolled(self.dice.next_u64()).hash(hash);
        let place = self.balancer.pick(pick)?;
        Some((self.balancer.endpoints().get(place)?, place))
    }

    fn report(&self, place: usize, outcome: Outcome) {
        if let Some(outliers) = &self.outliers {
            outliers.report(self.balancer.endpoints(), place, outcome);
        }
    }
}

impl<F> Layer<F> for BalanceLayer {
    type Service = Balance<F>;

    fn layer(&self, service_for: F) -> Balance<F> {
        Balance::new(self.group.clone(), service_for)
    }
}
