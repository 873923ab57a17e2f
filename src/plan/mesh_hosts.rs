//! Who owns a host inside the mesh: the virtual hosts of a sidecar's outbound listener.
//!
//! The first VirtualService that names a host owns all of it; routes of several
//! are not merged. A service without an owner gets one default route. Hosts that
//! nothing declares get theirs on port 80, and on other ports only beside a
//! declared host of the same VirtualService.

use std::collections::{HashMap, HashSet};

use super::clusters::Clusters;
use super::compile::Tables;
use super::virtual_services::{PortRoute, VirtualService};
use crate::host;
use crate::match_request::MatchRequest;
use crate::route::Weights;
use crate::service_entry::{Registry, RegistryService};
use crate::source::Source;

/// Fills the table of one port.
pub(super) fn fill(
    tables: &mut Tables,
    port: u16,
    virtual_services: &[VirtualService<'_>],
    registry: &Registry,
    source: &Source,
    clusters: &mut Clusters<'_>,
) {
    let on_port = |service: &&RegistryService| {
        let port = service.port(port);
        port.is_some_and(|port| port.protocol.is_http())
    };
    let services: Vec<&RegistryService> = registry.iter().filter(on_port).collect();
    let wildcards = wildcard_owners(&services, virtual_services);
    let concerned: Vec<(usize, &VirtualService<'_>, Vec<PortRoute>)> = virtual_services
        .iter()
        .enumerate()
        .map(|(n, it)| (n, it, it.routes(port, source, clusters)))
        .filter(|(.., routes)| !routes.is_empty())
        .collect();
    let owners = owners(&services, &concerned, &wildcards);

    let mut claimed = HashSet::new();
    for (n, virtual_service, routes) in concerned {
        let owned: Vec<&RegistryService> = services
            .iter()
            .copied()
            .filter(|service| owners.get(service.host.as_str()) == Some(&n))
            .collect();
        let attached = services.iter().any(|service| {
            let covers = |name: &String| host::is_subset_of(&service.host, name);
            virtual_service.hosts.iter().any(covers)
        });
        let mut domains: Vec<String> = Vec::new();
        for service in &owned {
            claimed.insert(service.host.as_str());
            domains.extend(domains_of(service, source));
        }
        if port == 80 || attached {
            let declared = |name: &String| {
                services
                    .iter()
                    .any(|service| host::is_subset_of(&service.host, name))
            };
            let undeclared = virtual_service.hosts.iter().filter(|name| !declared(name));
            domains.extend(undeclared.cloned());
        }
        tables.add(port, &domains, routes);
    }
    for service in services {
        if !claimed.contains(service.host.as_str()) {
            let cluster = clusters.place(&service.host, "", Some(port), port);
            tables.add(port, &domains_of(service, source), default_route(cluster));
        }
    }
}

/// The VirtualService each service belongs to: the first that names it exactly and has routes
/// here, else the one whose wildcard it falls under.
fn owners<'s>(
    services: &[&'s RegistryService],
    concerned: &[(usize, &VirtualService<'_>, Vec<PortRoute>)],
    wildcards: &HashMap<&'s str, usize>,
) -> HashMap<&'s str, usize> {
    let mut exact: HashMap<&str, usize> = HashMap::new();
    for (n, virtual_service, _) in concerned {
        for name in &virtual_service.hosts {
            exact.entry(name).or_insert(*n);
        }
    }
    let owner = |service: &&'s RegistryService| {
        let host = service.host.as_str();
        let named = exact.get(host).or_else(|| wildcards.get(host));
        Some((host, *named?))
    };
    services.iter().filter_map(owner).collect()
}

/// The VirtualService whose wildcard each service falls under.
///
/// Every VirtualService counts, even one without routes here: a service that is named exactly by
/// any of them falls under no wildcard.
fn wildcard_owners<'s>(
    services: &[&'s RegistryService],
    virtual_services: &[VirtualService<'_>],
) -> HashMap<&'s str, usize> {
    let mut exact: HashSet<&str> = HashSet::new();
    let mut wildcards: Vec<(&str, usize)> = Vec::new();
    for (n, virtual_service) in virtual_services.iter().enumerate() {
        for name in &virtual_service.hosts {
            if name.starts_with('*') {
                wildcards.push((name, n));
            } else {
                exact.insert(name);
            }
        }
    }
    wildcards.sort_by(|(a, _), (b, _)| host::more_specific(a, b));
    let owner = |service: &&'s RegistryService| {
        let host = service.host.as_str();
        if exact.contains(host) {
            return None;
        }
        let covers = |(name, _): &&(&str, usize)| host::is_subset_of(host, name);
        let (_, n) = wildcards.iter().find(covers)?;
        Some((host, *n))
    };
    services.iter().filter_map(owner).collect()
}

fn default_route(cluster: u32) -> Vec<PortRoute> {
    let Ok(weights) = Weights::new([(cluster, 1)]) else {
        return Vec::new();
    };
    vec![PortRoute {
        rule: MatchRequest::default().into(),
        name: "default".into(),
        action: super::Action::Forward(weights),
    }]
}

/// All names clients may call a service by.
fn domains_of(service: &RegistryService, source: &Source) -> Vec<String> {
    let host = &service.host;
    let mut domains = vec![host.clone()];
    if !host.starts_with('*') && !host::is_address(host) {
        domains.push(format!("{host}."));
    }
    let suffix = format!(".svc.{}", source.cluster_domain);
    if let Some((name, namespace)) = host
        .strip_suffix(&suffix)
        .and_then(|short| short.split_once('.'))
        .filter(|(name, namespace)| !name.starts_with('*') && !namespace.contains('.'))
    {
        domains.push(format!("{name}.{namespace}.svc"));
        domains.push(format!("{name}.{namespace}"));
        if namespace == source.namespace {
            domains.push(name.to_owned());
        }
    }
    let addresses = service.addresses.iter().filter(|it| host::is_address(it));
    domains.extend(addresses.map(|address| match address.contains(':') {
        true => format!("[{address}]"),
        false => address.clone(),
    }));
    domains
}
