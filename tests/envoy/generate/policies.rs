//! How a drawn DestinationRule chooses among endpoints.

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
        policy["portLevelSettings"] =
            json!([{"port": {"number": 80}, "loadBalancer": {"simple": simple}}]);
    }
    policy
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
