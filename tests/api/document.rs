//! The five documents that set every field, and YAML as plain JSON values.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

pub(crate) const VIRTUAL_SERVICE: &str = include_str!("virtual_service.yaml");
pub(crate) const DESTINATION_RULE: &str = include_str!("destination_rule.yaml");
pub(crate) const SERVICE_ENTRY: &str = include_str!("service_entry.yaml");
pub(crate) const GATEWAY: &str = include_str!("gateway.yaml");
pub(crate) const SERVICE: &str = include_str!("service.yaml");

/// The documents whose kinds are Istio's.
pub(crate) const ISTIO: [&str; 4] = [VIRTUAL_SERVICE, DESTINATION_RULE, SERVICE_ENTRY, GATEWAY];

/// The document as JSON, read without this crate's own reader.
pub(crate) fn json(yaml: &str) -> Value {
    let events = Parser::new_from_str(yaml).map(|event| event.unwrap().0);
    let mut nodes = events.skip_while(|event| !matches!(event, Event::DocumentStart(..)));
    nodes.next();
    node(&mut nodes).unwrap()
}

fn node<'t>(events: &mut impl Iterator<Item = Event<'t>>) -> Option<Value> {
    match events.next().unwrap() {
        Event::Scalar(text, ScalarStyle::Plain, ..) => {
            Some(serde_json::from_str(&text).unwrap_or_else(|_| text.into()))
        }
        Event::Scalar(text, ..) => Some(text.into()),
        Event::SequenceStart(..) => {
            let items = std::iter::from_fn(|| node(events));
            Some(Value::Array(items.collect()))
        }
        Event::MappingStart(..) => {
            let mut map = Map::new();
            while let Some(key) = node(events) {
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                map.insert(key, node(events).unwrap());
            }
            Some(Value::Object(map))
        }
        _ => None,
    }
}

/// Spells every key of the value otherwise, where `spellings` knows another spelling.
pub(crate) fn respell(value: &mut Value, spellings: &HashMap<String, &'static str>) {
    match value {
        Value::Object(map) => {
            for (key, mut value) in std::mem::take(map) {
                respell(&mut value, spellings);
                let key = spellings.get(&key).map_or(key, |&other| other.to_owned());
                map.insert(key, value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| respell(item, spellings)),
        _ => {}
    }
}
