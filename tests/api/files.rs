//! What a file may look like: several documents, lists, comments, anchors, line endings.

use tower_mesh::api::{Resources, Spec};

use super::tell::{found, names};

/// Reads a text in which nothing is wrong and compares what is in it.
#[track_caller]
fn check(text: &str, want: &[&str]) -> Resources {
    let resources = Resources::from_yaml("mesh.yaml", text);
    assert_eq!(found(&resources), "", "{text}");
    assert_eq!(names(&resources), want, "{text}");
    resources
}

fn rule(name: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
         metadata: {{name: {name}}}\nspec: {{host: {name}}}\n"
    )
}

const A: &[&str] = &["DestinationRule a"];
const A_AND_B: &[&str] = &["DestinationRule a", "DestinationRule b"];

#[test]
fn empty_files_hold_nothing() {
    for text in ["", "\n\n", "# nothing yet\n", "---\n---\n...\n---\n", "~\n"] {
        let resources = Resources::from_yaml("empty.yaml", text);
        let told = found(&resources);
        assert_eq!(
            told, "1:1 empty: there is no resource in this file",
            "{text:?}"
        );
        assert!(resources.is_empty() && !resources.diagnostics().has_errors());
    }
}

#[test]
fn bytes_that_are_not_utf8_are_told_and_hide_nothing() {
    let check = |bytes: &[u8], want: &str| {
        let resources = Resources::from_bytes("a.yaml", bytes);
        assert_eq!(found(&resources), want);
        resources.len()
    };
    assert_eq!(check(rule("a").as_bytes(), ""), 1);
    let mut bytes = rule("a").into_bytes();
    bytes.extend(b"---\nnote: caf\xc3\xa9 \xff\n");
    let want = "6:1 missing-field kind: the document has no kind\n\
                6:12 syntax: the file is not UTF-8 (save it as UTF-8)";
    assert_eq!(check(&bytes, want), 1);
    let want = "1:1 syntax: the file is not UTF-8 (it looks like UTF-16; save it as UTF-8)";
    assert_eq!(check(b"\xff\xfek\0i\0n\0d\0", want), 0);
}

#[test]
fn documents_stand_between_dashes() {
    let (a, b) = (rule("a"), rule("b"));
    check(&a, A);
    check(&format!("{a}---\n{b}"), A_AND_B);
    check(&format!("---\n{a}---\n{b}---\n"), A_AND_B);
    check(
        &format!("# one\n---\n# two\n{a}\n...\n---\n---\n{b}# end"),
        A_AND_B,
    );
}

#[test]
fn comments_are_passed_over() {
    let text = rule("a").replace("kind:", "# the kind\nkind:") + "# the end";
    check(&text.replace("{host: a}", "{host: a} # a host"), A);
}

#[test]
fn byte_order_mark_and_crlf_are_accepted() {
    check(&format!("\u{feff}{}", rule("a")), A);
    let marked = Resources::from_yaml("a.yaml", "\u{feff}a: [[");
    assert!(
        found(&marked).starts_with("1:5 syntax"),
        "{}",
        found(&marked)
    );
    let crlf = format!("{}---\n{}", rule("a"), rule("b")).replace('\n', "\r\n");
    check(&crlf, A_AND_B);
}

#[test]
fn a_list_is_opened() {
    let indented = |name: &str| rule(name).trim_end().replace('\n', "\n  ");
    let items = format!("items:\n- {}\n- {}\n", indented("a"), indented("b"));
    check(&format!("apiVersion: v1\nkind: List\n{items}"), A_AND_B);
    let typed = "apiVersion: networking.istio.io/v1\nkind: DestinationRuleList\nmetadata: {}\n";
    check(&format!("{typed}{items}"), A_AND_B);
    check("{apiVersion: v1, kind: List, items: []}", &[]);
}

#[test]
fn a_fault_in_a_list_names_its_own_resource() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: networking.istio.io/v1\n  \
                kind: Gateway\n  metadata: {name: edge}\n  spec: {servers: [{ports: 80}]}\n";
    let resources = Resources::from_yaml("list.yaml", text);
    let finding = resources.diagnostics().iter().next().unwrap();
    assert_eq!(
        finding.resource().unwrap().to_string(),
        "Gateway default/edge"
    );
    assert_eq!(finding.path().to_string(), "spec.servers[0].ports");
    assert_eq!(finding.place().unwrap().line, 7);
}

#[test]
fn anchors_and_merge_keys_are_expanded() {
    let text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
                metadata: {name: &name reviews}\nspec:\n  hosts: [*name]\n  http:\n  \
                - &base {name: base, timeout: 5s, retries: &retries {attempts: 1}}\n  \
                - {<<: *base, name: own}\n  \
                - {<<: [{timeout: 1s}, *base], name: both}\n  \
                - {retries: {<<: *retries, retryOn: reset}}\n";
    let resources = check(text, &["VirtualService reviews"]);
    let Spec::VirtualService(service) = &resources.iter().next().unwrap().spec else {
        panic!("not a VirtualService")
    };
    assert_eq!(service.hosts, ["reviews"]);
    let rules = service.http.iter();
    let told: Vec<_> = rules
        .map(|it| (it.name.as_str(), it.timeout.map(|it| it.as_secs())))
        .collect();
    assert_eq!(
        told,
        [
            ("base", Some(5)),
            ("own", Some(5)),
            ("both", Some(1)),
            ("", None)
        ]
    );
    let retries: Vec<_> = service
        .http
        .iter()
        .map(|it| it.retries.clone().unwrap())
        .collect();
    assert!(retries.iter().all(|it| it.attempts == 1));
    assert_eq!(retries[3].retry_on, "reset");
}

#[test]
fn text_that_yaml_could_take_for_something_else_stays_text() {
    let text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
                metadata: {name: a}\nspec: {hosts: ['no', \"1.0\", !!str 010, 1:30, 1.2.3, on-call]}\n";
    let resources = check(text, &["VirtualService a"]);
    let Spec::VirtualService(service) = &resources.iter().next().unwrap().spec else {
        panic!("not a VirtualService")
    };
    assert_eq!(
        service.hosts,
        ["no", "1.0", "010", "1:30", "1.2.3", "on-call"]
    );
}

#[test]
fn files_keep_their_order_when_joined() {
    let mut all = Resources::from_yaml("b.yaml", &rule("b"));
    all.append(Resources::from_yaml(
        "a.yaml",
        &(rule("a") + "---\nhosts: []\n"),
    ));
    assert_eq!(names(&all), ["DestinationRule b", "DestinationRule a"]);
    let finding = all.diagnostics().iter().next().unwrap();
    assert_eq!(finding.place().unwrap().to_string(), "a.yaml:6:1");
}
