//! Which fields there are, and which of them a drawn table must have and must decide by.
//!
//! The list is the guide's table, which a test of the library writes from the messages themselves:
//! a field that is added to them and works is asked for here, until it is drawn or stands, with
//! a reason, in one of the tables below.

use std::collections::BTreeSet;
use std::sync::LazyLock;

const TABLE: &str = include_str!("../../../src/guide/fields.md");
/// The kinds a sidecar's clients go by; Gateways are for another border.
const KINDS: [&str; 3] = ["VirtualService", "DestinationRule", "ServiceEntry"];

/// Fields that are not drawn, with all below them, and the file of this suite (or, where Envoy
/// cannot be asked, of another one) that tries them, with the reason.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "VirtualService.metadata.creationTimestamp",
        "src/plan/fields",
        "istiod sorts by it before Envoy sees anything",
    ),
    (
        "DestinationRule.metadata.creationTimestamp",
        "src/plan/fields",
        "istiod sorts by it before Envoy sees anything",
    ),
    (
        "ServiceEntry.metadata.creationTimestamp",
        "src/plan/fields",
        "istiod sorts by it before Envoy sees anything",
    ),
    (
        "ServiceEntry.metadata.namespace",
        "tests/envoy/cases/aliases.yaml",
        "short names and aliases go by it: written by hand",
    ),
    (
        "VirtualService.http[].retries.retryRemoteLocalities",
        "tests/mesh/locality.rs",
        "a drawn client is nowhere in particular",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http.http1MaxPendingRequests",
        "tests/envoy/limits.rs",
        "takes several requests at a time",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http.http2MaxRequests",
        "tests/envoy/limits.rs",
        "takes several requests at a time",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http.maxRetries",
        "tests/envoy/limits.rs",
        "takes several requests at a time",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http.maxRequestsPerConnection",
        "tests/transport/limits.rs",
        "takes several requests in a row",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.tcp.maxConnections",
        "tests/envoy/limits.rs",
        "takes several requests at a time",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool",
        "tests/transport",
        "connections, which no request shows",
    ),
    (
        "DestinationRule.trafficPolicy.retryBudget",
        "tests/envoy/limits.rs",
        "takes several requests at a time",
    ),
    (
        "DestinationRule.trafficPolicy.outlierDetection",
        "tests/envoy/ejection.rs",
        "takes requests in a row",
    ),
    (
        "DestinationRule.trafficPolicy.tls",
        "tests/tls",
        "the endpoints of the comparison speak in the clear",
    ),
    (
        "DestinationRule.trafficPolicy.proxyProtocol",
        "tests/transport",
        "comes before HTTP on a connection",
    ),
    (
        "DestinationRule.trafficPolicy.loadBalancer.localityLbSetting",
        "tests/envoy/cases/localities.yaml",
        "a drawn client is nowhere in particular",
    ),
    (
        "DestinationRule.trafficPolicy.loadBalancer.zoneAwareLbSetting",
        "tests/mesh/locality.rs",
        "a drawn client is nowhere in particular",
    ),
    (
        "DestinationRule.trafficPolicy.loadBalancer.warmup",
        "tests/mesh/status.rs",
        "takes seconds, and goes by shares",
    ),
    (
        "DestinationRule.trafficPolicy.loadBalancer.warmupDurationSecs",
        "tests/api/legacy.rs",
        "takes seconds, and goes by shares",
    ),
    (
        "DestinationRule.workloadSelector",
        "tests/mesh/destination_rules.rs",
        "istiod picks by it before Envoy sees anything",
    ),
    (
        "ServiceEntry.addresses",
        "tests/envoy/cases/aliases.yaml",
        "names of virtual hosts, of which a table has one",
    ),
    (
        "ServiceEntry.endpoints[].locality",
        "tests/envoy/cases/localities.yaml",
        "a drawn client is nowhere in particular",
    ),
    (
        "ServiceEntry.endpoints[].network",
        "src/service_entry",
        "Istio's gateways between networks, of which there are none here",
    ),
    (
        "ServiceEntry.endpoints[].serviceAccount",
        "tests/tls",
        "a name in certificates, and endpoints speak in the clear",
    ),
    (
        "ServiceEntry.subjectAltNames",
        "tests/tls",
        "names in certificates, and endpoints speak in the clear",
    ),
    (
        "ServiceEntry.exportTo",
        "tests/mesh/ownership.rs",
        "a host that is not seen would go where DNS says",
    ),
];

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
            let decides = !UNDECIDED.iter().any(|(field, _)| *field == it);
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
fn works(table: &str) -> Vec<String> {
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
    let below = |listed: &str| {
        let rest = field.strip_prefix(listed);
        rest.is_some_and(|it| it.is_empty() || it.starts_with(['.', '[']))
    };
    ELSEWHERE.iter().any(|(it, ..)| below(it))
}

#[test]
fn the_list_is_that_of_the_guide() {
    let works = works(TABLE);
    assert!(works.len() > 200, "{} fields", works.len());
    let known: BTreeSet<&str> = works.iter().map(String::as_str).collect();
    let listed = ELSEWHERE.iter().map(|(it, ..)| it);
    for field in listed.chain(UNDECIDED.iter().map(|(it, _)| it)) {
        assert!(known.contains(field), "{field} is no field that works");
    }
    let more = "## ServiceEntry\n| `spec.brandNew` | works |\n| `spec.old` | left out: so |\n";
    assert_eq!(self::works(more), ["ServiceEntry.brandNew"]);
    assert!(!elsewhere("ServiceEntry.brandNew"));
}

#[test]
fn what_is_tried_elsewhere_is_tried_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    fn text(path: &std::path::Path) -> String {
        match path.is_dir() {
            false => std::fs::read_to_string(path).expect("a file"),
            true => {
                let inside = std::fs::read_dir(path).expect("a folder");
                inside
                    .map(|it| text(&it.expect("an entry").path()))
                    .collect()
            }
        }
    }
    for (field, place, _) in ELSEWHERE {
        let last = field.rsplit(['.', ']']).next().unwrap_or_default();
        let found = text(&root.join(place));
        assert!(found.contains(last), "{place} says nothing of {field}");
    }
}
