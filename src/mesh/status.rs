//! What a mesh knows of its destinations just now, as data.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Mesh;
use crate::endpoint::Endpoint;
use crate::limits::{Limits, MostAtATime};
use crate::load_balancer::BalancerStatus;
use crate::outlier_detection::{OutlierDetection, OutlierDetectionPolicy, RateStatus};
use crate::plan::Cluster;

/// A destination as it is at one moment. Envoy's admin page calls it a cluster, too.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClusterStatus {
    /// `outbound|port|subset|host`, as in an access log.
    pub name: Arc<str>,
    /// The full host name.
    pub host: String,
    /// The port of the host.
    pub port: u16,
    /// The subset; empty for the host as a whole.
    pub subset: String,
    /// Whether requests can go there at all; those that cannot get 503 NC.
    pub exists: bool,
    /// Its endpoints.
    pub endpoints: Vec<EndpointStatus>,
    /// How one of them is picked, and from which: priorities, rings and tables.
    pub balancer: BalancerStatus,
    /// What may be under way, and what is; nothing where no rule limits anything.
    pub limits: Option<LimitsStatus>,
    /// What is made of failures; nothing where no rule asks for outlier detection.
    pub outlier_detection: Option<OutlierStatus>,
}

/// The outlier detection of a destination at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OutlierStatus {
    /// What ejects, and for how long.
    pub policy: OutlierDetectionPolicy,
    /// How many endpoints are out.
    pub ejected: usize,
    /// How well endpoints did in the last whole interval, where
    /// [`SuccessRate`](crate::outlier_detection::SuccessRate) looks at that.
    pub success_rate: Option<RateStatus>,
    /// The same of failures on this side, where they are counted by themselves.
    pub local_success_rate: Option<RateStatus>,
}

/// An endpoint as it is at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointStatus {
    /// Its address, labels, weight and place. What it counts goes on changing.
    pub endpoint: Endpoint,
    /// How long outlier detection leaves it out yet; nothing while it is in.
    pub ejected_for: Option<Duration>,
    /// How often it has been ejected, whatever rules there were.
    pub ejections: u64,
    /// Its share of good answers in the last whole interval, in percent, where that is looked at and
    /// there were enough.
    pub success_rate: Option<f64>,
    /// Requests under way to it, whether they have a connection yet or not.
    pub active: u32,
    /// Those that wait for a connection of the built-in transport's.
    pub pending: usize,
    /// Connections the built-in transport has to it.
    pub connections: usize,
}

/// The circuit breakers of a destination at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LimitsStatus {
    /// The limits as they are written.
    pub most: MostAtATime,
    /// Connections.
    pub connections: BreakerStatus,
    /// Requests that wait for a connection.
    pub pending: BreakerStatus,
    /// Requests that have one.
    pub requests: BreakerStatus,
    /// Retries; their limit is that of the moment where there is a budget.
    pub retries: BreakerStatus,
}

/// One circuit breaker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BreakerStatus {
    /// How many there are.
    pub now: u32,
    /// How many there may be; nothing for any number.
    pub most: Option<u32>,
    /// Whether there may be no more, which Envoy calls an open circuit breaker.
    pub is_open: bool,
}

impl ClusterStatus {
    fn of(cluster: &Cluster) -> Self {
        cluster.settle();
        let endpoints = cluster.endpoints().iter();
        Self {
            name: cluster.name().clone(),
            host: cluster.host().to_owned(),
            port: cluster.port(),
            subset: cluster.subset().to_owned(),
            exists: cluster.exists(),
            endpoints: endpoints.map(EndpointStatus::of).collect(),
            balancer: cluster.balancer().status(),
            limits: cluster.limits().map(LimitsStatus::of),
            outlier_detection: cluster
                .outliers()
                .map(|it| OutlierStatus::of(it, cluster.endpoints())),
        }
    }

    /// How many requests are under way to all of its endpoints.
    #[must_use]
    pub fn active(&self) -> u32 {
        let active = self.endpoints.iter().map(|it| it.active);
        active.fold(0, u32::saturating_add)
    }
}

impl EndpointStatus {
    fn of(endpoint: &Endpoint) -> Self {
        let (ejections, back) = endpoint.ejected();
        let back = back.filter(|_| endpoint.is_ejected());
        Self {
            ejected_for: back.map(|it| it.saturating_duration_since(Instant::now())),
            ejections,
            success_rate: endpoint.success_rate(),
            active: endpoint.active(),
            pending: endpoint.pending(),
            connections: endpoint.connections(),
            endpoint: endpoint.clone(),
        }
    }
}

impl OutlierStatus {
    fn of(outliers: &OutlierDetection, endpoints: &[Endpoint]) -> Self {
        let [success_rate, local_success_rate] = outliers.rates();
        Self {
            policy: outliers.policy().clone(),
            ejected: endpoints.iter().filter(|it| it.is_ejected()).count(),
            success_rate,
            local_success_rate,
        }
    }
}

impl LimitsStatus {
    fn of(limits: &Limits) -> Self {
        let most = *limits.most();
        Self {
            most,
            connections: BreakerStatus::of(limits.connections(), most.connections),
            pending: BreakerStatus::of(limits.waiting(), most.pending),
            requests: BreakerStatus::of(limits.requests(), most.requests),
            retries: BreakerStatus::of(limits.retries(), limits.most_retries()),
        }
    }
}

impl BreakerStatus {
    fn of(now: u32, most: Option<u32>) -> Self {
        let is_open = most.is_some_and(|most| now >= most);
        Self { now, most, is_open }
    }
}

impl Mesh {
    /// Every destination that rules lead to, or that nothing but a host's name leads to, with its
    /// endpoints, limits and balancer as they are now.
    ///
    /// The list is a copy: endpoints that come and go later are not in it. Hosts that nothing
    /// declares (`ALLOW_ANY`) are no destinations of the mesh's.
    ///
    /// ```
    /// use tower_mesh::mesh::Mesh;
    ///
    /// # #[cfg(feature = "yaml")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (mesh, _) = Mesh::builder()
    ///     .yaml(
    ///         "apiVersion: networking.istio.io/v1
    /// kind: ServiceEntry
    /// metadata: {name: reviews}
    /// spec:
    ///   hosts: [reviews.example.com]
    ///   ports: [{number: 80, name: http, protocol: HTTP}]
    ///   resolution: STATIC
    ///   endpoints: [{address: 10.0.0.1}]
    /// ",
    ///     )
    ///     .build()?;
    /// let clusters = mesh.clusters();
    /// assert_eq!(&*clusters[0].name, "outbound|80||reviews.example.com");
    /// assert_eq!(clusters[0].endpoints[0].endpoint.address().to_string(), "10.0.0.1:80");
    /// assert_eq!(clusters[0].active(), 0);
    /// assert_eq!(clusters[0].endpoints[0].ejected_for, None);
    /// assert_eq!(clusters[0].balancer.algorithm.name(), "LEAST_REQUEST");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "yaml"))]
    /// # fn main() {}
    /// ```
    #[must_use]
    pub fn clusters(&self) -> Vec<ClusterStatus> {
        let plan = self.plan();
        plan.clusters().map(ClusterStatus::of).collect()
    }
}
