//! Prints what was read and what was found, as the tests compare it.

use tower_mesh::api::{Resource, Resources};
use tower_mesh::diagnostic::Diagnostic;

/// A finding in one line: `7:14 invalid-value spec.http[0].timeout: what is wrong (what to do)`.
pub(crate) fn tell(diagnostic: &Diagnostic) -> String {
    let place = diagnostic.place().unwrap();
    let mut line = format!("{}:{} {}", place.line, place.column, diagnostic.code());
    if !diagnostic.path().is_empty() {
        line += &format!(" {}", diagnostic.path());
    }
    line += &format!(": {}", diagnostic.message());
    if let Some(help) = diagnostic.help() {
        line += &format!(" ({help})");
    }
    line
}

/// All that was found in a text, a line each.
pub(crate) fn found(resources: &Resources) -> String {
    let lines: Vec<_> = resources.diagnostics().iter().map(tell).collect();
    lines.join("\n")
}

/// The only resource of a text in which nothing is wrong.
#[track_caller]
pub(crate) fn only(text: &str) -> Resource {
    let resources = Resources::from_yaml("only.yaml", text);
    assert_eq!(found(&resources), "", "{text}");
    assert_eq!(resources.len(), 1, "{text}");
    resources.iter().next().unwrap().clone()
}

/// Kind and name of every resource that was read, in order.
pub(crate) fn names(resources: &Resources) -> Vec<String> {
    let ids = resources.iter().map(Resource::id);
    ids.map(|id| format!("{} {}", id.kind, id.name)).collect()
}
