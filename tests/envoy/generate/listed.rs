//! Which fields there are, and which of them a drawn table must have and must decide by.
//!
//! The list is the guide's table, which a test of the library writes from the messages themselves:
//! a field that is added to them and works is asked for here, until it is drawn or stands, with
//! a reason, in the table below or in [`elsewhere`](super::elsewhere).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::elsewhere::{ELSEWHERE, UNMET, is_below};

pub(super) const TABLE: &str = include_str!("../../../src/guide/fields.md");
/// The kinds a sidecar's clients go by; Gateways are for another border.
const KINDS: [&str; 3] = ["VirtualService", "DestinationRule", "ServiceEntry"];

/// Fields that are drawn, a change of which no answer can show, and why.
const UNDECIDED: &[(&str, &str)] = &[
    (
        "VirtualService.http[].route[].weight",
        "the dice decide: `shares` asks for the shares",
    ),
    (
        "VirtualService.http[].fault.delay.fixedDelay",
        "changes how long an answer takes, and that is not compared",
    ),
    (
        "VirtualService.http[].retries.backoff",
        "changes how long an answer takes, and that is not compared",
    ),
    (
        "VirtualService.metadata.namespace",
        "each namespace has the same services",
    ),
    (
        "DestinationRule.trafficPolicy.loadBalancer.simple",
        "which endpoint is taken without a key is for the dice",
    ),
    (
        "DestinationRule.trafficPolicy.loadBalancer.consistentHash.minimumRingSize",
        "another ring gives some keys the same endpoints: `hashes` counts them",
    ),
    (
        "ServiceEntry.hosts",
        "a host that nothing declares goes where DNS says",
    ),
    (
        "ServiceEntry.metadata.creationTimestamp",
        "no two declare one host",
    ),
    ("ServiceEntry.ports", "there must be some"),
    (
        "DestinationRule.trafficPolicy.portLevelSettings[].port",
        "it must be there: its number decides",
    ),
    ("ServiceEntry.ports[].name", "endpoints name it"),
    (
        "ServiceEntry.ports[].protocol",
        "the endpoints speak HTTP/1.1: `over_time` has others",
    ),
    ("ServiceEntry.resolution", "the endpoints are addresses"),
    ("VirtualService.http", "there must be some"),
    ("VirtualService.http[].route", "a rule must do something"),
    (
        "VirtualService.http[].route[].destination",
        "it must be there",
    ),
    ("VirtualService.http[].redirect", "a rule must do something"),
    (
        "VirtualService.http[].directResponse",
        "a rule must do something",
    ),
    ("VirtualService.http[].delegate", "a rule must do something"),
    (
        "VirtualService.http[].mirrors[].destination",
        "it must be there",
    ),
    (
        "VirtualService.http[].mirror.port",
        "a mirror must have a destination: `mirror` has the port",
    ),
];

/// A field of the guide's table, as [`paths`](super::fields::paths) writes it, and whether a change
/// of it must be seen to decide.
static FIELDS: LazyLock<Vec<(String, bool)>> = LazyLock::new(|| {
    let drawn = works(TABLE);
    let drawn = drawn.into_iter().filter(|it| !elsewhere(it));
    drawn
        .map(|it| {
            let decides = !UNDECIDED.iter().any(|(field, _)| *field == it)
                && !UNMET.iter().any(|(listed, ..)| is_below(&it, listed));
            (it, decides)
        })
        .collect()
});

/// The fields that a drawn table must have, and whether they must decide.
pub(super) fn all() -> &'static [(String, bool)] {
    &FIELDS
}

pub(super) fn must_decide(path: &str) -> bool {
    let path = canonical(path);
    FIELDS.iter().any(|(it, decides)| *it == path && *decides)
}

/// A policy's field is the same wherever the policy stands.
pub(super) fn canonical(path: &str) -> String {
    path.replace(".subsets[].trafficPolicy.", ".trafficPolicy.")
        .replace(".portLevelSettings[].loadBalancer", ".loadBalancer")
}

/// The fields of the table that do something.
pub(super) fn works(table: &str) -> Vec<String> {
    let (mut kind, mut fields) = ("", Vec::new());
    for line in table.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            kind = name;
        }
        let row = line
            .strip_prefix("| `")
            .and_then(|it| it.split_once("` | "));
        if let Some((place, effect)) = row
            && KINDS.contains(&kind)
            && effect.starts_with("works")
            // It names the resource in what is said of it.
            && (place != "metadata.name" || kind == "VirtualService")
        {
            let place = place.strip_prefix("spec.").unwrap_or(place);
            fields.push(format!("{kind}.{place}"));
        }
    }
    fields
}

fn elsewhere(field: &str) -> bool {
    ELSEWHERE.iter().any(|(listed, ..)| is_below(field, listed))
}

#[test]
fn the_list_is_that_of_the_guide() {
    let works = works(TABLE);
    assert!(works.len() > 200, "{} fields", works.len());
    let known: BTreeSet<&str> = works.iter().map(String::as_str).collect();
    let listed = ELSEWHERE.iter().map(|(it, ..)| it);
    let listed = listed.chain(UNMET.iter().map(|(it, ..)| it));
    for field in listed.chain(UNDECIDED.iter().map(|(it, _)| it)) {
        assert!(known.contains(field), "{field} is no field that works");
    }
    let more = "## ServiceEntry\n| `spec.brandNew` | works |\n| `spec.old` | left out: so |\n";
    assert_eq!(self::works(more), ["ServiceEntry.brandNew"]);
    assert!(!elsewhere("ServiceEntry.brandNew"));
}
