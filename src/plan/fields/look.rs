//! What is made of a resource in a small mesh, in words that can be compared.

use std::sync::LazyLock;

use serde_json::Value;

use super::super::{Before, Live, Options, compile};
use crate::api::Resources;
use crate::diagnostic::Diagnostics;
use crate::endpoint::Locality;
use crate::rt::Rng;
use crate::source::Source;
use crate::tls::WorkloadCertificates;

/// What is made of resources for one client: the plan in words, and all that is told.
#[derive(PartialEq)]
pub(super) struct Look {
    pub(super) plan: String,
    pub(super) told: Diagnostics,
}

/// The clients in whose eyes resources are looked at: a workload, another, a gateway.
pub(super) fn clients() -> [Source; 3] {
    let workload = Source::default();
    let other = Source {
        namespace: "front".to_owned(),
        labels: [("app".to_owned(), "web".to_owned())].into(),
        locality: Locality::new("a/b/c"),
        ..Source::default()
    };
    let gateway = Source {
        gateway: Some("default/edge".to_owned()),
        ..Source::default()
    };
    [workload, other, gateway]
}

pub(super) fn look(document: &Value, source: Source) -> Look {
    static WORLD: LazyLock<Resources> =
        LazyLock::new(|| Resources::from_yaml("world.yaml", include_str!("world.yaml")));
    let mut resources = Resources::from_yaml("it.yaml", &document.to_string());
    resources.append(WORLD.clone());
    let options = Options {
        source,
        dice: Rng::seeded(1),
        workload: WorkloadCertificates::default().with_secrets("secrets"),
        ..Options::default()
    };
    let (plan, told) = compile(&resources, &options, Before::Nothing(Live::default()));
    let rules = &plan.rules;
    let text = format!("{:?}{:?}{:?}", rules.tables, rules.routes, plan.clusters);
    Look {
        plan: without_origins(&text),
        told,
    }
}

pub(super) fn looks(document: &Value) -> Vec<Look> {
    clients().into_iter().map(|it| look(document, it)).collect()
}

/// What a plan says, but for where each setting was written and when its clocks began.
fn without_origins(text: &str) -> String {
    let mut parts = text.split("origins: [(");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut depth = 1;
        let end = part.bytes().position(|it| {
            match it {
                b'[' => depth += 1,
                b']' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        kept += end.map_or("", |it| &part[it..]);
    }
    let (began, mut text) = ("Instant {", kept.as_str());
    let mut kept = String::new();
    while let Some((before, after)) = text.split_once(began) {
        kept += before;
        text = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    kept + text
}
