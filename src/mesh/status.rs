//! What a mesh knows of its destinations just now, as data.

use std::sync::Arc;

use super::Mesh;
use crate::endpoint::Endpoint;

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
    /// Its endpoints, each with what it counts: [`active`](Endpoint::active) goes on changing.
    pub endpoints: Vec<Endpoint>,
}

impl ClusterStatus {
    /// How many requests are under way to all of its endpoints.
    #[must_use]
    pub fn active(&self) -> u32 {
        let active = self.endpoints.iter().map(Endpoint::active);
        active.fold(0, u32::saturating_add)
    }
}

impl Mesh {
    /// Every destination that rules lead to, or that nothing but a host's name leads to, with its
    /// endpoints as they are now.
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
    /// assert_eq!(clusters[0].endpoints[0].address().to_string(), "10.0.0.1:80");
    /// assert_eq!(clusters[0].active(), 0);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "yaml"))]
    /// # fn main() {}
    /// ```
    #[must_use]
    pub fn clusters(&self) -> Vec<ClusterStatus> {
        let plan = self.plan();
        let clusters = plan.clusters().map(|cluster| ClusterStatus {
            name: cluster.name().clone(),
            host: cluster.host().to_owned(),
            port: cluster.port(),
            subset: cluster.subset().to_owned(),
            exists: cluster.exists(),
            endpoints: cluster.endpoints().to_vec(),
        });
        clusters.collect()
    }
}
