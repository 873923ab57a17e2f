//! Istio's resources as YAML spells them: plain data, every field under its own name.
//!
//! [`VirtualService`], [`DestinationRule`], [`ServiceEntry`], [`Gateway`] and
//! Kubernetes' [`Service`] (its names and ports) are read from YAML or JSON text
//! by `Resources::from_yaml` (feature `yaml`), from anything serde can read
//! ([`Resource`] and every message implement `Deserialize`), or are built in Rust.
//!
//! Reading is as tolerant as Istio's own decoder (camelCase and snake_case,
//! enumerations by name or number, Go durations, three API versions with one
//! schema) and stricter where tolerance would hide a slip of the hand: unknown
//! and doubled fields are reported, with file, line, column and path.
//!
//! # Rules without YAML
//!
//! Every field has a setter of its own name, which takes what is at hand for it
//! ([`IntoField`]): [`VirtualService::builder`], [`DestinationRule::builder`],
//! [`ServiceEntry::builder`] and [`Gateway::builder`] begin with nothing said, and every other
//! message with `default()`. What most rules are made of has a constructor. Such rules are judged as
//! those from a file are; diagnostics then name the resource and the field.
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::Duration;
//! use tower_mesh::api::{
//!     DestinationRule, HttpMatchRequest, HttpRetry, HttpRoute, Resources, ServiceEntry,
//!     VirtualService, WorkloadEntry,
//! };
//! use tower_mesh::mesh::Mesh;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let [old, new]: [SocketAddr; 2] = ["127.0.0.1:8001".parse()?, "127.0.0.1:8002".parse()?];
//! let resources = Resources::new()
//!     .with("reviews", ServiceEntry::http("reviews", [
//!         WorkloadEntry::from(old).labels([("version", "v1")]),
//!         WorkloadEntry::from(new).labels([("version", "v2")]),
//!     ]))
//!     .with("reviews", DestinationRule::versions("reviews", ["v1", "v2"]))
//!     .with("reviews", VirtualService::of_hosts(["reviews"]).http([
//!         HttpRoute::to("reviews").r#match([HttpMatchRequest::of_prefix("/health")]),
//!         HttpRoute::split("reviews", [("v1", 90), ("v2", 10)])
//!             .timeout(Duration::from_secs(5))
//!             .retries(HttpRetry::times(3)),
//!     ]));
//! let (mesh, report) = Mesh::builder().resources(resources).build()?;
//! assert!(report.diagnostics().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! The standards, in a line each:
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::Duration;
//! use tower_mesh::api::{
//!     CorsPolicy, DestinationRule, Gateway, HeaderOperations, Headers, HttpFaultInjection,
//!     HttpMirrorPolicy, HttpRetry, HttpRoute, Resources, ServiceEntry, SimpleLoadBalancer,
//!     TrafficPolicy, VirtualService,
//! };
//! use tower_mesh::mesh::Mesh;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let endpoints: Vec<SocketAddr> = vec!["127.0.0.1:8001".parse()?];
//! // Where a service is, by addresses or by DNS.
//! let reviews = ServiceEntry::http("reviews", endpoints);
//! let payments = ServiceEntry::dns("payments.example.com", 80);
//! // What becomes of requests.
//! let route = HttpRoute::to("reviews")
//!     .timeout(Duration::from_secs(2))
//!     .retries(HttpRetry::times(3))
//!     .mirrors([HttpMirrorPolicy::of_share("payments.example.com", 1.0)])
//!     .headers(Headers::default().request(HeaderOperations::of_set("x-tier", "gold")))
//!     .cors_policy(CorsPolicy::of_origins(["https://shop.example.com"], ["GET"]))
//!     .fault(HttpFaultInjection::of_abort(0.1, 503));
//! let closed = HttpRoute::answer(410, "gone");
//! // How a destination is treated.
//! let breaker = TrafficPolicy::circuit_breaker(100, 5);
//! let breaker = DestinationRule::of_policy("reviews", breaker);
//! let in_turn = TrafficPolicy::of_algorithm(SimpleLoadBalancer::RoundRobin);
//! let sticky = TrafficPolicy::sticky_by_header("x-user");
//! // What comes in from outside.
//! let edge = Gateway::http(["shop.example.com"]);
//! # let resources = Resources::new()
//! #     .with("reviews", reviews)
//! #     .with("payments", payments)
//! #     .with("reviews", VirtualService::of_hosts(["reviews"]).http([route]))
//! #     .with("payments", VirtualService::of_hosts(["payments.example.com"]).http([closed]))
//! #     .with("reviews", breaker)
//! #     .with("payments", DestinationRule::of_policy("payments.example.com", in_turn.clone()))
//! #     .with("edge", edge);
//! # let (_, report) = Mesh::builder().resources(resources).build()?;
//! # assert!(report.diagnostics().is_empty(), "{}", report.diagnostics());
//! # let other = Resources::new()
//! #     .with("payments", ServiceEntry::dns("payments.example.com", 80))
//! #     .with("payments", DestinationRule::of_policy("payments.example.com", sticky));
//! # let (_, report) = Mesh::builder().resources(other).build()?;
//! # assert!(report.diagnostics().is_empty(), "{}", report.diagnostics());
//! # Ok(())
//! # }
//! ```
//!
//! The messages are as loose as YAML. What they may mean is decided where they
//! are compiled, by the module of each concept.

use std::sync::Arc;

use serde::de::Error as _;

use crate::diagnostic::{At, Code, Diagnostic, Diagnostics, Place, ResourceName, Severity};

mod build;
pub(crate) mod decode;
mod destination_rule;
pub(crate) mod field;
#[cfg(feature = "yaml")]
mod files;
mod gateway;
mod http_route;
mod load_balancer;
pub(crate) mod message;
mod metadata;
pub(crate) mod names;
pub(crate) mod node;
#[cfg(feature = "yaml")]
pub(crate) mod own_kind;
mod scalar;
#[cfg(all(test, feature = "yaml"))]
pub(crate) mod schema;
mod service;
mod service_entry;
mod string_match;
mod traffic_policy;
mod virtual_service;
#[cfg(feature = "yaml")]
mod yaml;

pub use destination_rule::{ClientSelector, DestinationRule, Subset};
pub use field::IntoField;
pub use gateway::{
    Gateway, Server, ServerPort, ServerTlsMode, ServerTlsSettings, TlsCertificate, TlsProtocol,
};
pub use http_route::{
    CorsPolicy, Delegate, Destination, HeaderOperations, Headers, HttpDirectResponse,
    HttpFaultAbort, HttpFaultDelay, HttpFaultInjection, HttpMirrorPolicy, HttpRedirect, HttpRetry,
    HttpRewrite, HttpRouteDestination, Percentage, PortSelector, RedirectPort, RegexRewrite,
    ResponseBody, UnmatchedPreflights,
};
pub use load_balancer::{
    BackendUtilization, ConsistentHash, CookieAttribute, HttpCookie, LoadBalancerSettings,
    LocalityDistribute, LocalityFailover, LocalityLoadBalancerSetting, Maglev, RingHash,
    SimpleLoadBalancer, Warmup, ZoneAwareLoadBalancerSetting,
};
pub use metadata::Metadata;
pub use service::{Service, ServicePort};
pub use service_entry::{
    Location, Resolution, ServiceEntry, ServiceEntryPort, WorkloadEntry, WorkloadSelector,
};
pub use string_match::StringMatch;
pub use traffic_policy::{
    ClientTlsMode, ClientTlsSettings, ConnectionPoolSettings, H2UpgradePolicy, Http2KeepAlive,
    HttpConnectionPool, OutlierDetection, PortTrafficPolicy, ProxyProtocol, ProxyProtocolVersion,
    RetryBudget, TcpConnectionPool, TcpKeepalive, TrafficPolicy, Tunnel,
};
pub use virtual_service::{
    HttpMatchRequest, HttpRoute, L4MatchAttributes, RouteDestination, TcpRoute, TlsMatchAttributes,
    TlsRoute, VirtualService,
};

use decode::{Decode, Decoder};
use node::{Mark, Node};

/// The most faults that are told of a file; nobody reads further.
const MAX_FAULTS: usize = 1000;

/// What a resource is and says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Spec {
    /// How requests for some hosts are routed.
    VirtualService(Box<VirtualService>),
    /// What happens to traffic for a host after routing.
    DestinationRule(Box<DestinationRule>),
    /// A host and where it lives.
    ServiceEntry(Box<ServiceEntry>),
    /// The servers of a gateway.
    Gateway(Box<Gateway>),
    /// A Kubernetes Service: a host name and its ports.
    Service(Box<Service>),
}

impl Spec {
    /// The resource's `kind`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::VirtualService(_) => "VirtualService",
            Self::DestinationRule(_) => "DestinationRule",
            Self::ServiceEntry(_) => "ServiceEntry",
            Self::Gateway(_) => "Gateway",
            Self::Service(_) => "Service",
        }
    }
}

macro_rules! specs {
    ($($kind:ident),*) => { $(
        impl From<$kind> for Spec {
            fn from(spec: $kind) -> Self {
                Self::$kind(Box::new(spec))
            }
        }
    )* };
}

specs!(
    VirtualService,
    DestinationRule,
    ServiceEntry,
    Gateway,
    Service
);

/// One resource: its metadata, its spec, and where it was read from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resource {
    /// Name, namespace, labels.
    pub metadata: Metadata,
    /// What it says.
    pub spec: Spec,
    origin: Option<Origin>,
}

/// The text a resource came from, kept so that later findings can name the line.
#[derive(Clone, Debug)]
struct Origin {
    file: Arc<str>,
    document: Arc<Node>,
}

impl Resource {
    /// A resource made in Rust rather than read from text.
    pub fn new(metadata: Metadata, spec: impl Into<Spec>) -> Self {
        Self {
            metadata,
            spec: spec.into(),
            origin: None,
        }
    }

    /// Kind, namespace and name.
    #[must_use]
    pub fn id(&self) -> ResourceName {
        ResourceName {
            kind: self.spec.kind().to_owned(),
            namespace: self.metadata.namespace_or_default().to_owned(),
            name: self.metadata.name.clone(),
        }
    }

    /// Where what a diagnostic speaks of stands: its value if that is at fault, else its key.
    pub(crate) fn locate(&self, diagnostic: &Diagnostic) -> Option<Place> {
        let origin = self.origin.as_ref()?;
        let (key, value) = origin.document.locate(diagnostic.path());
        let mark = match diagnostic.code().is_about_value() {
            true => value.unwrap_or(key),
            false => key,
        };
        (mark.line > 0).then(|| Place::new(origin.file.clone(), mark.line, mark.column))
    }
}

/// Resources in the order they were read, and what was found while reading them.
///
/// The order matters where Istio asks which resource is older: without
/// `metadata.creationTimestamp`, first read counts as first created.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    list: Vec<Resource>,
    found: Diagnostics,
}

impl Resources {
    /// No resources yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a resource after the others.
    pub fn push(&mut self, resource: Resource) {
        self.list.push(resource);
    }

    /// The same with a resource of this name after the others, in the namespace `default`.
    ///
    /// For another namespace, [`push`](Self::push) a [`Resource`] with its own metadata.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, spec: impl Into<Spec>) -> Self {
        let metadata = Metadata::new("default", name);
        self.push(Resource::new(metadata, spec));
        self
    }

    /// Adds all of `other` after what is here, with its diagnostics.
    pub fn append(&mut self, other: Self) {
        self.list.extend(other.list);
        self.found.append(other.found);
    }

    /// The resources, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Resource> {
        self.list.iter()
    }

    /// The resources, in order, to be changed before they are used.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Resource> {
        self.list.iter_mut()
    }

    /// How many resources there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What was found while reading.
    #[must_use]
    pub const fn diagnostics(&self) -> &Diagnostics {
        &self.found
    }
}

impl Extend<Resource> for Resources {
    fn extend<I: IntoIterator<Item = Resource>>(&mut self, resources: I) {
        self.list.extend(resources);
    }
}

impl FromIterator<Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = Resource>>(resources: I) -> Self {
        let mut all = Self::new();
        all.extend(resources);
        all
    }
}

impl<'de> serde::Deserialize<'de> for Resource {
    /// Reads one resource from any serde format; the first fault is the error.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Node::deserialize(deserializer)?;
        let mut decoder = Decoder::new(None);
        let read = metadata::read(&document, &mut decoder);
        let (metadata, spec) = faultless(read, &decoder.found).map_err(D::Error::custom)?;
        Ok(Self {
            metadata,
            spec,
            origin: None,
        })
    }
}

/// Reads one message from any serde format; the first fault is the error.
pub(crate) fn from_serde<'de, T: Decode, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let node: Node = serde::Deserialize::deserialize(deserializer)?;
    let mut decoder = Decoder::new(None);
    let read = T::decode(&node, At::Top, &mut decoder);
    faultless(read, &decoder.found).map_err(D::Error::custom)
}

fn faultless<T>(read: Option<T>, found: &Diagnostics) -> Result<T, Box<Diagnostic>> {
    let fault = |it: &&Diagnostic| it.severity() == Severity::Error;
    match (read, found.iter().find(fault).or(found.iter().next())) {
        (Some(value), _) if !found.has_errors() => Ok(value),
        (_, Some(first)) => Err(Box::new(first.clone())),
        (_, None) => {
            let message = "this is not one of Istio's traffic resources";
            Err(Box::new(Diagnostic::new(
                Code::ForeignKind,
                At::Top,
                message,
            )))
        }
    }
}

/// The mark of a document's top, for findings about the document itself.
pub(crate) fn mark_of(document: &Node, key: &str) -> Mark {
    document
        .entry(key)
        .map_or(document.mark, |entry| entry.mark)
}
