//! `DestinationRule`: what happens to traffic for a host once it is routed there.

use indexmap::IndexMap;

use super::message::message;
use super::traffic_policy::TrafficPolicy;

message! {
    /// Subsets and traffic policy of a host.
    ///
    /// Source: `networking.istio.io/v1 DestinationRule`.
    pub struct DestinationRule {
        /// The host; a short name is completed with the resource's namespace.
        host: String,
        /// The policy for all its traffic.
        traffic_policy: Option<TrafficPolicy>,
        /// Named parts of the host.
        subsets: Vec<Subset>,
        /// Who sees the resource; all when empty.
        export_to: Vec<String>,
        /// The clients it applies to; all when absent.
        workload_selector: Option<ClientSelector>,
    }
}

message! {
    /// Clients by their labels.
    ///
    /// Source: `istio.type.v1beta1.WorkloadSelector`, which spells its field otherwise than the
    /// selector of a ServiceEntry.
    pub struct ClientSelector {
        /// The labels they must carry.
        match_labels: IndexMap<String, String>,
    }
}

message! {
    /// A named part of a host: the endpoints that carry some labels.
    pub struct Subset {
        /// Its name.
        name: String,
        /// The labels; all endpoints when empty.
        labels: IndexMap<String, String>,
        /// The policy for traffic to this part.
        traffic_policy: Option<TrafficPolicy>,
    }
}
