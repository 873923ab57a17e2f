//! Where drawn answers may differ: each difference that is deliberate, as narrow as it can be
//! said, with its reason. ARCHITECTURE.md lists them for readers.
//!
//! Hand-written cases do not use this list: there each exception stands beside its request.

use std::collections::BTreeMap;

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

/// The reasons of differences that none of so many answers had: those are gone, or never drawn.
pub(crate) fn unneeded(excused: &BTreeMap<&'static str, u64>) -> Vec<&'static str> {
    let reasons = ALL.iter().map(|it| it.reason);
    reasons.filter(|it| !excused.contains_key(it)).collect()
}

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

/// Every row of the table, by how it begins, and the test that shows what is done here: one of
/// the library's, or a case of this suite that an exception stands in.
const ROWS: &[(&str, &str)] = &[
    (
        "`PASSTHROUGH`; a host nothing declares",
        "unknown_hosts_go_where_dns_says_unless_told_otherwise",
    ),
    (
        "a destination nothing declares",
        "a_destination_nothing_declares_goes_where_dns_says",
    ),
    (
        "unresolvable names",
        "a_name_nobody_knows_is_a_failed_connection",
    ),
    (
        "how long a DNS answer holds",
        "names_are_asked_for_every_minute_and_a_tenth_at_most",
    ),
    (
        "a name that has lost all its addresses",
        "the_last_good_answer_outlives_failures_and_empty_ones",
    ),
    (
        "requests before a name's first answer",
        "until_the_first_answer_connections_look_the_name_up",
    ),
    (
        "request targets hyper refuses",
        "a_proxy_refuses_as_envoy_does",
    ),
    (
        "a length beside chunks",
        "what_cannot_be_refused_goes_on_without_its_second_meaning",
    ),
    (
        "a header folded over two lines",
        "a_proxy_refuses_as_envoy_does",
    ),
    (
        "a path that `http::Uri` cannot hold",
        "what_a_uri_cannot_hold_is_repaired",
    ),
    ("`set` of `x-request-id`", "header_operations"),
    (
        "`%START_TIME%` in a header",
        "the_time_in_a_header_is_when_it_is_written",
    ),
    (
        "`%DOWNSTREAM_…_ADDRESS%` without a `Connection`",
        "addresses_of_a_connection_nobody_told_of_are_empty",
    ),
    (
        "`useSourceIp` of an application's own requests",
        "the_source_is_this_application_or_the_connection_of_a_proxys_client",
    ),
    (
        "a rule that changes `x-forwarded-for`",
        "a_rule_that_changes_x_forwarded_for_says_who_the_client_is",
    ),
    (
        "`httpCookie` made where nothing is known",
        "a_cookie_is_made_once_and_leads_back",
    ),
    (
        "an ejection",
        "a_failing_endpoint_gets_no_more_requests_until_its_time_is_over",
    ),
    (
        "`outlierDetection.consecutiveErrors`",
        "an_empty_block_means_istios_defaults_and_old_fields_still_work",
    ),
    (
        "a late answer, with `splitExternalLocalOriginErrors`",
        "failures_on_this_side_are_counted_apart_where_they_are_split",
    ),
    (
        "an answer that breaks off",
        "requests_fare_alike_from_try_to_try",
    ),
    ("HEAD answered with an empty body", "local_replies"),
    (
        "the reason of a gRPC refusal that answers HEAD",
        "direct_response",
    ),
    ("a 204 or 304 that a rule gives a body", "faults"),
    (
        "a body that nobody has asked for",
        "a_bad_request_ends_its_connection_whoever_calls_it_so",
    ),
    ("the line in the log for a target", "found_by_drawing"),
    (
        "headers a proxy adds",
        "a_proxy_makes_a_request_id_where_there_is_none",
    ),
    (
        "an endpoint that answers 101",
        "a_switch_nobody_asked_for_is_a_broken_protocol",
    ),
    (
        "WebSocket to an endpoint that speaks HTTP/2",
        "a_websocket_is_an_ordinary_request_where_http2_is_spoken",
    ),
    (
        "response headers above 60 KiB",
        "headers_of_an_answer_have_a_limit",
    ),
    (
        "requests hyper refuses itself",
        "a_proxy_refuses_as_envoy_does",
    ),
    (
        "versions and transfer codings",
        "a_proxy_refuses_as_envoy_does",
    ),
    (
        "a copy of a body that no endpoint has begun to read",
        "mirror",
    ),
    ("`x-forwarded-for` of a copy", "mirror"),
    (
        "copies under way",
        "a_mirror_that_hangs_has_the_rules_timeout_and_a_limit",
    ),
    (
        "a body sent to an endpoint that refuses connections",
        "local_replies",
    ),
    (
        "a request rule that sets `grpc-timeout`",
        "a_rule_that_sets_grpc_timeout_sets_the_time",
    ),
    ("1xx responses but 100", "interim_answers_are_not_passed_on"),
    (
        "`https://` at a client",
        "an_https_uri_is_kept_where_rules_say_nothing",
    ),
    (
        "no `tls` block",
        "without_a_tls_block_an_endpoint_of_the_mesh_is_spoken_to_in_the_clear",
    ),
    (
        "`credentialName` on a sidecar",
        "nothing_is_sent_while_files_are_missing_or_secrets_are_named",
    ),
    (
        "why a handshake failed",
        "signers_times_and_names_are_checked",
    ),
    ("PROXY header", "a_proxy_header_goes_before_the_handshake"),
    (
        "a gateway's edge header rules",
        "clients_that_connect_themselves_are_believed_nothing",
    ),
    (
        "a gateway's `server: istio-envoy`",
        "a_proxy_answers_with_what_a_sidecar_would_send",
    ),
];

/// The rows of ARCHITECTURE's table: what differs, on either side, and why.
fn documented() -> Vec<[String; 4]> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md");
    let text = std::fs::read_to_string(path).expect("the file");
    let from = text.find("## Deliberate differences").expect("the section");
    let rows = text[from..]
        .lines()
        .skip_while(|it| !it.starts_with("|---"));
    let rows = rows.skip(1).take_while(|it| it.starts_with('|'));
    let cells = |row: &str| {
        let cells = row
            .trim_matches('|')
            .split(" | ")
            .map(|it| it.trim().to_owned());
        let cells: Vec<String> = cells.collect();
        cells
            .try_into()
            .unwrap_or_else(|_| panic!("four cells: {row}"))
    };
    rows.map(cells).collect()
}

#[test]
fn every_difference_is_told_to_readers() {
    let rows = documented();
    let told = |words: &str| rows.iter().any(|row| row[0].starts_with(words));
    for deliberate in ALL {
        assert!(told(deliberate.documented), "{}", deliberate.documented);
    }
    for (words, _) in ROWS {
        assert!(told(words), "no row begins with {words:?}");
    }
}

#[test]
fn every_difference_told_has_a_reason_and_a_test_that_is_there() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    let mut open = vec![folder.join("src"), folder.join("tests")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let inside = std::fs::read_dir(&path).expect("a folder");
            open.extend(inside.map(|it| it.expect("an entry").path()));
        } else if path.extension().is_some_and(|it| it == "rs") {
            sources += &std::fs::read_to_string(&path).expect("a file");
        }
    }
    let cases = super::cases::folder();
    let is_there = |test: &str| {
        let requests = cases.join(format!("{test}.requests.json"));
        match std::fs::read_to_string(requests) {
            Ok(case) => case.contains("\"except\""),
            Err(_) => sources.contains(&format!("fn {test}()")),
        }
    };
    for [what, sidecar, here, why] in documented() {
        assert!(sidecar != here && !why.is_empty(), "{what}");
        let mut rows = ROWS.iter().filter(|(words, _)| what.starts_with(words));
        let Some((_, test)) = rows.next() else {
            panic!("no test is named for {what:?}");
        };
        assert!(is_there(test), "{what}: there is no test {test}");
    }
}
