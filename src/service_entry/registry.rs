//! All hosts the mesh knows, with their ports and endpoints.

use std::sync::Arc;

use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashSet};

use super::members::{Finding, Members};
use crate::connection::UpstreamProtocol;
use crate::endpoint::{Address, Endpoint, Place};

/// The hosts that resources declare.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    // Only names of the configuration are in the tables, so a fast hash is a safe one.
    pub(super) services: IndexMap<String, RegistryService, FxBuildHasher>,
    /// Hosts declared for other namespaces only.
    pub(super) hidden: FxHashSet<String>,
}

/// One host.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistryService {
    /// Its full name in lower case; may begin with a wildcard.
    pub host: String,
    /// The namespace of the resource that declares it.
    pub namespace: String,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Addresses clients may use as its name.
    pub addresses: Vec<String>,
    /// What is listed to live behind it; nothing where the host itself is where it lives.
    pub(super) workloads: Option<Vec<Workload>>,
    pub(super) finding: Finding,
    /// Names one of which the certificate of its endpoints must carry: `subjectAltNames`.
    pub(crate) subject_alt_names: Vec<String>,
    /// Its endpoints' service accounts, as `namespace/sa/account`.
    pub(crate) accounts: Vec<String>,
}

/// A port of a host.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Port {
    /// The number clients address.
    pub number: u16,
    /// Its name.
    pub name: String,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Where endpoints listen, unless they say otherwise.
    pub(super) target: u16,
}

/// What is spoken on a port, as far as routing cares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2, gRPC.
    Http2,
    /// Not said: found out on the wire, and taken for HTTP here.
    Sniffed,
    /// Anything that is not plain HTTP; HTTP rules do not apply to it.
    Other,
}

impl Protocol {
    /// What a protocol's name says, in any case.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "" => Self::Sniffed,
            "http" | "http_proxy" | "grpc-web" | "kubernetes.io/ws" => Self::Http,
            "http2" | "grpc" | "kubernetes.io/h2c" => Self::Http2,
            "https" | "tls" | "tcp" | "udp" | "mongo" | "mysql" | "redis" | "kubernetes.io/wss" => {
                Self::Other
            }
            _ => Self::Sniffed,
        }
    }

    /// What is spoken to endpoints behind such a port.
    #[must_use]
    pub const fn upstream(self) -> UpstreamProtocol {
        match self {
            Self::Http => UpstreamProtocol::Http1,
            Self::Http2 => UpstreamProtocol::Http2,
            Self::Sniffed | Self::Other => UpstreamProtocol::AsRequested,
        }
    }

    /// Whether HTTP rules apply on such a port.
    #[must_use]
    pub const fn is_http(self) -> bool {
        !matches!(self, Self::Other)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub(super) address: String,
    pub(super) ports: IndexMap<String, u16>,
    pub(super) labels: Arc<IndexMap<String, String>>,
    pub(super) weight: u32,
    pub(super) place: Option<Arc<Place>>,
}

impl Workload {
    /// One of which nothing is known but where it is.
    pub(super) fn at(address: String) -> Self {
        Self {
            address,
            ports: IndexMap::new(),
            labels: Arc::default(),
            weight: 1,
            place: None,
        }
    }

    /// Its endpoint for a port of the service.
    fn endpoint(&self, port: &Port) -> Endpoint {
        let number = self.ports.get(&port.name).copied();
        let address = Address::new(&self.address, number.unwrap_or(port.target));
        let endpoint = Endpoint::new(address, self.labels.clone()).with_weight(self.weight);
        let endpoint = endpoint.with_protocol(port.protocol.upstream());
        endpoint.in_place(self.place.clone())
    }
}

impl Registry {
    /// The service of exactly this name.
    #[must_use]
    pub fn get(&self, host: &str) -> Option<&RegistryService> {
        self.services.get(host)
    }

    /// Whether the host is declared, but not for this client.
    #[must_use]
    pub fn hides(&self, host: &str) -> bool {
        self.hidden.contains(host) && !self.services.contains_key(host)
    }

    /// All services, in the order they were declared.
    pub fn iter(&self) -> impl Iterator<Item = &RegistryService> {
        self.services.values()
    }
}

impl RegistryService {
    /// The port of this number.
    #[must_use]
    pub fn port(&self, number: u16) -> Option<&Port> {
        self.ports.iter().find(|port| port.number == number)
    }

    /// What is behind a port and carries all of `labels`.
    pub(crate) fn members(&self, port: &Port, labels: &IndexMap<String, String>) -> Members {
        let Some(workloads) = &self.workloads else {
            // Whoever names the host addresses the port's own number; names have no labels.
            let by_name = matches!(self.finding, Finding::AllAddresses | Finding::OneAddress);
            let list = match by_name && !labels.is_empty() {
                true => Vec::new(),
                false => {
                    let address = Address::new(&self.host, port.target);
                    let endpoint = Endpoint::new(address, Arc::default());
                    vec![endpoint.with_protocol(port.protocol.upstream())]
                }
            };
            return Members::new(list, self.finding);
        };
        let carries = |workload: &&Workload| {
            labels
                .iter()
                .all(|(key, value)| workload.labels.get(key) == Some(value))
        };
        let meant = workloads.iter().filter(carries);
        let list: Vec<Endpoint> = meant.map(|it| it.endpoint(port)).collect();
        Members::new(list, self.finding)
    }
}
