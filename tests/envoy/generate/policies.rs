//! How a drawn DestinationRule chooses among endpoints, and what it says of connections.
//!
//! Limits, times and counts are too high to be met by one request at a time: what they come to is
//! for the tests `generate::listed` names. Here they show that they change nothing else.

use serde_json::{Value, json};

use super::dice::Dice;

/// A policy with a balancer of its own, at times for one port.
pub(super) fn traffic_policy(dice: &mut Dice) -> Value {
    let mut policy = json!({});
    if !dice.one_in(8) {
        policy["loadBalancer"] = balancer(dice);
    }
    if dice.one_in(6) {
        let simple = dice.of(&["RANDOM", "ROUND_ROBIN"]);
        let mut of_port = json!({"port": {"number": 80}, "loadBalancer": {"simple": simple}});
        unmet(dice, &mut of_port);
        policy["portLevelSettings"] = json!([of_port]);
    }
    unmet(dice, &mut policy);
    if dice.one_in(8) {
        policy["retryBudget"] = json!({"percent": 100, "minRetryConcurrency": 1024});
        if dice.one_in(2) {
            policy["retryBudget"]["budgetInterval"] = json!("1s");
        }
    }
    policy
}

/// Adds blocks that no single request meets.
fn unmet(dice: &mut Dice, policy: &mut Value) {
    if dice.one_in(4) {
        policy["connectionPool"] = connection_pool(dice);
    }
    if dice.one_in(6) {
        policy["outlierDetection"] = outlier_detection(dice);
    }
    if dice.one_in(8) {
        policy["tls"] = json!({"mode": "DISABLE"});
    }
}

/// Some of the settings in `all`, and one at least.
fn some_of(dice: &mut Dice, all: &[(&str, Value)]) -> Value {
    let (first, value) = &all[dice.below(all.len())];
    let mut some = json!({*first: value});
    for (name, value) in all {
        if dice.one_in(3) {
            some[*name] = value.clone();
        }
    }
    some
}

fn connection_pool(dice: &mut Dice) -> Value {
    let keepalive = [
        ("probes", json!(3)),
        ("time", json!("30s")),
        ("interval", json!("10s")),
    ];
    let tcp = [
        ("maxConnections", json!(4096)),
        ("connectTimeout", json!("20s")),
        ("tcpKeepalive", some_of(dice, &keepalive)),
        ("maxConnectionDuration", json!("1h")),
        ("idleTimeout", json!(dice.of(&["0s", "30m"]))),
    ];
    let upgrade = dice.of(&["DEFAULT", "DO_NOT_UPGRADE"]);
    let http = [
        ("http1MaxPendingRequests", json!(4096)),
        ("http2MaxRequests", json!(4096)),
        ("maxRequestsPerConnection", json!(dice.of(&[0, 1, 3]))),
        ("maxRetries", json!(4096)),
        ("idleTimeout", json!("30m")),
        ("h2UpgradePolicy", json!(upgrade)),
        ("useClientProtocol", json!(dice.one_in(2))),
        ("maxConcurrentStreams", json!(100)),
        (
            "http2KeepAlive",
            json!({"interval": "30s", "timeout": "5s"}),
        ),
    ];
    match dice.below(3) {
        0 => json!({"tcp": some_of(dice, &tcp)}),
        1 => json!({"http": some_of(dice, &http)}),
        _ => json!({"tcp": some_of(dice, &tcp), "http": some_of(dice, &http)}),
    }
}

/// So many failures in a row that no table sees them.
const UNMET: u64 = 1_000_000;

/// Whether endpoints may be ejected somewhere in a DestinationRule, from when on answers depend on
/// those before them.
pub(super) fn may_eject(spec: &Value) -> bool {
    match spec {
        Value::Object(map) => map.iter().any(|(key, value)| {
            let met = |name: &str, unsaid: u64| {
                let count = value.get(name).map_or(Some(unsaid), Value::as_u64);
                count.is_some_and(|it| (1..UNMET).contains(&it))
            };
            let ejects = key == "outlierDetection"
                && (met("consecutive5xxErrors", 5) || met("consecutiveGatewayErrors", 0));
            ejects || may_eject(value)
        }),
        Value::Array(list) => list.iter().any(may_eject),
        _ => false,
    }
}

fn outlier_detection(dice: &mut Dice) -> Value {
    let mut outliers = some_of(
        dice,
        &[
            ("interval", json!("10s")),
            ("baseEjectionTime", json!("30s")),
            ("maxEjectionPercent", json!(100)),
            ("minHealthPercent", json!(50)),
            ("outlierDetectionHttpErrorCodes", json!([500, 503])),
            ("splitExternalLocalOriginErrors", json!(false)),
        ],
    );
    if dice.one_in(4) {
        outliers["consecutiveErrors"] = json!(UNMET);
    }
    outliers["consecutive5xxErrors"] = json!(dice.of(&[0, UNMET]));
    outliers["consecutiveGatewayErrors"] = json!(dice.of(&[0, UNMET]));
    outliers
}

fn balancer(dice: &mut Dice) -> Value {
    if dice.one_in(2) {
        let simple = [
            "RANDOM",
            "ROUND_ROBIN",
            "LEAST_REQUEST",
            "LEAST_CONN",
            "UNSPECIFIED",
        ];
        return json!({"simple": dice.of(&simple)});
    }
    let mut hash = match dice.below(5) {
        0 => json!({"httpQueryParameterName": "k"}),
        1 => json!({"useSourceIp": true}),
        2 => {
            let mut cookie = json!({"name": dice.of(&["a", "stick"])});
            if dice.one_in(2) {
                cookie["ttl"] = json!(dice.of(&["0s", "60s"]));
            }
            if dice.one_in(3) {
                cookie["path"] = json!("/here");
            }
            if dice.one_in(3) {
                let value = dice.of(&["Strict", "Lax"]);
                cookie["attributes"] = json!([{"name": "SameSite", "value": value}]);
            }
            json!({"httpCookie": cookie})
        }
        _ => json!({"httpHeaderName": dice.of(&["x-a", "x-b", "cookie", "x-set"])}),
    };
    match dice.below(4) {
        0 => hash["ringHash"] = json!({"minimumRingSize": dice.of(&[1, 64, 2048])}),
        1 => hash["maglev"] = json!({"tableSize": dice.of(&[7, 1009])}),
        2 => hash["minimumRingSize"] = json!(dice.of(&[1, 100])),
        _ => {}
    }
    json!({"consistentHash": hash})
}

/// The keys that rules go by.
pub(super) fn hashes(documents: &[Value]) -> Vec<&Value> {
    let mut found = Vec::new();
    documents.iter().for_each(|it| find_hashes(it, &mut found));
    found
}

fn find_hashes<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("consistentHash"));
            map.values().for_each(|it| find_hashes(it, found));
        }
        Value::Array(list) => list.iter().for_each(|it| find_hashes(it, found)),
        _ => {}
    }
}
