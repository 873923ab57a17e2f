//! The resources of a table, as a person might write them.

use serde_json::{Value, json};

use super::dice::Dice;
use super::{actions, conditions, host, policies, service, words};

/// Where requests for the table's own service begin.
pub(super) const OWN: &str = "/own";

/// When resources were created, the oldest first.
pub(super) const DATES: [&str; 4] = [
    "2024-01-01T00:00:00Z",
    "2024-01-01T00:00:01Z",
    "2024-05-01T10:00:00Z",
    "2025-01-01T00:00:00Z",
];

/// Up to three VirtualServices that share names, a service that may be meant too, and its subsets.
pub(super) fn documents(dice: &mut Dice, number: usize) -> Vec<Value> {
    let host = host(number);
    let service = service(number);
    let all = [
        host.clone(),
        format!("*.{host}"),
        format!("*.x.{host}"),
        format!("x.{host}"),
        format!("y.x.{host}"),
        format!("Upper.{host}"),
        service.clone(),
    ];
    let mut documents = Vec::new();
    for (letter, one_in) in [("a", 1), ("b", 3), ("c", 8)] {
        if dice.one_in(one_in) {
            let mut hosts = match letter {
                "a" => vec![host.clone()],
                _ => vec![all[dice.below(all.len())].clone()],
            };
            for more in &all {
                // What one VirtualService names, by a wildcard too, it may not name again.
                let is_named = hosts.iter().any(|it| overlap(it, more));
                if dice.one_in(4) && !is_named {
                    hosts.insert(dice.below(hosts.len() + 1), more.clone());
                }
            }
            documents.push(virtual_service(dice, number, letter, &hosts));
        }
    }
    if dice.one_in(2) {
        own_rule(dice, &mut documents[0], number);
    }
    delegate(dice, &mut documents, number);
    documents.push(service_entry(dice, &service));
    documents.push(destination_rule(dice, &service, number));
    if dice.one_in(5) {
        documents.push(second_destination_rule(dice, &service, number));
    }
    documents
}

fn overlap(one: &str, other: &str) -> bool {
    let covers = |wide: &str, name: &str| match wide.strip_prefix('*') {
        Some(suffix) => name.trim_start_matches('*').ends_with(suffix),
        None => wide == name,
    };
    covers(one, other) || covers(other, one)
}

fn virtual_service(dice: &mut Dice, number: usize, letter: &str, hosts: &[String]) -> Value {
    let rules: Vec<Value> = (0..=dice.below(5))
        .map(|at| rule(dice, at, number, letter))
        .collect();
    let mut document = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": format!("{letter}.{}", host(number))},
        "spec": {"hosts": hosts, "http": rules},
    });
    if dice.one_in(6) {
        document["metadata"]["namespace"] = json!("other");
    }
    if dice.one_in(6) {
        document["spec"]["exportTo"] = json!([dice.of(&[".", "*", "default", "third"])]);
    }
    if dice.one_in(8) {
        document["spec"]["gateways"] = dice
            .of(&[&["mesh"][..], &["mesh", "default/edge"], &["default/edge"]])
            .into();
    }
    document
}

/// Lets a rule of the first VirtualService take its rules from a delegate, which may be far from
/// what it matches, belong to somebody else, or not be there.
fn delegate(dice: &mut Dice, documents: &mut Vec<Value>, number: usize) {
    if !dice.one_in(4) {
        return;
    }
    let name = format!("d.{}", host(number));
    let Some(rules) = documents[0]["spec"]["http"].as_array_mut() else {
        return;
    };
    let at = dice.below(rules.len());
    let root = &mut rules[at];
    let named = match dice.below(8) {
        0 => json!({"name": name, "namespace": "other"}),
        1 => json!({"name": format!("gone.{}", host(number))}),
        _ => json!({"name": name}),
    };
    let mut rule = json!({"name": root["name"], "delegate": named});
    for key in [
        "match",
        "headers",
        "timeout",
        "retries",
        "fault",
        "corsPolicy",
    ] {
        if let Some(value) = root.get(key) {
            rule[key] = value.clone();
        }
    }
    *root = rule;
    let conditions = root["match"].clone();
    let mut delegate = virtual_service(dice, number, "d", &[]);
    let spec = delegate["spec"].as_object_mut().expect("a spec");
    spec.remove("hosts");
    spec.remove("gateways");
    let home = documents[0]["metadata"].get("namespace").cloned();
    let metadata = delegate["metadata"].as_object_mut().expect("metadata");
    metadata.remove("namespace");
    if let Some(home) = home.filter(|_| !dice.one_in(6)) {
        metadata.insert("namespace".to_owned(), home);
    }
    // What a delegate matches must be within what its root does, so it often begins with that.
    let theirs = delegate["spec"]["http"].as_array_mut().expect("rules");
    for rule in theirs {
        if dice.one_in(3) {
            continue;
        }
        match conditions.as_array() {
            None => {}
            Some(_) if dice.one_in(2) => {
                if let Some(rule) = rule.as_object_mut() {
                    rule.remove("match");
                }
            }
            Some(all) => {
                let mut near = all[dice.below(all.len())].clone();
                if let Value::String(prefix) = &near["uri"]["prefix"] {
                    near["uri"] =
                        json!({"prefix": format!("{prefix}{}", dice.of(&["", "b", "/b"]))});
                }
                if dice.one_in(2) {
                    near["method"] = json!({"exact": dice.of(&words::METHODS)});
                }
                rule["match"] = json!([near]);
            }
        }
    }
    documents.push(delegate);
}

fn rule(dice: &mut Dice, at: usize, number: usize, letter: &str) -> Value {
    // Names tell tables apart, for a route is known by its name alone in a log.
    let mut rule = json!({"name": format!("r{at}{letter}.{}", host(number))});
    actions::add(dice, &mut rule, number);
    // A rule without a match ends the table, so it is rare.
    let by_prefix = rule["redirect"]["prefixRewrite"].is_string();
    if by_prefix || !dice.one_in(8) {
        let mut matches: Vec<Value> = (0..=dice.below(3))
            .map(|at| conditions::condition(dice, at, &host(number)))
            .collect();
        for condition in matches.iter_mut().filter(|_| by_prefix) {
            // A prefix can only be replaced where one is matched.
            condition["uri"] = json!({"prefix": dice.of(&words::PATHS)});
        }
        rule["match"] = json!(matches);
    }
    rule
}

/// Puts a rule before all others that leads to the table's own service and nowhere else, so that
/// what is said of that service is seen.
fn own_rule(dice: &mut Dice, document: &mut Value, number: usize) {
    let mut destination = json!({"host": service(number)});
    if !dice.one_in(3) {
        destination["subset"] = json!(dice.of(&["s0", "s1"]));
    }
    if dice.one_in(4) {
        destination["port"] = json!({"number": 80});
    }
    let mut rule = json!({
        "name": format!("own.{}", host(number)),
        "match": [{"uri": {"prefix": OWN}}],
        "route": [{"destination": destination}],
    });
    match dice.below(6) {
        0..3 => rule["retries"] = json!({"attempts": 0}),
        // Where a key says which endpoint comes first, this says which comes next.
        3 => {
            rule["retries"] = json!({
                "attempts": 2,
                "retryOn": "5xx",
                "retryIgnorePreviousHosts": dice.one_in(2),
            });
        }
        _ => {}
    }
    if let Some(rules) = document["spec"]["http"].as_array_mut() {
        rules.insert(0, rule);
    }
}

fn service_entry(dice: &mut Dice, host: &str) -> Value {
    let mut endpoints = Vec::new();
    let count = 1 + dice.below(3);
    // One of them has no port of its own; the service says which it is.
    let target = dice.one_in(4).then(|| dice.below(count));
    let weighs = dice.one_in(3);
    for (at, name) in super::super::upstream::NAMES.iter().take(count).enumerate() {
        let labels = json!({"version": dice.of(&["v1", "v2"]), "zone": dice.of(&["a", "b"])});
        let mut endpoint = json!({"address": "127.0.0.1", "labels": labels});
        if target != Some(at) {
            endpoint["ports"] = json!({"http": format!("${{{name}}}")});
        }
        if weighs {
            endpoint["weight"] = json!(dice.of(&[1, 2, 50]));
        }
        endpoints.push(endpoint);
    }
    let mut port = json!({"number": 80, "name": "http", "protocol": "HTTP"});
    if target.is_some() {
        port["targetPort"] = json!("${delta}");
    }
    let mut document = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": host},
        "spec": {
            "hosts": [host],
            "ports": [port],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "endpoints": endpoints,
        },
    });
    if dice.one_in(5) {
        let to: &[&str] = dice.of(&[
            &["*"][..],
            &["."],
            &["default"],
            &["other"],
            &["~"],
            &["other", "third"],
        ]);
        document["spec"]["exportTo"] = to.into();
    }
    document
}

fn destination_rule(dice: &mut Dice, service: &str, number: usize) -> Value {
    let mut subsets = Vec::new();
    for number in 0..=dice.below(2) {
        let mut labels = json!({"version": dice.of(&["v1", "v2", "v3"])});
        if dice.one_in(3) {
            labels["zone"] = json!(dice.of(&["a", "b"]));
        }
        subsets.push(json!({"name": format!("s{number}"), "labels": labels}));
    }
    let host = match dice.one_in(6) {
        true => format!("*.{}", host(number)),
        false => service.to_owned(),
    };
    for subset in &mut subsets {
        if dice.one_in(4) {
            subset["trafficPolicy"] = policies::traffic_policy(dice);
        }
    }
    let mut document = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": service},
        "spec": {"host": host, "subsets": subsets},
    });
    if dice.one_in(3) {
        document["spec"]["trafficPolicy"] = policies::traffic_policy(dice);
    }
    if dice.one_in(8) {
        document["metadata"]["namespace"] = json!(dice.of(&["other", "istio-system"]));
    }
    if dice.one_in(8) {
        document["spec"]["exportTo"] = json!([dice.of(&["*", ".", "default"])]);
    }
    document
}

/// Another rule, which the first may hide, or be one with.
fn second_destination_rule(dice: &mut Dice, service: &str, number: usize) -> Value {
    let mut document = destination_rule(dice, service, number);
    document["metadata"] = json!({"name": format!("second.{service}")});
    // What is exported unlike another for the same host is told apart by no translator here.
    if let Some(spec) = document["spec"].as_object_mut() {
        spec.remove("exportTo");
    }
    if dice.one_in(2) {
        document["metadata"]["namespace"] = json!("istio-system");
    }
    document
}
