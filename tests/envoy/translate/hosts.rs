//! Host names: completion of short names, wildcards, aliases, and who owns which host.

use tower_mesh::api::{Resource, ServiceEntryPort, VirtualService, WorkloadEntry};

use super::clusters::is_http;

/// The domain of the cluster, as Kubernetes names it unless told otherwise.
const CLUSTER: &str = ".svc.cluster.local";

/// A host of the registry.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) host: String,
    pub(crate) namespace: String,
    pub(crate) ports: Vec<ServiceEntryPort>,
    pub(crate) addresses: Vec<String>,
    pub(crate) endpoints: Vec<WorkloadEntry>,
}

impl Service {
    pub(crate) fn port(&self, number: u16) -> Option<&ServiceEntryPort> {
        let mut ports = self.ports.iter();
        ports.find(|port| port.number == u32::from(number))
    }

    /// Whether VirtualService's `http` rules apply to the port.
    ///
    /// Source: `httproute.go BuildSidecarOutboundVirtualHosts` (services of the port); ServicePort
    /// protocol selection, `protocol/instance.go IsHTTPOrSniffed`.
    pub(crate) fn is_http(&self, number: u16) -> bool {
        let port = self.port(number);
        port.is_some_and(is_http)
    }
}

/// Short names: without a dot, no wildcard and no address, a name is completed with the
/// namespace of the resource it stands in.
///
/// Source: `model/config.go ResolveShortnameToFQDN`; VirtualService reference, hosts,
/// Destination.host.
pub(crate) fn complete(host: &str, namespace: &str) -> String {
    let is_short = !host.contains('.') && !host.contains(':') && !host.starts_with('*');
    match is_short && !host.is_empty() {
        true => format!("{host}.{namespace}{CLUSTER}"),
        false => host.to_owned(),
    }
}

/// The hosts of a VirtualService, completed.
///
/// Source: `virtualservice.go resolveVirtualServiceShortnames`.
pub(crate) fn completed(resource: &Resource, hosts: &[String]) -> Vec<String> {
    let namespace = resource.metadata.namespace_or_default();
    hosts.iter().map(|it| complete(it, namespace)).collect()
}

/// Host algebra: names overlap if they are equal or one's wildcard covers the other.
///
/// The wildcard is compared as a suffix after its star: `*.a.b` covers `x.a.b`
/// and `x.y.a.b`, not `a.b`.
///
/// Source: `host/name.go Name.Matches`.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    match (one.strip_prefix('*'), other.strip_prefix('*')) {
        (Some(one), Some(other)) if one.len() < other.len() => other.ends_with(one),
        (Some(one), Some(other)) => one.ends_with(other),
        (Some(suffix), None) => other.ends_with(suffix),
        (None, Some(suffix)) => one.ends_with(suffix),
        (None, None) => one == other,
    }
}

/// Host algebra: whether all that `inner` covers is covered by `outer`.
///
/// Source: `host/name.go Name.SubsetOf`.
fn covers(outer: &str, inner: &str) -> bool {
    match (outer.strip_prefix('*'), inner.strip_prefix('*')) {
        (Some(outer), Some(inner)) => inner.ends_with(outer),
        (Some(suffix), None) => inner.ends_with(suffix),
        (None, Some(_)) => false,
        (None, None) => outer == inner,
    }
}

/// The most specific of some patterns that covers a host: the host itself, else the longest wildcard.
///
/// Of equal ones the first is taken.
///
/// Source: `model/config.go MostSpecificHostMatch`, `host/name.go MoreSpecific`.
pub(crate) fn most_specific<'p, T>(
    host: &str,
    patterns: impl Iterator<Item = (&'p str, T)>,
) -> Option<(&'p str, T)> {
    let mut best: Option<(&str, T)> = None;
    for (pattern, of) in patterns.filter(|(pattern, _)| covers(pattern, host)) {
        let rank = |pattern: &str| (pattern == host, pattern.len());
        if best.as_ref().is_none_or(|(it, _)| rank(pattern) > rank(it)) {
            best = Some((pattern, of));
        }
    }
    best
}

/// The index of wildcards: which VirtualService, by number, has the most specific host for
/// each service. Static conditions are not looked at here: one whose routes are all
/// filtered out still keeps less specific ones away.
///
/// Source: `route.go BuildSidecarVirtualHostWrapper` (the index of the most specific hosts).
pub(crate) fn owners(
    virtual_services: &[(&Resource, &VirtualService)],
    services: &[&Service],
) -> Vec<Option<usize>> {
    let named = |(number, (resource, rules)): (usize, &(&Resource, &VirtualService))| {
        let hosts = completed(resource, &rules.hosts).into_iter();
        hosts.map(move |host| (host, number)).collect::<Vec<_>>()
    };
    let hosts = virtual_services.iter().enumerate().flat_map(named);
    let hosts: Vec<(String, usize)> = hosts.collect();
    let owner = |service: &&Service| {
        let hosts = hosts.iter().map(|(host, number)| (host.as_str(), *number));
        most_specific(&service.host, hosts).map(|(_, number)| number)
    };
    services.iter().map(owner).collect()
}

/// Whether any of the hosts matches a service, upper and lower case being the same here.
///
/// Source: `route.go selectVirtualServices`.
pub(crate) fn any_service(hosts: &[String], services: &[&Service]) -> bool {
    let matches = |host: &String| {
        let host = host.to_ascii_lowercase();
        services.iter().any(|service| overlap(&host, &service.host))
    };
    hosts.iter().any(matches)
}

/// Splits the hosts of a VirtualService into those outside the registry, and services.
///
/// An exact host is looked up as it is written. A wildcard stands for the services it
/// matches, save those another VirtualService names more specifically; one that matches
/// none is a host outside the registry itself.
///
/// Source: `route.go separateVSHostsAndServices`.
pub(crate) fn separate<'s>(
    number: usize,
    hosts: &[String],
    services: &[&'s Service],
    owners: &[Option<usize>],
) -> (Vec<String>, Vec<&'s Service>) {
    let mut outside = Vec::new();
    let mut inside: Vec<&Service> = Vec::new();
    let (wildcards, exact): (Vec<_>, Vec<_>) = hosts.iter().partition(|it| it.starts_with('*'));
    for host in exact {
        match services.iter().find(|service| service.host == *host) {
            Some(service) => inside.push(service),
            None => outside.push(host.to_ascii_lowercase()),
        }
    }
    for host in wildcards {
        let matched = services.iter().zip(owners);
        let matched = matched.filter(|(service, _)| overlap(host, &service.host));
        let matched: Vec<_> = matched.collect();
        if matched.is_empty() {
            outside.push(host.to_ascii_lowercase());
        }
        let ours = matched.iter().filter(|(_, owner)| **owner == Some(number));
        for (service, _) in ours {
            if !inside.iter().any(|it| it.host == service.host) {
                inside.push(service);
            }
        }
    }
    (outside, inside)
}

/// Sidecar outbound, domains of a service's virtual host: its own names, and aliases.
///
/// Own names are the host and the addresses. Aliases are the host with a dot at its
/// end, and for hosts in the cluster's domain `name.namespace`, `name.namespace.svc`
/// and, for clients of the same namespace, `name`.
///
/// Source: `httproute.go generateVirtualHostDomains`, `GenerateAltVirtualHosts`;
/// VirtualHost.domains.
pub(crate) fn domains(service: &Service, client: &str) -> (Vec<String>, Vec<String>) {
    let mut own = vec![service.host.clone()];
    let addresses = service.addresses.iter();
    own.extend(addresses.filter(|it| !it.contains('/')).cloned());
    let mut aliases = vec![format!("{}.", service.host)];
    if let Some(short) = service.host.strip_suffix(CLUSTER) {
        let (name, namespace) = short.split_once('.').unwrap_or((short, ""));
        if !namespace.is_empty() {
            aliases.push(short.to_owned());
            aliases.push(format!("{short}.svc"));
            if namespace == client {
                aliases.push(name.to_owned());
            }
        }
    }
    (own, aliases)
}
