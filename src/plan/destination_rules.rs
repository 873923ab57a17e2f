//! Which DestinationRule holds for a host, and the subsets it defines.
//!
//! Namespaces are asked in order (the client's, the service's, the root's) and
//! the first that has a rule for the host wins; inside one, an exact host wins
//! over the longest wildcard. Rules of one namespace for the same host string
//! give their subsets together.

use indexmap::IndexMap;

use crate::api::{self, Resource, Spec, Subset};
use crate::host;
use crate::service_entry::Registry;
use crate::source::Source;

/// The rules a client sees, by namespace and host.
#[derive(Debug)]
pub(super) struct DestinationRules<'r> {
    registry: &'r Registry,
    source: &'r Source,
    by_namespace: IndexMap<&'r str, IndexMap<String, Vec<&'r api::DestinationRule>>>,
}

impl<'r> DestinationRules<'r> {
    pub(super) fn new(
        resources: impl Iterator<Item = &'r Resource>,
        registry: &'r Registry,
        source: &'r Source,
    ) -> Self {
        let mut by_namespace: IndexMap<_, IndexMap<_, Vec<_>>> = IndexMap::new();
        for resource in resources {
            let Spec::DestinationRule(rule) = &resource.spec else {
                continue;
            };
            let namespace = resource.metadata.namespace_or_default();
            let selected = rule.workload_selector.as_ref().is_none_or(|selector| {
                namespace == source.namespace && source.carries(&selector.match_labels)
            });
            // The client's own namespace is asked whatever its rules export.
            let seen = namespace == source.namespace || source.sees(namespace, &rule.export_to);
            if !selected || !seen {
                continue;
            }
            let host = host::resolve_short_name(&rule.host, namespace, &source.cluster_domain);
            let hosts = by_namespace.entry(namespace).or_default();
            hosts.entry(host).or_default().push(&**rule);
        }
        Self {
            registry,
            source,
            by_namespace,
        }
    }

    /// The subset of a host; nothing where no rule that holds for the host defines it.
    pub(super) fn subset(&self, host: &str, name: &str) -> Option<&'r Subset> {
        let rules = self.rules_for(host)?;
        let mut subsets = rules.iter().flat_map(|rule| &rule.subsets);
        subsets.find(|subset| subset.name == name)
    }

    fn rules_for(&self, host: &str) -> Option<&[&'r api::DestinationRule]> {
        let service = self.registry.get(host).map(|it| it.namespace.as_str());
        let namespaces = [
            Some(self.source.namespace.as_str()),
            service,
            Some(self.source.root_namespace.as_str()),
        ];
        let mut asked = namespaces.into_iter().flatten();
        asked.find_map(|namespace| {
            let hosts = self.by_namespace.get(namespace)?;
            // The host itself, else the longest wildcard that covers it.
            let starts = host.char_indices().skip(1).map(|(n, _)| n);
            let mut wild = starts.chain([host.len()]).filter_map(|n| {
                let suffix = host.get(n..)?;
                hosts.get(&format!("*{suffix}"))
            });
            let best = hosts.get(host).or_else(|| wild.next())?;
            Some(best.as_slice())
        })
    }
}
