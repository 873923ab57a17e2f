//! Who owns a host at a gateway: what its servers list, cut with what VirtualServices name.
//!
//! Several VirtualServices may share a host here: their routes stand one after
//! the other, catch-all routes moved to the end. Hosts that no VirtualService
//! serves do not exist.

use indexmap::IndexMap;

use super::clusters::Clusters;
use super::compile::Tables;
use super::origin::Listed;
use super::virtual_services::VirtualService;
use crate::api;
use crate::host;
use crate::service_entry::Protocol;
use crate::source::Source;

/// Fills the tables of all plain HTTP servers of a gateway.
pub(super) fn fill(
    tables: &mut Tables,
    gateway: &api::Gateway,
    gateway_namespace: &str,
    virtual_services: &[VirtualService<'_>],
    source: &Source,
    clusters: &mut Clusters<'_>,
) {
    let mut ports: IndexMap<u16, Vec<&str>> = IndexMap::new();
    for server in &gateway.servers {
        let Some(port) = &server.port else { continue };
        let Ok(number) = u16::try_from(port.number) else {
            continue;
        };
        if Protocol::named(&port.protocol).is_http() && server.tls.is_none() {
            let hosts = ports.entry(number).or_default();
            hosts.extend(server.hosts.iter().map(String::as_str));
        }
    }
    for (port, served) in ports {
        let mut by_host: IndexMap<String, Vec<Listed>> = IndexMap::new();
        for virtual_service in virtual_services {
            let names = names(&served, gateway_namespace, virtual_service);
            for name in names {
                let routes = virtual_service.routes(port, source, clusters);
                // As if absent: a wider host's rules may serve the name.
                if routes.is_empty() {
                    continue;
                }
                by_host.entry(name).or_default().extend(routes);
            }
        }
        tables.open(port);
        for (name, routes) in by_host {
            let (last, mut first): (Vec<_>, Vec<_>) = routes
                .into_iter()
                .partition(|(route, _)| route.rule.is_catch_all());
            first.extend(last);
            tables.add(port, &[name], first);
        }
    }
}

/// The names a VirtualService owns at a server: of each overlapping pair the more specific one.
fn names(served: &[&str], gateway_namespace: &str, it: &VirtualService<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for server in served {
        let (namespace, server) = server.split_once('/').unwrap_or(("*", server));
        let server = server.to_ascii_lowercase();
        let allowed = match namespace {
            "*" => true,
            "." => it.namespace == gateway_namespace,
            named => it.namespace == named,
        };
        if !allowed {
            continue;
        }
        for name in &it.hosts {
            let narrower = if host::is_subset_of(name, &server) {
                name
            } else if host::is_subset_of(&server, name) {
                &server
            } else {
                continue;
            };
            if !names.contains(narrower) {
                names.push(narrower.clone());
            }
        }
    }
    names
}
