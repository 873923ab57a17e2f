//! Which DestinationRule holds for a host, and the subsets and policies it defines.
//!
//! Namespaces are asked in order (the client's, the service's, the root's) and
//! the first that has a rule for the host wins; inside one, an exact host wins
//! over the longest wildcard, and the two never combine. Rules of one namespace
//! for the same host string that are exported alike become one: their subsets
//! together, and the policy of the first that has one. Of those that stay apart,
//! the first whose workload selector is the client's holds, else the last without
//! a selector.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::traffic_policy::{EffectivePolicy, Written};
use crate::api::{self, Resource, Spec, Subset};
use crate::host;
use crate::service_entry::Registry;
use crate::source::Source;

/// The rules a client sees, by namespace and host.
#[derive(Debug)]
pub(super) struct DestinationRules<'r> {
    registry: &'r Registry,
    source: &'r Source,
    /// What clients of a rule's own namespace see.
    own: ByNamespace<'r>,
    /// What others see; each rule still has to be exported to the client.
    exported: ByNamespace<'r>,
}

type ByNamespace<'r> = FxHashMap<&'r str, ByHost<'r>>;

/// The rules of one namespace.
#[derive(Debug, Default)]
struct ByHost<'r> {
    rules: FxHashMap<String, Vec<Merged<'r>>>,
    /// How long the longest name of several hosts is; 0 where there is none.
    longest_wildcard: usize,
}

/// Rules of one namespace for one host that count as one.
#[derive(Clone, Debug)]
struct Merged<'r> {
    selector: Option<&'r api::ClientSelector>,
    /// Nothing written counts as the empty set, which only equals itself.
    export_to: BTreeSet<&'r str>,
    policy: Option<Written<'r>>,
    subsets: Vec<OwnedSubset<'r>>,
}

/// A subset and the rule that defines it.
#[derive(Clone, Debug)]
struct OwnedSubset<'r> {
    rule: Arc<str>,
    written: &'r Subset,
}

impl<'r> DestinationRules<'r> {
    pub(super) fn new(
        resources: impl Iterator<Item = &'r Resource>,
        registry: &'r Registry,
        source: &'r Source,
    ) -> Self {
        let mut rules: Vec<_> = resources
            .filter_map(|resource| match &resource.spec {
                Spec::DestinationRule(rule) => Some((resource, &**rule)),
                _ => None,
            })
            .collect();
        rules.sort_by_key(|(_, rule)| rule.workload_selector.is_none());
        let (mut own, mut exported) = (ByNamespace::default(), ByNamespace::default());
        for (resource, rule) in rules {
            let namespace = resource.metadata.namespace_or_default();
            let host = host::resolve_short_name(&rule.host, namespace, &source.cluster_domain);
            let export_to: BTreeSet<&str> = match rule.workload_selector {
                Some(_) => BTreeSet::from(["."]),
                None => rule.export_to.iter().map(String::as_str).collect(),
            };
            let here = |to: &&str| *to == "." || *to == namespace;
            let public = export_to.is_empty() || export_to.contains("*");
            let is_private = export_to.len() == 1 && export_to.iter().any(here);
            let fresh = Merged::new(resource, rule, export_to);
            // A client in the root namespace takes only that namespace's private rules for its
            // own: what it exports is meant for all, and is asked last.
            let root = namespace == source.root_namespace && namespace == source.namespace;
            let in_own = public || fresh.export_to.iter().any(here);
            if in_own && (!root || is_private) {
                fresh.join(own.entry(namespace).or_default().of(host.clone()));
            }
            if !is_private {
                fresh.join(exported.entry(namespace).or_default().of(host));
            }
        }
        Self {
            registry,
            source,
            own,
            exported,
        }
    }

    /// The subset of a host; nothing where no rule that holds for the host defines it.
    pub(super) fn subset(&self, host: &str, name: &str) -> Option<&'r Subset> {
        Some(self.rule_for(host)?.subset(name)?.written)
    }

    /// The policy for a port of a host, or of a subset of it.
    pub(super) fn policy(&self, host: &str, subset: &str, port: u16) -> EffectivePolicy<'r> {
        let Some(rule) = self.rule_for(host) else {
            return EffectivePolicy::default();
        };
        let mut policy = EffectivePolicy::of_host(rule.policy.as_ref(), port);
        if let Some(subset) = rule.subset(subset)
            && let Some(written) = &subset.written.traffic_policy
        {
            policy.refine(&Written::new(&subset.rule, written), port);
        }
        policy
    }

    /// What makes the key of requests to a destination whose port is written, or is not: that of
    /// the subset's port, of the subset, of the port, of the host, whichever is found first.
    pub(super) fn hash_key(
        &self,
        host: &str,
        subset: &str,
        port: Option<u16>,
    ) -> Option<&'r api::ConsistentHash> {
        let rule = self.rule_for(host)?;
        let own = rule.subset(subset);
        let own =
            own.and_then(|it| Some(Written::new(&it.rule, it.written.traffic_policy.as_ref()?)));
        let key = |policy: &Written<'r>| policy.hash_key(None);
        let port_key = |policy: &Written<'r>| policy.hash_key(Some(port?));
        let (own, host) = (own.as_ref(), rule.policy.as_ref());
        own.and_then(port_key)
            .or_else(|| own.and_then(key))
            .or_else(|| host.and_then(port_key))
            .or_else(|| host.and_then(key))
    }

    fn rule_for(&self, host: &str) -> Option<&Merged<'r>> {
        if self.own.is_empty() && self.exported.is_empty() {
            return None;
        }
        let source = self.source;
        if let Some(rules) = self
            .own
            .get(&*source.namespace)
            .and_then(|it| it.most_specific(host))
        {
            return self.chosen(rules.iter());
        }
        let service = self.registry.get(host).map(|it| it.namespace.as_str());
        let mut asked = service.into_iter().chain([&*source.root_namespace]);
        asked.find_map(|namespace| {
            let rules = self.exported.get(namespace)?.most_specific(host)?;
            self.chosen(rules.iter().filter(|rule| {
                let mut to = rule.export_to.iter();
                rule.export_to.is_empty()
                    || to.any(|to| match *to {
                        "*" => true,
                        "." => namespace == source.namespace,
                        named => named == source.namespace,
                    })
            }))
        })
    }

    /// Of rules that stay apart: the first selected by the client's labels, else the last for all.
    fn chosen<'a>(&self, rules: impl Iterator<Item = &'a Merged<'r>>) -> Option<&'a Merged<'r>>
    where
        'r: 'a,
    {
        let mut last = None;
        for rule in rules {
            match rule.selector {
                None => last = Some(rule),
                Some(selector) if self.source.carries(&selector.match_labels) => return Some(rule),
                Some(_) => {}
            }
        }
        last
    }
}

impl<'r> ByHost<'r> {
    /// Where rules for a host are gathered.
    fn of(&mut self, host: String) -> &mut Vec<Merged<'r>> {
        if host::wildcard_suffix(&host).is_some() {
            self.longest_wildcard = self.longest_wildcard.max(host.len());
        }
        self.rules.entry(host).or_default()
    }

    /// The rules for the host itself, else those for the longest wildcard that covers it.
    fn most_specific(&self, host: &str) -> Option<&[Merged<'r>]> {
        if let Some(exact) = self.rules.get(host) {
            return Some(exact);
        }
        // What a wildcard covers of a host is what follows its star, and it covers no whole host.
        let longest = self.longest_wildcard.checked_sub(1)?;
        let first = host.len().saturating_sub(longest).max(1);
        let covers = (first..=host.len()).filter_map(|n| {
            let suffix = host.get(n..)?;
            self.rules.get(&format!("*{suffix}"))
        });
        covers.map(Vec::as_slice).next()
    }
}

impl<'r> Merged<'r> {
    fn new(
        resource: &'r Resource,
        written: &'r api::DestinationRule,
        export_to: BTreeSet<&'r str>,
    ) -> Self {
        let namespace = resource.metadata.namespace_or_default();
        let rule: Arc<str> = format!("{namespace}/{}", resource.metadata.name).into();
        let policy = written.traffic_policy.as_ref();
        let subsets = written.subsets.iter().map(|written| OwnedSubset {
            rule: rule.clone(),
            written,
        });
        Self {
            selector: written.workload_selector.as_ref(),
            export_to,
            policy: policy.map(|policy| Written::new(&rule, policy)),
            subsets: subsets.collect(),
        }
    }

    fn subset(&self, name: &str) -> Option<&OwnedSubset<'r>> {
        self.subsets.iter().find(|it| it.written.name == name)
    }

    /// Takes its place among the rules for the same host: in those it can be one with, else apart.
    ///
    /// Whether it stays apart is settled by the last rule it is held against, as in Istio.
    fn join(&self, list: &mut Vec<Self>) {
        let mut apart = true;
        for known in &mut *list {
            let selectors = [self.selector, known.selector].map(|it| it.map(|it| &it.match_labels));
            let alike = match selectors {
                [Some(ours), Some(theirs)] if ours != theirs => {
                    apart = true;
                    continue;
                }
                [None, None] | [Some(_), Some(_)] => true,
                [None, Some(_)] | [Some(_), None] => false,
            };
            if alike {
                apart = false;
            }
            let wider = !known.export_to.is_empty() && self.export_to.is_superset(&known.export_to);
            if self.export_to != known.export_to && !wider {
                apart = true;
                continue;
            }
            for subset in &self.subsets {
                if known.subset(&subset.written.name).is_none() {
                    known.subsets.push(subset.clone());
                }
            }
            if known.policy.is_none() {
                known.policy.clone_from(&self.policy);
            }
        }
        if apart {
            list.push(self.clone());
        }
    }
}
