//! Every field there is: honoured, reported, or without effect on purpose; and the table that says so.
//!
//! A field is taken out of a resource in which nothing is wrong, or given another
//! value. If the plan is another then, the field works; if it is refused as not
//! built, the table says that; whatever else must be on the list in `reasons.rs`,
//! and must change nothing. The fields come from the messages themselves, so a new
//! one fails here until a resource in `fields.yaml` sets it.
//!
//! A field that gets its effect: set it in `fields.yaml` so that nothing is wrong,
//! take its line out of `reasons.rs` if it has one, and run these tests with
//! `BLESS=1`, which writes `src/guide/fields.md` anew. Where a plan does not show the
//! effect (files it reads, say), name the test that does in `reasons.rs`.

mod effect;
mod look;
mod reasons;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use effect::{Effect, effects};
use reasons::{BY_TEST, WITHOUT_EFFECT};

use crate::api::schema;

const KINDS: [&str; 5] = [
    "VirtualService",
    "DestinationRule",
    "ServiceEntry",
    "Gateway",
    "Service",
];

/// A field's kind and place, as `VirtualService spec.http[].match[].uri.exact`.
type Row = (String, String);

fn row(text: &str) -> Row {
    let (kind, place) = text.split_once(' ').expect("a kind and a place");
    (kind.to_owned(), place.to_owned())
}

/// What each field does; it takes a while to find out.
static EFFECTS: LazyLock<BTreeMap<Row, Effect>> = LazyLock::new(effects);

/// Every field there is.
fn all() -> BTreeSet<Row> {
    let of = |kind: &'static str| {
        let fields = schema::places(kind).fields;
        fields.into_iter().map(move |it| (kind.to_owned(), it))
    };
    KINDS.into_iter().flat_map(of).collect()
}

/// Whether a line of a list is about a field.
fn is_about(listed: &str, (kind, place): &Row) -> bool {
    let (listed_kind, listed) = row(listed);
    listed == *place && (listed_kind == "*" || listed_kind == *kind)
}

/// The reason why a field has no effect.
fn reason(field: &Row) -> Option<&'static str> {
    let mut reasons = WITHOUT_EFFECT.iter();
    let found = reasons.find(|(listed, _)| is_about(listed, field));
    found.map(|(_, reason)| *reason)
}

#[test]
fn every_field_is_honoured_or_reported_or_without_effect_on_purpose() {
    let effects = &*EFFECTS;
    let known: BTreeSet<Row> = effects.keys().cloned().collect();
    let unseen: Vec<_> = all().difference(&known).cloned().collect();
    assert!(
        unseen.is_empty(),
        "no resource of fields.yaml sets {unseen:#?}"
    );

    let tested = |row: &Row| BY_TEST.iter().any(|(it, _)| self::row(it) == *row);
    let silent: Vec<_> = effects
        .iter()
        .filter(|(row, effect)| {
            matches!(effect, Effect::Nothing | Effect::Judged)
                && reason(row).is_none()
                && !tested(row)
        })
        .collect();
    assert!(silent.is_empty(), "nothing comes of {silent:#?}");

    let wrong: Vec<_> = effects
        .iter()
        .filter(|(row, effect)| reason(row).is_some() && **effect == Effect::Works)
        .collect();
    assert!(wrong.is_empty(), "said to have no effect: {wrong:#?}");
}

#[test]
fn no_reason_is_given_for_a_field_that_is_not_there() {
    let all = all();
    for (listed, _) in WITHOUT_EFFECT {
        let there = all.iter().any(|field| is_about(listed, field));
        assert!(there, "{listed} is no field");
    }
}

#[test]
fn fields_whose_effect_no_plan_shows_have_a_test() {
    let all = all();
    let effects = &*EFFECTS;
    let mut sources = BTreeMap::new();
    for folder in ["src", "tests"] {
        read(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut sources,
        );
    }
    for (listed, test) in BY_TEST {
        let field = row(listed);
        assert!(all.contains(&field), "{listed} is no field");
        assert_ne!(effects[&field], Effect::Works, "a plan shows {listed}");
        let name = format!("fn {test}()");
        let found = sources.values().any(|text: &String| text.contains(&name));
        assert!(found, "there is no test {test}");
    }
}

/// Reads all of Rust's files below a folder.
fn read(folder: &Path, into: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            read(&path, into);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = std::fs::read_to_string(&path).expect("it can be read");
            into.insert(path.display().to_string(), text);
        }
    }
}

#[test]
fn the_guides_table_is_what_these_tests_have_found() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide/fields.md");
    let table = table::write(&EFFECTS);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &table).expect("the table can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == table,
        "src/guide/fields.md is stale: run this test with BLESS=1"
    );
}
