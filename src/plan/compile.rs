//! Resources in, one plan out, and everything there is to say about them.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::adjust::{AdjustOutliers, AdjustRetries};
use super::clusters::Clusters;
use super::delegates::Delegates;
use super::destination_rules::DestinationRules;
use super::live::Live;
use super::origin::{Listed, Origin, Owners};
use super::references::References;
use super::route::{Policies, Route};
use super::shadowed::Taken;
use super::virtual_services::VirtualService;
use super::visible::{is_bound, visible};
use super::{
    Plan, Rules, Table, UnknownHosts, VirtualHost, check_destination_rule, gateway_hosts,
    mesh_hosts, not_built,
};
use crate::api::{Resource, Resources, Spec};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics, Severity};
use crate::rt::Rng;
use crate::service_entry::Registry;
use crate::source::Source;
use crate::tls::WorkloadCertificates;
use crate::validation;

/// What a plan is compiled for, beside the resources.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) source: Source,
    /// Refuse hosts that nothing declares.
    pub(crate) registry_only: bool,
    /// Take what may be overlooked for a warning.
    pub(crate) lenient: bool,
    /// For where rotations begin.
    pub(crate) dice: Rng,
    /// What the client shows, and whom it trusts, under `ISTIO_MUTUAL`.
    pub(crate) workload: WorkloadCertificates,
    /// What is to be different about outlier detection.
    pub(crate) outliers: AdjustOutliers,
    /// The same of retries.
    pub(crate) retries: AdjustRetries,
}

/// What new rules go on from.
#[derive(Debug)]
pub(crate) enum Before<'p> {
    /// The first rules there are.
    Nothing(Live),
    /// The plan in force.
    Plan(&'p Plan),
}

/// Compiles aside: nothing is in force until the caller uses the plan, and it must not be used
/// when the diagnostics hold an error.
pub(crate) fn compile(
    resources: &Resources,
    options: &Options,
    before: Before<'_>,
) -> (Plan, Diagnostics) {
    let (before, live) = match before {
        Before::Nothing(live) => (None, Arc::new(live)),
        Before::Plan(plan) => (Some(plan), plan.live.clone()),
    };
    let mut found = resources.diagnostics().clone();
    let source = &options.source;
    let list = in_order(resources);
    report_doubles(&list, &mut found);
    let registry = read_registry(&list, options, &mut found);
    judge(&list, &registry, options, &mut found);
    let rules = DestinationRules::new(list.iter().copied(), &registry, source);
    let mut clusters = Clusters::new(&registry, &rules, options, before, &live);

    let delegates = Delegates::new(&list, source);
    let mut owners = Owners::default();
    let is_rules = |it: &&&Resource| matches!(it.spec, Spec::VirtualService(_));
    let count = list.iter().filter(is_rules).count();
    let mut virtual_services = Vec::with_capacity(count);
    owners.reserve(count);
    let mut taken: FxHashMap<Arc<str>, &Resource> = FxHashMap::default();
    taken.reserve(count);
    let read = |resource, written, about: &mut _| {
        VirtualService::read(resource, written, source, &clusters, &delegates, about)
    };
    for (resource, written) in delegates.iter() {
        let mut about = Diagnostics::default();
        read(resource, written, &mut about);
        tell(resource, about, &mut found);
    }
    for (resource, written) in visible(&list, source) {
        let mut about = Diagnostics::default();
        let mut read = read(resource, written, &mut about);
        let bound = is_bound(resource, written, source);
        read.owner = owners.add(resource, &read, bound.then_some(source));
        if bound {
            if source.gateway.is_none() {
                report_taken_hosts(resource, &read, &mut taken, &mut about);
            }
            virtual_services.push(read);
        }
        tell(resource, about, &mut found);
    }

    owners.add_hidden(&list, source);
    for resource in &list {
        judge_unseen(resource, source, &clusters, &delegates, &mut found);
    }

    let mut tables = Tables::default();
    let unknown_hosts = match (&source.gateway, options.registry_only) {
        (Some(_), _) => UnknownHosts::NotFound,
        (None, true) => UnknownHosts::Refused,
        (None, false) => UnknownHosts::Passthrough,
    };
    if let Some(name) = &source.gateway {
        let declared = fill_gateway(
            name,
            &list,
            &virtual_services,
            source,
            &mut clusters,
            &mut tables,
        );
        if !declared {
            let message = format!("nothing declares the gateway {name}; every request gets 404");
            found.push(Diagnostic::new(Code::UnknownGateway, At::Top, message));
        }
    } else {
        mesh_hosts::fill(
            &mut tables,
            &virtual_services,
            &registry,
            source,
            &mut clusters,
        );
    }
    let host = |place| clusters.host(place);
    options.retries.adjust(&mut tables.routes, host);
    let rules = Rules {
        tables: tables.by_port,
        elsewhere: Table::default(),
        routes: tables.routes,
        origins: tables.origins,
        owners,
        // Istio gives this route neither timeout nor retries.
        allow_any: Route::unlisted("allow_any", Policies::default()),
        block_all: Route::unlisted("block_all", Policies::default()),
        unknown_hosts,
    };
    let clusters = clusters.finish();
    let plan = Plan {
        rules: Arc::new(rules),
        live: Arc::new(live.needed_by(&clusters)),
        clusters,
    };
    found.settle();
    if options.lenient {
        found = found.lenient();
    }
    (plan, found)
}

/// The tables of a plan under construction.
#[derive(Debug, Default)]
pub(super) struct Tables {
    by_port: FxHashMap<u16, Table>,
    routes: Vec<Route>,
    /// Where each of the routes comes from.
    origins: Vec<Origin>,
}

impl Tables {
    /// Makes a table for a port, so that its unknown hosts are judged as such.
    pub(super) fn open(&mut self, port: u16) {
        self.by_port.entry(port).or_default();
    }

    /// Makes room for so many hosts of a port and their routes.
    pub(super) fn reserve(&mut self, port: u16, hosts: usize, routes: usize) {
        self.routes.reserve(routes);
        self.origins.reserve(routes);
        self.by_port.entry(port).or_default().hosts.reserve(hosts);
    }

    /// Adds one virtual host; of domains that are taken already, the first owner keeps them.
    pub(super) fn add(&mut self, port: u16, domains: &[Cow<'_, str>], routes: Vec<Listed>) {
        let host = Arc::new(VirtualHost {
            first: u32::try_from(self.routes.len()).unwrap_or(u32::MAX),
            index: routes.iter().map(|(it, _)| it.rule.clone()).collect(),
        });
        for (route, origin) in routes {
            self.routes.push(route);
            self.origins.push(origin);
        }
        let table = self.by_port.entry(port).or_default();
        for domain in domains {
            // Taken already: the older VirtualService keeps it, as was said where they were read.
            let _ = table.hosts.insert(domain, host.clone());
        }
    }
}

/// Oldest first where every resource says when it was created; else as they were read.
fn in_order(resources: &Resources) -> Vec<&Resource> {
    let mut list: Vec<&Resource> = resources.iter().collect();
    if list
        .iter()
        .all(|it| it.metadata.creation_timestamp.is_some())
    {
        list.sort_by_cached_key(|it| {
            let it = &it.metadata;
            (
                it.creation_timestamp.clone(),
                it.name.clone(),
                it.namespace.clone(),
            )
        });
    }
    list
}

/// Tells what is wrong with each resource by itself, and what it refers to in vain.
fn judge(list: &[&Resource], registry: &Registry, options: &Options, found: &mut Diagnostics) {
    let source = &options.source;
    let mut taken = Taken::default();
    let references = References::new(list, registry, source);
    for resource in list {
        let mut about = Diagnostics::default();
        validation::check(resource, source, &mut about);
        if let Spec::DestinationRule(written) = &resource.spec {
            judge_policies(written, options, &mut about);
        }
        references.check(resource, &mut taken, &mut about);
        tell(resource, about, found);
    }
}

/// Tells what the rooms find wrong in a DestinationRule's policies, but for what is said already.
fn judge_policies(
    written: &crate::api::DestinationRule,
    options: &Options,
    about: &mut Diagnostics,
) {
    let mut by_rooms = Diagnostics::default();
    let at = At::Top.field("spec");
    check_destination_rule::check(written, options, at, &mut by_rooms);
    let said = about.len();
    for finding in by_rooms {
        let is_said =
            |it: &Diagnostic| it.path() == finding.path() && it.severity() >= finding.severity();
        if !about.iter().take(said).any(is_said) {
            about.push(finding);
        }
    }
}

/// Tells what is wrong with a VirtualService that this client does not see: nobody could use it.
fn judge_unseen(
    resource: &Resource,
    source: &Source,
    clusters: &Clusters<'_>,
    delegates: &Delegates<'_>,
    found: &mut Diagnostics,
) {
    let Spec::VirtualService(written) = &resource.spec else {
        return;
    };
    let namespace = resource.metadata.namespace_or_default();
    // Delegates are judged with those that name them.
    if written.hosts.is_empty() || source.sees(namespace, &written.export_to) {
        return;
    }
    let mut about = Diagnostics::default();
    VirtualService::read(resource, written, source, clusters, delegates, &mut about);
    about.retain(|it| it.severity() == Severity::Error && it.code() != Code::NotBuilt);
    tell(resource, about, found);
}

fn tell(resource: &Resource, about: Diagnostics, found: &mut Diagnostics) {
    if about.is_empty() {
        return;
    }
    let id = resource.id();
    for diagnostic in about {
        let place = resource.locate(&diagnostic);
        found.push(diagnostic.of(&id, place));
    }
}

fn report_doubles(list: &[&Resource], found: &mut Diagnostics) {
    let mut seen = FxHashSet::default();
    seen.reserve(list.len());
    for resource in list {
        let metadata = &resource.metadata;
        let (namespace, name) = (metadata.namespace_or_default(), metadata.name.as_str());
        if !name.is_empty() && !seen.insert((resource.spec.kind(), namespace, name)) {
            let id = resource.id();
            let mut about = Diagnostics::default();
            let at = At::Top.field("metadata");
            let message = format!("there are two resources {id}");
            about.push(Diagnostic::new(
                Code::DuplicateResource,
                at.field("name"),
                message,
            ));
            tell(resource, about, found);
        }
    }
}

fn read_registry(list: &[&Resource], options: &Options, found: &mut Diagnostics) -> Registry {
    let source = &options.source;
    let mut registry = Registry::default();
    let at = At::Top.field("spec");
    for resource in list {
        let mut about = Diagnostics::default();
        let namespace = resource.metadata.namespace_or_default();
        match &resource.spec {
            Spec::ServiceEntry(written) => {
                if source.sees(namespace, &written.export_to) {
                    registry.add_service_entry(namespace, written, at, &mut about);
                } else {
                    registry.hide(written);
                }
            }
            Spec::Service(written) => {
                let (name, domain) = (&resource.metadata.name, &source.cluster_domain);
                registry.add_service(namespace, name, domain, written, at, &mut about);
            }
            Spec::Gateway(written) => not_built::gateway(written, at, &mut about),
            Spec::VirtualService(_) | Spec::DestinationRule(_) => {}
        }
        tell(resource, about, found);
    }
    registry
}

/// Says which hosts an older VirtualService owns already.
fn report_taken_hosts<'r>(
    resource: &'r Resource,
    read: &VirtualService<'_>,
    taken: &mut FxHashMap<Arc<str>, &'r Resource>,
    about: &mut Diagnostics,
) {
    let at = At::Top.field("spec");
    for (n, name) in read.hosts.iter().enumerate() {
        if let Some(owner) = taken.get(name) {
            let message = format!("duplicate domain from virtual service: {name}");
            let hint = format!(
                "{} owns the host; none of these rules apply to it",
                owner.id()
            );
            let at = at.field("hosts");
            about.push(Diagnostic::new(Code::DuplicateHost, at.item(n), message).hint(hint));
        } else {
            taken.insert(name.clone(), resource);
        }
    }
}

fn fill_gateway(
    name: &str,
    list: &[&Resource],
    virtual_services: &[VirtualService<'_>],
    source: &Source,
    clusters: &mut Clusters<'_>,
    tables: &mut Tables,
) -> bool {
    let mut declared = false;
    for resource in list {
        let Spec::Gateway(gateway) = &resource.spec else {
            continue;
        };
        let namespace = resource.metadata.namespace_or_default();
        if format!("{namespace}/{}", resource.metadata.name) == name {
            declared = true;
            gateway_hosts::fill(
                tables,
                gateway,
                namespace,
                virtual_services,
                source,
                clusters,
            );
        }
    }
    declared
}
