//! Istio's resources as the configuration Istio gives the Envoy of a sidecar.
//!
//! A second reading of the same resources, written from Istio's behaviour and
//! not from the library: only the types YAML is read into are shared. Each rule
//! says in words which behaviour it stands for, and where that is written: files and functions
//! are those of Istio's pilot (istio/istio, 1.32), fields those of Istio's reference pages
//! (`HTTPRetry.attempts`), and messages with underscores in their fields those of Envoy's API
//! (`RouteAction.hash_policy`). What is not translated yet is refused, never left out, so a case
//! cannot pass because a field was lost.

mod actions;
mod balancing;
mod clusters;
mod connection_pool;
mod delegates;
mod filters;
mod header_operations;
mod hosts;
mod localities;
mod retries;
mod routes;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_actions;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tower_mesh::api::{Resource, Resources, ServiceEntry, Spec, VirtualService};

pub(crate) use hosts::Service;

/// The name of the route configuration, and of the listener's statistics.
pub(crate) const ROUTES: &str = "outbound";

/// Whose sidecar it is, and at which of its listeners requests arrive.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) namespace: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) port: u16,
    /// Whether hosts nobody declares are refused; where they are let through,
    /// the original destination decides, which a comparison does not have.
    pub(crate) registry_only: bool,
}

/// A route configuration, the clusters it may name, and how many endpoints each has.
#[derive(Debug)]
pub(crate) struct Translation {
    pub(crate) routes: Value,
    pub(crate) clusters: Vec<Value>,
    pub(crate) endpoints: BTreeMap<String, usize>,
}

impl Translation {
    /// Whether a virtual host stands for a host, which may have a port.
    pub(crate) fn knows(&self, host: &str) -> bool {
        let name = |host: &str| {
            let end = host.rfind(':').unwrap_or(host.len());
            host[..end].to_ascii_lowercase()
        };
        let host = name(host);
        let hosts = self.routes["virtual_hosts"].as_array();
        let mut domains = hosts
            .into_iter()
            .flatten()
            .flat_map(|it| it["domains"].as_array().into_iter().flatten())
            .filter_map(Value::as_str);
        domains.any(|domain| match domain.strip_prefix('*') {
            Some("") => false,
            Some(suffix) => host.ends_with(suffix),
            None => name(domain) == host,
        })
    }
}

/// What could not be translated, naming the resource.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// Translates all resources for one client.
pub(crate) fn translate(resources: &Resources, client: &Client) -> Result<Translation> {
    let resources = &oldest_first(resources)?;
    let registry = registry(resources, client)?;
    let (mut clusters, mut endpoints) = clusters::clusters(resources, &registry, client)?;
    let mut virtual_hosts = virtual_hosts(resources, &registry, client)?;
    virtual_hosts.push(match client.registry_only {
        true => black_hole(),
        false => allow_any(),
    });
    clusters.push(clusters::passthrough());
    endpoints.insert(clusters::PASSTHROUGH.to_owned(), 1);
    let routes = json!({
        "name": ROUTES,
        // The port in Host does not take part in choosing a virtual host (`httproute.go
        // buildSidecarOutboundHTTPRouteConfig`; RouteConfiguration.ignore_port_in_host_matching).
        "ignore_port_in_host_matching": true,
        // Destinations that do not exist are allowed, and answer 503 NC (the same;
        // RouteConfiguration.validate_clusters).
        "validate_clusters": false,
        // Direct responses of up to 1 MiB (the same;
        // RouteConfiguration.max_direct_response_body_size_bytes).
        "max_direct_response_body_size_bytes": 1 << 20,
        "virtual_hosts": virtual_hosts,
    });
    Ok(Translation {
        routes,
        clusters,
        endpoints,
    })
}

/// Age: the oldest first, those of one second by name and then by namespace. Resources without
/// any date, as files have them, are as old as they are read; some with and some without are not
/// translated, for istiod never meets them.
///
/// Source: `virtualservice.go SelectVirtualServices`, `config.go sortConfigByCreationTime`;
/// ObjectMeta.creationTimestamp.
fn oldest_first(resources: &Resources) -> Result<Resources> {
    let mut list: Vec<&Resource> = resources.iter().collect();
    let dated = list
        .iter()
        .filter(|it| it.metadata.creation_timestamp.is_some());
    match dated.count() {
        0 => {}
        some if some < list.len() => return Err("only some have a creationTimestamp".to_owned()),
        _ => list.sort_by(|one, other| {
            let key = |it: &Resource| {
                let metadata = &it.metadata;
                let namespace = metadata.namespace_or_default().to_owned();
                (
                    metadata.creation_timestamp.clone(),
                    metadata.name.clone(),
                    namespace,
                )
            };
            key(one).cmp(&key(other))
        }),
    }
    let mut sorted = Resources::new();
    for resource in list {
        sorted.push(resource.clone());
    }
    Ok(sorted)
}

/// Outbound traffic policy REGISTRY_ONLY: an unknown host is answered 502 by the route `block_all`.
///
/// Source: `httproute.go buildSidecarOutboundVirtualHosts`, `route.go buildDefaultHTTPRoute` of
/// `block_all`; Sidecar reference, OutboundTrafficPolicy.mode REGISTRY_ONLY; RouteAction of a
/// direct response.
fn black_hole() -> Value {
    json!({
        "name": "block_all",
        "domains": ["*"],
        "include_request_attempt_count": true,
        "routes": [{
            "name": "block_all",
            "match": {"prefix": "/"},
            "direct_response": {"status": 502},
        }],
    })
}

/// Outbound traffic policy ALLOW_ANY: an unknown host goes where the client had it go.
///
/// Source: `httproute.go` (the catch-all virtual host `allow_any`); Sidecar reference,
/// OutboundTrafficPolicy.mode ALLOW_ANY.
fn allow_any() -> Value {
    json!({
        "name": "allow_any",
        "domains": ["*"],
        "include_request_attempt_count": true,
        "routes": [{
            "name": "allow_any",
            "match": {"prefix": "/"},
            "route": {
                "cluster": clusters::PASSTHROUGH,
                "timeout": "0s",
                "max_grpc_timeout": "0s",
            },
        }],
    })
}

/// `exportTo`: `.` is the resource's own namespace, `*` all, nothing means all; else namespaces by name.
///
/// Source: VirtualService, DestinationRule and ServiceEntry references, exportTo; `push_context.go
/// initVirtualServices`.
fn is_visible(export_to: &[String], namespace: &str, client: &str) -> bool {
    let visible = |to: &String| match to.as_str() {
        "*" => true,
        "." => namespace == client,
        named => named == client,
    };
    export_to.is_empty() || export_to.iter().any(visible)
}

fn registry(resources: &Resources, client: &Client) -> Result<Vec<Service>> {
    let mut registry: Vec<Service> = Vec::new();
    for resource in resources.iter() {
        match &resource.spec {
            Spec::ServiceEntry(entry) => {
                let namespace = resource.metadata.namespace_or_default();
                if is_visible(&entry.export_to, namespace, &client.namespace) {
                    let services = services(resource, entry)?;
                    registry.extend(services);
                }
            }
            Spec::VirtualService(_) | Spec::DestinationRule(_) => {}
            _ => return Err(format!("{}: this kind is not translated", resource.id())),
        }
    }
    let mut seen = BTreeSet::new();
    match registry.iter().find(|service| !seen.insert(&service.host)) {
        Some(twice) => Err(format!("{}: two declarations of a host", twice.host)),
        None => Ok(registry),
    }
}

/// Registry: one service for every host of a ServiceEntry, with its ports, addresses and endpoints.
///
/// Source: `serviceentry/conversion.go convertServices`; ServiceEntry reference, hosts, ports,
/// addresses, endpoints.
fn services(resource: &Resource, entry: &ServiceEntry) -> Result<Vec<Service>> {
    let mut rest = entry.clone();
    rest.hosts.clear();
    rest.ports.clear();
    rest.endpoints.clear();
    rest.addresses.clear();
    rest.export_to.clear();
    rest.resolution = tower_mesh::api::Resolution::default();
    rest.location = tower_mesh::api::Location::default();
    let is_static = entry.resolution == tower_mesh::api::Resolution::Static;
    if rest != ServiceEntry::default() || !is_static {
        return Err(format!("{}: more than STATIC hosts", resource.id()));
    }
    let service = |host: &String| Service {
        host: host.to_ascii_lowercase(),
        namespace: resource.metadata.namespace_or_default().to_owned(),
        ports: entry.ports.clone(),
        addresses: entry.addresses.clone(),
        endpoints: entry.endpoints.clone(),
    };
    Ok(entry.hosts.iter().map(service).collect())
}

/// The VirtualServices a client's sidecar sees, in the order in which they may claim hosts.
///
/// Visibility and order: first those private to the client's namespace, then those
/// exported to it by name, then the public ones; within each the oldest first.
///
/// Source: `virtualservice.go SelectVirtualServices`, `push_context.go initVirtualServices`;
/// VirtualService reference, exportTo and gateways.
fn visible<'r>(
    resources: &'r Resources,
    client: &Client,
) -> Result<Vec<(&'r Resource, &'r VirtualService)>> {
    let mut found = Vec::new();
    for resource in resources.iter() {
        let Spec::VirtualService(rules) = &resource.spec else {
            continue;
        };
        let namespace = resource.metadata.namespace_or_default();
        // A VirtualService without hosts is a delegate; without gateways it is for the mesh.
        let mesh = rules.gateways.is_empty() || rules.gateways.iter().any(|it| it == "mesh");
        let ours = is_visible(&rules.export_to, namespace, &client.namespace);
        if mesh && ours && !rules.hosts.is_empty() {
            let scope = match rules.export_to.as_slice() {
                [] => 2,
                to if to.iter().any(|it| it == "*") => 2,
                // A namespace is private to itself by name as well.
                to if to.iter().any(|it| it == "." || it == namespace) => 0,
                _ => 1,
            };
            found.push((scope, resource, &**rules));
        }
    }
    found.sort_by_key(|(scope, ..)| *scope);
    let without_scope = |(_, resource, rules)| (resource, rules);
    Ok(found.into_iter().map(without_scope).collect())
}

/// A VirtualService compiled for the listener: what it claims and the routes it brings.
struct Claim<'s> {
    /// Hosts outside the registry, in lower case.
    hosts: Vec<String>,
    services: Vec<&'s Service>,
    routes: Vec<Value>,
}

/// Sidecar outbound virtual hosts of one port: who owns which host.
///
/// Source: `httproute.go BuildSidecarOutboundVirtualHosts`, `route.go
/// BuildSidecarVirtualHostWrapper`, `buildSidecarVirtualHostsForVirtualService`,
/// `selectVirtualServices`.
fn virtual_hosts(
    resources: &Resources,
    registry: &[Service],
    client: &Client,
) -> Result<Vec<Value>> {
    let hashes = balancing::Hashes {
        resources,
        registry,
        client,
    };
    // Only services with the port that was dialled take part.
    let on_port = |service: &&Service| service.port(client.port).is_some();
    let services: Vec<&Service> = registry.iter().filter(on_port).collect();
    let virtual_services = visible(resources, client)?;
    let owners = hosts::owners(&virtual_services, &services);

    let mut claims = Vec::new();
    for (number, &(resource, rules)) in virtual_services.iter().enumerate() {
        let named = hosts::completed(resource, &rules.hosts);
        // Other ports than 80: a VirtualService that matches no service of the port is left out.
        if client.port != 80 && !hosts::any_service(&named, &services) {
            continue;
        }
        let routes = routes::routes(hashes, resource, rules)?;
        // Nothing remains for this client: the VirtualService is skipped as if absent.
        if routes.is_empty() {
            continue;
        }
        let (outside, mut inside) = hosts::separate(number, &named, &services, &owners);
        inside.retain(|service| service.is_http(client.port));
        // Hosts outside the registry are installed on port 80, or beside registry services.
        if inside.is_empty() && client.port != 80 {
            continue;
        }
        claims.push(Claim {
            hosts: outside,
            services: inside,
            routes,
        });
    }

    // Services nobody claimed get their default route.
    let claimed: BTreeSet<&str> = claims
        .iter()
        .flat_map(|claim| claim.services.iter().map(|service| service.host.as_str()))
        .collect();
    let mut defaults = Vec::new();
    for service in &services {
        if service.is_http(client.port) && !claimed.contains(service.host.as_str()) {
            defaults.push(Claim {
                hosts: Vec::new(),
                services: vec![service],
                routes: vec![routes::default_route(hashes, service)?],
            });
        }
    }
    claims.extend(defaults);
    Ok(assemble(&claims, client))
}

/// Virtual host domains: every name once, and the first to claim it keeps it.
///
/// Source: `httproute.go BuildSidecarOutboundVirtualHosts` (duplicate domains),
/// `generateVirtualHostDomains`; VirtualHost.include_request_attempt_count.
fn assemble(claims: &[Claim<'_>], client: &Client) -> Vec<Value> {
    let all_services = claims.iter().flat_map(|claim| &claim.services);
    let full_names: BTreeSet<&str> = all_services.map(|it| it.host.as_str()).collect();
    let mut names = BTreeSet::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut virtual_hosts = Vec::new();
    for claim in claims {
        let outside = claim.hosts.iter().map(|host| (host, None));
        let inside = claim.services.iter().map(|it| (&it.host, Some(*it)));
        for (host, service) in outside.chain(inside) {
            // A host of that name exists already: the later VirtualService loses it whole.
            if !names.insert(host.clone()) {
                continue;
            }
            let (own, aliases) = match service {
                None => (vec![host.clone()], Vec::new()),
                Some(service) => hosts::domains(service, &client.namespace),
            };
            // A short alias never takes a name that is some service's full name.
            let aliases = aliases.into_iter();
            let aliases = aliases.filter(|alias| !full_names.contains(alias.as_str()));
            let domains = own.into_iter().chain(aliases);
            let domains: Vec<String> = domains
                .filter(|domain| taken.insert(domain.to_ascii_lowercase()))
                .collect();
            if domains.is_empty() {
                continue;
            }
            virtual_hosts.push(json!({
                "name": format!("{host}:{}", client.port),
                "domains": domains,
                // Virtual host: x-envoy-attempt-count goes to the endpoint.
                "include_request_attempt_count": true,
                "routes": claim.routes,
            }));
        }
    }
    virtual_hosts
}
