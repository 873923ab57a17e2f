//! Who owns a host inside the mesh: the virtual hosts of a sidecar's outbound listener.
//!
//! The first VirtualService that names a host owns all of it; routes of several
//! are not merged. A service without an owner gets one default route. Hosts that
//! nothing declares get theirs on port 80, and on other ports only beside a
//! declared host of the same VirtualService.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::balancing::Balancing;
use super::clusters::Clusters;
use super::compile::Tables;
use super::origin::{Listed, Origin};
use super::route::{Choice, Policies, Route};
use super::virtual_services::VirtualService;
use crate::host;
use crate::route::Weights;
use crate::service_entry::{Registry, RegistryService};
use crate::source::Source;

/// Fills the tables of all ports: of each that a service has, and of 80.
pub(super) fn fill(
    tables: &mut Tables,
    virtual_services: &[VirtualService<'_>],
    registry: &Registry,
    source: &Source,
    clusters: &mut Clusters<'_>,
) {
    let names = Names::new(virtual_services);
    let mut by_port: BTreeMap<u16, Vec<&RegistryService>> = BTreeMap::from([(80, Vec::new())]);
    for service in registry.iter() {
        for (n, port) in service.ports.iter().enumerate() {
            // Of two ports with one number, the first is meant.
            let mut before = service.ports.iter().take(n);
            if before.all(|it| it.number != port.number) {
                by_port.entry(port.number).or_default().push(service);
            }
        }
    }
    for (port, services) in by_port {
        tables.open(port);
        fill_port(
            tables,
            port,
            &services,
            virtual_services,
            &names,
            source,
            clusters,
        );
    }
}

fn fill_port<'s>(
    tables: &mut Tables,
    port: u16,
    services: &[&'s RegistryService],
    virtual_services: &'s [VirtualService<'_>],
    names: &Names<'s>,
    source: &Source,
    clusters: &mut Clusters<'_>,
) {
    let declared = Declared::new(services, names);
    // Where undeclared hosts do not exist, only those that name a service play a part.
    let candidates: Vec<usize> = match port {
        80 => (0..virtual_services.len()).collect(),
        _ => declared.named_by.iter().copied().collect(),
    };
    let concerned: Vec<(usize, &VirtualService<'_>, Vec<Listed>)> = candidates
        .into_iter()
        .filter_map(|n| Some((n, virtual_services.get(n)?)))
        .map(|(n, it)| (n, it, it.routes(port, source, clusters)))
        .filter(|(.., routes)| !routes.is_empty())
        .collect();
    let mut exact: FxHashMap<&str, usize> = FxHashMap::default();
    exact.reserve(concerned.len());
    for (n, virtual_service, _) in &concerned {
        for name in &virtual_service.hosts {
            exact.entry(name).or_insert(*n);
        }
    }
    // The first that names a service exactly and has routes here, else the one whose wildcard
    // it falls under.
    let mut owned: FxHashMap<usize, Vec<&'s RegistryService>> = FxHashMap::default();
    // Whatever is spoken on the port, a service is declared; routes are for HTTP.
    let is_http = |it: &&RegistryService| it.port(port).is_some_and(|it| it.protocol.is_http());
    let services: Vec<&RegistryService> = services.iter().copied().filter(is_http).collect();
    let full_names: FxHashSet<&str> = services.iter().map(|it| it.host.as_str()).collect();
    for service in &services {
        let named = exact.get(service.host.as_str()).copied();
        if let Some(owner) = named.or_else(|| names.wildcard_owner(&service.host)) {
            owned.entry(owner).or_default().push(service);
        }
    }

    let routes: usize = concerned.iter().map(|(.., routes)| routes.len()).sum();
    let left = services
        .len()
        .saturating_sub(owned.values().map(Vec::len).sum());
    tables.reserve(port, concerned.len() + left, routes + left);
    let mut claimed = FxHashSet::default();
    let mut domains: Vec<Cow<'_, str>> = Vec::new();
    for (n, virtual_service, routes) in concerned {
        let hosts = &virtual_service.hosts;
        domains.clear();
        for service in owned.get(&n).into_iter().flatten() {
            claimed.insert(service.host.as_str());
            domains.extend(domains_of(service, source, &full_names));
        }
        let names_one = hosts.iter().any(|name| full_names.contains(&**name));
        if port == 80 || names_one || owned.contains_key(&n) {
            let undeclared = hosts.iter().filter(|name| !declared.covers(name));
            domains.extend(undeclared.map(|it| Cow::Borrowed(&**it)));
        }
        if !domains.is_empty() {
            tables.add(port, &domains, routes);
        }
    }
    for service in services {
        if !claimed.contains(service.host.as_str()) {
            let cluster = clusters.place(&service.host, "", Some(port), port);
            let domains = domains_of(service, source, &full_names);
            let named = [(service.host.as_str(), "", Some(port))];
            let balancing = clusters.balancing(named.into_iter(), [cluster].into_iter());
            tables.add(
                port,
                &domains,
                default_route(cluster, balancing.map(|(it, _)| Arc::new(it))),
            );
        }
    }
}

/// All names VirtualServices have, and who has them, oldest first.
struct Names<'v> {
    exact: FxHashMap<&'v str, Vec<usize>>,
    /// Wildcards by what follows their star.
    wild: FxHashMap<&'v str, Vec<usize>>,
}

impl<'v> Names<'v> {
    fn new(virtual_services: &'v [VirtualService<'_>]) -> Self {
        let mut names = Self {
            exact: FxHashMap::default(),
            wild: FxHashMap::default(),
        };
        names.exact.reserve(virtual_services.len());
        for (n, virtual_service) in virtual_services.iter().enumerate() {
            for name in &virtual_service.hosts {
                let owners = match host::wildcard_suffix(name) {
                    Some(suffix) => names.wild.entry(suffix),
                    None => names.exact.entry(name),
                };
                owners.or_default().push(n);
            }
        }
        names
    }

    /// The VirtualService whose wildcard a service falls under: the longest one's first.
    ///
    /// Every VirtualService counts, even one without routes on a port: a service that is named
    /// exactly by any of them falls under no wildcard.
    fn wildcard_owner(&self, service: &str) -> Option<usize> {
        if self.exact.contains_key(service) {
            return None;
        }
        let mut owners = suffixes(service).filter_map(|suffix| self.wild.get(suffix));
        owners.next()?.first().copied()
    }
}

/// What of the names of VirtualServices stands for services of one port.
struct Declared<'s> {
    hosts: FxHashSet<&'s str>,
    /// Wildcards some service falls under, by what follows their star.
    wild: FxHashSet<&'s str>,
    /// The VirtualServices that name a service.
    named_by: BTreeSet<usize>,
}

impl<'s> Declared<'s> {
    fn new(services: &[&'s RegistryService], names: &Names<'s>) -> Self {
        let mut declared = Self {
            hosts: FxHashSet::default(),
            wild: FxHashSet::default(),
            named_by: BTreeSet::new(),
        };
        for service in services {
            let host = service.host.as_str();
            declared.hosts.insert(host);
            declared
                .named_by
                .extend(names.exact.get(host).into_iter().flatten());
            // A wildcard stands for a wider one too: either covers the other.
            for name in names.wild.keys().filter(|_| host.starts_with('*')) {
                if let Some(wide) = host::wildcard_suffix(host)
                    && name.len() > wide.len()
                    && name.ends_with(wide)
                {
                    declared.wild.insert(name);
                }
            }
            for suffix in suffixes(host) {
                if let Some(owners) = names.wild.get(suffix)
                    && declared.wild.insert(suffix)
                {
                    declared.named_by.extend(owners);
                }
            }
        }
        declared
    }

    /// Whether a service falls under the name.
    fn covers(&self, name: &str) -> bool {
        match host::wildcard_suffix(name) {
            Some(suffix) => self.wild.contains(suffix),
            None => self.hosts.contains(name),
        }
    }
}

/// What follows the star of every wildcard that covers a host, longest first.
fn suffixes(name: &str) -> impl Iterator<Item = &str> {
    // A star stands for at least one character, which a wildcard's own star is.
    let ends = name.char_indices().skip(1).map(|(n, _)| n);
    ends.chain([name.len()]).filter_map(|n| name.get(n..))
}

fn default_route(cluster: u32, balancing: Option<Arc<Balancing>>) -> Vec<Listed> {
    let mut route = Route::unlisted("default", Policies::istio_default());
    route.weights = Weights::new([(0, 1)]).ok();
    route.choices = vec![Choice::of(cluster)];
    route.balancing = balancing;
    vec![(route, Origin::NONE)]
}

/// All names clients may call a service by; an alias never takes the full name of another.
fn domains_of<'s>(
    service: &'s RegistryService,
    source: &Source,
    full_names: &FxHashSet<&str>,
) -> Vec<Cow<'s, str>> {
    let host = service.host.as_str();
    let mut domains = vec![Cow::Borrowed(host)];
    if !host.starts_with('*') && !host::is_address(host) {
        domains.push(format!("{host}.").into());
    }
    let suffix = format!(".svc.{}", source.cluster_domain);
    if let Some((name, namespace)) = host
        .strip_suffix(&suffix)
        .and_then(|short| short.split_once('.'))
        .filter(|(name, namespace)| !name.starts_with('*') && !namespace.contains('.'))
    {
        domains.push(format!("{name}.{namespace}.svc").into());
        domains.push(format!("{name}.{namespace}").into());
        if namespace == source.namespace {
            domains.push(name.into());
        }
    }
    domains.retain(|name| *name == host || !full_names.contains(&**name));
    // A network of one address is that address.
    let addresses = service.addresses.iter().map(|it| match it.contains(':') {
        true => it.strip_suffix("/128").unwrap_or(it),
        false => it.strip_suffix("/32").unwrap_or(it),
    });
    let addresses = addresses.filter(|it| host::is_address(it));
    domains.extend(addresses.map(|address| match address.contains(':') {
        true => format!("[{address}]").into(),
        false => address.into(),
    }));
    domains
}
