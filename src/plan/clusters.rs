//! Destinations as what stands behind them: host, port and subset, with their endpoints.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::{Equivalent, IndexMap};
use rustc_hash::FxBuildHasher;

use super::balancing::Balancing;
use super::cluster::{Cluster, Declared};
use super::compile::Options;
use super::destination_rules::DestinationRules;
use super::live::Live;
use super::traffic_policy::EffectivePolicy;
use crate::api;
use crate::connection::{ConnectionSettings, ProxyProtocol};
use crate::connection_pool;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::host;
use crate::load_balancer;
use crate::outlier_detection;
use crate::service_entry::{Members, Registry};
use crate::source::Source;
use crate::tls::{self, Tls};

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key {
    port: u16,
    subset: String,
    host: String,
}

/// A key to look up by, which hashes as a [`Key`] does.
#[derive(Debug, Hash)]
struct KeyRef<'k> {
    port: u16,
    subset: &'k str,
    host: &'k str,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.port == key.port && self.host == key.host && self.subset == key.subset
    }
}

/// The clusters of a plan under construction, each made once.
pub(super) struct Clusters<'r> {
    registry: &'r Registry,
    rules: &'r DestinationRules<'r>,
    options: &'r Options,
    /// Those of the plan before: what did not change stays, and what did goes on counting.
    before: HashMap<&'r str, &'r Arc<Cluster>>,
    live: &'r Live,
    known: IndexMap<Key, u32, FxBuildHasher>,
    list: Vec<Arc<Cluster>>,
}

impl<'r> Clusters<'r> {
    pub(super) fn new(
        registry: &'r Registry,
        rules: &'r DestinationRules<'r>,
        options: &'r Options,
        before: Option<&'r super::Plan>,
        live: &'r Live,
    ) -> Self {
        let clusters = before.into_iter().flat_map(|plan| plan.clusters.iter());
        let before = clusters.map(|cluster| (&**cluster.name(), cluster));
        Self {
            registry,
            rules,
            options,
            before: before.collect(),
            live,
            known: IndexMap::default(),
            list: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Arc<[Arc<Cluster>]> {
        self.list.into()
    }

    /// The place of a destination; a port that is not written is the one requests were addressed
    /// to, at a gateway the host's only one where it has one.
    pub(super) fn place(
        &mut self,
        host: &str,
        subset: &str,
        port: Option<u16>,
        listener: u16,
    ) -> u32 {
        let only_port = || match self.registry.get(host)?.ports.as_slice() {
            [only] => Some(only.number),
            _ => None,
        };
        let port = match port {
            Some(port) => port,
            None if self.options.source.gateway.is_some() => only_port().unwrap_or(listener),
            None => listener,
        };
        if let Some(place) = self.known.get(&KeyRef { port, subset, host }) {
            return *place;
        }
        let key = Key {
            port,
            subset: subset.to_owned(),
            host: host.to_owned(),
        };
        let name = format!("outbound|{port}|{subset}|{host}");
        let before = self.before.get(name.as_str()).copied();
        let policy = self.rules.policy(host, subset, port);
        let pool = policy.connection_pool.as_ref().map(|it| it.written);
        let budget = policy.retry_budget.as_ref().map(|it| it.written);
        let pool = connection_pool::compile(pool, budget, before.and_then(|it| it.limits()));
        let said = pool.as_ref().and_then(|it| it.protocol);
        let settings = pool.map(|it| it.connections);
        let before_tls = before.and_then(|it| it.tls());
        let settings = self.secured(settings, &policy, &key, before_tls);
        let settings = settings.map(Arc::new);
        let (members, labels) = self.members(&key).unzip();
        // What is wrong with it was said when the rule was read.
        let mut told = Diagnostics::default();
        let written = policy.load_balancer.as_ref();
        let balancer = written.map(|it| load_balancer::compile(it.written, At::Top, &mut told));
        let mut balancer = balancer.unwrap_or_default();
        let outliers = policy.outlier_detection.as_ref();
        let outliers =
            outliers.map(|it| outlier_detection::compile(it.written, At::Top, &mut told));
        let outliers = outliers.map(|it| self.options.outliers.adjust(host, it));
        if let Some(outliers) = &outliers {
            balancer.panic_threshold = outliers.min_health_percent;
        }
        let (source, detects) = (&self.options.source, outliers.is_some());
        let zones = written.and_then(|it| it.written.zone_aware_lb_setting.as_ref());
        let written = written.and_then(|it| it.written.locality_lb_setting.as_ref());
        balancer.locality = match zones {
            Some(zones) => load_balancer::compile_zones(zones, source, detects),
            None => load_balancer::compile_locality(written, source, detects),
        };
        let service = self.registry.get(host).and_then(|it| it.port(port));
        let protocol = said.or(service.map(|it| it.protocol.upstream()));
        let declared = Declared {
            name: name.into(),
            host: host.into(),
            port,
            subset: subset.to_owned(),
            labels: labels.unwrap_or_default(),
            members: match &settings {
                Some(settings) => members.map(|it| it.connected(settings, said)),
                None => members,
            },
            settings,
            protocol: protocol.unwrap_or_default(),
            balancer,
            outliers,
            origins: policy.origins().into(),
        };
        let cluster = Cluster::make(declared, self.live, before, &self.options.dice);
        let place = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(cluster);
        self.known.insert(key, place);
        place
    }

    /// The full name of the host of the destination at a place.
    pub(super) fn host(&self, place: u32) -> Option<&str> {
        Some(self.list.get(place as usize)?.host())
    }

    /// The name of the destination at a place; empty where it does not exist.
    pub(super) fn name(&self, place: u32) -> &str {
        let cluster = self.list.get(place as usize).filter(|it| it.exists());
        cluster.map_or("", |it| it.name())
    }

    /// How requests for these destinations are balanced, beyond what each cluster has: by which
    /// keys, and whether to the address they were sent to. Nothing for most.
    ///
    /// Of each destination its host, its subset, and the port where one is written. Told beside it
    /// is whether one of them asks for `consistentHash`, be it without a key.
    pub(super) fn balancing<'d>(
        &self,
        destinations: impl Iterator<Item = (&'d str, &'d str, Option<u16>)>,
        mut clusters: impl Iterator<Item = u32>,
    ) -> Option<(Balancing, bool)> {
        let key = |(host, subset, port)| self.rules.hash_key(host, subset, port);
        let hashes: Vec<_> = destinations.filter_map(key).collect();
        let keys = hashes
            .iter()
            .copied()
            .filter_map(load_balancer::hash_policy);
        let passes = |place: u32| {
            let cluster = self.list.get(place as usize);
            cluster.is_some_and(|it| it.is_passthrough())
        };
        let balancing = Balancing {
            keys: keys.collect(),
            passes: clusters.any(passes),
            keeps_endpoint: false,
        };
        (balancing.passes || !hashes.is_empty()).then_some((balancing, !hashes.is_empty()))
    }

    /// The settings with what is put between connection and HTTP; what was made of the same TLS
    /// settings `before` is kept.
    fn secured(
        &self,
        settings: Option<ConnectionSettings>,
        policy: &EffectivePolicy<'_>,
        key: &Key,
        before: Option<&Arc<Tls>>,
    ) -> Option<ConnectionSettings> {
        let header = policy.proxy_protocol.as_ref().map(|it| it.written.version);
        let header = header.map(|version| match version {
            api::ProxyProtocolVersion::V1 => ProxyProtocol::V1,
            api::ProxyProtocolVersion::V2 => ProxyProtocol::V2,
        });
        let tls = policy.tls.as_ref().and_then(|it| {
            let service = self.registry.get(&key.host);
            let whom = tls::Destination {
                host: &key.host,
                port: key.port,
                subset: &key.subset,
                names: service.map_or(&[], |it| it.subject_alt_names.as_slice()),
                accounts: service.map_or(&[], |it| it.accounts.as_slice()),
            };
            tls::compile(it.written, whom, &self.options.workload)
        });
        if header.is_none() && tls.is_none() {
            return settings;
        }
        let mut settings = settings.unwrap_or_default();
        settings.proxy_protocol = header;
        settings.tls = tls.map(|tls| match before {
            Some(before) if *before.settings() == tls => before.clone(),
            _ => Arc::new(Tls::new(tls)),
        });
        Some(settings)
    }

    /// What is behind a destination, and the labels it has by its subset.
    fn members(&self, key: &Key) -> Option<(Members, IndexMap<String, String>)> {
        let labels = match key.subset.as_str() {
            "" => IndexMap::new(),
            subset => self.rules.subset(&key.host, subset)?.labels.clone(),
        };
        match self.registry.get(&key.host) {
            Some(service) => {
                let members = service.members(service.port(key.port)?, &labels);
                Some((members, labels))
            }
            None if !key.subset.is_empty() || self.options.registry_only => None,
            None if self.registry.hides(&key.host) => None,
            // Nothing declares the host: it is looked up when connecting, as ALLOW_ANY would.
            None => Some((Members::undeclared(&key.host, key.port), labels)),
        }
    }

    /// Says what a request to this destination will run into.
    pub(super) fn check(
        &self,
        written: &api::Destination,
        host: &str,
        at: At<'_>,
        found: &mut Diagnostics,
    ) {
        let service = self.registry.get(host);
        if service.is_none() {
            let hidden = self.registry.hides(host);
            let message = match hidden {
                true => format!("the host {host} is not exported to this client's namespace"),
                false => format!("nothing declares the host {host}"),
            };
            let refused = hidden || self.options.registry_only || !written.subset.is_empty();
            let becomes = match refused {
                false => "requests go where DNS says",
                true => "requests get 503 NC",
            };
            let at = at.field("host");
            found.push(Diagnostic::new(Code::UnknownHost, at, message).hint(becomes));
        }
        if !written.subset.is_empty() && self.rules.subset(host, &written.subset).is_none() {
            let message = format!(
                "no DestinationRule for {host} has the subset {:?}",
                written.subset
            );
            let at = at.field("subset");
            let hint = "requests get 503 NC";
            found.push(Diagnostic::new(Code::UnknownSubset, at, message).hint(hint));
        }
        if let (Some(service), Some(port)) = (service, &written.port)
            && u16::try_from(port.number).is_ok_and(|number| service.port(number).is_none())
        {
            let message = format!("{host} has no port {}", port.number);
            let hint = "requests get 503 NC";
            let at = at.field("port");
            found.push(Diagnostic::new(Code::UnknownPort, at, message).hint(hint));
        }
    }
}

/// A destination's full host name and its port, or what is wrong with it.
pub(super) fn read_destination(
    written: &api::Destination,
    names: &mut FullNames<'_>,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Option<(Arc<str>, Option<u16>)> {
    if written.host.is_empty() || written.host == "*" {
        let (code, message) = match written.host.as_str() {
            "" => (Code::MissingField, "destination is required".to_owned()),
            host => (
                Code::InvalidValue,
                format!("invalid destination host {host}"),
            ),
        };
        found.push(Diagnostic::new(code, at.field("host"), message));
        return None;
    }
    let port = match &written.port {
        None => None,
        Some(port) => match u16::try_from(port.number) {
            Ok(number) if number > 0 => Some(number),
            _ => {
                let message = "port number must be between 1 and 65535";
                let at = at.field("port");
                found.push(Diagnostic::new(
                    Code::InvalidValue,
                    at.field("number"),
                    message,
                ));
                return None;
            }
        },
    };
    Some((names.full(&written.host), port))
}

/// Full names of destinations' hosts. The last is kept, for most rules of a resource name one.
#[derive(Debug)]
pub(super) struct FullNames<'r> {
    namespace: &'r str,
    source: &'r Source,
    last: Arc<str>,
}

impl<'r> FullNames<'r> {
    pub(super) fn new(namespace: &'r str, source: &'r Source) -> Self {
        Self {
            namespace,
            source,
            last: Arc::default(),
        }
    }

    fn full(&mut self, name: &str) -> Arc<str> {
        // A full name is its own full name.
        if *self.last != *name {
            let full = host::full_name(name, self.namespace, &self.source.cluster_domain);
            if *self.last != *full {
                self.last = full.into();
            }
        }
        self.last.clone()
    }
}
