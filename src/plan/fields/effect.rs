//! What each field does to the plan, and to what is told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Row;
use super::look::{Look, clients, look, looks};
use crate::api::schema::{self, Places};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::source::Source;

#[path = "../../../tests/api/document.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "one function of it is needed, which tests use"
)]
mod document;

const RESOURCES: &str = include_str!("fields.yaml");

/// How a refusal ends of what Istio has never made work.
const UNSUPPORTED: &str = "not supported yet";

/// What a field does, the best first.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Effect {
    /// The plan is another without it, or with another value.
    Works,
    /// It is refused: on purpose, with this hint.
    LeftOut(String),
    /// It is refused, for now.
    NotBuilt,
    /// It is refused, as a sidecar's control plane does.
    Refused,
    /// It is told of as having no effect, with this code.
    Reported(&'static str),
    /// It only changes what is told.
    Judged,
    /// It changes nothing.
    Nothing,
}

/// A place in a document and the row it belongs to.
struct Found {
    /// Keys and indices.
    steps: Vec<String>,
    row: String,
}

/// All fields that a value sets.
fn fields(value: &Value, steps: &[String], row: &str, places: &Places, found: &mut Vec<Found>) {
    let below =
        |step: &str| -> Vec<String> { steps.iter().cloned().chain([step.to_owned()]).collect() };
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let steps = below(key);
                if places.maps.contains(row) {
                    fields(inner, &steps, &format!("{row}.*"), places, found);
                    continue;
                }
                let row = format!("{row}.{key}");
                if places.fields.contains(&row) {
                    let steps = steps.clone();
                    found.push(Found {
                        steps,
                        row: row.clone(),
                    });
                }
                fields(inner, &steps, &row, places, found);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                fields(
                    item,
                    &below(&n.to_string()),
                    &format!("{row}[]"),
                    places,
                    found,
                );
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Other values for a field, the first of them none at all.
fn others(value: &Value) -> Vec<Option<Value>> {
    /// A word of each enumeration.
    const WORDS: [&str; 11] = [
        "RANDOM",
        "SIMPLE",
        "V1",
        "FORWARD",
        "DO_NOT_UPGRADE",
        "NONE",
        "DNS",
        "HTTP",
        "TCP",
        "UDP",
        "FROM_PROTOCOL_DEFAULT",
    ];
    let mut others = vec![Value::Null];
    match value {
        Value::Bool(it) => others.push((!it).into()),
        Value::Number(it) if it.is_f64() => others.push((it.as_f64().unwrap_or(0.0) / 2.0).into()),
        Value::Number(it) => {
            let it = it.as_u64().expect("it is whole");
            others.extend([it + 1, 303, 503].map(Value::from));
        }
        Value::String(it)
            if it
                .bytes()
                .all(|it| it.is_ascii_uppercase() || b"_123".contains(&it)) =>
        {
            others.extend(WORDS.map(Value::from));
        }
        Value::String(it) => {
            let mut cut = it.clone();
            cut.pop();
            others.extend([format!("{it}x"), format!("1{it}"), cut + "9"].map(Value::from));
        }
        Value::Array(items) if items.len() > 1 => others.push(items[1..].into()),
        Value::Object(entries) if entries.len() == 1 => {
            // Where it is a mapping of the user's own, another key.
            let entries = entries
                .iter()
                .map(|(key, it)| (format!("{key}x"), it.clone()));
            others.push(Value::Object(entries.collect()));
        }
        Value::Null | Value::Array(_) | Value::Object(_) => {}
    }
    others
        .into_iter()
        .map(|it| Some(it).filter(|it| !it.is_null()))
        .collect()
}

/// The place in serde_json's spelling.
fn pointer(steps: &[String]) -> String {
    let escaped = steps
        .iter()
        .map(|it| it.replace('~', "~0").replace('/', "~1"));
    escaped.map(|it| format!("/{it}")).collect()
}

fn with(document: &Value, field: &[String], other: Option<Value>) -> Value {
    let mut document = document.clone();
    let (last, above) = field.split_last().expect("a field has a name");
    let object = document.pointer_mut(&pointer(above));
    let object = object
        .and_then(Value::as_object_mut)
        .expect("it stands there");
    match other {
        Some(other) => object.insert(last.clone(), other),
        None => object.remove(last),
    };
    document
}

/// What is wrong, but for what is not built.
fn errors(look: &Look) -> Vec<String> {
    let errors = look
        .told
        .iter()
        .filter(|it| it.severity() == Severity::Error);
    let errors = errors.filter(|it| it.code() != Code::NotBuilt);
    errors
        .map(|it| format!("{} {}", it.path(), it.message()))
        .collect()
}

/// What is told of the place, or of one around it, with this code.
fn told_at<'l>(look: &'l Look, steps: &[String], code: Code) -> Option<&'l Diagnostic> {
    let place = |steps: &[String]| {
        let mut path = String::new();
        for step in steps {
            match step.parse::<usize>() {
                Ok(n) => path += &format!("[{n}]"),
                Err(_) if path.is_empty() => path += step,
                Err(_) => path += &format!(".{step}"),
            }
        }
        path
    };
    let around: Vec<String> = (1..=steps.len()).map(|n| place(&steps[..n])).collect();
    let mut told = look.told.iter().filter(|it| it.code() == code);
    told.find(|it| around.contains(&it.path().to_string()))
}

/// What a field does for one client; nothing where it can neither be left out nor be another.
fn effect_for(document: &Value, source: &Source, whole: &Look, field: &[String]) -> Option<Effect> {
    let value = document.pointer(&pointer(field)).expect("it stands there");
    let known = errors(whole);
    let mut best = None;
    for other in others(value) {
        let look = look(&with(document, field, other), source.clone());
        if errors(&look).iter().any(|it| !known.contains(it)) {
            continue;
        }
        if look.plan != whole.plan {
            return Some(Effect::Works);
        }
        let effect = match look.told == whole.told {
            true => Effect::Nothing,
            false => Effect::Judged,
        };
        best = Some(best.map_or(effect.clone(), |best: Effect| best.min(effect)));
    }
    best
}

fn effect(document: &Value, whole: &[Look], field: &[String]) -> Option<Effect> {
    let told = |code| whole.iter().find_map(|it| told_at(it, field, code));
    if let Some(refused) = told(Code::NotBuilt) {
        let reason = refused
            .help()
            .and_then(|it| it.strip_prefix("on purpose: "));
        return Some(reason.map_or(Effect::NotBuilt, |it| Effect::LeftOut(it.to_owned())));
    }
    if told(Code::InvalidValue).is_some_and(|it| it.message().ends_with(UNSUPPORTED)) {
        return Some(Effect::Refused);
    }
    let mut best = None;
    for (source, whole) in clients().iter().zip(whole) {
        match effect_for(document, source, whole, field) {
            Some(Effect::Works) => return Some(Effect::Works),
            Some(effect) => best = Some(best.map_or(effect.clone(), |it: Effect| it.min(effect))),
            None => {}
        }
    }
    let idle = told(Code::NeverFires);
    idle.map_or(best, |it| Some(Effect::Reported(it.code().as_str())))
}

/// The resource with one rule at a time.
fn single(document: &Value) -> Vec<Value> {
    let Some(rules) = document.pointer("/spec/http").and_then(Value::as_array) else {
        return vec![document.clone()];
    };
    let only = |rule: &Value| {
        let mut document = document.clone();
        document["spec"]["http"] = vec![rule.clone()].into();
        document
    };
    rules.iter().map(only).collect()
}

/// A DestinationRule's policy put where policies can stand else.
fn moved(document: &Value) -> Vec<Value> {
    let Some(policy) = document.pointer("/spec/trafficPolicy") else {
        return Vec::new();
    };
    let mut own = Map::new();
    for block in ["loadBalancer", "connectionPool", "outlierDetection", "tls"] {
        if let Some(block_of) = policy.get(block) {
            own.insert(block.to_owned(), block_of.clone());
        }
    }
    own.insert("port".to_owned(), serde_json::json!({"number": 81}));
    let of_port = serde_json::json!({"portLevelSettings": [own]});
    let of_subset = |policy: &Value| serde_json::json!([{"name": "v1", "labels": {"version": "v1"}, "trafficPolicy": policy}]);
    let spec = |fields: &[(&str, Value)]| {
        let mut document = document.clone();
        let spec = document["spec"].as_object_mut().expect("it is a mapping");
        spec.remove("trafficPolicy");
        spec.extend(
            fields
                .iter()
                .map(|(key, it)| ((*key).to_owned(), it.clone())),
        );
        document
    };
    vec![
        spec(&[("trafficPolicy", of_port.clone())]),
        spec(&[("subsets", of_subset(policy))]),
        spec(&[("subsets", of_subset(&of_port))]),
    ]
}

/// Every field the resources set, and what it does.
pub(super) fn effects() -> BTreeMap<Row, Effect> {
    let mut effects: BTreeMap<Row, Effect> = BTreeMap::new();
    let mut fixed = BTreeSet::new();
    let documents = RESOURCES.split("\n---\n").map(document::json);
    for document in documents.flat_map(|it| [single(&it), moved(&it)].concat()) {
        let kind = document["kind"].as_str().expect("it has a kind").to_owned();
        let whole = looks(&document);
        let again = look(&document, Source::default());
        assert!(
            whole.first() == Some(&again),
            "a plan is told the same way twice"
        );
        let mut wrong: Vec<String> = whole.iter().flat_map(errors).collect();
        wrong.retain(|it| !it.ends_with(UNSUPPORTED));
        assert!(wrong.is_empty(), "{document:#}: {wrong:#?}");
        let places = schema::places(&kind);
        let mut found = Vec::new();
        for top in ["metadata", "spec"] {
            fields(&document[top], &[top.to_owned()], top, &places, &mut found);
        }
        for field in found {
            let row = (kind.clone(), field.row);
            if effects.get(&row) == Some(&Effect::Works) {
                continue;
            }
            match effect(&document, &whole, &field.steps) {
                Some(effect) => {
                    let known = effects.entry(row).or_insert_with(|| effect.clone());
                    *known = effect.min(known.clone());
                }
                None => {
                    fixed.insert(row);
                }
            }
        }
    }
    // What can neither be left out nor be another works if something in it does.
    for row in fixed {
        let mut below = effects.iter().filter(|((kind, place), _)| {
            *kind == row.0
                && place
                    .strip_prefix(&row.1)
                    .is_some_and(|it| it.starts_with(['.', '[']))
        });
        if below.any(|(_, effect)| *effect == Effect::Works) {
            effects.insert(row, Effect::Works);
        }
    }
    effects
}
