//! Which VirtualServices are there for a client, and in which order they may claim hosts.

use crate::api::{self, Resource, Spec};
use crate::source::Source;

/// The VirtualServices a client sees, in the order Istio gives them: private ones, those exported
/// to its namespace by name, public ones; within each, the oldest first. Delegates, which have no
/// hosts, are not among them.
pub(super) fn visible<'r>(
    resources: &[&'r Resource],
    source: &Source,
) -> Vec<(&'r Resource, &'r api::VirtualService)> {
    let rank = |namespace: &str, export_to: &[String]| {
        if export_to.is_empty() || export_to.iter().any(|to| to == "*") {
            2
        } else {
            u8::from(namespace != source.namespace)
        }
    };
    let mut list: Vec<_> = resources
        .iter()
        .filter_map(|resource| match &resource.spec {
            Spec::VirtualService(written) => Some((*resource, &**written)),
            _ => None,
        })
        .filter(|(_, written)| !written.hosts.is_empty())
        .filter(|(resource, written)| {
            source.sees(resource.metadata.namespace_or_default(), &written.export_to)
        })
        .collect();
    list.sort_by_key(|(resource, written)| {
        rank(resource.metadata.namespace_or_default(), &written.export_to)
    });
    list
}

/// Whether the client is among the gateways the resource is bound to.
pub(super) fn is_bound(
    resource: &Resource,
    written: &api::VirtualService,
    source: &Source,
) -> bool {
    let mesh = ["mesh".to_owned()];
    let gateways = match written.gateways.as_slice() {
        [] => &mesh,
        gateways => gateways,
    };
    source.is_one_of(gateways, resource.metadata.namespace_or_default())
}
