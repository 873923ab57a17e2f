//! What resources say of each other: gateways, hosts, endpoints and delegates that are not there,
//! and rules that others make pointless.
//!
//! Nothing here changes what is compiled; it only tells.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::shadowed::{self, Taken};
use crate::api::{self, Resolution, Resource, Spec};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::host;
use crate::match_request;
use crate::service_entry::Registry;
use crate::source::{Source, resolve_gateway};

/// What the resources declare, by full name.
pub(super) struct References<'r> {
    registry: &'r Registry,
    source: &'r Source,
    gateways: FxHashMap<String, (&'r str, &'r api::Gateway)>,
    virtual_services: FxHashMap<(&'r str, &'r str), &'r api::VirtualService>,
    /// The endpoints of hosts that list all of theirs.
    listed: FxHashMap<String, Vec<&'r api::WorkloadEntry>>,
    /// Whose traffic policy holds for a host, by namespace.
    policies: FxHashMap<(&'r str, String), &'r Resource>,
}

impl<'r> References<'r> {
    pub(super) fn new(list: &[&'r Resource], registry: &'r Registry, source: &'r Source) -> Self {
        let mut references = Self {
            registry,
            source,
            gateways: FxHashMap::default(),
            virtual_services: FxHashMap::default(),
            listed: FxHashMap::default(),
            policies: FxHashMap::default(),
        };
        references.virtual_services.reserve(list.len());
        for resource in list {
            references.note(resource);
        }
        references
    }

    fn note(&mut self, resource: &'r Resource) {
        let namespace = resource.metadata.namespace_or_default();
        let name = resource.metadata.name.as_str();
        match &resource.spec {
            Spec::Gateway(it) => {
                self.gateways
                    .insert(format!("{namespace}/{name}"), (namespace, it));
            }
            Spec::VirtualService(it) => {
                self.virtual_services.insert((namespace, name), it);
            }
            Spec::ServiceEntry(it) => {
                let all_listed = it.resolution == Resolution::Static
                    && it.workload_selector.is_none()
                    && self.source.sees(namespace, &it.export_to);
                if all_listed {
                    for host in &it.hosts {
                        let listed = self.listed.entry(host.to_ascii_lowercase()).or_default();
                        listed.extend(&it.endpoints);
                    }
                }
            }
            Spec::DestinationRule(it) => {
                if it.traffic_policy.is_some() && it.workload_selector.is_none() {
                    let host = self.full(&it.host, namespace).into_owned();
                    self.policies.entry((namespace, host)).or_insert(resource);
                }
            }
            Spec::Service(_) => {}
        }
    }

    fn full<'n>(&self, host: &'n str, namespace: &str) -> Cow<'n, str> {
        host::full_name(host, namespace, &self.source.cluster_domain)
    }

    /// Tells what a resource refers to in vain.
    pub(super) fn check(
        &self,
        resource: &'r Resource,
        taken: &mut Taken<'r>,
        found: &mut Diagnostics,
    ) {
        let at = At::Top.field("spec");
        let namespace = resource.metadata.namespace_or_default();
        match &resource.spec {
            Spec::VirtualService(it) => {
                self.check_gateways(it, namespace, at, found);
                self.check_delegates(it, namespace, at, found);
                self.check_protocols(it, namespace, at, found);
                shadowed::check(it, taken, at, found);
                match_request::check_alike(it, at, found);
            }
            Spec::DestinationRule(it) => {
                self.check_rule(resource, it, namespace, at, found);
            }
            Spec::ServiceEntry(_) | Spec::Gateway(_) | Spec::Service(_) => {}
        }
    }

    fn check_gateways(
        &self,
        written: &api::VirtualService,
        namespace: &str,
        at: At<'_>,
        found: &mut Diagnostics,
    ) {
        let blocks = || written.http.iter().flat_map(|it| &it.r#match);
        if written.gateways.is_empty() && blocks().all(|it| it.gateways.is_empty()) {
            return;
        }
        let at_gateways = at.field("gateways");
        let full = |name: &String| resolve_gateway(name, namespace);
        for (n, name) in written.gateways.iter().map(full).enumerate() {
            let at = at_gateways.item(n);
            if name == "mesh" {
                continue;
            }
            let Some((gateway_namespace, gateway)) = self.gateways.get(&name) else {
                let message = format!("nothing declares the gateway {name}: no rule applies there");
                found.push(Diagnostic::new(Code::UnknownGateway, at, message));
                continue;
            };
            let serves = |server: &api::Server| {
                let hosts = server.hosts.iter();
                hosts
                    .filter_map(|it| served(it, gateway_namespace, namespace))
                    .any(|served| {
                        let mut own = written.hosts.iter();
                        own.any(|it| host::overlap(&self.full(it, namespace), &served))
                    })
            };
            if !written.hosts.is_empty() && !gateway.servers.iter().any(serves) {
                let message = format!("no server of the gateway {name} serves any of these hosts");
                let hint = "requests for them get 404 there";
                found.push(Diagnostic::new(Code::NeverMatches, at, message).hint(hint));
            }
        }
        let bound = |name: &String| match written.gateways.as_slice() {
            [] => name == "mesh",
            gateways => gateways.iter().map(full).any(|it| it == *name),
        };
        let at_http = at.field("http");
        for (n, rule) in written.http.iter().enumerate() {
            let at_rule = at_http.item(n);
            let at_match = at_rule.field("match");
            for (n, block) in rule.r#match.iter().enumerate() {
                let at_block = at_match.item(n);
                let at = at_block.field("gateways");
                for (n, name) in block.gateways.iter().map(full).enumerate() {
                    if !bound(&name) {
                        let message = format!(
                            "the resource is not bound to {name}: at that gateway this never holds"
                        );
                        let hint = "name it in spec.gateways too";
                        let warning = Diagnostic::new(Code::NeverMatches, at.item(n), message);
                        found.push(warning.hint(hint));
                    }
                }
            }
        }
    }

    fn check_delegates(
        &self,
        written: &api::VirtualService,
        namespace: &str,
        at: At<'_>,
        found: &mut Diagnostics,
    ) {
        let at_http = at.field("http");
        for (n, rule) in written.http.iter().enumerate() {
            let Some(delegate) = rule.delegate.as_ref().filter(|it| !it.name.is_empty()) else {
                continue;
            };
            let name = delegate.name.as_str();
            let place = match delegate.namespace.as_str() {
                "" => namespace,
                namespace => namespace,
            };
            let message = match self.virtual_services.get(&(place, name)) {
                None => format!("there is no VirtualService {place}/{name}"),
                Some(it) if !it.hosts.is_empty() => {
                    format!("VirtualService {place}/{name} has hosts, so it cannot be a delegate")
                }
                Some(it) if !exports(place, &it.export_to, namespace) => {
                    format!("VirtualService {place}/{name} is not exported to {namespace}")
                }
                Some(_) => continue,
            };
            let at_rule = at_http.item(n);
            let at = at_rule.field("delegate");
            let warning = Diagnostic::new(Code::UnknownDelegate, at.field("name"), message);
            found.push(warning.hint("this rule is left out"));
        }
    }

    /// HTTP rules apply to ports on which HTTP is spoken.
    fn check_protocols(
        &self,
        written: &api::VirtualService,
        namespace: &str,
        at: At<'_>,
        found: &mut Diagnostics,
    ) {
        if written.http.is_empty() {
            return;
        }
        let at = at.field("hosts");
        for (n, name) in written.hosts.iter().enumerate() {
            let full = self.full(name, namespace);
            let Some(service) = self.registry.get(&full) else {
                // Only what is declared goes by other names than its whole one.
                let is_whole = full.eq_ignore_ascii_case(name);
                if self.source.gateway.is_none() && is_in_mesh(written) && !is_whole {
                    let message = format!(
                        "nothing declares {full}: requests to {name} do not meet these rules"
                    );
                    let hint = match self.registry.get(&name.to_ascii_lowercase()) {
                        None => "declare it in a ServiceEntry or a Service, or call it in full",
                        Some(_) => {
                            "a ServiceEntry's host is taken as written: write it in full there"
                        }
                    };
                    let warning = Diagnostic::new(Code::UnknownHost, at.item(n), message);
                    found.push(warning.hint(hint));
                }
                continue;
            };
            let ports = service.ports.as_slice();
            if !ports.is_empty() && ports.iter().all(|it| !it.protocol.is_http()) {
                let message = format!("no port of {name} speaks HTTP: http rules do not apply");
                let hint = "name the port's protocol HTTP, or write tcp or tls rules";
                found.push(Diagnostic::new(Code::Unreachable, at.item(n), message).hint(hint));
            }
        }
    }

    fn check_rule(
        &self,
        resource: &Resource,
        written: &api::DestinationRule,
        namespace: &str,
        at: At<'_>,
        found: &mut Diagnostics,
    ) {
        if written.host.is_empty() {
            return;
        }
        let full = self.full(&written.host, namespace);
        let declared = self.registry.get(&full).is_some()
            || self.registry.hides(&full)
            || (full.starts_with('*')
                && self
                    .registry
                    .iter()
                    .any(|it| host::is_subset_of(&it.host, &full)));
        if !declared {
            let message = format!("nothing declares the host {full}");
            let hint = "the rule has no effect until a ServiceEntry or Service does";
            let warning = Diagnostic::new(Code::UnknownHost, at.field("host"), message);
            found.push(warning.hint(hint));
        }
        if written.traffic_policy.is_some()
            && written.workload_selector.is_none()
            && let Some(first) = self.policies.get(&(namespace, full.clone().into_owned()))
            && !std::ptr::eq(*first, resource)
        {
            let message = format!("the trafficPolicy of {} holds for {full}", first.id());
            let hint = "only its subsets are taken from this rule";
            let warning = Diagnostic::new(Code::DuplicateHost, at.field("trafficPolicy"), message);
            found.push(warning.hint(hint));
        }
        let Some(listed) = self.listed.get(&*full) else {
            return;
        };
        if let Some(policy) = &written.traffic_policy {
            check_ejection(policy, listed.len(), at.field("trafficPolicy"), found);
        }
        let at = at.field("subsets");
        for (n, subset) in written.subsets.iter().enumerate() {
            let at = at.item(n);
            let carries = |endpoint: &&&api::WorkloadEntry| {
                let mut labels = subset.labels.iter();
                labels.all(|(key, value)| endpoint.labels.get(key) == Some(value))
            };
            let selected = listed.iter().filter(carries).count();
            if selected == 0 && !listed.is_empty() {
                let message = format!("no endpoint of {full} carries these labels");
                let hint = "requests to the subset get 503 UH";
                let warning = Diagnostic::new(Code::NeverMatches, at.field("labels"), message);
                found.push(warning.hint(hint));
            }
            if let Some(policy) = &subset.traffic_policy {
                check_ejection(policy, selected, at.field("trafficPolicy"), found);
            }
        }
    }
}

/// Warns where so few endpoints may be ejected that it is none.
fn check_ejection(
    policy: &api::TrafficPolicy,
    endpoints: usize,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    let Some(outliers) = &policy.outlier_detection else {
        return;
    };
    let share = outliers
        .max_ejection_percent
        .filter(|it| *it > 0)
        .unwrap_or(10);
    let share = usize::try_from(share).unwrap_or(0);
    if endpoints == 0 || share * endpoints >= 100 {
        return;
    }
    let noun = if endpoints == 1 {
        "endpoint"
    } else {
        "endpoints"
    };
    let message = format!("{share} % of {endpoints} {noun} is less than one: none is ever ejected");
    let hint = format!(
        "write maxEjectionPercent: {} or more",
        100_usize.div_ceil(endpoints)
    );
    let at = at.field("outlierDetection");
    let at = match outliers.max_ejection_percent {
        Some(_) => at.field("maxEjectionPercent").to_path(),
        None => at.to_path(),
    };
    found.push(Diagnostic::at_path(Code::NeverFires, at, message).hint(hint));
}

/// What a server's `hosts` item serves for resources of a namespace.
fn served(written: &str, gateway_namespace: &str, namespace: &str) -> Option<String> {
    let (allowed, name) = written.split_once('/').unwrap_or(("*", written));
    let allowed = match allowed {
        "*" => true,
        "." => namespace == gateway_namespace,
        named => namespace == named,
    };
    allowed.then(|| name.to_ascii_lowercase())
}

/// Whether rules are for the requests of workloads rather than for a gateway alone.
fn is_in_mesh(written: &api::VirtualService) -> bool {
    written.gateways.is_empty() || written.gateways.iter().any(|it| it == "mesh")
}

/// Whether a resource is exported to a namespace.
fn exports(own: &str, export_to: &[String], namespace: &str) -> bool {
    export_to.is_empty()
        || export_to.iter().any(|to| match to.as_str() {
            "*" => true,
            "." => own == namespace,
            named => named == namespace,
        })
}
