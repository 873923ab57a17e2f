//! Where drawn answers may differ: each difference that is deliberate, as narrow as it can be
//! said, with its reason. ARCHITECTURE.md lists them for readers.
//!
//! Hand-written cases do not use this list: there each exception stands beside its request.

use super::compare::Difference;
use super::exchange::{Observation, Request};

/// One difference that is allowed.
struct Deliberate {
    /// The words of ARCHITECTURE's table of deliberate differences, or a part of them.
    documented: &'static str,
    reason: &'static str,
    /// Fields that may differ; an upstream's or a copy's number is written `[]`.
    fields: &'static [&'static str],
    /// When they may.
    when: fn(&Met<'_>) -> bool,
}

/// What was asked, and what came of it on both sides.
struct Met<'a> {
    request: &'a Request,
    envoy: &'a Observation,
    ours: &'a Observation,
}

const ALL: &[Deliberate] = &[
    Deliberate {
        documented: "HEAD answered with an empty body",
        reason: "hyper frames the answer to a HEAD request with a length",
        fields: &["header.transfer-encoding"],
        when: |met| {
            let framing = "header.transfer-encoding";
            met.request.method == "HEAD"
                && is(met.envoy, framing, "<chunked>")
                && !met.ours.contains_key(framing)
        },
    },
    Deliberate {
        documented: "`x-forwarded-for` of a copy",
        reason: "a library does not know its own address",
        fields: &["shadow[].header.x-forwarded-for"],
        when: |met| {
            let mut copies = met.envoy.iter().filter(|(field, _)| {
                field.starts_with("shadow[") && field.ends_with("].header.x-forwarded-for")
            });
            copies.all(|(field, theirs)| {
                let theirs = theirs.trim_matches(['<', '>']);
                let before = theirs.rsplit_once(',').map(|(before, _)| before);
                let ours = met.ours.get(field).map(|it| it.trim_matches(['<', '>']));
                ours == before
            })
        },
    },
    Deliberate {
        documented: "a 204 or 304 that a rule gives a body",
        reason: "Envoy counts a body that such an answer cannot have",
        fields: &["log.bytes_sent"],
        when: |met| {
            let is_bodyless = ["204", "304"].iter().any(|it| is(met.envoy, "status", it));
            is_bodyless
                && !is(met.envoy, "log.response_code_details", "via_upstream")
                && is(met.ours, "log.bytes_sent", "0")
        },
    },
    Deliberate {
        documented: "the reason of a gRPC refusal that answers HEAD",
        reason: "a gRPC call is never a HEAD request",
        fields: &["header.grpc-message"],
        when: |met| met.request.method == "HEAD" && !met.envoy.contains_key("header.grpc-message"),
    },
    Deliberate {
        documented: "a body that nobody has asked for",
        reason: "it is not read, and its connection is closed instead",
        fields: &["header.connection", "log.bytes_received"],
        when: |met| {
            has_body(met.request)
                && !is(met.envoy, "log.response_code_details", "via_upstream")
                && is(met.ours, "header.connection", "<close>")
        },
    },
    Deliberate {
        documented: "a body sent to an endpoint that refuses connections",
        reason: "a body is read once there is a connection to send it on",
        fields: &["log.bytes_received"],
        when: |met| {
            has_body(met.request)
                && flagged(met.envoy, "UF")
                && is(met.ours, "log.bytes_received", "0")
        },
    },
    Deliberate {
        documented: "a copy of a body that no endpoint has begun to read",
        reason: "a copy is made while the body is read",
        fields: &["shadow"],
        when: |met| has_body(met.request) && flagged(met.envoy, "UF"),
    },
    Deliberate {
        documented: "the line in the log for a target that Envoy's codec refuses",
        reason: "Envoy logs it before it knows anything of the request",
        fields: &["log"],
        when: |met| {
            is(met.envoy, "status", "400")
                && met.request.target.starts_with("http://")
                && is(met.ours, "log.response_code_details", "http1.invalid_url")
        },
    },
];

fn is(side: &Observation, field: &str, text: &str) -> bool {
    side.get(field).is_some_and(|it| it == text)
}

fn flagged(side: &Observation, flag: &str) -> bool {
    let flags = side.get("log.response_flags");
    flags.is_some_and(|it| it.split(',').any(|it| it == flag))
}

fn has_body(request: &Request) -> bool {
    let body = request.body.as_ref();
    body.is_some_and(|it| !it.is_empty() || request.chunked)
}

/// Takes away what is deliberate; the reasons that were needed.
pub(crate) fn excuse(
    request: &Request,
    envoy: &Observation,
    ours: &Observation,
    found: &mut Vec<Difference>,
) -> Vec<&'static str> {
    if found.is_empty() {
        return Vec::new();
    }
    let met = Met {
        request,
        envoy,
        ours,
    };
    let mut needed = Vec::new();
    for deliberate in ALL.iter().filter(|it| (it.when)(&met)) {
        let before = found.len();
        found.retain(|difference| {
            let family = without_number(&difference.field);
            !deliberate.fields.contains(&&*family)
        });
        if found.len() < before {
            needed.push(deliberate.reason);
        }
    }
    needed
}

/// `upstream[2].path` as `upstream[].path`.
fn without_number(field: &str) -> String {
    match (field.find('['), field.find(']')) {
        (Some(open), Some(close)) if open < close => {
            format!("{}{}", &field[..=open], &field[close..])
        }
        _ => field.to_owned(),
    }
}

#[test]
fn every_difference_is_told_to_readers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md");
    let text = std::fs::read_to_string(path).expect("the file");
    for deliberate in ALL {
        let row = format!("| {}", deliberate.documented);
        assert!(text.contains(&row), "no row begins with {row:?}");
    }
}
