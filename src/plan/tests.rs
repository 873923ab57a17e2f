//! What plans share with the plans before them.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Cluster, Options, Plan, compile};
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
