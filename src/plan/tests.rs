//! What plans share with the plans before them.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Before, Cluster, Live, Options, Plan, compile};
use crate::api::Resources;
use crate::endpoint::Endpoint;

/// Services `a.com`, `b.com`, … with an endpoint for each number.
fn services(numbers: &[&[u8]]) -> String {
    let mut yaml = String::new();
    for (name, numbers) in ('a'..).zip(numbers) {
        writeln!(
            yaml,
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}}}\n\
             spec:\n  hosts: [{name}.com]\n  ports: [{{number: 80, name: http, protocol: HTTP}}]\n  \
             resolution: STATIC\n  endpoints:"
        )
        .expect("a string takes it");
        for number in *numbers {
            writeln!(yaml, "  - {{address: 10.0.0.{number}}}").expect("a string takes it");
        }
        yaml += "---\n";
    }
    yaml
}

fn plan(yaml: &str, before: Option<&Plan>) -> Plan {
    let resources = Resources::from_yaml("mesh.yaml", yaml);
    let before = before.map_or_else(|| Before::Nothing(Live::default()), Before::Plan);
    let (plan, found) = compile(&resources, &Options::default(), before);
    assert!(!found.has_errors(), "{found}");
    plan
}

fn cluster<'p>(plan: &'p Plan, host: &str) -> &'p Arc<Cluster> {
    let name = format!("outbound|80||{host}");
    let mut clusters = plan.clusters.iter();
    let found = clusters.find(|it| **it.name() == *name);
    found.expect("it is declared")
}

#[test]
fn clusters_that_did_not_change_are_the_same_ones() {
    let first = plan(&services(&[&[1, 2], &[3]]), None);
    let second = plan(&services(&[&[1, 2], &[3, 4]]), Some(&first));
    let same = |host| Arc::ptr_eq(cluster(&first, host), cluster(&second, host));
    assert!(same("a.com"));
    assert!(!same("b.com"));
    assert_eq!(cluster(&second, "b.com").endpoints().len(), 2);
}

#[test]
fn another_order_and_other_labels_are_changes() {
    let first = plan(&services(&[&[1, 2], &[3]]), None);
    let other = services(&[&[2, 1], &[3]]);
    let other = other.replace("10.0.0.3", "10.0.0.3, labels: {version: v1}");
    let second = plan(&other, Some(&first));
    for host in ["a.com", "b.com"] {
        assert!(!Arc::ptr_eq(cluster(&first, host), cluster(&second, host)));
    }
}

#[test]
fn endpoints_that_stay_go_on_counting_and_others_begin() {
    let first = plan(&services(&[&[1, 2]]), None);
    let under_way: Vec<_> = cluster(&first, "a.com")
        .endpoints()
        .iter()
        .map(Endpoint::begin)
        .collect();
    let second = plan(&services(&[&[3, 2]]), Some(&first));
    let active = |plan| -> Vec<u32> {
        let endpoints = cluster(plan, "a.com").endpoints().iter();
        endpoints.map(Endpoint::active).collect()
    };
    assert_eq!(active(&second), [0, 1]);
    drop(under_way);
    assert_eq!(active(&second), [0, 0]);
}

#[test]
fn a_destination_that_appears_is_another() {
    let routed = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: it}\n\
                  spec:\n  hosts: [a.com]\n  http: [{route: [{destination: {host: a.com, subset: v1}}]}]\n---\n";
    let subset = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: it}\n\
                  spec: {host: a.com, subsets: [{name: v1}]}\n---\n";
    let yaml = services(&[&[]]) + routed;
    let first = plan(&yaml, None);
    let second = plan(&(yaml + subset), Some(&first));
    let v1 = |plan: &Plan| {
        plan.clusters
            .iter()
            .find(|it| it.name().contains("v1"))
            .map(|it| it.exists())
    };
    assert_eq!(v1(&first), Some(false));
    // It has no endpoints either way, yet the one is 503 NC and the other 503 UH.
    assert_eq!(v1(&second), Some(true));
}

/// Services by name; `resolution` says how.
fn named(resolution: &str) -> String {
    services(&[&[1], &[2]])
        .replace("resolution: STATIC", &format!("resolution: {resolution}"))
        .replace("{address: 10.0.0.1}", "{address: one.net}")
        .replace("{address: 10.0.0.2}", "{address: two.net}")
}

fn answer(name: &str, numbers: &[u8]) -> (Arc<str>, Arc<[IpAddr]>) {
    let addresses = numbers.iter().map(|n| IpAddr::from([10, 0, 0, *n]));
    (name.into(), addresses.collect())
}

#[test]
fn an_answer_changes_its_own_clusters_and_no_rules() {
    let first = plan(&named("DNS"), None);
    let second = first.learn(vec![answer("one.net", &[1, 2])]);
    assert!(Arc::ptr_eq(&first.rules, &second.rules));
    let same = |a, b, host| Arc::ptr_eq(cluster(a, host), cluster(b, host));
    assert!(!same(&first, &second, "a.com"));
    assert!(same(&first, &second, "b.com"));
    // The order of an answer is no change.
    let third = second.learn(vec![answer("one.net", &[2, 1])]);
    assert!(same(&second, &third, "a.com"));
    // Nor is being compiled again.
    let again = plan(&named("DNS"), Some(&third));
    assert!(same(&third, &again, "a.com"));
    assert_eq!(cluster(&again, "a.com").endpoints().len(), 2);
}

#[test]
fn one_address_for_another_is_the_same_endpoint_where_there_is_only_one() {
    for (resolution, want) in [("DNS_ROUND_ROBIN", 1), ("DNS", 0)] {
        let first = plan(&named(resolution), None).learn(vec![answer("one.net", &[1])]);
        let _under_way = cluster(&first, "a.com").endpoints()[0].begin();
        let second = first.learn(vec![answer("one.net", &[2])]);
        let endpoint = &cluster(&second, "a.com").endpoints()[0];
        assert_eq!(endpoint.address().to_string(), "10.0.0.2:80");
        assert_eq!(endpoint.active(), want, "{resolution}");
    }
}
