//! What a drawn rule does with the requests that match it.

use serde_json::{Map, Value, json};

use super::dice::Dice;

const NAMES: [&str; 10] = [
    "x-a",
    "x-b",
    "x-set",
    "X-Mixed",
    "cookie",
    "content-type",
    "accept",
    "x-in",
    "x-envoy-attempt-count",
    "x-forwarded-proto",
];
const RESPONSE_NAMES: [&str; 12] = [
    "x-a",
    "x-b",
    "x-set",
    "X-Mixed",
    "x-endpoint",
    "server",
    "content-type",
    "set-cookie",
    "vary",
    "location",
    "access-control-allow-origin",
    "x-up",
];
/// What responses can be given; variables of the request are not drawn there.
const RESPONSE_VALUES: [&str; 7] = [
    "1",
    "rule",
    "a b",
    "a, b",
    "100%%",
    "%RESP(x-endpoint)%",
    "%RESP(x-up?x-endpoint)%",
];
const HEADER_VALUES: [&str; 11] = [
    "1",
    "rule",
    "a b",
    "a, b",
    "100%%",
    "%REQ(x-in)%",
    "%REQ(:path)%",
    "%REQ(:method)% %REQ(:authority)%",
    "%REQ(x-a?x-b)%",
    "%PROTOCOL%",
    "",
];

/// The names of headers that are no headers but the authority.
const AUTHORITY: [&str; 3] = ["Host", "host", ":authority"];

/// Adds an action, and what goes with it, to a rule of the table `number`.
pub(super) fn add(dice: &mut Dice, rule: &mut Value, number: usize) {
    match dice.below(8) {
        0 => rule["redirect"] = redirect(dice),
        1 => rule["directResponse"] = direct_response(dice),
        _ => forward(dice, rule, number),
    }
    if dice.one_in(4) {
        rule["headers"] = headers(dice, true);
        // A rule says the authority once.
        if rule["rewrite"].get("authority").is_some() {
            for key in ["set", "add"] {
                if let Some(values) = rule["headers"]["request"]
                    .get_mut(key)
                    .and_then(Value::as_object_mut)
                {
                    values.retain(|name, _| !AUTHORITY.contains(&&**name));
                }
            }
        }
    }
    if rule.get("route").is_some() && dice.one_in(6) {
        rule["fault"] = fault(dice);
    }
    if dice.one_in(5) {
        rule["corsPolicy"] = cors(dice);
    }
}

fn redirect(dice: &mut Dice) -> Value {
    let mut to = json!({});
    match dice.below(4) {
        0 => to["uri"] = json!(dice.of(&["/new", "/", "/new?own=1", "/a/b"])),
        1 => to["prefixRewrite"] = json!(dice.of(&["/", "/new", "/new/"])),
        _ => {}
    }
    if dice.one_in(2) {
        to["authority"] = json!(dice.of(&["b.test", "B.Test", "b.test:99"]));
    }
    if dice.one_in(3) {
        to["scheme"] = json!(dice.of(&["http", "https"]));
    }
    match dice.below(5) {
        0 => to["port"] = json!(dice.of(&[80, 443, 8443])),
        1 => to["derivePort"] = json!(dice.of(&["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"])),
        _ => {}
    }
    if to.as_object().is_some_and(Map::is_empty) {
        to["uri"] = json!("/else");
    }
    if dice.one_in(2) {
        to["redirectCode"] = json!(dice.of(&[301, 302, 303, 307, 308]));
    }
    to
}

fn direct_response(dice: &mut Dice) -> Value {
    let mut answer =
        json!({"status": dice.of(&[200, 201, 204, 302, 304, 400, 404, 418, 500, 503])});
    match dice.below(4) {
        0 => answer["body"] = json!({"bytes": dice.of(&["aGk=", "AP8="])}),
        1 | 2 => answer["body"] = json!({"string": dice.of(&["text", "{\"a\": 1}", ""])}),
        _ => {}
    }
    answer
}

fn forward(dice: &mut Dice, rule: &mut Value, number: usize) {
    let weights: &[u64] = dice.of(&[
        &[][..],
        &[],
        &[],
        &[100],
        &[0],
        &[100, 0],
        &[0, 100],
        &[0, 1, 0],
        &[1, 1],
        &[50, 50],
        &[1, 2],
    ]);
    let several = weights.len() > 1;
    let mut to = Vec::new();
    for at in 0..weights.len().max(1) {
        let mut one = json!({"destination": destination(dice, number)});
        if let Some(weight) = weights.get(at)
            && (*weight > 0 || dice.one_in(2))
        {
            one["weight"] = json!(weight);
        }
        if dice.one_in(if several { 2 } else { 6 }) {
            one["headers"] = headers(dice, false);
        }
        to.push(one);
    }
    rule["route"] = json!(to);
    if dice.one_in(4) {
        rule["rewrite"] = rewrite(dice);
    }
    if dice.one_in(6) {
        rule["timeout"] = json!(dice.of(&["0s", "10s", "1.5s", "1h", "300ms"]));
    }
    if !dice.one_in(4) {
        rule["retries"] = retries(dice);
    }
    if dice.one_in(10) {
        mirror(dice, rule, number);
    }
}

fn destination(dice: &mut Dice, number: usize) -> Value {
    let own = super::service(number);
    let mut to = match dice.below(12) {
        0..=3 => json!({"host": "one.test"}),
        4 | 5 => json!({"host": "two.test", "subset": dice.of(&["v1", "v2"])}),
        6 => json!({"host": "two.test", "subset": dice.of(&["empty", "unknown"])}),
        7 => json!({"host": "two.test"}),
        8 => json!({"host": "down.test"}),
        9 => json!({"host": own}),
        _ => json!({"host": own, "subset": dice.of(&["s0", "s1"])}),
    };
    if dice.one_in(8) {
        to["port"] = json!({"number": dice.of(&[80, 80, 81])});
    }
    to
}

/// Header operations of a rule or, with other values, of a destination.
fn headers(dice: &mut Dice, is_rule: bool) -> Value {
    let mut headers = json!({});
    for (kind, names, values_of) in [
        ("request", &NAMES[..], &HEADER_VALUES[..]),
        ("response", &RESPONSE_NAMES, &RESPONSE_VALUES),
    ] {
        if dice.one_in(3) {
            continue;
        }
        let mut operations = json!({});
        for key in ["set", "add"] {
            if dice.one_in(2) {
                let mut values = Map::new();
                for _ in 0..=dice.below(2) {
                    let value = match is_rule {
                        false if dice.one_in(2) => "to",
                        _ => dice.of(values_of),
                    };
                    values.insert(dice.of(names).to_owned(), json!(value));
                }
                // The authority can be said once.
                let is_said = AUTHORITY
                    .iter()
                    .any(|name| operations["set"].get(name).is_some());
                if kind == "request" && !is_said && dice.one_in(8) {
                    let name = dice.of(&AUTHORITY);
                    values.insert(name.to_owned(), json!(dice.of(&["set.test", "Set.Test:1"])));
                }
                operations[key] = Value::Object(values);
            }
        }
        if dice.one_in(3) {
            operations["remove"] = json!([dice.of(names)]);
        }
        headers[kind] = operations;
    }
    headers
}

fn rewrite(dice: &mut Dice) -> Value {
    const REGEXES: [(&str, &str); 5] = [
        ("^/a/([^/]+)(.*)$", "/\\2/\\1"),
        ("a", "bb"),
        ("[0-9]+", "n\\0n"),
        ("^/api/v(\\d+)", "/\\1"),
        ("(?i)/A", "/"),
    ];
    let mut rewrite = json!({});
    match dice.below(4) {
        0 | 1 => rewrite["uri"] = json!(dice.of(&["/", "/new", "/new/", "/p?fixed=1", "/%41"])),
        2 => {
            let (regex, by) = dice.of(&REGEXES);
            rewrite["uriRegexRewrite"] = json!({"match": regex, "rewrite": by});
        }
        _ => rewrite["authority"] = json!("other.test"),
    }
    if dice.one_in(4) {
        rewrite["authority"] = json!(dice.of(&["other.test", "Other.Test:99"]));
    }
    rewrite
}

fn retries(dice: &mut Dice) -> Value {
    let attempts = dice.of(&[0, 0, 0, 1, 1, 2, 3]);
    let mut retries = json!({"attempts": attempts});
    if attempts > 0 {
        retries["backoff"] = json!("1ms");
        if !dice.one_in(4) {
            retries["retryOn"] = json!(dice.of(&[
                "5xx",
                "gateway-error",
                "connect-failure",
                "reset",
                "retriable-4xx",
                "503,connect-failure",
                "unavailable,cancelled",
                "refused-stream",
                "retriable-status-codes,418",
                "409,500",
                "internal,resource-exhausted,deadline-exceeded",
                "reset-before-request",
            ]));
        }
        if dice.one_in(6) {
            retries["perTryTimeout"] = json!(dice.of(&["10s", "300ms"]));
        }
        if dice.one_in(6) {
            retries["retryIgnorePreviousHosts"] = json!(dice.one_in(2));
        }
    }
    retries
}

fn mirror(dice: &mut Dice, rule: &mut Value, number: usize) {
    if dice.one_in(2) {
        rule["mirror"] = destination(dice, number);
        match dice.below(4) {
            0 => rule["mirrorPercentage"] = json!({"value": dice.of(&[0, 100])}),
            1 => rule["mirrorPercent"] = json!(dice.of(&[0, 100])),
            _ => {}
        }
        return;
    }
    let mut mirrors = Vec::new();
    for _ in 0..=dice.below(2) {
        let mut mirror = json!({"destination": destination(dice, number)});
        if dice.one_in(2) {
            mirror["percentage"] = json!({"value": dice.of(&[0, 100])});
        }
        mirrors.push(mirror);
    }
    rule["mirrors"] = json!(mirrors);
}

fn fault(dice: &mut Dice) -> Value {
    let share = |dice: &mut Dice| json!({"value": dice.of(&[100, 100, 100, 0])});
    let mut fault = json!({});
    let which = dice.below(4);
    if which != 0 {
        fault["abort"] = match dice.one_in(3) {
            true => json!({"grpcStatus": dice.of(&["UNAVAILABLE", "PERMISSION_DENIED", "OK"])}),
            false => json!({"httpStatus": dice.of(&[200, 204, 400, 408, 418, 429, 500, 503])}),
        };
        if !dice.one_in(8) {
            fault["abort"]["percentage"] = share(dice);
        }
    }
    if which < 2 {
        fault["delay"] = json!({"fixedDelay": dice.of(&["1ms", "2ms"])});
        match dice.below(8) {
            0 => {}
            1 => fault["delay"]["percent"] = json!(dice.of(&[0, 100])),
            _ => fault["delay"]["percentage"] = share(dice),
        }
    }
    fault
}

fn cors(dice: &mut Dice) -> Value {
    let mut cors = json!({});
    match dice.below(8) {
        0 => cors["allowOrigin"] = json!(["https://ok.test"]),
        1 => {}
        _ => {
            let all = [
                json!({"exact": "https://ok.test"}),
                json!({"prefix": "https://pre."}),
                json!({"regex": "https://re[0-9]\\.test"}),
                json!({"exact": "*"}),
            ];
            let mut origins = Vec::new();
            for _ in 0..=dice.below(2) {
                origins.push(all[dice.below(all.len())].clone());
            }
            cors["allowOrigins"] = json!(origins);
        }
    }
    for (key, pool) in [
        ("allowMethods", ["GET", "POST", "*"]),
        ("allowHeaders", ["x-one", "X-Two", "*"]),
        ("exposeHeaders", ["x-three", "x-up", "*"]),
    ] {
        if dice.one_in(2) {
            let list: Vec<&str> = (0..=dice.below(2)).map(|_| dice.of(&pool)).collect();
            cors[key] = json!(list);
        }
    }
    if dice.one_in(3) {
        cors["maxAge"] = json!(dice.of(&["10s", "24h"]));
    }
    if dice.one_in(2) {
        cors["allowCredentials"] = json!(dice.one_in(2));
    }
    if dice.one_in(2) {
        cors["unmatchedPreflights"] = json!(dice.of(&["FORWARD", "IGNORE"]));
    }
    cors
}
