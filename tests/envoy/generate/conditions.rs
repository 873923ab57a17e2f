//! What a drawn rule asks of requests.

use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::words::{HEADERS, METHODS, PARAMETERS, PATHS, REGEXES, VALUE_REGEXES, WRITTEN};

pub(super) fn condition(dice: &mut Dice, number: usize, host: &str) -> Value {
    let mut condition = json!({});
    if !dice.one_in(3) {
        condition["name"] = json!(format!("m{number}"));
    }
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
        condition["scheme"] = match dice.below(3) {
            0 => json!({"prefix": "http"}),
            1 => json!({"regex": "https?"}),
            _ => json!({"exact": dice.of(&["http", "https", "HTTP"])}),
        };
    }
    if dice.one_in(12) {
        let port = format!("{host}:8080");
        condition["authority"] = match dice.below(4) {
            0 => json!({"exact": host}),
            1 => json!({"exact": port}),
            2 => json!({"regex": ".*:80|[tu][0-9.a-z]+"}),
            _ => json!({"prefix": dice.of(&["t", "u", "x."])}),
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
    if dice.one_in(24) {
        condition["statPrefix"] = json!("counted");
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
            1 => json!({"prefix": dice.of(&WRITTEN)}),
            2 => json!({"regex": dice.of(&VALUE_REGEXES).0}),
            _ => json!({"exact": dice.of(&WRITTEN)}),
        };
        texts.insert(dice.of(names).to_owned(), value);
    }
    Value::Object(texts)
}
