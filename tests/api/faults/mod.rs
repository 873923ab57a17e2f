//! What is told of bad documents: code, place, path, what is wrong and what to do.

use tower_mesh::api::Resources;
use tower_mesh::diagnostic::Severity;

use super::tell::{found, names};

mod envelope;
mod form;
mod names;
mod values;

#[track_caller]
fn check(yaml: &str, want: &str) {
    let resources = Resources::from_yaml("bad.yaml", yaml);
    assert_eq!(found(&resources), want, "{yaml}");
}

/// A VirtualService with one rule, which begins in column 3 of line 7.
fn rule(rule: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\n\
         kind: VirtualService\n\
         metadata: {{name: reviews}}\n\
         spec:\n  hosts: [reviews]\n  http:\n  {rule}\n"
    )
}

/// A DestinationRule whose spec begins in column 3 of line 5.
fn destination(spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\n\
         kind: DestinationRule\n\
         metadata: {{name: reviews}}\n\
         spec:\n  {spec}\n"
    )
}

#[test]
fn all_faults_are_told_in_the_order_of_the_file() {
    let yaml = rule(
        "- timeout: 5\n    name: a\n    name: b\n    retries: {attempts: many}\n  - timeuot: 1s\n    \
         timeout: 2d",
    );
    check(
        &yaml,
        "7:14 invalid-value spec.http[0].timeout: a duration needs a unit: write 5s or 5ms\n\
         9:5 duplicate-key spec.http[0].name: the key \"name\" stands twice in this mapping\n\
         10:25 wrong-type spec.http[0].retries.attempts: expected a whole number, found \"many\"\n\
         11:5 unknown-field spec.http[1].timeuot: there is no field \"timeuot\" here \
         (did you mean \"timeout\"?)\n\
         12:14 invalid-value spec.http[1].timeout: \"d\" is not a unit of time; \
         use h, m, s, ms, us or ns (there are no days; write 48h)",
    );
}

#[test]
fn a_bad_document_does_not_hide_the_others() {
    let good = |name: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
             metadata: {{name: {name}}}\nspec: {{host: {name}}}\n"
        )
    };
    let check = |middle: &str, want: &str| {
        let text = format!("{}---\n{middle}\n---\n{}", good("first"), good("last"));
        let resources = Resources::from_yaml("three.yaml", &text);
        let want_names = ["DestinationRule first", "DestinationRule last"];
        assert_eq!(names(&resources), want_names, "{middle}");
        assert_eq!(found(&resources), want);
        assert!(resources.diagnostics().has_errors());
    };
    check("spec: [unclosed", "6:7 syntax: unclosed bracket '['");
    check(
        "a: 1\n\tb: 2",
        "6:4 syntax: while scanning a plain scalar, found a tab",
    );
    check(
        "reviews",
        "6:1 wrong-type: expected a mapping, found \"reviews\"",
    );
}

#[test]
fn a_finding_names_its_file_and_resource() {
    let resources = Resources::from_yaml("shop/reviews.yaml", &rule("- timeout: 5"));
    let finding = resources.diagnostics().iter().next().unwrap();
    assert_eq!(finding.severity(), Severity::Error);
    assert_eq!(
        finding.to_string(),
        "shop/reviews.yaml:7:14: error[invalid-value]: VirtualService default/reviews: \
         spec.http[0].timeout: a duration needs a unit: write 5s or 5ms"
    );
}

#[test]
fn a_doubled_key_names_its_resource_too() {
    let resources = Resources::from_yaml("a.yaml", &rule("- {name: a, name: b}"));
    let finding = resources.diagnostics().iter().next().unwrap();
    let resource = finding.resource().unwrap();
    assert_eq!(resource.to_string(), "VirtualService default/reviews");
}

#[test]
fn notes_and_warnings_refuse_nothing() {
    let check = |yaml: &str, severity: Severity| {
        let resources = Resources::from_yaml("a.yaml", yaml);
        let finding = resources.diagnostics().iter().next().unwrap();
        assert_eq!(finding.severity(), severity, "{yaml}");
        assert!(!resources.diagnostics().has_errors(), "{yaml}");
    };
    check("{apiVersion: apps/v1, kind: Deployment}", Severity::Note);
    check(&rule("- name: 1.0"), Severity::Warning);
}
