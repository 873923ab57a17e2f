//! Who sends the requests: what Istio knows of the workload a sidecar stands beside.

use indexmap::IndexMap;

use crate::endpoint::Locality;

/// The client's place in the mesh, against which `sourceLabels`, `sourceNamespace`, `gateways`
/// and `exportTo` are judged.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Source {
    /// Its namespace; `default` unless told.
    pub namespace: String,
    /// Its labels.
    pub labels: IndexMap<String, String>,
    /// Where it is; nothing known unless told.
    pub locality: Locality,
    /// How many instances of it there are in each place, itself among them; nothing known unless
    /// told.
    pub instances: Vec<(Locality, u32)>,
    /// The network it is in; empty unless told.
    pub network: String,
    /// The gateway it is, as `namespace/name`; nothing for an ordinary workload of the mesh.
    pub gateway: Option<String>,
    /// The domain Kubernetes services live under; `cluster.local` unless told.
    pub cluster_domain: String,
    /// The namespace whose DestinationRules hold for the whole mesh; `istio-system` unless told.
    pub root_namespace: String,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            labels: IndexMap::new(),
            locality: Locality::default(),
            instances: Vec::new(),
            network: String::new(),
            gateway: None,
            cluster_domain: "cluster.local".to_owned(),
            root_namespace: "istio-system".to_owned(),
        }
    }
}

impl Source {
    /// Whether a resource of `namespace` with this `exportTo` is visible here.
    #[must_use]
    pub fn sees(&self, namespace: &str, export_to: &[String]) -> bool {
        export_to.is_empty()
            || export_to.iter().any(|to| match to.as_str() {
                "*" => true,
                "." => namespace == self.namespace,
                named => named == self.namespace,
            })
    }

    /// Whether one of `gateways`, written in a resource of `namespace`, is this client.
    /// The word `mesh` means every workload that is not a gateway.
    #[must_use]
    pub fn is_one_of(&self, gateways: &[String], namespace: &str) -> bool {
        gateways
            .iter()
            .any(|name| match (&self.gateway, name.as_str()) {
                (None, name) => name == "mesh",
                (Some(own), name) => *own == resolve_gateway(name, namespace),
            })
    }

    /// Whether the client carries all of `labels`.
    #[must_use]
    pub fn carries(&self, labels: &IndexMap<String, String>) -> bool {
        labels
            .iter()
            .all(|(key, value)| self.labels.get(key) == Some(value))
    }
}

/// A gateway's name as `namespace/name`: `gw`, `./gw`, `ns/gw` and the old `gw.ns…` all mean one.
#[must_use]
pub fn resolve_gateway(name: &str, namespace: &str) -> String {
    match (name.split_once('/'), name.split_once('.')) {
        _ if name == "mesh" => name.to_owned(),
        (Some((".", name)), _) => format!("{namespace}/{name}"),
        (Some(_), _) => name.to_owned(),
        (None, Some((name, rest))) => {
            let namespace = rest
                .split_once('.')
                .map_or(rest, |(namespace, _)| namespace);
            format!("{namespace}/{name}")
        }
        (None, None) => format!("{namespace}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Source, resolve_gateway};

    #[test]
    fn gateways_have_one_name_and_many_spellings() {
        let check = |name, want: &str| assert_eq!(resolve_gateway(name, "ns"), want, "{name}");
        check("mesh", "mesh");
        check("gw", "ns/gw");
        check("./gw", "ns/gw");
        check("other/gw", "other/gw");
        check("gw.other", "other/gw");
        check("gw.other.svc.cluster.local", "other/gw");
    }

    #[test]
    fn export_to_is_judged_from_the_clients_namespace() {
        let source = Source {
            namespace: "shop".to_owned(),
            ..Source::default()
        };
        let sees = |namespace: &str, to: &[&str]| {
            let to: Vec<String> = to.iter().map(|it| (*it).to_owned()).collect();
            source.sees(namespace, &to)
        };
        assert!(sees("other", &[]));
        assert!(sees("other", &["*"]));
        assert!(!sees("other", &["."]));
        assert!(sees("shop", &["."]));
        assert!(sees("other", &["shop"]));
        assert!(!sees("other", &["bank"]));
        assert!(!sees("shop", &["~"]));
    }

    #[test]
    fn the_word_mesh_means_workloads_and_not_gateways() {
        let mesh = Source::default();
        let gateway = Source {
            gateway: Some("default/gw".to_owned()),
            ..Source::default()
        };
        let names = ["mesh".to_owned()];
        assert!(mesh.is_one_of(&names, "default"));
        assert!(!gateway.is_one_of(&names, "default"));
        assert!(gateway.is_one_of(&["gw".to_owned()], "default"));
        assert!(!gateway.is_one_of(&["gw".to_owned()], "other"));
    }
}
