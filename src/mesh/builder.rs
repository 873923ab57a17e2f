//! From rules and a client's identity to a mesh.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use super::current::Current;
use super::names::Names;
use super::{Mesh, Shared};
use crate::api::Resources;
use crate::diagnostic::Diagnostics;
use crate::endpoint::Locality;
use crate::outlier_detection::OutlierDetectionPolicy;
use crate::path::PathNormalization;
use crate::plan::{AdjustOutliers, AdjustRetries, Before, Live, Mirroring, Options, compile};
#[cfg(feature = "client")]
use crate::resolver::SystemResolver;
use crate::resolver::{DEFAULT_REFRESH, NameCache, Resolve, SharedResolver};
use crate::retries::RetryPolicy;
use crate::rt::Rng;
use crate::source::{Source, resolve_gateway};
use crate::tls::WorkloadCertificates;

/// Collects what a mesh is made of; [`build`](Self::build) judges it.
///
/// ```
/// # #[cfg(feature = "yaml")]
/// # fn main() -> Result<(), tower_mesh::mesh::BuildError> {
/// use tower_mesh::mesh::Mesh;
///
/// let rules = "
/// apiVersion: networking.istio.io/v1
/// kind: ServiceEntry
/// metadata: {name: reviews}
/// spec:
///   hosts: [reviews.example.com]
///   ports: [{number: 80, name: http, protocol: HTTP}]
///   resolution: STATIC
///   endpoints: [{address: 10.0.0.1}]
/// ";
/// let (mesh, report) = Mesh::builder()
///     .namespace("shop")
///     .label("app", "cart")
///     .registry_only(true)
///     .yaml(rules)
///     .build()?;
/// assert!(report.diagnostics().is_empty());
/// # drop(mesh);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "yaml"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct MeshBuilder {
    resources: Resources,
    options: Options,
    gateway: Option<String>,
    path_normalization: PathNormalization,
    resolver: Option<SharedResolver>,
    dns_refresh_rate: Option<Duration>,
    dice: Rng,
    mirroring: Mirroring,
    deadline_exceeded: bool,
}

/// A mesh could not be built: everything that is wrong, with file, line and field.
pub type BuildError = Diagnostics;

/// What was found in a configuration that is in force: warnings and notes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    found: Diagnostics,
}

impl Report {
    pub(super) const fn new(found: Diagnostics) -> Self {
        Self { found }
    }

    /// The warnings and notes, by file, line and column.
    #[must_use]
    pub const fn diagnostics(&self) -> &Diagnostics {
        &self.found
    }
}

impl MeshBuilder {
    /// Adds all resources of a YAML or JSON text; diagnostics call it `mesh.yaml`.
    #[cfg(feature = "yaml")]
    pub fn yaml(self, text: &str) -> Self {
        self.resources(Resources::from_yaml("mesh.yaml", text))
    }

    /// Adds resources after those already there.
    pub fn resources(mut self, resources: Resources) -> Self {
        self.resources.append(resources);
        self
    }

    /// The namespace the client is in; `default` unless told.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.options.source.namespace = namespace.into();
        self
    }

    /// A label the client carries, for `sourceLabels`.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.source.labels.insert(key.into(), value.into());
        self
    }

    /// Where the client is, as `region/zone/subzone`, of which the end may be missing; unknown
    /// unless told. `localityLbSetting` prefers endpoints by it, and `failoverPriority` takes it
    /// for the labels `topology.kubernetes.io/region`, `topology.kubernetes.io/zone` and
    /// `topology.istio.io/subzone` where [`label`](Self::label) gives none.
    ///
    /// A sidecar has it from the Kubernetes node it runs on.
    ///
    /// ```
    /// use tower_mesh::mesh::Mesh;
    ///
    /// let (_mesh, _report) = Mesh::builder().locality("eu-west/eu-west-1b").build()?;
    /// # Ok::<(), tower_mesh::mesh::BuildError>(())
    /// ```
    pub fn locality(mut self, locality: &str) -> Self {
        self.options.source.locality = Locality::new(locality);
        self
    }

    /// How many instances of the client there are in a place, `region/zone/subzone`, itself among
    /// them; said once for each place. `zoneAwareLbSetting` keeps as much in the client's own zone as
    /// its share of the endpoints allows for all clients; while nobody says how many there are, it
    /// only keeps requests in the region.
    ///
    /// A sidecar finds them itself where it is told to (`ISTIO_META_ENABLE_SELF_DISCOVERY`).
    ///
    /// ```
    /// use tower_mesh::mesh::Mesh;
    ///
    /// let builder = Mesh::builder()
    ///     .locality("eu-west/eu-west-1b")
    ///     .instances("eu-west/eu-west-1a", 2)
    ///     .instances("eu-west/eu-west-1b", 2);
    /// # drop(builder);
    /// ```
    pub fn instances(mut self, locality: &str, count: u32) -> Self {
        let locality = Locality::new(locality);
        self.options.source.instances.push((locality, count));
        self
    }

    /// The network the client is in, for `topology.istio.io/network` in `failoverPriority`; unknown
    /// unless told.
    pub fn network(mut self, network: impl Into<String>) -> Self {
        self.options.source.network = network.into();
        self
    }

    /// The gateway the client is, as `namespace/name`; an ordinary workload of the mesh unless told.
    pub fn gateway(mut self, name: impl Into<String>) -> Self {
        self.gateway = Some(name.into());
        self
    }

    /// The domain Kubernetes services live under; `cluster.local` unless told.
    pub fn cluster_domain(mut self, domain: impl Into<String>) -> Self {
        self.options.source.cluster_domain = domain.into();
        self
    }

    /// Refuse requests to hosts that nothing declares with 502, as the outbound traffic policy
    /// `REGISTRY_ONLY` does, instead of sending them where DNS says.
    pub const fn registry_only(mut self, registry_only: bool) -> Self {
        self.options.registry_only = registry_only;
        self
    }

    /// Take unknown fields, and what is [left out](crate::diagnostic#codes) on purpose, for warnings:
    /// they have no effect then. Refused unless told.
    pub const fn lenient(mut self, lenient: bool) -> Self {
        self.options.lenient = lenient;
        self
    }

    /// What the client shows, and whom it trusts, where a rule says `ISTIO_MUTUAL`; the files of
    /// Istio's agent in `/etc/certs` unless told.
    pub fn workload_certificates(mut self, files: WorkloadCertificates) -> Self {
        self.options.workload = files;
        self
    }

    /// Changes the outlier detection of hosts for which rules ask for one: what goes beyond Istio is
    /// said here. It is asked with the full name of each host, whenever rules are applied.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_mesh::mesh::Mesh;
    /// use tower_mesh::outlier_detection::SuccessRate;
    ///
    /// let builder = Mesh::builder().outlier_detection(|host, policy| {
    ///     // Of three endpoints Istio's 10 percent are none.
    ///     policy.eject_at_least_one = true;
    ///     policy.max_ejection_time_jitter = Duration::from_secs(5);
    ///     if host == "reviews.default.svc.cluster.local" {
    ///         policy.success_rate = Some(SuccessRate::default());
    ///     }
    /// });
    /// # drop(builder);
    /// ```
    pub fn outlier_detection(
        mut self,
        change: impl Fn(&str, &mut OutlierDetectionPolicy) + Send + Sync + 'static,
    ) -> Self {
        self.options.outliers = AdjustOutliers::new(change);
        self
    }

    /// Changes the retries of routes that have any, those of Istio's default included: what goes
    /// beyond Istio is said here. It is asked with the full name of the host of each route's
    /// destination, the first of several, whenever rules are applied.
    ///
    /// ```
    /// use tower_mesh::mesh::Mesh;
    ///
    /// // A POST is sent again only where no endpoint can have seen it.
    /// let builder = Mesh::builder().retries(|_host, policy| policy.spare_delivered(true));
    /// # drop(builder);
    /// ```
    pub fn retries(
        mut self,
        change: impl Fn(&str, RetryPolicy) -> RetryPolicy + Send + Sync + 'static,
    ) -> Self {
        self.options.retries = AdjustRetries::new(change);
        self
    }

    /// How request paths are brought into one form before they are matched; Istio's `BASE` unless
    /// told.
    pub const fn path_normalization(mut self, normalization: PathNormalization) -> Self {
        self.path_normalization = normalization;
        self
    }

    /// Who finds the addresses of names; with the feature `client` the
    /// [operating system](crate::resolver::SystemResolver) unless told, without it nobody: names
    /// then reach the transport as they are.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Some(SharedResolver::new(resolver));
        self
    }

    /// How often names are asked for anew, at least a second: `MeshConfig.dnsRefreshRate`; 60
    /// seconds unless told.
    pub const fn dns_refresh_rate(mut self, rate: Duration) -> Self {
        self.dns_refresh_rate = Some(rate);
        self
    }

    /// The dice for weighted splits and balancing; seeded ones repeat.
    pub fn rng(mut self, dice: Rng) -> Self {
        self.dice = dice;
        self
    }

    /// How many copies of requests are on their way to mirrors at once; 1024 unless told. Copies
    /// beyond it are not made, and counted.
    pub const fn max_mirrored_requests(mut self, most: usize) -> Self {
        self.mirroring.max_in_flight = Some(most);
        self
    }

    /// Answer gRPC calls that took longer than they may with `DEADLINE_EXCEEDED` (4), as Envoy does
    /// under its guard `grpc_timeout_returns_deadline_exceeded`, instead of `UNAVAILABLE` (14).
    pub const fn grpc_deadline_exceeded(mut self, exceeded: bool) -> Self {
        self.deadline_exceeded = exceeded;
        self
    }

    /// Append `-shadow` to the host of copies sent to mirrors, as Istio did before 1.18
    /// (`DISABLE_SHADOW_HOST_SUFFIX=false`).
    pub const fn shadow_host_suffix(mut self, append: bool) -> Self {
        self.mirroring.host_suffix = append;
        self
    }

    /// Compiles the rules.
    ///
    /// # Errors
    ///
    /// Everything that was found, when one finding is an error.
    pub fn build(mut self) -> Result<(Mesh, Report), BuildError> {
        let source: &mut Source = &mut self.options.source;
        source.gateway = self
            .gateway
            .map(|it| resolve_gateway(&it, &source.namespace));
        if let Some((namespace, _)) = source.gateway.as_ref().and_then(|it| it.split_once('/')) {
            source.namespace = namespace.to_owned();
        }
        #[cfg(feature = "client")]
        let resolver = self
            .resolver
            .or_else(|| Some(SharedResolver::new(SystemResolver::new())));
        #[cfg(not(feature = "client"))]
        let resolver = self.resolver;
        let refresh = self.dns_refresh_rate.unwrap_or(DEFAULT_REFRESH);
        let refresh = refresh.max(Duration::from_secs(1));
        let cache = resolver.clone().map(|it| NameCache::new(it, refresh));
        let before = Before::Nothing(Live::new(cache));
        self.options.dice = self.dice.clone();
        let (plan, found) = compile(&self.resources, &self.options, before);
        if found.has_errors() {
            return Err(found);
        }
        let shared = Shared {
            plan: Current::new(&plan),
            options: self.options,
            path_normalization: self.path_normalization,
            gone: watch::Sender::default(),
            names: Names::new(resolver, refresh, &self.dice),
            dice: self.dice,
            mirroring: self.mirroring,
            deadline_exceeded: self.deadline_exceeded,
            applying: Mutex::new(()),
            #[cfg(feature = "client")]
            transport: crate::transport::HttpTransport::new(),
        };
        let mesh = Mesh {
            shared: Arc::new(shared),
        };
        mesh.shared.attend_to_names();
        Ok((mesh, Report::new(found)))
    }
}
