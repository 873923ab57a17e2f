//! `exportTo`: the namespaces that see a resource.

use rustc_hash::FxHashSet;

use super::invalid;
use super::names::{is_dns_label, shortened};
use crate::diagnostic::{At, Diagnostics};

/// Refuses what is no namespace, and what contradicts itself.
pub(super) fn check(
    written: &[String],
    namespace: &str,
    nobody: bool,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    let mut seen: FxHashSet<&str> = FxHashSet::default();
    for (n, to) in written.iter().enumerate() {
        let to = to.as_str();
        let known = ["*", "."].contains(&to) || (nobody && to == "~");
        if !known && !is_dns_label(to) {
            let to = shortened(to);
            invalid(
                found,
                at.item(n),
                format!("{to:?} is neither ., * nor a namespace"),
            );
            continue;
        }
        if !seen.insert(to) {
            let message = format!("duplicate entries in exportTo for entry {to}");
            invalid(found, at.item(n), message);
        }
    }
    if seen.contains(".") && seen.contains(namespace) {
        let message = format!("duplicate entries in exportTo: . and current namespace {namespace}");
        invalid(found, at, message);
    }
    if seen.contains("*") && seen.len() > 1 {
        let message = "cannot have both public (*) and non-public exportTo values for a resource";
        invalid(found, at, message);
    }
    if seen.contains("~") && seen.len() > 1 {
        invalid(
            found,
            at,
            "cannot export service entry to no one (~) and someone",
        );
    }
}
