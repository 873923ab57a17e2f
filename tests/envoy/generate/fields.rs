//! The fields of drawn tables: how often each was there, and how often it decided.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::dice::Dice;
use super::documents::DATES;
use super::listed;
use super::policies;
use super::{Table, renamed};

/// Keys whose values are maps from names a table chooses.
const FREE: [&str; 6] = [
    "withoutHeaders",
    "queryParams",
    "sourceLabels",
    "set",
    "add",
    "labels",
];
/// How many fields are tried until one can go.
const TRIES: usize = 12;

/// What is known of one field.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    /// How often it was there.
    pub(crate) generated: u64,
    /// In how many twins it was gone or another.
    pub(crate) changed: u64,
    /// How often it had to stay as it was.
    pub(crate) kept: u64,
    /// To how many requests Envoy then gave another answer.
    pub(crate) decided: u64,
}

/// All fields by their paths: `VirtualService.http[].match[].uri.exact`.
#[derive(Debug, Default)]
pub(crate) struct Counts(pub(crate) BTreeMap<String, Count>);

impl Counts {
    pub(crate) fn generated(&mut self, documents: &[Value]) {
        for (path, _) in documents.iter().flat_map(paths) {
            self.0.entry(path).or_default().generated += 1;
        }
    }

    /// Adds what another has counted.
    pub(crate) fn join(&mut self, other: Self) {
        for (path, count) in other.0 {
            let sum = self.0.entry(path).or_default();
            sum.generated += count.generated;
            sum.changed += count.changed;
            sum.kept += count.kept;
            sum.decided += count.decided;
        }
    }

    pub(crate) fn decided(&mut self, path: &str) {
        self.0.entry(path.to_owned()).or_default().decided += 1;
    }

    /// Whether a field has decided a few times.
    pub(crate) fn has_decided(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(|it| it.decided >= 3)
    }

    /// A line for every field.
    pub(crate) fn text(&self) -> String {
        let line = |(path, count): (&String, &Count)| {
            let Count {
                generated,
                changed,
                decided,
                ..
            } = count;
            format!("{generated:>9} {changed:>8} {decided:>8}  {path}\n")
        };
        let lines: String = self.0.iter().map(line).collect();
        format!("generated  changed  decided  field\n{lines}")
    }

    /// Fields of the list that have never been there or, if asked, have never decided.
    pub(crate) fn missing(&self, must_decide: bool) -> Vec<&'static str> {
        let mut sums: BTreeMap<String, Count> = BTreeMap::new();
        for (path, count) in &self.0 {
            let sum = sums.entry(listed::canonical(path)).or_default();
            sum.generated += count.generated;
            sum.decided += count.decided;
        }
        let is_missing = |(path, decides): &&(String, bool)| {
            let count = sums.get(path).copied().unwrap_or_default();
            count.generated == 0 || (must_decide && *decides && count.decided == 0)
        };
        let missing = listed::all().iter().filter(is_missing);
        missing.map(|(path, _)| &**path).collect()
    }
}

/// Where in a table a field stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    /// The document.
    pub(super) document: usize,
    /// The rule of a VirtualService, and the match of that.
    pub(super) rule: Option<usize>,
    pub(super) condition: Option<usize>,
    /// Whether it says that case does not matter.
    pub(super) case: bool,
}

impl Aim {
    fn at(document: usize, pointer: &str) -> Self {
        let mut words = pointer.split('/');
        let mut after = |word: &str| {
            words.by_ref().find(|it| *it == word)?;
            words.next()?.parse().ok()
        };
        Self {
            document,
            rule: after("http"),
            condition: after("match"),
            case: pointer.ends_with("ignoreUriCase"),
        }
    }
}

/// The table under another host with one field gone or, where it must be there, changed: the
/// one that had the fewest twins so far, where those that must decide get three for one.
pub(super) fn twin(
    dice: &mut Dice,
    table: &Table,
    number: usize,
    counts: &mut Counts,
    is_valid: impl Fn(&Table) -> bool,
) -> Option<(Table, Aim)> {
    let mut all = Vec::new();
    for (at, document) in table.documents.iter().enumerate() {
        all.extend(
            paths(document)
                .into_iter()
                .map(|(path, at_path)| (path, at, at_path)),
        );
    }
    // A host that nothing declares any more would go where DNS says, which is another matter.
    all.retain(|(path, ..)| !path.starts_with("ServiceEntry.hosts"));
    // Age is between those that may compete: rules of one namespace for one host.
    let same = |one: &Value, other: &Value| match one["kind"].as_str() {
        Some("DestinationRule") => {
            let namespace = |it: &Value| it["metadata"].get("namespace").cloned();
            one["spec"]["host"] == other["spec"]["host"] && namespace(one) == namespace(other)
        }
        _ => true,
    };
    let alone = |at: usize| {
        let one = &table.documents[at];
        let mut others = table.documents.iter().enumerate();
        !others.any(|(it, other)| it != at && other["kind"] == one["kind"] && same(one, other))
    };
    all.retain(|(path, at, _)| !path.ends_with("creationTimestamp") || !alone(*at));
    // Weights show where a key decides.
    let keyed = !policies::hashes(&table.documents).is_empty();
    all.retain(|(path, ..)| keyed || !path.ends_with("endpoints[].weight"));
    // Shuffled, then the least tried first.
    for last in (1..all.len()).rev() {
        all.swap(last, dice.below(last + 1));
    }
    let tried = |path: &String| {
        let tried = counts.0.get(path).map_or(0, |it| it.changed + it.kept);
        if listed::must_decide(path) {
            tried / 3
        } else {
            tried
        }
    };
    all.sort_by_cached_key(|(path, ..)| tried(path));
    for (path, at, pointer) in all.iter().take(TRIES) {
        for change in [remove, alter] {
            let mut twin = table.clone();
            if !change(&mut twin.documents[*at], pointer) || twin.documents == table.documents {
                continue;
            }
            for document in &mut twin.documents {
                let text = renamed(&document.to_string(), table.number);
                *document = serde_json::from_str(&text).expect("JSON stays JSON");
            }
            if is_valid(&twin) {
                twin.twin_of = Some((number, path.clone()));
                counts.0.entry(path.clone()).or_default().changed += 1;
                return Some((twin, Aim::at(*at, pointer)));
            }
        }
        counts.0.entry(path.clone()).or_default().kept += 1;
    }
    None
}

/// Every place of a resource that a person could change: its path, and the pointer to it.
pub(crate) fn paths(document: &Value) -> Vec<(String, String)> {
    let kind = document["kind"].as_str().unwrap_or_default();
    let mut found = Vec::new();
    if kind == "VirtualService" {
        let path = format!("{kind}.metadata.name");
        found.push((path, "/metadata/name".to_owned()));
    }
    if document["metadata"].get("namespace").is_some() {
        let path = format!("{kind}.metadata.namespace");
        found.push((path, "/metadata/namespace".to_owned()));
    }
    if document["metadata"].get("creationTimestamp").is_some() {
        let path = format!("{kind}.metadata.creationTimestamp");
        found.push((path, "/metadata/creationTimestamp".to_owned()));
    }
    walk(&document["spec"], kind, "/spec", &mut found);
    found
}

fn walk(value: &Value, path: &str, pointer: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            let key = path.rsplit('.').next().unwrap_or_default();
            let is_free = FREE.contains(&key) || path.ends_with("match[].headers");
            for (key, value) in map {
                let path = match is_free {
                    true => format!("{path}.*"),
                    false => format!("{path}.{key}"),
                };
                let key = key.replace('~', "~0").replace('/', "~1");
                let pointer = format!("{pointer}/{key}");
                found.push((path.clone(), pointer.clone()));
                walk(value, &path, &pointer, found);
            }
        }
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                let (path, pointer) = (format!("{path}[]"), format!("{pointer}/{at}"));
                found.push((path.clone(), pointer.clone()));
                walk(value, &path, &pointer, found);
            }
        }
        _ => {}
    }
}

/// Takes a value away; false where it is the last of its list.
pub(crate) fn remove(document: &mut Value, pointer: &str) -> bool {
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        return false;
    };
    match document.pointer_mut(parent) {
        Some(Value::Object(map)) => {
            let key = key.replace("~1", "/").replace("~0", "~");
            map.remove(&key).is_some()
        }
        Some(Value::Array(list)) if list.len() > 1 => {
            let at = key.parse().unwrap_or(usize::MAX);
            at < list.len() && {
                list.remove(at);
                true
            }
        }
        _ => false,
    }
}

/// Makes another value of a value that must be there.
fn alter(document: &mut Value, pointer: &str) -> bool {
    let Some(value) = document.pointer_mut(pointer) else {
        return false;
    };
    let other = match &*value {
        Value::Number(number) => match number.as_u64() {
            Some(0) => json!(100),
            Some(100) => json!(0),
            // The size of a table must be a prime number.
            Some(7) if pointer.ends_with("tableSize") => json!(11),
            Some(1009) => json!(1013),
            Some(many) => json!(many + 1),
            None => return false,
        },
        Value::Bool(flag) => json!(!flag),
        Value::String(word) => match word.as_str() {
            "one.test" => json!("two.test"),
            // The destinations of all tables are no table's to make rules for.
            host if host.ends_with(".test") && pointer.ends_with("destination/host") => {
                json!("one.test")
            }
            // The oldest becomes the newest, all others the oldest.
            oldest if oldest == DATES[0] => json!(DATES[3]),
            date if DATES.contains(&date) => json!(DATES[0]),
            "UNAVAILABLE" => json!("INTERNAL"),
            "PERMISSION_DENIED" | "OK" => json!("UNAVAILABLE"),
            "aGk=" | "AP8=" => json!("aG8="),
            // There are other networks on loopback, and nobody in them.
            "127.0.0.1" => json!("127.0.0.9"),
            word => json!(format!("{word}x")),
        },
        _ => return false,
    };
    *value = other;
    true
}
