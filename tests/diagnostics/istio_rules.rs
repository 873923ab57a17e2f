//! Istio's own rules, one by one: each is broken by a case, and kept by one in which nothing is wrong.

use std::collections::BTreeMap;

use crate::ALL;
use crate::cases::Case;

const RULES: &str = include_str!("istio_rules.txt");

#[test]
fn each_of_istios_rules_is_broken_by_a_case_and_kept_by_another() {
    let mut cases: BTreeMap<String, &Case> = BTreeMap::new();
    for file in ALL.iter() {
        let name = file.file.file_stem().unwrap().to_str().unwrap();
        let named = file.cases.iter();
        cases.extend(named.map(|(it, _)| (format!("{name}: {}", it.name), it)));
    }
    let told: Vec<&String> = cases.values().flat_map(|it| &it.want).collect();
    let mut wrong = Vec::new();
    let mut count = 0;
    let lines = RULES
        .lines()
        .filter(|it| !it.is_empty() && !it.starts_with('#'));
    for line in lines {
        count += 1;
        let parts: Vec<&str> = line.split(" | ").collect();
        let [words, kept, about] = parts.as_slice() else {
            panic!("{line}: three parts");
        };
        if !told.iter().any(|it| it.contains(words)) {
            wrong.push(format!("no case tells: {words}"));
        }
        match cases.get(*kept) {
            None => wrong.push(format!("{words}: there is no case {kept:?}")),
            // That a setting never takes effect, or a file is not on this machine, is a note on one
            // that is right.
            Some(case) if !case.want.iter().all(|it| is_note(it)) => {
                wrong.push(format!("{words}: something is wrong in {kept:?}"));
            }
            Some(case) if !case.text.contains(about) => {
                wrong.push(format!("{words}: {kept:?} does not hold {about:?}"));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 200, "{count} rules");
}

fn is_note(told: &str) -> bool {
    let kinds = [" never-fires ", " missing-file "];
    kinds.iter().any(|it| told.contains(it))
}

/// Thousands of settings have as many notes of their own, which no case holds.
#[test]
fn a_policy_has_settings_for_so_many_ports_and_no_more() {
    let told = |count: usize| {
        let port = |it| format!("{{port: {{number: {it}}}, tls: {{mode: DISABLE}}}}");
        let ports: Vec<String> = (1..=count).map(port).collect();
        let yaml = format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: it}}\n\
             spec: {{host: a.com, trafficPolicy: {{portLevelSettings: [{}]}}}}\n",
            ports.join(", ")
        );
        let resources = tower_mesh::api::Resources::from_yaml("it.yaml", &yaml);
        let built = tower_mesh::mesh::Mesh::builder()
            .resources(resources)
            .build();
        built
            .err()
            .map(|found| found.to_string())
            .unwrap_or_default()
    };
    let refusal = "spec.trafficPolicy.portLevelSettings: a traffic policy has at most 4096";
    assert!(told(4097).contains(refusal));
    assert_eq!(told(4096), "");
}
