//! The rules of actions that are easiest to get wrong.

use serde_json::{Value, json};

use super::tests::routes;

/// The only route of a rule.
fn route(rule: &str) -> Value {
    routes(&format!("[{rule}]")).remove(0)
}

#[test]
fn a_port_that_belongs_to_the_scheme_is_left_out() {
    for (written, port) in [
        ("port: 80", Value::Null),
        ("port: 80, scheme: https", json!(80)),
        ("port: 443, scheme: https", Value::Null),
        ("port: 443", json!(443)),
        ("derivePort: FROM_REQUEST_PORT", Value::Null),
        ("derivePort: FROM_REQUEST_PORT, scheme: https", json!(80)),
        ("derivePort: FROM_PROTOCOL_DEFAULT", Value::Null),
    ] {
        let redirect = &route(&format!("{{redirect: {{authority: x, {written}}}}}"))["redirect"];
        assert_eq!(redirect["port_redirect"], port, "{written}");
        assert_eq!(redirect["response_code"], "MOVED_PERMANENTLY");
    }
}

const OPERATIONS: &str = "headers: {request: {set: {x-a: rule}}}, route: [{destination: {host: b.test}, weight: 1, headers: {request: {set: {x-a: to, Host: to.test}}}}";

/// The values of the headers to add.
fn values(of: &Value) -> Vec<&str> {
    let added = of["request_headers_to_add"].as_array().unwrap().iter();
    added
        .map(|it| it["header"]["value"].as_str().unwrap())
        .collect()
}

#[test]
fn operations_of_a_single_destination_join_its_rule() {
    let one = route(&format!("{{{OPERATIONS}]}}"));
    assert_eq!(values(&one), ["rule", "to"]);
    assert_eq!(one["route"]["host_rewrite_literal"], "to.test");
}

#[test]
fn operations_of_several_destinations_stay_with_them() {
    let several = format!("{{{OPERATIONS}, {{destination: {{host: c.test}}, weight: 1}}]}}");
    let several = route(&several);
    assert_eq!(values(&several), ["rule"]);
    let first = &several["route"]["weighted_clusters"]["clusters"][0];
    assert_eq!(values(first), ["to"]);
    assert_eq!(first["host_rewrite_literal"], "to.test");
    assert_eq!(several["route"]["host_rewrite_literal"], Value::Null);
}

#[test]
fn the_host_of_a_rewrite_beats_the_headers() {
    let rule = format!("{{rewrite: {{authority: written.test}}, {OPERATIONS}]}}");
    assert_eq!(
        route(&rule)["route"]["host_rewrite_literal"],
        "written.test"
    );
}

#[test]
fn faults_without_a_share_meet_nobody() {
    let fault = route(
        "{fault: {abort: {grpcStatus: UNAVAILABLE}}, route: [{destination: {host: b.test}}]}",
    );
    let abort = &fault["typed_per_filter_config"]["envoy.filters.http.fault"]["abort"];
    assert_eq!(abort["grpc_status"], 14);
    assert_eq!(abort["percentage"]["numerator"], 0);
}

#[test]
fn faults_are_shared_in_millionths_and_an_old_delay_in_hundredths() {
    let fault = route(
        "{fault: {abort: {httpStatus: 500, percentage: {value: 0.5}}, delay: {fixedDelay: 1s, percent: 7}}, \
         route: [{destination: {host: b.test}}]}",
    );
    let fault = &fault["typed_per_filter_config"]["envoy.filters.http.fault"];
    let share = |numerator: u32, of: &str| json!({"numerator": numerator, "denominator": of});
    assert_eq!(fault["abort"]["percentage"], share(5000, "MILLION"));
    assert_eq!(fault["delay"]["percentage"], share(7, "HUNDRED"));
}

#[test]
fn a_timeout_also_caps_what_grpc_clients_ask_for() {
    let forward = route("{timeout: 1500ms, route: [{destination: {host: b.test}}]}");
    assert_eq!(forward["route"]["timeout"], "1.5s");
    assert_eq!(forward["route"]["max_grpc_timeout"], "1.5s");
}

#[test]
fn mirrors_have_all_requests_or_their_share_and_zero_is_none() {
    for (written, numerators) in [
        ("mirror: {host: b.test}", &[1_000_000][..]),
        (
            "mirror: {host: b.test}, mirrorPercentage: {value: 0.5}, mirrorPercent: 7",
            &[5000],
        ),
        ("mirror: {host: b.test}, mirrorPercent: 7", &[70_000]),
        ("mirror: {host: b.test}, mirrorPercentage: {value: 0}", &[]),
        (
            "mirrors: [{destination: {host: b.test}, percentage: {value: 20}}, {destination: {host: b.test}}]",
            &[200_000, 1_000_000],
        ),
    ] {
        let route = route(&format!(
            "{{{written}, route: [{{destination: {{host: b.test}}}}]}}"
        ));
        let mirrors = route["route"]["request_mirror_policies"].as_array();
        let mirrors = mirrors.map(Vec::as_slice).unwrap_or_default();
        let fraction = |it: &Value| {
            let fraction = &it["runtime_fraction"]["default_value"];
            let whole = fraction["denominator"] == "HUNDRED";
            Some(fraction["numerator"].as_u64()? * if whole { 10_000 } else { 1 })
        };
        let found: Vec<_> = mirrors.iter().filter_map(fraction).collect();
        assert_eq!(found, numerators, "{written}");
    }
}

#[test]
fn hosts_tried_before_are_avoided_but_where_one_destination_goes_by_hash() {
    let avoids = |http: &str, policy: &str| {
        let rules = format!("[{{{http}}}]");
        let routes = super::tests::routes_with(&rules, policy);
        routes[0]["route"]["retry_policy"]["retry_host_predicate"].is_array()
    };
    let one = "route: [{destination: {host: a}}]";
    let two = "route: [{destination: {host: a}, weight: 1}, {destination: {host: a}, weight: 1}]";
    let keyed = "{consistentHash: {httpHeaderName: x}}";
    let keyless = "{consistentHash: {ringHash: {}}}";
    assert!(avoids(one, "{simple: RANDOM}"));
    for hash in [keyed, keyless] {
        assert!(!avoids(one, hash), "{hash}");
        assert!(avoids(two, hash), "{hash}");
        let told = |avoid: bool| {
            let retries = format!("retries: {{attempts: 1, retryIgnorePreviousHosts: {avoid}}}");
            avoids(&format!("{one}, {retries}"), hash)
        };
        assert!(told(true) && !told(false), "{hash}");
    }
}

/// Functions that carry no rule: they put together what others say, or refuse.
const PLUMBING: [&str; 14] = [
    "translate",
    "knows",
    "registry",
    "named",
    "check",
    "port",
    "write",
    "header",
    "seconds",
    "rule",
    "join",
    "matches",
    "of",
    "is_http",
];

#[test]
fn every_rule_says_where_it_is_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/envoy/translate");
    let (mut rules, mut bare) = (0, Vec::new());
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("tests") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let mut cited = false;
        for line in text.lines().map(str::trim_start) {
            if line.starts_with("///") {
                cited |= line.contains("Source: ");
                continue;
            }
            let line = line
                .trim_start_matches("pub(super) ")
                .trim_start_matches("pub(crate) ");
            if let Some(rest) = line.strip_prefix("fn ") {
                let name_of = rest.split(['(', '<']).next().unwrap();
                rules += usize::from(cited);
                if !cited && !PLUMBING.contains(&name_of) {
                    bare.push(format!("{name}: {name_of}"));
                }
            }
            cited &= line.starts_with("#[");
        }
    }
    assert!(bare.is_empty(), "without a source: {bare:?}");
    assert!(rules >= 55, "{rules} rules");
}
