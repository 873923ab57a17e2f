//! The rules that are easiest to get wrong, each on the smallest table that shows it.

use serde_json::{Value, json};
use tower_mesh::api::Resources;

use super::hosts::{complete, most_specific, overlap};
use super::{Client, Translation, translate};

/// A VirtualService in the namespace `ns`.
fn rules(name: &str, spec: &str) -> String {
    format!(
        "---\n{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: {name}, namespace: ns}}, spec: {spec}}}\n"
    )
}

/// A service with one endpoint, in the namespace `ns`.
fn service(host: &str, port: u16) -> String {
    format!(
        "---\n{{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {{name: s, namespace: ns}}, spec: {{hosts: ['{host}'], resolution: STATIC, ports: [{{number: {port}, name: http, protocol: HTTP}}], endpoints: [{{address: 127.0.0.1, labels: {{v: '1'}}}}]}}}}\n"
    )
}

fn client(port: u16) -> Client {
    Client {
        namespace: "ns".to_owned(),
        labels: [("app".to_owned(), "web".to_owned())].into(),
        port,
        registry_only: false,
    }
}

fn at(port: u16, yaml: &[String]) -> Translation {
    let resources = Resources::from_yaml("test.yaml", &yaml.concat());
    assert!(
        !resources.diagnostics().has_errors(),
        "{:?}",
        resources.diagnostics()
    );
    translate(&resources, &client(port)).unwrap()
}

/// For each virtual host its domains and the names of its routes.
fn owners(translation: &Translation) -> Vec<(String, String)> {
    let join = |list: &Value, of: &dyn Fn(&Value) -> Value| {
        let list = list.as_array().unwrap().iter().map(of);
        let words: Vec<String> = list.map(|it| it.as_str().unwrap().to_owned()).collect();
        words.join(" ")
    };
    let hosts = translation.routes["virtual_hosts"]
        .as_array()
        .unwrap()
        .iter();
    hosts
        .filter(|host| host["name"] != "allow_any")
        .map(|host| {
            let domains = join(&host["domains"], &Value::clone);
            (
                domains,
                join(&host["routes"], &|route| route["name"].clone()),
            )
        })
        .collect()
}

/// The `http` rules of a VirtualService as routes.
pub(super) fn routes(http: &str) -> Vec<Value> {
    let spec = format!("{{hosts: [a.test], http: {http}}}");
    let translation = at(80, &[rules("v", &spec)]);
    let hosts = translation.routes["virtual_hosts"].as_array().unwrap();
    let mut hosts = hosts.iter().filter(|host| host["name"] != "allow_any");
    let Some(host) = hosts.next() else {
        return Vec::new();
    };
    host["routes"].as_array().cloned().unwrap_or_default()
}

/// The same, of rules that lead to `a`, which has this balancer.
pub(super) fn routes_with(http: &str, balancer: &str) -> Vec<Value> {
    let host = "a.ns.svc.cluster.local";
    let spec = format!("{{host: a, trafficPolicy: {{loadBalancer: {balancer}}}}}");
    let rule = rules("a", &spec).replace("VirtualService", "DestinationRule");
    let spec = format!("{{hosts: [a.test], http: {http}}}");
    let translation = at(80, &[service(host, 80), rule, rules("v", &spec)]);
    let hosts = translation.routes["virtual_hosts"].as_array().unwrap();
    let host = hosts.iter().find(|host| host["domains"][0] == "a.test");
    host.unwrap()["routes"].as_array().cloned().unwrap()
}

fn own(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(one, other): &(&str, &str)| ((*one).to_owned(), (*other).to_owned());
    pairs.iter().map(own).collect()
}

const TO: &str = "route: [{destination: {host: b.test}}]";

#[test]
fn short_names_are_completed_and_others_are_not() {
    assert_eq!(complete("reviews", "ns"), "reviews.ns.svc.cluster.local");
    for other in ["reviews.ns", "*", "*.test", "10.0.0.1", "::1", ""] {
        assert_eq!(complete(other, "ns"), other);
    }
}

#[test]
fn wildcards_are_suffixes_and_the_longest_wins() {
    assert!(overlap("*.a.test", "x.y.a.test") && overlap("x.a.test", "*.a.test"));
    assert!(overlap("*.a.test", "*.test") && overlap("*.test", "*.a.test"));
    assert!(!overlap("*.a.test", "a.test") && !overlap("*.a.test", "*.b.test"));
    let patterns = || {
        ["*.test", "*.a.test", "x.a.test", "*.a.test"]
            .into_iter()
            .zip(0..)
    };
    assert_eq!(most_specific("x.a.test", patterns()), Some(("x.a.test", 2)));
    assert_eq!(most_specific("y.a.test", patterns()), Some(("*.a.test", 1)));
    assert_eq!(most_specific("a.other", patterns()), None);
}

#[test]
fn only_services_of_the_cluster_have_short_aliases() {
    let inside = at(80, &[service("s.ns.svc.cluster.local", 80)]);
    let all = "s.ns.svc.cluster.local s.ns.svc.cluster.local. s.ns s.ns.svc s";
    assert_eq!(owners(&inside), own(&[(all, "default")]));
    let foreign = at(80, &[service("s.else.svc.cluster.local", 80)]);
    let all = "s.else.svc.cluster.local s.else.svc.cluster.local. s.else s.else.svc";
    assert_eq!(owners(&foreign), own(&[(all, "default")]));
    let outside = at(80, &[service("s.test", 80)]);
    assert_eq!(owners(&outside), own(&[("s.test s.test.", "default")]));
}

#[test]
fn the_first_claim_owns_a_host_whole() {
    let first = rules(
        "a",
        &format!("{{hosts: [x.test, y.test], http: [{{name: one, {TO}}}]}}"),
    );
    let second = rules(
        "b",
        &format!("{{hosts: [y.test, z.test], http: [{{name: two, {TO}}}]}}"),
    );
    let found = at(80, &[first, second]);
    let expected = [("x.test", "one"), ("y.test", "one"), ("z.test", "two")];
    assert_eq!(owners(&found), own(&expected));
}

#[test]
fn rules_for_others_leave_the_service_its_default_and_the_host_to_the_next() {
    let others = format!(
        "{{hosts: [s.test, x.test], http: [{{name: others, match: [{{sourceLabels: {{app: no}}}}], {TO}}}]}}"
    );
    let next = format!("{{hosts: [x.test], http: [{{name: next, {TO}}}]}}");
    let found = at(
        80,
        &[
            service("s.test", 80),
            rules("a", &others),
            rules("b", &next),
        ],
    );
    let expected = [("x.test", "next"), ("s.test s.test.", "default")];
    assert_eq!(owners(&found), own(&expected));
}

#[test]
fn a_filtered_exact_host_still_keeps_the_wildcard_away() {
    let exact =
        format!("{{hosts: [s.test], http: [{{name: exact, match: [{{port: 81}}], {TO}}}]}}");
    let wild = format!("{{hosts: ['*.test'], http: [{{name: wild, {TO}}}]}}");
    let found = at(
        80,
        &[service("s.test", 80), rules("a", &exact), rules("b", &wild)],
    );
    assert_eq!(owners(&found), own(&[("s.test s.test.", "default")]));
}

#[test]
fn hosts_outside_the_registry_count_on_port_80_only() {
    let alone = rules(
        "a",
        &format!("{{hosts: [x.test], http: [{{name: alone, {TO}}}]}}"),
    );
    let beside = rules(
        "b",
        &format!("{{hosts: [s.test, y.test], http: [{{name: beside, {TO}}}]}}"),
    );
    let all = [service("s.test", 8080), alone, beside];
    let expected = [("y.test", "beside"), ("s.test s.test.", "beside")];
    assert_eq!(owners(&at(8080, &all)), own(&expected));
    let expected = [
        ("x.test", "alone"),
        ("s.test", "beside"),
        ("y.test", "beside"),
    ];
    assert_eq!(owners(&at(80, &all)), own(&expected));
}

#[test]
fn routes_end_at_the_first_catch_all() {
    let names = |http: &str| {
        let names = routes(http)
            .into_iter()
            .map(|it| it["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    let after = format!("{{name: z, match: [{{uri: {{exact: /z}}}}], {TO}}}");
    assert_eq!(names(&format!("[{{name: a, {TO}}}, {after}]")), "a");
    for (condition, last) in [
        ("{uri: {prefix: /}}", true),
        ("{uri: {regex: '.*'}}", true),
        ("{}", true),
        ("{port: 80, sourceLabels: {app: web}}", true),
        ("{uri: {prefix: ''}}", false),
        ("{uri: {prefix: /}, method: {exact: GET}}", false),
        ("{uri: {prefix: /}, queryParams: {q: {}}}", false),
        ("{uri: {prefix: /}, withoutHeaders: {x: {}}}", false),
        ("{uri: {prefix: /}, port: 81}", false),
    ] {
        let http = format!("[{{name: a, match: [{condition}], {TO}}}, {after}]");
        let has_later = names(&http).ends_with('z');
        assert_eq!(has_later, !last, "{condition}");
    }
}

#[test]
fn gateways_of_a_match_silence_labels_and_namespace() {
    let count = |condition: &str| routes(&format!("[{{match: [{condition}], {TO}}}]")).len();
    assert_eq!(
        count("{gateways: [mesh], sourceLabels: {app: no}, sourceNamespace: no}"),
        1
    );
    assert_eq!(count("{gateways: [ns/edge], sourceLabels: {app: web}}"), 0);
    assert_eq!(count("{sourceLabels: {app: web}, sourceNamespace: ns}"), 1);
    assert_eq!(count("{sourceNamespace: no}"), 0);
}

#[test]
fn inverted_headers_count_missing_as_empty_unless_presence_is_asked() {
    let route = &routes(&format!(
        "[{{match: [{{headers: {{b: {{exact: '1'}}}}, withoutHeaders: {{a: {{}}, c: {{prefix: x}}, d: {{regex: '*'}}}}, method: {{exact: GET}}}}], {TO}}}]"
    ))[0];
    let expected = json!([
        {"name": "a", "present_match": true, "invert_match": true},
        {"name": "b", "string_match": {"exact": "1"}},
        {"name": "c", "string_match": {"prefix": "x"}, "invert_match": true, "treat_missing_header_as_empty": true},
        {"name": "d", "present_match": true, "invert_match": true},
        {"name": ":method", "string_match": {"exact": "GET"}},
    ]);
    assert_eq!(route["match"]["headers"], expected);
}

#[test]
fn of_several_destinations_those_without_weight_are_dropped() {
    let destinations = "[{destination: {host: a}}, {destination: {host: b.test, port: {number: 81}, subset: v}, weight: 7}]";
    let several = &routes(&format!("[{{route: {destinations}}}]"))[0]["route"];
    let left = json!([{"name": "outbound|81|v|b.test", "weight": 7}]);
    assert_eq!(several["weighted_clusters"]["clusters"], left);
    let one = &routes("[{route: [{destination: {host: a}, weight: 0}]}]")[0]["route"];
    assert_eq!(one["cluster"], "outbound|80||a.ns.svc.cluster.local");
}

#[test]
fn subsets_come_from_the_nearest_namespace_and_the_most_exact_host() {
    let rule = |name: &str, namespace: &str, host: &str, subset: &str| {
        format!(
            "---\n{{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: {name}, namespace: {namespace}}}, spec: {{host: '{host}', subsets: [{{name: {subset}, labels: {{v: '1'}}}}, {{name: same, labels: {{v: '{subset}'}}}}]}}}}\n"
        )
    };
    let found = at(
        80,
        &[
            service("s.test", 80),
            rule("root", "istio-system", "s.test", "root"),
            rule("wide", "ns", "*.test", "wide"),
            rule("one", "ns", "s.test", "one"),
            rule("two", "ns", "s.test", "two"),
        ],
    );
    let expected = [
        ("outbound|80|one|s.test", 1),
        ("outbound|80|same|s.test", 0),
        ("outbound|80|two|s.test", 1),
        ("outbound|80||s.test", 1),
        ("PassthroughCluster", 1),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(found.endpoints, expected.into());
}

#[test]
fn what_is_not_translated_is_refused() {
    for rule in [
        "{mirrors: [{percentage: {value: 1}}], route: [{destination: {host: a}}]}",
        "{retries: {attempts: 2, retryRemoteLocalities: true}, route: [{destination: {host: a}}]}",
    ] {
        let yaml = rules("v", &format!("{{hosts: [a.test], http: [{rule}]}}"));
        let resources = Resources::from_yaml("test.yaml", &yaml);
        assert!(translate(&resources, &client(80)).is_err(), "{rule}");
    }
}
