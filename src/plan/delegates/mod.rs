//! Delegates: rules that stand in a VirtualService of their own, without hosts, and are taken by
//! others (`http[].delegate`).
//!
//! The root's entry gives way to the delegate's rules, each merged with what the entry says. Names
//! in a rule are completed with the namespace of the resource that writes them. Istio passes over
//! in silence what cannot be taken; here it is told.

mod merge;
#[cfg(all(test, feature = "yaml"))]
mod tests;

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use indexmap::IndexMap;
use merge::{Conflict, merge, settle};
use rustc_hash::{FxBuildHasher, FxHashSet};

use crate::api::{self, HttpRoute, Resource, Spec};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::host;
use crate::source::{Source, resolve_gateway};

/// How much text merged rules may come to, in bytes as they are written for debugging: one
/// delegate may be named many times, and one rule has the product of both sides' match blocks.
const MAX_MERGED: usize = 256 << 20;

/// Every VirtualService by name, to find delegates among.
#[derive(Debug)]
pub(super) struct Delegates<'r> {
    by_name: IndexMap<Name<'r>, (&'r Resource, &'r api::VirtualService), FxBuildHasher>,
    /// Those that some VirtualService names.
    named: FxHashSet<Name<'r>>,
    cluster_domain: &'r str,
    /// How much text may yet be merged.
    left: Cell<usize>,
}

/// Namespace and name.
type Name<'r> = (&'r str, &'r str);

/// A rule of a delegate, merged with the entry that names it.
#[derive(Debug)]
pub(super) struct Merged<'r> {
    /// With one action, where the two together have several.
    pub(super) rule: HttpRoute,
    /// What of it the delegate writes.
    pub(super) own: &'r HttpRoute,
    /// The delegate's, with which its destinations are completed.
    pub(super) namespace: &'r str,
    /// The delegate and the place of its rule, in words.
    pub(super) from: String,
}

impl<'r> Delegates<'r> {
    pub(super) fn new(resources: &[&'r Resource], source: &'r Source) -> Self {
        let mut delegates = Self {
            by_name: IndexMap::default(),
            named: FxHashSet::default(),
            cluster_domain: &source.cluster_domain,
            left: Cell::new(MAX_MERGED),
        };
        for resource in resources {
            let Spec::VirtualService(written) = &resource.spec else {
                continue;
            };
            let namespace = resource.metadata.namespace_or_default();
            let name = (namespace, resource.metadata.name.as_str());
            delegates
                .by_name
                .entry(name)
                .or_insert((*resource, &**written));
            if !written.hosts.is_empty() {
                let named = written.http.iter().filter_map(|it| it.delegate.as_ref());
                delegates
                    .named
                    .extend(named.map(|it| name_of(it, namespace)));
            }
        }
        delegates
    }

    /// Every VirtualService that can only be a delegate.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'r Resource, &'r api::VirtualService)> {
        let all = self.by_name.values().copied();
        all.filter(|(_, written)| written.hosts.is_empty())
    }

    /// Says whether nothing takes the rules of a VirtualService without hosts.
    pub(super) fn check(&self, resource: &Resource, at: At<'_>, found: &mut Diagnostics) {
        let namespace = resource.metadata.namespace_or_default();
        if !self.named.contains(&(namespace, &resource.metadata.name)) {
            let message = "without hosts the rules are only for a delegate to take";
            let warning = Diagnostic::new(Code::Unreachable, at.field("hosts"), message);
            found.push(warning.hint("no VirtualService names this one in a rule's delegate"));
        }
    }

    /// The rules that stand in the place of a root's entry, which names a delegate.
    pub(super) fn take(
        &self,
        entry: &HttpRoute,
        namespace: &str,
        at: At<'_>,
        found: &mut Diagnostics,
    ) -> Vec<Merged<'r>> {
        let Some(delegate) = &entry.delegate else {
            return Vec::new();
        };
        let at = at.field("delegate");
        let Some((resource, written)) = self.find(delegate, namespace) else {
            return Vec::new();
        };
        let root = self.completed(entry, namespace);
        let own = resource.metadata.namespace_or_default();
        let mut taken = Vec::with_capacity(written.http.len());
        let rules = written.http.iter().enumerate();
        // There is one level: the delegate's own is refused where it stands.
        for (n, rule) in rules.filter(|(_, it)| it.delegate.is_none()) {
            if !self.afford(&root, rule) {
                let message = format!(
                    "the rules that delegates and the rules naming them make together come to \
                     more than {} MiB",
                    MAX_MERGED >> 20
                );
                found.push(Diagnostic::new(Code::TooLarge, at, message));
                return taken;
            }
            let leaf = self.completed(rule, own);
            let from = format!("http[{n}] of {}", resource.id());
            report_overruled(&root, &leaf, &from, at, found);
            match merge(&root, &leaf) {
                Ok(merged) => taken.push(Merged {
                    rule: settle(merged),
                    own: rule,
                    namespace: own,
                    from,
                }),
                Err(conflict) => found.push(told(&conflict, resource, n, at)),
            }
        }
        taken
    }

    /// The delegate, if there is one and it is exported to the namespace of the root; that of the
    /// client does not matter. Why there is none is told where what resources refer to is judged.
    fn find(
        &self,
        delegate: &api::Delegate,
        namespace: &str,
    ) -> Option<(&'r Resource, &'r api::VirtualService)> {
        let (wanted, name) = name_of(delegate, namespace);
        let (resource, written) = *self.by_name.get(&(wanted, name))?;
        let exported = |to: &String| match to.as_str() {
            "*" => true,
            "." => wanted == namespace,
            named => named == namespace,
        };
        let exports = written.export_to.is_empty() || written.export_to.iter().any(exported);
        (written.hosts.is_empty() && exports).then_some((resource, written))
    }

    /// A rule with full names of gateways and of mirrors, so that it no longer matters which
    /// namespace it was written in; those of destinations stay, for they never come from two.
    fn completed<'w>(&self, rule: &'w HttpRoute, namespace: &str) -> Cow<'w, HttpRoute> {
        let at_gateways = rule.r#match.iter().any(|it| !it.gateways.is_empty());
        if !at_gateways && rule.mirror.is_none() && rule.mirrors.is_empty() {
            return Cow::Borrowed(rule);
        }
        let mut rule = rule.clone();
        for name in rule.r#match.iter_mut().flat_map(|it| &mut it.gateways) {
            *name = resolve_gateway(name, namespace);
        }
        let mirrors = rule.mirrors.iter_mut();
        let mirrors = mirrors.filter_map(|it| it.destination.as_mut());
        for mirror in rule.mirror.iter_mut().chain(mirrors) {
            if !mirror.host.is_empty() {
                mirror.host =
                    host::resolve_short_name(&mirror.host, namespace, self.cluster_domain);
            }
        }
        Cow::Owned(rule)
    }

    /// Takes what a merged rule may come to from what is left; not where that is too little.
    fn afford(&self, root: &HttpRoute, leaf: &HttpRoute) -> bool {
        let blocks = |it: &HttpRoute| it.r#match.len().max(1);
        let one = weight(root).saturating_mul(blocks(leaf));
        let other = weight(leaf).saturating_mul(blocks(root));
        let left = self.left.get().checked_sub(one.saturating_add(other));
        self.left.set(left.unwrap_or_default());
        left.is_some()
    }
}

fn name_of<'d>(delegate: &'d api::Delegate, namespace: &'d str) -> Name<'d> {
    let own = Some(delegate.namespace.as_str()).filter(|it| !it.is_empty());
    (own.unwrap_or(namespace), &delegate.name)
}

/// Says which actions of one side leave those of the other without effect.
fn report_overruled(
    root: &HttpRoute,
    leaf: &HttpRoute,
    from: &str,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    let mut tell = |message: String| found.push(Diagnostic::new(Code::NeverFires, at, message));
    if leaf.redirect.is_some() {
        for (field, set) in [
            ("directResponse", root.direct_response.is_some()),
            ("rewrite", root.rewrite.is_some() && leaf.rewrite.is_none()),
        ] {
            if set {
                tell(format!(
                    "{from} redirects, so {field} of this entry is without effect there"
                ));
            }
        }
    } else if leaf.direct_response.is_none() && root.direct_response.is_some() {
        tell(format!(
            "the entry's directResponse answers in the place of {from}, whose route is without \
             effect"
        ));
    }
}

/// What becomes of a rule that contradicts the root's entry.
fn told(conflict: &Conflict, delegate: &Resource, rule: usize, at: At<'_>) -> Diagnostic {
    let mut fields: Vec<&str> = Vec::new();
    for field in &conflict.fields {
        if !fields.contains(&field.as_str()) {
            fields.push(field);
        }
    }
    let fields = fields.join(", ");
    let message = format!(
        "http[{rule}] of {} is dropped: its match[{}] is within no match block of this entry \
         ({fields})",
        delegate.id(),
        conflict.block,
    );
    let spec = At::Top.field("spec");
    let http = spec.field("http");
    let there = http.item(rule);
    let blocks = there.field("match");
    let dropped = Diagnostic::new(Code::DelegateConflict, blocks.item(conflict.block), "");
    let hint = match delegate.locate(&dropped) {
        Some(place) => format!("the match stands at {place}"),
        None => "a delegate can only narrow what the entry takes".to_owned(),
    };
    Diagnostic::new(Code::DelegateConflict, at, message).hint(hint)
}

/// How much text a rule is, near enough.
fn weight(rule: &HttpRoute) -> usize {
    struct Count(usize);

    impl fmt::Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.saturating_add(text.len());
            Ok(())
        }
    }

    let mut count = Count(0);
    // Counting does not fail.
    let _ = fmt::write(&mut count, format_args!("{rule:?}"));
    count.0
}
