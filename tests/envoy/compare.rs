//! What must be equal, what cannot be, and how a difference is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::exchange::Observation;
use super::upstream::NAMES;
use super::wire::LATE;

/// Milliseconds that a busy machine may use up by itself.
const SHORT: u64 = 300;
/// How often a pair of answers that a clock has decided is asked for again.
pub(crate) const AGAIN: usize = 4;

/// Fields that cannot be equal, what is compared instead, and why.
///
/// Everything that is not in this table is compared to the letter. Only the order of
/// headers with different names, and the spelling of header names, are not looked at:
/// neither carries meaning in HTTP.
const MASKS: [(&str, Shape, &str); 10] = [
    ("header.date", Shape::Present, "the two clocks tick apart"),
    (
        "header.x-envoy-upstream-service-time",
        Shape::Present,
        "a measured time",
    ),
    (
        "upstream[].header.x-request-id",
        Shape::Uuid,
        "drawn by chance where the client gave none",
    ),
    (
        "log.request_id",
        Shape::Uuid,
        "drawn by chance where the client gave none",
    ),
    (
        "header.set-cookie",
        Shape::Cookie,
        "made of the ports of the connection",
    ),
    ("log.duration", Shape::Present, "a measured time"),
    (
        "log.start_time",
        Shape::Present,
        "the two clocks tick apart",
    ),
    (
        "log.upstream_service_time",
        Shape::Present,
        "a measured time",
    ),
    (
        "log.downstream_local_address",
        Shape::Port,
        "each side listens somewhere else",
    ),
    (
        "log.downstream_remote_address",
        Shape::Port,
        "each connection comes from a port of its own",
    ),
];

/// Fields that name the endpoint; equal only where the cluster has one.
const ENDPOINT_FIELDS: [&str; 4] = [
    "log.upstream_host",
    "upstream[].endpoint",
    "header.x-endpoint",
    "body",
];

/// What is left of a field that cannot be equal.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// That it is there.
    Present,
    /// A random UUID as such; anything else to the letter.
    Uuid,
    /// An address without its port, unless that is 0.
    Port,
    /// Sixteen hexadecimal digits in quotes as such; anything else to the letter.
    Cookie,
}

/// A field in which the two sides differ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) field: String,
    pub(crate) envoy: Option<String>,
    pub(crate) ours: Option<String>,
}

/// All differences. `endpoints` says how many endpoints each cluster has.
pub(crate) fn differences(
    envoy: &Observation,
    ours: &Observation,
    endpoints: &BTreeMap<String, usize>,
) -> Vec<Difference> {
    let cluster = envoy.get("log.upstream_cluster");
    let choice = cluster
        .and_then(|name| endpoints.get(name))
        .is_some_and(|count| *count > 1);
    let late = [envoy, ours].map(began_late);
    let fields: BTreeSet<&String> = envoy.keys().chain(ours.keys()).collect();
    let (gaps, fields) = gaps(envoy, ours, fields);
    let compare = |field: &String| {
        let [envoy, ours] = [envoy, ours].map(|side| side.get(field));
        let [one, other] = [(envoy, late[0]), (ours, late[1])]
            .map(|(value, late)| value.map(|it| masked(field, it, choice, late)));
        (one != other).then(|| Difference {
            field: field.clone(),
            envoy: envoy.cloned(),
            ours: ours.cloned(),
        })
    };
    gaps.into_iter()
        .chain(fields.into_iter().filter_map(compare))
        .collect()
}

/// Whether tries went by before the first that reached an endpoint.
fn began_late(side: &Observation) -> bool {
    let tries = side.get("log.upstream_request_attempt_count");
    let tries = tries.and_then(|it| it.parse::<usize>().ok());
    let is_arrival =
        |field: &&String| field.starts_with("upstream[") && field.ends_with("].endpoint");
    tries > Some(side.keys().filter(is_arrival).count())
}

/// Where one side has nothing of a kind (no line in the log, nothing received upstream), that
/// is one difference and not as many as there are fields; the remaining fields.
fn gaps<'f>(
    envoy: &Observation,
    ours: &Observation,
    mut fields: BTreeSet<&'f String>,
) -> (Vec<Difference>, BTreeSet<&'f String>) {
    let mut found = Vec::new();
    for (kind, what) in [
        ("log.", "log"),
        ("upstream[", "upstream"),
        ("shadow[", "shadow"),
    ] {
        let has = |side: &Observation| side.keys().any(|field| field.starts_with(kind));
        if has(envoy) != has(ours) {
            fields.retain(|field| !field.starts_with(kind));
            let say = |has: bool| has.then(|| "something".to_owned());
            found.push(Difference {
                field: what.to_owned(),
                envoy: say(has(envoy)),
                ours: say(has(ours)),
            });
        }
    }
    (found, fields)
}

/// How often each field differs, the most frequent first: where to begin.
pub(crate) fn tally<'d>(all: impl Iterator<Item = &'d Difference>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for difference in all {
        *counts.entry(&difference.field).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let lines = counts
        .iter()
        .map(|(field, count)| format!("{count:>6}  {field}\n"));
    format!(
        "fields that differ, and how often:\n{}",
        lines.collect::<String>()
    )
}

fn masked(field: &str, value: &str, choice: bool, late: bool) -> String {
    let family: String = field.chars().filter(|it| !it.is_ascii_digit()).collect();
    let family = match family.strip_prefix("shadow[") {
        // A copy is masked as what it is a copy of.
        Some(rest) => &format!("upstream[{rest}"),
        None if field.starts_with("upstream[") => &family,
        None => field,
    };
    // What is left of a limit when a later try is made hangs on the clock.
    let is_left = (late || !field.contains("[0]"))
        && ["x-envoy-expected-rq-timeout-ms", "grpc-timeout"]
            .iter()
            .any(|it| field.starts_with("upstream[") && field.ends_with(it));
    if is_left {
        return "(what is left of the time)".to_owned();
    }
    // A rule may put the endpoint's name anywhere.
    let value = &match choice {
        true => NAMES
            .iter()
            .fold(value.to_owned(), |it, name| it.replace(name, "(any)")),
        false => value.to_owned(),
    };
    let mask = MASKS.iter().find(|(masked, ..)| *masked == family);
    match mask.map(|(_, shape, _)| shape) {
        Some(Shape::Present) => "(present)".to_owned(),
        Some(Shape::Cookie) => without_hash(value),
        Some(Shape::Port) => match value.rsplit_once(':') {
            Some((address, port)) if port != "0" => format!("{address}:(a port)"),
            _ => value.to_owned(),
        },
        Some(Shape::Uuid) if is_uuid(value.trim_matches(['<', '>'])) => "(a UUID)".to_owned(),
        _ if choice && ENDPOINT_FIELDS.contains(&family) => "(any endpoint)".to_owned(),
        _ => value.to_owned(),
    }
}

/// The same with `(a hash)` in place of quoted digits.
fn without_hash(value: &str) -> String {
    let part = |part: &str| match part.len() == 16 && part.bytes().all(|it| it.is_ascii_hexdigit())
    {
        true => "(a hash)".to_owned(),
        false => part.to_owned(),
    };
    let parts: Vec<String> = value.split('"').map(part).collect();
    parts.join("\"")
}

/// A random UUID, version 4.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let hexadecimal = |group: &&str| group.bytes().all(|it| it.is_ascii_hexdigit());
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(hexadecimal)
        && groups[2].starts_with('4')
}

/// A difference as text: the table, the request, and both answers where they differ.
pub(crate) fn report(title: &str, yaml: &str, request: &str, found: &[Difference]) -> String {
    let mut text = format!("== {title}\n{}\n-- request\n", yaml.trim_end());
    for line in request.trim_end().split("\r\n") {
        let _ = writeln!(text, "{}", line.escape_debug());
    }
    for difference in found {
        let show = |side: &Option<String>| match side {
            Some(value) => format!("{value:?}"),
            None => "(nothing)".to_owned(),
        };
        let _ = writeln!(text, "-- {}", difference.field);
        let _ = writeln!(text, "   envoy:   {}", show(&difference.envoy));
        let _ = writeln!(text, "   gateway: {}", show(&difference.ours));
    }
    text
}

/// Whether a clock may have decided one of two answers: a timeout, a connection closed under
/// way, a copy that came late, or on a busy machine the whole answer.
pub(crate) fn is_of_time(one: &Observation, other: &Observation, found: &[Difference]) -> bool {
    if found.iter().any(|it| it.field.starts_with("shadow")) {
        return true;
    }
    let is_late = |it: &Observation| it.get("status").is_some_and(|it| it == LATE);
    if is_late(one) || is_late(other) {
        return true;
    }
    let tries = |it: &Observation| it.get("log.upstream_request_attempt_count").cloned();
    if tries(one) != tries(other) && (is_short(one) || is_short(other)) {
        return true;
    }
    let flags = [one, other].map(|it| it.get("log.response_flags"));
    let flags = flags.into_iter().flatten();
    flags
        .into_iter()
        .any(|it| it.contains("UT") || it.contains("UC"))
}

/// Whether a try had so little time that a busy machine may use it up.
fn is_short(side: &Observation) -> bool {
    let told = side
        .iter()
        .filter(|(field, _)| field.ends_with(".header.x-envoy-expected-rq-timeout-ms"));
    let mut limits =
        told.filter_map(|(_, limit)| limit.trim_matches(['<', '>']).parse::<u64>().ok());
    limits.any(|it| it <= SHORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_number_of_tries_is_of_time_where_each_had_little() {
        let tried = |tries, limit| {
            let limit = ("upstream[0].header.x-envoy-expected-rq-timeout-ms", limit);
            side(&[("log.upstream_request_attempt_count", tries), limit])
        };
        let is = |one, other| is_of_time(&one, &other, &[]);
        assert!(is(tried("1", "<50>"), tried("2", "<50>")));
        assert!(!is(tried("1", "<50>"), tried("1", "<50>")));
        assert!(!is(tried("1", "<10000>"), tried("2", "<10000>")));
    }

    fn side(fields: &[(&str, &str)]) -> Observation {
        let field = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        fields.iter().map(field).collect()
    }

    fn fields(one: &[(&str, &str)], other: &[(&str, &str)], several: bool) -> Vec<String> {
        let endpoints = BTreeMap::from([("c".to_owned(), if several { 2 } else { 1 })]);
        let found = differences(&side(one), &side(other), &endpoints);
        found
            .into_iter()
            .map(|difference| difference.field)
            .collect()
    }

    #[test]
    fn what_is_on_one_side_only_is_a_difference() {
        let [one, other] = [[("status", "200")], [("header.date", "<now>")]];
        assert_eq!(fields(&one, &other, false), ["header.date", "status"]);
    }

    #[test]
    fn a_missing_line_is_one_difference() {
        let line = [("log.path", "/"), ("log.method", "GET"), ("status", "1")];
        assert_eq!(fields(&line, &[("status", "2")], false), ["log", "status"]);
    }

    #[test]
    fn masked_fields_must_still_be_there_and_look_right() {
        let id = "upstream[0].header.x-request-id";
        let made = "<0b0d4a7e-93a5-4c0e-9a55-0d4c1f0e7b11>";
        let other = "<7d1f9e5c-2c6e-4f0a-8a66-5b8a3f1c2d3e>";
        assert!(fields(&[(id, made)], &[(id, other)], false).is_empty());
        assert_eq!(fields(&[(id, made)], &[(id, "<mine>")], false), [id]);
        assert!(fields(&[("header.date", "1")], &[("header.date", "2")], false).is_empty());
        assert_eq!(fields(&[("header.date", "1")], &[], false), ["header.date"]);
    }

    #[test]
    fn endpoints_are_compared_only_where_there_is_no_choice() {
        let cluster = ("log.upstream_cluster", "c");
        let [one, other] = ["alpha", "beta"].map(|it| [cluster, ("upstream[0].endpoint", it)]);
        assert_eq!(fields(&one, &other, false), ["upstream[0].endpoint"]);
        assert!(fields(&one, &other, true).is_empty());
    }
}
