//! From ServiceEntry and Service as written to the registry.

use std::net::IpAddr;

use indexmap::IndexMap;

use super::members::Finding;
use super::registry::{Port, Protocol, Registry, RegistryService, Workload};
use super::shared::Shared;
use crate::api::{self, Resolution};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::endpoint::{Locality, Place};

impl Registry {
    /// Adds the hosts of a ServiceEntry; hosts already known gain ports and endpoints.
    pub(crate) fn add_service_entry(
        &mut self,
        namespace: &str,
        written: &api::ServiceEntry,
        at: At<'_>,
        found: &mut Diagnostics,
    ) {
        if written.hosts.is_empty() {
            let message = "service entry must have at least one host";
            found.push(Diagnostic::new(
                Code::MissingField,
                at.field("hosts"),
                message,
            ));
        }
        let ports = compile_ports(&written.ports, at.field("ports"), found);
        let (workloads, finding) = compile_workloads(written, at, found);
        report_hosts(written, at, found);
        let mut accounts = Vec::new();
        for account in written.endpoints.iter().map(|it| &it.service_account) {
            let account = format!("{namespace}/sa/{account}");
            if !account.ends_with('/') && !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        for (n, host) in written.hosts.iter().enumerate() {
            if host.is_empty() || host == "*" {
                let message = format!("invalid host {host}");
                let at = at.field("hosts");
                found.push(Diagnostic::new(Code::InvalidValue, at.item(n), message));
                continue;
            }
            self.add(RegistryService {
                host: host.to_ascii_lowercase(),
                namespace: namespace.to_owned(),
                ports: ports.clone(),
                addresses: written.addresses.clone(),
                workloads: workloads.clone(),
                finding,
                subject_alt_names: written.subject_alt_names.clone(),
                accounts: accounts.clone(),
            });
        }
    }

    /// Notes the hosts of a ServiceEntry that this client does not see.
    pub(crate) fn hide(&mut self, written: &api::ServiceEntry) {
        let hosts = written.hosts.iter().map(|host| host.to_ascii_lowercase());
        self.hidden.extend(hosts);
    }

    /// Adds a Kubernetes Service under its full name.
    pub(crate) fn add_service(
        &mut self,
        namespace: &str,
        name: &str,
        cluster_domain: &str,
        written: &api::Service,
        at: At<'_>,
        found: &mut Diagnostics,
    ) {
        let mut ports = Vec::new();
        let at = at.field("ports");
        for (n, port) in written.ports.iter().enumerate() {
            let Some(number) = port_number(port.port, at.item(n).field("port"), found) else {
                continue;
            };
            let named = match port.app_protocol.as_str() {
                "" => port.name.split('-').next().unwrap_or_default(),
                protocol => protocol,
            };
            let protocol = match (port.protocol.as_str(), port.name.as_str()) {
                ("UDP" | "SCTP", _) => Protocol::Other,
                (_, "grpc-web") => Protocol::Http,
                (_, name) if name.starts_with("grpc-web-") => Protocol::Http,
                _ => Protocol::named(named),
            };
            ports.push(Port {
                number,
                name: port.name.clone(),
                protocol,
                target: number,
            });
        }
        // A name for another host: its endpoints are what DNS knows of that one.
        let external = (!written.external_name.is_empty()).then(|| {
            let address = written.external_name.trim_end_matches('.').to_owned();
            vec![Workload::at(address)]
        });
        self.add(RegistryService {
            host: format!("{name}.{namespace}.svc.{cluster_domain}"),
            namespace: namespace.to_owned(),
            ports,
            addresses: written.cluster_ips.clone(),
            finding: match external {
                Some(_) => Finding::AllAddresses,
                None => Finding::Listed,
            },
            workloads: external,
            subject_alt_names: Vec::new(),
            accounts: Vec::new(),
        });
    }

    fn add(&mut self, service: RegistryService) {
        let Some(known) = self.services.get_mut(&service.host) else {
            self.services.insert(service.host.clone(), service);
            return;
        };
        let is_bare = service.workloads.is_none() && service.finding == Finding::Listed;
        for port in service.ports {
            match known.ports.iter_mut().find(|it| it.number == port.number) {
                // The port of a ServiceEntry knows where endpoints listen, a Service's does not.
                Some(known) if !is_bare => *known = port,
                Some(_) => {}
                None => known.ports.push(port),
            }
        }
        known.addresses.extend(service.addresses);
        known.subject_alt_names.extend(service.subject_alt_names);
        known.accounts.extend(service.accounts);
        match (&mut known.workloads, service.workloads) {
            (Some(known), Some(more)) => known.extend(more),
            (workloads @ None, more) => {
                // A Service says nothing of how its endpoints are found, so any entry does.
                if known.finding == Finding::Listed {
                    *workloads = more;
                    known.finding = service.finding;
                }
            }
            (Some(_), None) => {}
        }
    }
}

fn port_number(number: u32, at: At<'_>, found: &mut Diagnostics) -> Option<u16> {
    match u16::try_from(number) {
        Ok(number) if number > 0 => Some(number),
        _ => {
            let message = "port number must be between 1 and 65535";
            found.push(Diagnostic::new(Code::InvalidValue, at, message));
            None
        }
    }
}

fn compile_ports(
    written: &[api::ServiceEntryPort],
    at: At<'_>,
    found: &mut Diagnostics,
) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::with_capacity(written.len());
    for (n, port) in written.iter().enumerate() {
        let at = at.item(n);
        let Some(number) = port_number(port.number, at.field("number"), found) else {
            continue;
        };
        let target = match port.target_port {
            None | Some(0) => number,
            Some(target) => match port_number(target, at.field("targetPort"), found) {
                Some(target) => target,
                None => continue,
            },
        };
        if ports.iter().any(|known| known.number == number) {
            let message = format!("service entry port {number} already defined");
            found.push(Diagnostic::new(
                Code::InvalidValue,
                at.field("number"),
                message,
            ));
            continue;
        }
        if ports.iter().any(|known| known.name == port.name) {
            let message = format!("service entry port name {:?} already defined", port.name);
            found.push(Diagnostic::new(
                Code::InvalidValue,
                at.field("name"),
                message,
            ));
            continue;
        }
        let protocol = Protocol::named(&port.protocol);
        ports.push(Port {
            number,
            name: port.name.clone(),
            protocol,
            target,
        });
    }
    ports
}

/// Says which hosts cannot be found the way the entry says.
fn report_hosts(written: &api::ServiceEntry, at: At<'_>, found: &mut Diagnostics) {
    let by_name = matches!(
        written.resolution,
        Resolution::Dns | Resolution::DnsRoundRobin
    );
    let dynamic = written.resolution == Resolution::DynamicDns;
    let hosts = at.field("hosts");
    for (n, host) in written.hosts.iter().enumerate() {
        let wildcard = host.starts_with('*');
        if dynamic && !wildcard {
            let message = format!("the host {host} is no wildcard, as DYNAMIC_DNS asks for");
            let about = Diagnostic::new(Code::InvalidValue, hosts.item(n), message);
            found.push(about.hint("use resolution: DNS"));
        } else if by_name && wildcard && host != "*" && written.endpoints.is_empty() {
            let message = format!("nobody can look {host} up; requests get 503 UH");
            let about = Diagnostic::new(Code::NeverMatches, hosts.item(n), message);
            found.push(about.hint("list endpoints, or use resolution: DYNAMIC_DNS"));
        }
    }
    if written.workload_selector.is_some() {
        let at = at.field("workloadSelector");
        let message = "nothing tells this version which workloads there are to select from";
        let hint = "on purpose: list endpoints, or leniently give them with Mesh::set_endpoints";
        found.push(Diagnostic::new(Code::NotBuilt, at, message).hint(hint));
        if !written.endpoints.is_empty() {
            let message = "only one of WorkloadSelector or Endpoints is allowed";
            found.push(Diagnostic::new(Code::Exclusive, at, message));
        }
    }
    let mut exclusive = |field, message| {
        found.push(Diagnostic::new(Code::Exclusive, at.field(field), message));
    };
    if dynamic && !written.addresses.is_empty() {
        exclusive("addresses", "addresses cannot be set for DYNAMIC_DNS");
    }
    if dynamic && !written.endpoints.is_empty() {
        exclusive("endpoints", "endpoints cannot be set for DYNAMIC_DNS");
    }
    if written.resolution == Resolution::None && !written.endpoints.is_empty() {
        let message = "no endpoints should be provided for resolution type none";
        exclusive("endpoints", message);
    }
    if written.resolution == Resolution::DnsRoundRobin && written.endpoints.len() > 1 {
        let message = "there must only be 0 or 1 endpoint for resolution mode DNS_ROUND_ROBIN";
        exclusive("endpoints", message);
    }
    let ranges = written.addresses.iter().any(|it| it.contains('/'));
    if by_name && ranges {
        let message = "CIDR addresses are allowed only for NONE/STATIC resolution types";
        exclusive("addresses", message);
    }
}

/// What lives behind the hosts, nothing where the hosts themselves do, and how it is found.
fn compile_workloads(
    written: &api::ServiceEntry,
    at: At<'_>,
    found: &mut Diagnostics,
) -> (Option<Vec<Workload>>, Finding) {
    let finding = match written.resolution {
        Resolution::Static | Resolution::None => Finding::Listed,
        Resolution::Dns => Finding::AllAddresses,
        Resolution::DnsRoundRobin => Finding::OneAddress,
        Resolution::DynamicDns => Finding::PerRequest,
    };
    let is_static = written.resolution == Resolution::Static;
    if !is_static && written.endpoints.is_empty() {
        return (None, finding);
    }
    let at = at.field("endpoints");
    let mut workloads = Vec::with_capacity(written.endpoints.len());
    let (mut labels, mut places) = (Shared::new(), Shared::new());
    for (n, endpoint) in written.endpoints.iter().enumerate() {
        let at = at.item(n);
        let Some((address, ports)) = compile_workload(written, endpoint, !is_static, at, found)
        else {
            continue;
        };
        let place = place_of(endpoint);
        workloads.push(Workload {
            address,
            ports,
            labels: labels.of(labels_of(endpoint, place.as_ref())),
            weight: endpoint.weight.unwrap_or(1),
            place: place.map(|it| places.of(it)),
        });
    }
    (Some(workloads), finding)
}

/// Where a workload listens: its address, and its own ports by name.
fn compile_workload(
    entry: &api::ServiceEntry,
    written: &api::WorkloadEntry,
    by_name: bool,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Option<(String, IndexMap<String, u16>)> {
    let address = written.address.as_str();
    if address.is_empty() {
        let at = at.field("address");
        found.push(Diagnostic::new(
            Code::MissingField,
            at,
            "address is required",
        ));
        return None;
    }
    let unix = address.starts_with("unix:");
    if unix {
        let refusal = if by_name {
            "unix sockets are for resolution: STATIC"
        } else if !address.starts_with("unix:///") {
            "a unix socket is written unix:///absolute/path"
        } else if !written.ports.is_empty() {
            "unix endpoint must not include ports"
        } else if entry.ports.len() != 1 {
            "exactly 1 service port required for unix endpoints"
        } else {
            ""
        };
        if !refusal.is_empty() {
            let at = at.field("address");
            found.push(Diagnostic::new(Code::InvalidValue, at, refusal));
            return None;
        }
    }
    if !unix && !by_name && address.parse::<IpAddr>().is_err() {
        let message = format!("endpoint address {address:?} is not a valid IP address");
        let at = at.field("address");
        found.push(Diagnostic::new(Code::InvalidValue, at, message).hint("use resolution: DNS"));
        return None;
    }
    let at = at.field("ports");
    let mut ports = IndexMap::new();
    for (name, number) in &written.ports {
        let at = at.key(name);
        if !entry.ports.iter().any(|port| port.name == *name) {
            let message = format!("endpoint port {name} is not defined by the service entry");
            found.push(Diagnostic::new(Code::InvalidValue, at, message));
            continue;
        }
        ports.extend(port_number(*number, at, found).map(|number| (name.clone(), number)));
    }
    Some((address.trim_end_matches('.').to_owned(), ports))
}

/// Its labels, and those of its place: subsets may select by either.
fn labels_of(written: &api::WorkloadEntry, place: Option<&Place>) -> IndexMap<String, String> {
    let mut labels = written.labels.clone();
    let Some(Place { locality, network }) = place else {
        return labels;
    };
    for (label, value) in [
        ("topology.kubernetes.io/region", &locality.region),
        ("topology.kubernetes.io/zone", &locality.zone),
        ("topology.istio.io/subzone", &locality.subzone),
        ("topology.istio.io/network", network),
    ] {
        if !value.is_empty() {
            labels.insert(label.to_owned(), value.clone());
        }
    }
    labels
}

/// Where a workload is: what is written, else what its label says, dots for slashes; nothing
/// where nobody says.
fn place_of(written: &api::WorkloadEntry) -> Option<Place> {
    let label = || written.labels.get("istio-locality").map(String::as_str);
    let locality = match written.locality.as_str() {
        "" => label().map(|it| Locality::new(&it.replace('.', "/"))),
        locality => Some(Locality::new(locality)),
    };
    let place = Place {
        locality: locality.unwrap_or_default(),
        network: written.network.clone(),
    };
    Some(place).filter(|it| *it != Place::default())
}
