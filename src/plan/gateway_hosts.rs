//! Who owns a host at a gateway: what its servers list, cut with what VirtualServices name.
//!
//! Several VirtualServices may share a host here: their routes stand one after
//! the other, catch-all routes moved to the end. Hosts that no VirtualService
//! serves do not exist. A server with `httpsRedirect` sends what did not come by
//! `https` there before any other route is looked at.

use indexmap::IndexMap;

use super::clusters::Clusters;
use super::compile::Tables;
use super::origin::{Listed, Origin};
use super::route::Route;
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
    let mut ports: IndexMap<u16, Vec<Served<'_>>> = IndexMap::new();
    for server in &gateway.servers {
        let Some(port) = &server.port else { continue };
        let Ok(number) = u16::try_from(port.number) else {
            continue;
        };
        let tls = server.tls.as_ref();
        let redirects = tls.is_some_and(|it| it.https_redirect == Some(true));
        if Protocol::named(&port.protocol).is_http() && (tls.is_none() || redirects) {
            let served = |host| Served { host, redirects };
            let hosts = ports.entry(number).or_default();
            hosts.extend(server.hosts.iter().map(String::as_str).map(served));
        }
    }
    for (port, served) in ports {
        let mut by_host: IndexMap<String, Host> = IndexMap::new();
        for virtual_service in virtual_services {
            for (name, redirects) in names(&served, gateway_namespace, virtual_service) {
                let routes = virtual_service.routes(port, source, clusters);
                // As if absent: a wider host's rules may serve the name.
                if routes.is_empty() {
                    continue;
                }
                let host = by_host.entry(name).or_default();
                host.routes.extend(routes);
                host.redirects |= redirects;
            }
        }
        // Where nothing else serves a name, that there is something behind https is all it has.
        for server in served.iter().filter(|it| it.redirects) {
            let host = by_host.entry(server.host.to_ascii_lowercase()).or_default();
            host.redirects |= host.routes.is_empty();
        }
        tables.open(port);
        for (name, Host { routes, redirects }) in by_host {
            let (last, mut first): (Vec<_>, Vec<_>) = routes
                .into_iter()
                .partition(|(route, _)| route.rule.is_catch_all());
            first.extend(last);
            if redirects {
                first.insert(0, (Route::to_https(), Origin::NONE));
            }
            tables.add(port, &[name.into()], first);
        }
    }
}

/// A host that a server lists, which may be of one namespace: `namespace/host`.
struct Served<'g> {
    host: &'g str,
    /// To `https`.
    redirects: bool,
}

/// What a name is served by.
#[derive(Default)]
struct Host {
    routes: Vec<Listed>,
    redirects: bool,
}

/// The names a VirtualService owns at a server: of each overlapping pair the more specific one;
/// and whether the server redirects.
fn names(
    served: &[Served<'_>],
    gateway_namespace: &str,
    it: &VirtualService<'_>,
) -> IndexMap<String, bool> {
    let mut names = IndexMap::new();
    for Served { host, redirects } in served {
        let (namespace, server) = host.split_once('/').unwrap_or(("*", host));
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
                &**name
            } else if host::is_subset_of(&server, name) {
                server.as_str()
            } else {
                continue;
            };
            *names.entry(narrower.to_owned()).or_default() |= redirects;
        }
    }
    names
}
