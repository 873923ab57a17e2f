//! Texts made to do harm: each ends at a limit, with one error and few words.

use std::fmt::Write as _;

use proptest::prelude::{Strategy, any, prop, prop_assert, proptest};
use tower_mesh::api::{Resource, Resources};
use tower_mesh::diagnostic::Code;

use super::document::{DESTINATION_RULE, VIRTUAL_SERVICE};
use super::tell::found;

/// No text, however large, gets more than this said about it.
const MAX_WORDS: usize = 2 << 20;

/// Reads a text that must be refused for what it is rather than for what it says.
#[track_caller]
fn check(text: &str, want: &str) {
    let resources = Resources::from_yaml("hostile.yaml", text);
    let told = found(&resources);
    assert!(told.len() < 1000, "{} bytes of diagnostics", told.len());
    assert_eq!(told, want);
    assert!(resources.is_empty());
}

#[test]
fn billion_laughs() {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..10 {
        let aliases = vec![format!("*a{}", n - 1); 9].join(", ");
        writeln!(text, "a{n}: &a{n} [{aliases}]").unwrap();
    }
    check(
        &text,
        "5:30 too-large a4[4]: anchors and aliases copy more than any honest file",
    );
}

#[test]
fn one_long_text_a_hundred_thousand_times() {
    let text = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(1 << 20),
        vec!["*a"; 100_000].join(", ")
    );
    check(
        &text,
        "2:25 too-large b[5]: anchors and aliases copy more than any honest file",
    );
}

#[test]
fn aliases_that_nest_deeper_and_deeper() {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for n in 1..40 {
        let (open, close) = ("[".repeat(20), "]".repeat(20));
        writeln!(text, "a{n}: &a{n} {open}*a{}{close}", n - 1).unwrap();
    }
    check(
        &text,
        &format!(
            "5:29 too-large a4{}: values nest deeper than 64",
            "[0]".repeat(20)
        ),
    );
}

#[test]
fn two_hundred_thousand_brackets() {
    check(
        &"[".repeat(200_000),
        "1:65 too-large: values nest deeper than 64",
    );
    check(
        &"{".repeat(200_000),
        "1:65 too-large: values nest deeper than 64",
    );
}

#[test]
fn twenty_thousand_nested_mappings() {
    check(
        &"{a: ".repeat(20_000),
        "1:257 too-large: values nest deeper than 64",
    );
    let block: String = (0..2_000).map(|n| " ".repeat(n) + "a:\n").collect();
    check(&block, "65:65 too-large: values nest deeper than 64");
    check(
        &"- ".repeat(200_000),
        "1:129 too-large: values nest deeper than 64",
    );
}

#[test]
fn a_list_of_two_million_items() {
    let text = format!("hosts: [{}]", "a,".repeat(2_000_000));
    check(
        &text,
        "1:60009 too-large hosts: a list or mapping holds over 30000 values",
    );
    let text = format!("hosts:\n{}", "- a\n".repeat(2_000_000));
    check(
        &text,
        "30002:3 too-large hosts: a list or mapping holds over 30000 values",
    );
}

#[test]
fn a_mapping_of_a_million_keys() {
    let text: String = (0..1_000_000).map(|n| format!("k{n}: 1\n")).collect();
    check(
        &text,
        "30001:1 too-large: a list or mapping holds over 30000 values",
    );
}

#[test]
fn two_hundred_thousand_anchors() {
    let anchors: String = (0..200_000).map(|n| format!("&a{n} x,")).collect();
    let text = format!("hosts: [{anchors}]");
    check(
        &text,
        "1:288907 too-large hosts: a list or mapping holds over 30000 values",
    );
}

#[test]
fn a_hundred_thousand_complex_keys() {
    check(
        &"? ".repeat(100_000),
        "1:129 too-large: values nest deeper than 64",
    );
}

#[test]
fn huge_texts_and_keys() {
    let text = format!("name: {}", "x".repeat(50 << 20));
    check(&text, "1:1 too-large: the file is over 32 MiB");
    let text = format!("name: {}", "x".repeat(3 << 20));
    check(&text, "1:7 too-large name: a value is longer than 2 MiB");
    let text = format!("? {}\n: b\n", "x".repeat(1 << 20));
    check(&text, "1:3 too-large: a key is longer than 1024 bytes");
}

/// Reads a text with countless faults: some are told, and that there are more.
#[track_caller]
fn check_flood(text: &str) {
    let resources = Resources::from_yaml("flood.yaml", text);
    let told = resources.diagnostics();
    assert!(told.len() <= 1002, "{} diagnostics", told.len());
    assert!(told.iter().any(|it| it.code() == Code::TooLarge));
    assert!(told.to_string().len() < MAX_WORDS);
}

#[test]
fn a_flood_of_faults_is_cut_off() {
    let head =
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n";
    let keys: String = (0..20_000).map(|n| format!("  k{n}: 1\n")).collect();
    check_flood(&format!("{head}{keys}"));
    check_flood(&format!("{head}  hosts: [{}]\n", "[],".repeat(20_000)));
    check_flood(&format!("{head}{}", "  hosts: []\n".repeat(20_000)));
    check_flood(&format!("{head}  hosts: [{}]\n", "!a b,".repeat(20_000)));
    check_flood(&"? a\n".repeat(100_000));
    check_flood(&"--- [\n".repeat(20_000));
    check_flood(&"--- x\n".repeat(20_000));
    check_flood(&format!("kind: List\nitems: [{}]", "[],".repeat(20_000)));
}

#[test]
fn long_keys_and_values_are_cut_short_in_messages() {
    let head =
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n";
    let long = "x".repeat(1 << 20);
    let text = format!("{head}  http: {long}\n  tls: [{{match: [{{port: {long}}}]}}]\n");
    let resources = Resources::from_yaml("long.yaml", &text);
    assert_eq!(resources.diagnostics().len(), 2);
    assert!(resources.diagnostics().to_string().len() < 1000);
}

#[test]
fn serde_has_the_same_depth() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let document = |depth| {
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {{\"name\": \"a\"}}, \
             \"spec\": {{\"x\": {}}}}}",
            deep(depth)
        )
    };
    assert!(serde_json::from_str::<Resource>(&document(62)).is_ok());
    let error = serde_json::from_str::<Resource>(&document(63)).unwrap_err();
    assert!(
        error.to_string().starts_with("values nest deeper than 64"),
        "{error}"
    );
}

#[test]
fn the_deepest_document_fits_half_a_threads_stack() {
    let text = format!("a: {}x{}", "{a: ".repeat(63), "}".repeat(63));
    let read = std::thread::Builder::new().stack_size(1 << 20);
    let read = read.spawn(move || found(&Resources::from_yaml("deep.yaml", &text)));
    let told = read.unwrap().join().unwrap();
    assert_eq!(told, "1:1 missing-field kind: the document has no kind");
}

/// A document with a piece of it replaced by something else.
fn damaged() -> impl Strategy<Value = String> {
    let whole = prop::sample::select(vec![VIRTUAL_SERVICE, DESTINATION_RULE]);
    let noise = prop::sample::select(vec![
        "", "[", "{", ": ", "- ", "&a ", "*a", "<<: *a", "\t", "\n---\n", "\0", "!x ", "? ", "\"",
        "|\n", "\u{feff}",
    ]);
    let place = any::<prop::sample::Index>();
    (whole, place, 0..40_usize, noise).prop_map(|(whole, place, length, noise)| {
        let start = place.index(whole.len());
        let end = (start + length).min(whole.len());
        format!("{}{noise}{}", &whole[..start], &whole[end..])
    })
}

proptest! {
    #[test]
    fn damage_is_told_and_does_no_harm(text in damaged()) {
        let resources = Resources::from_yaml("damaged.yaml", &text);
        let told = resources.diagnostics();
        prop_assert!(resources.len() + told.len() > 0 || text.len() < 60);
        prop_assert!(told.iter().all(|it| it.place().is_some()));
        prop_assert!(told.to_string().len() < MAX_WORDS);
    }

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        let told = Resources::from_yaml("any.yaml", &text).diagnostics().to_string();
        prop_assert!(told.len() < MAX_WORDS);
    }
}
