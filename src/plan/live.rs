//! What is known beside the rules: what DNS has answered.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Cluster, Plan};
use crate::resolver::NameCache;
use crate::service_entry::Answers;

/// What goes on being known when rules change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    /// What DNS has answered for the names of rules.
    pub(super) answers: Answers,
    /// What it has answered for the hosts of requests; nothing where there is nobody to ask.
    pub(super) cache: Option<Arc<NameCache>>,
}

impl Live {
    /// Nothing known yet; hosts of requests are looked up in `cache`.
    pub(crate) fn new(cache: Option<NameCache>) -> Self {
        Self {
            answers: Answers::default(),
            cache: cache.map(Arc::new),
        }
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
        let clusters = self.clusters.iter().map(|cluster| {
            let concerned = cluster.names().any(|name| learned.contains(name));
            let changed = concerned.then(|| cluster.learned(&live.answers)).flatten();
            changed.map_or_else(|| cluster.clone(), Arc::new)
        });
        Self {
            rules: self.rules.clone(),
            clusters: clusters.collect(),
            live: Arc::new(live),
        }
    }
}
