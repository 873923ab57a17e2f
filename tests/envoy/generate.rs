//! Random tables, and requests that meet their conditions or just miss them.
//!
//! Everything is drawn from small pools, so that rules overlap, shadow one another and are
//! told apart by one letter, and from one seed, so that a difference can be had again.

use serde_json::{Map, Value, json};

use super::exchange::Request;
use super::yaml;

/// How many tables share one configuration, each under a host of its own.
const TABLES: usize = 20;
/// How many requests each table gets.
const REQUESTS: usize = 25;

/// The destinations all tables share.
pub(crate) const SERVICES: &str = include_str!("cases/services.inc");

const PATHS: [&str; 12] = [
    "/",
    "/a",
    "/ab",
    "/a/b",
    "/a/",
    "/A/b",
    "/api/v1",
    "/api/v12/x",
    "/x.y",
    "/a;p=1",
    "/%41b",
    "/a%2fb",
];
/// Expressions, each with paths it takes and paths that look so.
const REGEXES: [(&str, &[&str]); 12] = [
    ("/a.*", &["/a", "/abc", "/A", "/x/a"]),
    (".*", &["/", "/anything"]),
    (
        "/api/v[0-9]+",
        &["/api/v1", "/api/v", "/api/v1/", "/api/v12"],
    ),
    ("/api/v\\d+/.*", &["/api/v1/", "/api/v1/x/y", "/api/v1"]),
    ("^/x\\.y$", &["/x.y", "/xzy", "/x.y/"]),
    ("/(a|ab)(b|/.*)?", &["/ab", "/abb", "/a/b", "/abc"]),
    ("(?i)/a/B", &["/a/b", "/A/B", "/a/bc"]),
    ("/[a&&b]", &["/a", "/b", "/&", "/ab"]),
    ("/[^/]+/b", &["/a/b", "/a/c/b", "//b"]),
    ("/\\w+", &["/ab", "/a_1", "/a-b", "/%41"]),
    ("/a{2,3}", &["/a", "/aa", "/aaa", "/aaaa"]),
    ("/\\Qx.y\\E", &["/x.y", "/xzy"]),
];
const HEADERS: [&str; 6] = ["x-a", "x-b", "X-Mixed", "cookie", "content-type", "accept"];
const VALUES: [&str; 9] = [
    "1",
    "2",
    "12",
    "v1",
    "V1",
    "beta",
    "beta2",
    "a,b",
    "application/grpc",
];
const VALUE_REGEXES: [&str; 6] = ["[0-9]+", "v.*", "(?i)BETA", "a,b|1", ".+", "\\S*"];
const PARAMETERS: [&str; 4] = ["k", "K", "p", "k2"];
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "OPTIONS"];

/// A stream of numbers that a seed determines (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).expect("below a usize")
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }

    fn of<T: Copy>(&mut self, pool: &[T]) -> T {
        pool[self.below(pool.len())]
    }
}

/// A configuration of several tables, and the requests to send under it.
pub(crate) struct Batch {
    pub(crate) yaml: String,
    /// The documents of the single tables.
    pub(crate) tables: Vec<String>,
    /// The number of the table, and a request to its host.
    pub(crate) requests: Vec<(usize, Request)>,
}

/// Draws a batch.
pub(crate) fn batch(dice: &mut Dice) -> Batch {
    let mut batch = Batch {
        yaml: super::upstream::fill_in(SERVICES),
        tables: Vec::new(),
        requests: Vec::new(),
    };
    for number in 0..TABLES {
        let host = format!("t{number}.gen.test");
        let rules: Vec<Value> = (0..=dice.below(5))
            .map(|at| rule(dice, at, &host))
            .collect();
        let table = json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": format!("t{number}")},
            "spec": {"hosts": [host], "http": rules},
        });
        for _ in 0..REQUESTS {
            batch.requests.push((number, request(dice, &rules, &host)));
        }
        let document = yaml::document(&table);
        batch.yaml += &format!("---\n{document}");
        batch.tables.push(document);
    }
    batch
}

fn rule(dice: &mut Dice, number: usize, host: &str) -> Value {
    let destination = match dice.of(&["", "", "v1", "v2", "unknown", "empty"]) {
        "" => json!({"host": "one.test"}),
        subset => json!({"host": "two.test", "subset": subset}),
    };
    let mut rule = json!({
        "name": format!("r{number}"),
        "route": [{"destination": destination}],
        "retries": {"attempts": 0},
    });
    // A rule without a match ends the table, so it is rare.
    if !dice.one_in(8) {
        let matches: Vec<Value> = (0..=dice.below(3))
            .map(|at| condition(dice, at, host))
            .collect();
        rule["match"] = json!(matches);
    }
    rule
}

fn condition(dice: &mut Dice, number: usize, host: &str) -> Value {
    let mut condition = json!({"name": format!("m{number}")});
    if !dice.one_in(4) {
        condition["uri"] = match dice.below(3) {
            0 => json!({"exact": dice.of(&PATHS)}),
            1 => json!({"prefix": dice.of(&PATHS)}),
            _ => json!({"regex": dice.of(&REGEXES).0}),
        };
        if dice.one_in(4) {
            condition["ignoreUriCase"] = json!(true);
        }
    }
    for (key, one_in) in [("headers", 2), ("withoutHeaders", 5)] {
        if dice.one_in(one_in) {
            condition[key] = texts(dice, &HEADERS);
        }
    }
    if dice.one_in(4) {
        condition["queryParams"] = texts(dice, &PARAMETERS);
    }
    if dice.one_in(6) {
        condition["method"] = match dice.below(3) {
            0 => json!({"prefix": "P"}),
            1 => json!({"regex": "PUT|GET"}),
            _ => json!({"exact": dice.of(&METHODS)}),
        };
    }
    if dice.one_in(12) {
        condition["scheme"] = json!({"exact": dice.of(&["http", "https", "HTTP"])});
    }
    if dice.one_in(12) {
        let port = format!("{host}:8080");
        condition["authority"] = match dice.below(3) {
            0 => json!({"exact": host}),
            1 => json!({"exact": port}),
            _ => json!({"prefix": "t"}),
        };
    }
    if dice.one_in(12) {
        condition["port"] = json!(dice.of(&[80, 8080]));
    }
    if dice.one_in(12) {
        condition["sourceLabels"] = json!({"app": dice.of(&["web", "other"])});
    }
    if dice.one_in(16) {
        condition["sourceNamespace"] = json!(dice.of(&["default", "other"]));
    }
    if dice.one_in(16) {
        condition["gateways"] = json!([dice.of(&["mesh", "default/edge"])]);
    }
    condition
}

/// One or two conditions on the values of some names.
fn texts(dice: &mut Dice, names: &[&str]) -> Value {
    let mut texts = Map::new();
    for _ in 0..=dice.below(2) {
        let value = match dice.below(5) {
            0 => json!({}),
            1 => json!({"prefix": dice.of(&VALUES)}),
            2 => json!({"regex": dice.of(&VALUE_REGEXES)}),
            _ => json!({"exact": dice.of(&VALUES)}),
        };
        texts.insert(dice.of(names).to_owned(), value);
    }
    Value::Object(texts)
}

/// A request for one of a table's matches, made to fit and then, often, to just not fit.
fn request(dice: &mut Dice, rules: &[Value], host: &str) -> Request {
    let nothing = json!({});
    let rule = &rules[dice.below(rules.len())];
    let condition = match rule["match"].as_array() {
        Some(matches) => &matches[dice.below(matches.len())],
        None => &nothing,
    };
    let mut path = match &condition["uri"] {
        uri if uri["exact"].is_string() => text(&uri["exact"]),
        uri if uri["prefix"].is_string() => {
            text(&uri["prefix"]) + dice.of(&["", "", "x", "/x", "/"])
        }
        uri if uri["regex"].is_string() => {
            let mut pool = REGEXES.iter().filter(|(regex, _)| uri["regex"] == *regex);
            let (_, samples) = pool.next().expect("a regex of the pool");
            dice.of(samples).to_owned()
        }
        _ => dice.of(&PATHS).to_owned(),
    };
    let mut query: Vec<String> = Vec::new();
    for (name, value) in condition["queryParams"].as_object().into_iter().flatten() {
        query.push(format!("{name}={}", fitting(dice, value)));
    }
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in condition["headers"].as_object().into_iter().flatten() {
        headers.push((name.clone(), fitting(dice, value)));
    }
    if dice.one_in(3) {
        let without = condition["withoutHeaders"]
            .as_object()
            .into_iter()
            .flatten();
        headers.extend(without.map(|(name, value)| (name.clone(), fitting(dice, value))));
    }
    let mut method = match &condition["method"]["exact"] {
        Value::String(exact) => exact.clone(),
        _ => "GET".to_owned(),
    };
    let mut host = match &condition["authority"]["exact"] {
        Value::String(exact) => exact.clone(),
        _ => host.to_owned(),
    };
    for _ in 0..dice.below(3) {
        match dice.below(12) {
            0 => path = miss_path(dice, &path),
            1 => path = path.to_ascii_uppercase(),
            2 => method = dice.of(&METHODS).to_owned(),
            3 => host = host.to_ascii_uppercase(),
            4 if !host.contains(':') => host += dice.of(&[":80", ":8080"]),
            5 => drop(headers.pop()),
            6 => query.insert(
                0,
                dice.of(&["k=v1", "k", "p=", "K=%31", "k2=1&k2=2"])
                    .to_owned(),
            ),
            7 => drop(query.pop()),
            8 | 9 => {
                let name = dice.of(&HEADERS).to_owned();
                let at = dice.below(headers.len() + 1);
                headers.insert(at, (name, dice.of(&VALUES).to_owned()));
            }
            10 => headers
                .iter_mut()
                .for_each(|(name, _)| *name = name.to_ascii_uppercase()),
            _ => headers
                .iter_mut()
                .for_each(|(_, value)| *value = format!(" {value}\t")),
        }
    }
    let query = match query.is_empty() {
        true => String::new(),
        false => format!("?{}", query.join("&")),
    };
    Request {
        method,
        target: path + &query,
        host: Some(host),
        headers,
        body: None,
        chunked: false,
        shadows: 0,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A value a condition takes, or one that is near it.
fn fitting(dice: &mut Dice, condition: &Value) -> String {
    let any = dice.of(&VALUES).to_owned();
    match condition.as_object().and_then(|it| it.iter().next()) {
        Some((kind, value)) if kind == "exact" => text(value),
        Some((kind, value)) if kind == "prefix" => text(value) + dice.of(&["", "", "x"]),
        _ => any,
    }
}

/// A path close to another one.
fn miss_path(dice: &mut Dice, path: &str) -> String {
    match dice.below(8) {
        0 => format!("{path}/"),
        1 => format!("{path}x"),
        2 => path[..path.len() - 1].to_owned() + if path.len() == 1 { "/" } else { "" },
        3 => format!("/{path}"),
        4 => format!("/.{path}"),
        5 => format!("/up/..{path}"),
        6 => path.replace('a', "%61"),
        _ => format!("{path}#fragment"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases::translated;
    use super::super::random_client;
    use super::*;

    #[test]
    fn a_seed_is_a_batch() {
        let [one, same, other] = [1, 1, 2].map(|seed| batch(&mut Dice::new(seed)));
        assert_eq!(one.yaml, same.yaml);
        assert_ne!(one.yaml, other.yaml);
        assert_eq!(one.requests.len(), TABLES * REQUESTS);
    }

    #[test]
    fn every_table_can_be_read_and_translated() {
        let mut dice = Dice::new(7);
        for _ in 0..20 {
            let batch = batch(&mut dice);
            let translation = translated("random", &batch.yaml, &random_client());
            let hosts = translation.routes["virtual_hosts"]
                .as_array()
                .unwrap()
                .len();
            // Tables whose matches are all meant for other clients are left out.
            assert!(hosts > TABLES / 2, "{hosts}");
        }
    }
}
