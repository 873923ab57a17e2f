//! What is not YAML, or says a thing twice.

use super::{check, rule};

#[test]
fn texts_that_are_not_yaml_are_refused_where_they_break() {
    check(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\nspec:\n  hosts: [reviews]\n  http:\n\t- name: x\n",
        "7:2 syntax: tabs disallowed within this context (block indentation)",
    );
    check(
        "hosts: [a\nhttp: []\n",
        "2:5 syntax: illegal placement of ':' indicator",
    );
    check(
        &rule("- name: x\n     timeout: 1s"),
        "8:13 syntax: mapping values are not allowed in this context",
    );
    check(
        &rule("- name: x\n    name: y"),
        r#"8:5 duplicate-key spec.http[0].name: the key "name" stands twice in this mapping"#,
    );
    check(
        &rule("- match: [{headers: {x-a: {}, x-a: {}}}]"),
        r#"7:33 duplicate-key spec.http[0].match[0].headers["x-a"]: the key "x-a" stands twice in this mapping"#,
    );
    check(
        &rule("- name: *nope"),
        "7:11 syntax: while parsing node, found unknown anchor",
    );
    check(
        "hosts: &a [*a]\n",
        concat!(
            "1:1 missing-field kind: the document has no kind\n",
            "1:12 syntax hosts[0]: an alias stands inside its own anchor",
        ),
    );
    check(
        &rule("- name: !!python/object x"),
        "7:27 syntax spec.http[0].name: a value carries a tag that is not YAML's own",
    );
    check(
        &rule("- name: !secret x"),
        "7:19 syntax spec.http[0].name: a value carries a tag that is not YAML's own",
    );
    check(
        &rule("- ? [a]\n    : b"),
        "7:7 syntax spec.http[0]: a key must be text",
    );
    check(
        &rule("- <<: x"),
        r#"7:9 wrong-type spec.http[0]["<<"]: expected a mapping to merge, found "x""#,
    );
    check(
        "apiVersion:networking.istio.io/v1\nkind: VirtualService\n",
        r#"1:1 syntax: "apiVersion:networking.istio.io/v1" is one word to YAML (a blank is missing after "apiVersion:")"#,
    );
    check(
        "reviews\n",
        r#"1:1 wrong-type: expected a mapping, found "reviews""#,
    );
    check(
        "- reviews\n",
        "1:1 wrong-type: expected a mapping, found a list",
    );
}
