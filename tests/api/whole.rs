//! Documents that set every field, read in every way there is.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use tower_mesh::api::{Resource, Resources, Spec};

use super::built;
use super::document::{
    DESTINATION_RULE, GATEWAY, ISTIO, SERVICE, SERVICE_ENTRY, VIRTUAL_SERVICE, json, respell,
};
use super::fields::{MESSAGES, Message, camel_case, snake_case};
use super::tell::{found, only};

#[track_caller]
fn check(yaml: &str, want: impl Into<Spec>) {
    let want = want.into();
    assert_eq!(only(yaml).spec, want);
    let json = json(yaml);
    assert_eq!(only(&json.to_string()).spec, want, "as JSON");
    let through_serde: Resource = serde_json::from_value(json).unwrap();
    assert_eq!(through_serde.spec, want, "through serde");
}

#[test]
fn every_field_arrives_from_yaml_from_json_and_through_serde() {
    check(VIRTUAL_SERVICE, built::virtual_service());
    check(DESTINATION_RULE, built::destination_rule());
    check(SERVICE_ENTRY, built::service_entry());
    check(GATEWAY, built::gateway());
    check(SERVICE, built::service());
}

#[test]
fn metadata_arrives() {
    let metadata = only(VIRTUAL_SERVICE).metadata;
    assert_eq!(metadata.name, "reviews");
    assert_eq!(metadata.namespace, "shop");
    assert_eq!(metadata.labels["team"], "books");
    let created = metadata.creation_timestamp.as_deref();
    assert_eq!(created, Some("2024-05-01T10:00:00Z"));
}

/// The object a message is read from.
fn object<'v>(
    document: &'v mut Value,
    message: &Message,
) -> &'v mut serde_json::Map<String, Value> {
    let object = document.pointer_mut(message.pointer);
    object.unwrap().as_object_mut().unwrap()
}

#[test]
fn no_field_is_forgotten_and_each_one_counts() {
    for message in MESSAGES {
        let whole = json(message.document);
        let read: Resource = serde_json::from_value(whole.clone()).unwrap();
        for field in message.fields {
            let mut document = whole.clone();
            let name = camel_case(field);
            let removed = object(&mut document, message).remove(&name);
            assert!(removed.is_some(), "{}.{name} is not set", message.name);
            let without: Resource = serde_json::from_value(document).unwrap();
            assert_ne!(
                without.spec, read.spec,
                "{}.{name} is not read, or is set to its default",
                message.name
            );
        }
    }
}

#[test]
fn no_message_is_forgotten() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api");
    let mut declared = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let structs = text.split("message! {\n").skip(1);
        declared.extend(structs.filter_map(|text| {
            let (_, name) = text.split_once("\n    pub struct ")?;
            Some(name.split_once(' ')?.0.to_owned())
        }));
    }
    let listed = MESSAGES.iter().map(|message| message.name.to_owned());
    assert_eq!(declared, listed.collect());
}

#[test]
fn snake_case_says_the_same() {
    let all = MESSAGES.iter().flat_map(|message| message.fields);
    let spellings: HashMap<_, _> = all.map(|it| (camel_case(it), snake_case(it))).collect();
    for yaml in ISTIO {
        let want = only(yaml).spec;
        let mut document = json(yaml);
        respell(&mut document["spec"], &spellings);
        assert_ne!(document, json(yaml));
        assert_eq!(only(&document.to_string()).spec, want);
        let through_serde: Resource = serde_json::from_value(document).unwrap();
        assert_eq!(through_serde.spec, want);
    }
}

#[test]
fn the_three_api_versions_have_one_schema() {
    for yaml in ISTIO {
        let want = only(yaml).spec;
        for version in ["v1", "v1beta1", "v1alpha3"] {
            let old = yaml.replace(
                "networking.istio.io/v1",
                &format!("networking.istio.io/{version}"),
            );
            assert_eq!(only(&old).spec, want, "{version}");
        }
    }
}

/// Every scalar of the document quoted, numbers too: Istio's own decoder takes them.
fn quoted(value: &mut Value) {
    match value {
        Value::Number(number) => *value = Value::String(number.to_string()),
        Value::Object(map) => map.values_mut().for_each(quoted),
        Value::Array(items) => items.iter_mut().for_each(quoted),
        _ => {}
    }
}

#[test]
fn quoted_numbers_are_numbers() {
    for yaml in ISTIO {
        let mut document = json(yaml);
        quoted(&mut document);
        assert_eq!(only(&document.to_string()).spec, only(yaml).spec);
    }
}

/// Replaces the names of enumerations by their numbers.
fn numbered(value: &mut Value) {
    const NUMBERS: [(&str, u32); 11] = [
        ("FROM_REQUEST_PORT", 1),
        ("IGNORE", 2),
        ("ROUND_ROBIN", 4),
        ("LEAST_REQUEST", 5),
        ("UPGRADE", 2),
        ("SIMPLE", 1),
        ("MUTUAL", 2),
        ("OPTIONAL_MUTUAL", 5),
        ("MESH_INTERNAL", 1),
        ("STATIC", 1),
        ("TLSV1_3", 4),
    ];
    match value {
        Value::String(text) => {
            if let Some((_, number)) = NUMBERS.iter().find(|(name, _)| name == text) {
                *value = (*number).into();
            }
        }
        Value::Object(map) => map.values_mut().for_each(numbered),
        Value::Array(items) => items.iter_mut().for_each(numbered),
        _ => {}
    }
}

#[test]
fn enumerations_may_be_numbers() {
    for yaml in ISTIO {
        let mut document = json(yaml);
        numbered(&mut document);
        assert_ne!(document, json(yaml));
        assert_eq!(only(&document.to_string()).spec, only(yaml).spec);
    }
}

#[test]
fn one_message_alone_reads_through_serde() {
    let document = json(DESTINATION_RULE);
    let policy = document.pointer("/spec/trafficPolicy").unwrap().clone();
    let read: tower_mesh::api::TrafficPolicy = serde_json::from_value(policy).unwrap();
    assert_eq!(Some(read), built::destination_rule().traffic_policy);
}

#[test]
fn serde_tells_the_first_fault() {
    let mut document = json(GATEWAY);
    let port = MESSAGES.iter().find(|it| it.name == "ServerPort").unwrap();
    object(&mut document, port).insert("nummer".into(), 1.into());
    let error = serde_json::from_value::<Resource>(document).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error[unknown-field]: spec.servers[0].port.nummer: there is no field \"nummer\" here \
         (did you mean \"number\"?)"
    );
}

#[test]
fn order_of_fields_and_a_second_reading_change_nothing() {
    let text = ISTIO.join("---\n") + "---\n" + SERVICE;
    let first = Resources::from_yaml("all.yaml", &text);
    let second = Resources::from_yaml("all.yaml", &text);
    assert_eq!(found(&first), "");
    let specs = |resources: &Resources| {
        resources
            .iter()
            .map(|it| it.spec.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(specs(&first).len(), 5);
    assert_eq!(specs(&first), specs(&second));
}
