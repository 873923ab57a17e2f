//! What is known beside the rules: what DNS has answered, which endpoints the application gives.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::{Cluster, Plan};
use crate::endpoint::Endpoint;
use crate::resolver::NameCache;
use crate::service_entry::Answers;

/// What goes on being known when rules change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    /// What DNS has answered for the names of rules.
    pub(super) answers: Answers,
    /// Endpoints given for a port of a host, whatever rules say.
    given: HashMap<(Arc<str>, u16), Arc<[Endpoint]>>,
    /// What DNS has answered for the hosts of requests; nothing where there is nobody to ask.
    pub(super) cache: Option<Arc<NameCache>>,
}

impl Live {
    /// Nothing known yet; hosts of requests are looked up in `cache`.
    pub(crate) fn new(cache: Option<NameCache>) -> Self {
        Self {
            answers: Answers::default(),
            given: HashMap::new(),
            cache: cache.map(Arc::new),
        }
    }

    /// The endpoints given for a port of a host; nothing where rules decide.
    pub(super) fn given(&self, host: &Arc<str>, port: u16) -> Option<&[Endpoint]> {
        if self.given.is_empty() {
            return None;
        }
        self.given.get(&(host.clone(), port)).map(|it| &**it)
    }

    /// The same without the answers for names that no cluster needs any more.
    pub(super) fn needed_by(&self, clusters: &[Arc<Cluster>]) -> Self {
        let needed: HashSet<&Arc<str>> = clusters.iter().flat_map(|it| it.names()).collect();
        let mut live = self.clone();
        live.answers.retain(|name, _| needed.contains(name));
        live
    }
}

impl Plan {
    /// The names whose addresses endpoints depend on.
    pub(crate) fn names(&self) -> HashSet<Arc<str>> {
        let names = self.clusters.iter().flat_map(|it| it.names());
        names.cloned().collect()
    }

    /// What DNS answered for a name last; nothing before its first answer.
    pub(crate) fn answer(&self, name: &str) -> Option<&Arc<[IpAddr]>> {
        self.live.answers.get(name)
    }

    /// The same rules with endpoints as `answers` have them.
    pub(crate) fn learn(&self, answers: Vec<(Arc<str>, Arc<[IpAddr]>)>) -> Self {
        let learned: HashSet<Arc<str>> = answers.iter().map(|(name, _)| name.clone()).collect();
        let mut live = Live::clone(&self.live);
        live.answers.extend(answers);
        self.knowing(live, |it| it.names().any(|name| learned.contains(name)))
    }

    /// The same rules with these endpoints for a port of a host, or again those that rules say.
    pub(crate) fn give(&self, host: &str, port: u16, endpoints: Option<Vec<Endpoint>>) -> Self {
        let mut live = Live::clone(&self.live);
        let key = (host.into(), port);
        match endpoints {
            Some(endpoints) => live.given.insert(key, endpoints.into()),
            None => live.given.remove(&key),
        };
        self.knowing(live, |it| it.host() == host && it.port() == port)
    }

    /// All destinations.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = &Cluster> {
        self.clusters.iter().map(|it| &**it)
    }

    /// The same rules with what is known now, which may change the clusters concerned.
    fn knowing(&self, live: Live, is_concerned: impl Fn(&Cluster) -> bool) -> Self {
        let clusters = self.clusters.iter().map(|cluster| {
            let changed = match is_concerned(cluster) {
                true => cluster.learned(&live),
                false => None,
            };
            changed.map_or_else(|| cluster.clone(), Arc::new)
        });
        Self {
            rules: self.rules.clone(),
            clusters: clusters.collect(),
            live: Arc::new(live),
        }
    }
}
