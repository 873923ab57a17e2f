//! A request for one of a table's matches, made to fit and then, often, to just not fit.

use serde_json::{Value, json};

use super::super::exchange::Request;
use super::dice::Dice;
use super::documents::OWN;
use super::fields::Aim;
use super::policies;
use super::words::{HEADERS, METHODS, ODD_HEADERS, ORIGINS, PATHS, REGEXES, VALUE_REGEXES, VALUES};

/// A request; most of them for what `aim` stands in.
pub(super) fn request(
    dice: &mut Dice,
    documents: &[Value],
    number: usize,
    aim: Option<Aim>,
) -> Request {
    let nothing = json!({});
    let aim = aim.filter(|_| !dice.one_in(3));
    let tables: Vec<&Value> = documents
        .iter()
        .filter(|it| it["kind"] == "VirtualService")
        .collect();
    // A delegate has no hosts: its rules are met at those of its root.
    let root = &tables[0]["spec"];
    let aimed = aim.map(|aim| &documents[aim.document]);
    let (table, rule) = match aimed {
        Some(document) if document["kind"] == "VirtualService" => {
            let rules = rules(document);
            let at = aim.and_then(|it| it.rule);
            let at = at.unwrap_or_else(|| dice.below(rules.len()));
            (&document["spec"], &rules[at])
        }
        _ => {
            let own = super::service(number);
            // Endpoints and policies show where a rule leads to them, best of all to nothing else.
            let only = dice.one_in(2);
            let leads = |rule: &Value| match aimed {
                None => true,
                Some(_) if only => rule["match"][0]["uri"]["prefix"] == OWN,
                Some(_) => rule["route"].to_string().contains(&own),
            };
            let all = tables.iter().flat_map(|it| {
                let rules = rules(it).iter();
                rules.map(|rule| (&it["spec"], rule))
            });
            let all: Vec<_> = all.collect();
            let leading: Vec<_> = all.iter().filter(|(_, rule)| leads(rule)).collect();
            match leading.is_empty() {
                true => all[dice.below(all.len())],
                false => *leading[dice.below(leading.len())],
            }
        }
    };
    let condition = match rule["match"].as_array() {
        Some(matches) => {
            let at = aim.and_then(|it| it.condition);
            &matches[at.unwrap_or_else(|| dice.below(matches.len()))]
        }
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
    if aim.is_some_and(|it| it.case) && dice.one_in(2) {
        path = path.to_ascii_uppercase();
    }
    let mut query: Vec<String> = Vec::new();
    for (name, value) in condition["queryParams"].as_object().into_iter().flatten() {
        query.push(format!("{name}={}", fitting(dice, value)));
    }
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in condition["headers"].as_object().into_iter().flatten() {
        headers.push((name.clone(), fitting(dice, value)));
    }
    if dice.one_in(3) {
        let without = condition["withoutHeaders"].as_object();
        let without = without.into_iter().flatten();
        headers.extend(without.map(|(name, value)| (name.clone(), fitting(dice, value))));
    }
    let mut method = match &condition["method"] {
        method if method["exact"].is_string() => text(&method["exact"]),
        method if method["prefix"] == "P" => dice.of(&["PUT", "POST", "PATCH"]).to_owned(),
        _ => "GET".to_owned(),
    };
    let mut host = match &condition["authority"]["exact"] {
        Value::String(exact) => exact.clone(),
        _ if table["hosts"].is_array() => host(dice, table, number),
        _ => host(dice, root, number),
    };
    let policy = aimed.filter(|it| it["kind"] != "VirtualService");
    if policy.is_some() || rule["match"][0]["uri"]["prefix"] == OWN {
        key(dice, documents, &mut query, &mut headers);
    }
    // What decides behind a rule does so only where the rule is met.
    let misses = match aim {
        Some(_) if dice.one_in(2) => 0,
        _ => dice.below(3),
    };
    for _ in 0..misses {
        match dice.below(14) {
            0 | 1 => path = miss_path(dice, &path),
            2 => path = path.to_ascii_uppercase(),
            3 => method = dice.of(&METHODS).to_owned(),
            4 => host = host.to_ascii_uppercase(),
            5 if !host.contains(':') => host += dice.of(&[":80", ":8080", ":", ":443"]),
            6 if !host.contains(':') => host += ".",
            7 => drop(headers.pop()),
            8 => {
                let more = dice.of(&["k=v1", "k", "p=", "K=%31", "k2=1&k2=2", "&&", "k=1;p=2"]);
                query.insert(0, more.to_owned());
            }
            9 => drop(query.pop()),
            10 | 11 => {
                let name = dice.of(&HEADERS).to_owned();
                let at = dice.below(headers.len() + 1);
                headers.insert(at, (name, dice.of(&VALUES).to_owned()));
            }
            12 => headers
                .iter_mut()
                .for_each(|(name, _)| *name = name.to_ascii_uppercase()),
            _ => headers
                .iter_mut()
                .for_each(|(_, value)| *value = format!(" {value}\t")),
        }
    }
    if rule["corsPolicy"].is_object() && !dice.one_in(3) || dice.one_in(16) {
        headers.push(("origin".to_owned(), dice.of(&ORIGINS).to_owned()));
        if dice.one_in(2) {
            method = "OPTIONS".to_owned();
            let wanted = dice.of(&METHODS).to_owned();
            headers.push(("access-control-request-method".to_owned(), wanted));
        }
        if dice.one_in(4) {
            let wanted = dice.of(&["x-one", "x-one, x-two", ""]).to_owned();
            headers.push(("access-control-request-headers".to_owned(), wanted));
        }
    }
    if dice.one_in(4) {
        let (name, value) = dice.of(&ODD_HEADERS);
        headers.push((name.to_owned(), value.to_owned()));
    }
    script(dice, rule, &mut headers);
    let mut body = None;
    if dice.one_in(10) {
        method = "POST".to_owned();
        let kind = dice.of(&[
            "application/grpc",
            "application/grpc+proto",
            "application/grpc-web",
        ]);
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        headers.push(("content-type".to_owned(), kind.to_owned()));
        headers.push(("te".to_owned(), "trailers".to_owned()));
        if dice.one_in(4) {
            let limit = dice.of(&["1S", "5000m", "10H", "bad"]);
            headers.push(("grpc-timeout".to_owned(), limit.to_owned()));
        }
        if dice.one_in(2) {
            let status = dice.of(&["14", "1", "0", "8"]);
            for line in [
                format!("grpc-status: {status}"),
                "content-type: application/grpc".into(),
            ] {
                headers.push(("x-up-header".to_owned(), line));
            }
        }
    }
    if matches!(&*method, "POST" | "PUT" | "PATCH") && !dice.one_in(4) || dice.one_in(12) {
        body = Some(dice.of(&["a body", "", "\0\0\0\0\0"]).to_owned());
    }
    let query = match query.is_empty() {
        true => String::new(),
        false => format!("?{}", query.join("&")),
    };
    let mut target = path + &query;
    if dice.one_in(40) {
        target = format!("http://{host}{target}");
    }
    Request {
        method,
        target,
        host: Some(host),
        headers,
        body,
        chunked: dice.one_in(3),
        shadows: 0,
    }
}

/// Adds what a balancer may go by, most often what one of the table does go by.
fn key(
    dice: &mut Dice,
    documents: &[Value],
    query: &mut Vec<String>,
    headers: &mut Vec<(String, String)>,
) {
    let value = format!("key-{}", dice.below(64));
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    let hashes = policies::hashes(documents);
    if !hashes.is_empty() && !dice.one_in(4) {
        let hash = hashes[dice.below(hashes.len())];
        let of = |field: &str| hash[field].as_str();
        match (of("httpHeaderName"), hash["httpCookie"]["name"].as_str()) {
            (Some("cookie"), _) => add("cookie", format!("a={value}")),
            (Some(name), _) => add(name, value),
            (None, Some(name)) => add("cookie", format!("{name}={value}")),
            (None, None) if of("httpQueryParameterName").is_some() => {
                query.push(format!("k={value}"));
            }
            (None, None) => add("x-forwarded-for", format!("10.1.2.{}", dice.below(64))),
        }
        return;
    }
    match dice.below(8) {
        0 | 1 => query.push(format!("k={value}")),
        2 | 3 => add("cookie", format!("{}={value}", dice.of(&["a", "stick"]))),
        4 => add("x-forwarded-for", format!("10.1.2.{}", dice.below(64))),
        5 | 6 => add(dice.of(&["x-a", "x-b", "x-set"]), value),
        _ => {}
    }
}

fn rules(document: &Value) -> &Vec<Value> {
    document["spec"]["http"].as_array().expect("rules")
}

/// One of the hosts of a table, or a name near them.
fn host(dice: &mut Dice, table: &Value, number: usize) -> String {
    if dice.one_in(2) {
        return super::host(number);
    }
    let hosts = table["hosts"].as_array().expect("hosts");
    let host = text(&hosts[dice.below(hosts.len())]);
    match host.strip_prefix('*') {
        Some(suffix) => dice.of(&["x", "y.x", "zz", "x.y"]).to_owned() + suffix,
        None => match dice.below(16) {
            0 => format!("x.{host}"),
            1 => format!("y.x.{host}"),
            2 => super::service(number),
            _ => host,
        },
    }
}

/// How the endpoint is to answer, a word for each try.
fn script(dice: &mut Dice, rule: &Value, headers: &mut Vec<(String, String)>) {
    let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
    let is_retried = rule["retries"]["attempts"].as_u64() != Some(0);
    if dice.one_in(if is_retried { 2 } else { 8 }) {
        let statuses = [
            "503",
            "503,200",
            "503,503,200",
            "500,503,409",
            "418,200",
            "409,200",
            "429",
            "404",
            "204",
            "304",
            "502,504",
            "500,200",
            "201",
        ];
        add("x-up-status", dice.of(&statuses));
    }
    if dice.one_in(if is_retried { 8 } else { 40 }) {
        add(
            "x-up-reset",
            dice.of(&["before", "before,", ",before", "before,before,", "before"]),
        );
    }
    if dice.one_in(8) {
        let header = dice.of(&[
            "x-up: 1",
            "server: mine",
            "x-a: up",
            "grpc-status: 14",
            "grpc-status: 1",
            "content-type: application/grpc",
            "set-cookie: a=b",
            "vary: origin",
            "access-control-allow-origin: *",
            "x-envoy-upstream-service-time: 9",
            "x-envoy-ratelimited: true",
        ]);
        add("x-up-header", header);
    }
    let limited = [&rule["timeout"], &rule["retries"]["perTryTimeout"]];
    let limited = limited.into_iter().any(|it| it == "300ms");
    if limited && dice.one_in(8) {
        add("x-up-delay", "700");
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
        Some((_, value)) if !dice.one_in(3) => {
            let mut pool = VALUE_REGEXES.iter().filter(|(regex, _)| *value == *regex);
            pool.next().map_or(any, |(_, sample)| (*sample).to_owned())
        }
        _ => any,
    }
}

/// A path close to another one.
fn miss_path(dice: &mut Dice, path: &str) -> String {
    match dice.below(12) {
        0 => format!("{path}/"),
        1 => format!("{path}x"),
        2 => path[..path.len() - 1].to_owned() + if path.len() == 1 { "/" } else { "" },
        3 => format!("/{path}"),
        4 => format!("/.{path}"),
        5 => format!("/up/..{path}"),
        6 => path.replace('a', "%61"),
        7 => format!("/up/%2e%2E{path}"),
        8 => path.replace('/', "//"),
        9 => path.replacen('a', "%zz", 1),
        10 => format!("{path}/.."),
        _ => format!("{path}#fragment"),
    }
}
