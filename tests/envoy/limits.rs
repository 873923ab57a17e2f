//! What is refused for want of room: requests, requests that wait, retries.
//!
//! [`translate`](super::translate) is not asked for these settings: each scenario says what Istio
//! writes into Envoy's cluster for them.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::ejection::{both, endpoint, send, send_as, told};
use super::exchange::{Request, exchange_many};
use super::process;
use super::sidecar::Sidecar;
use super::upstream::count;
use super::wire::Answer;

/// How long the copy of a request is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Which headers of the rule, of its destination and of CORS an answer has.
fn dressed(answer: &Answer) -> String {
    let kinds = ["x-rule", "x-to", "access-control-allow-origin"].into_iter();
    let there: Vec<_> = kinds.filter(|it| answer.header(it).is_some()).collect();
    format!("{} {}", answer.status, there.join(" "))
}

/// Requests one after the other, a third of a second apart, each answered after a second and a half.
fn at_once(side: &Sidecar, count: u64) -> Vec<String> {
    thread::scope(|scope| {
        let ask = |n: u64| {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(300 * n));
                told(send(side, &[("x-up-delay", "1500")]))
            })
        };
        let asked: Vec<_> = (0..count).map(ask).collect();
        let told = asked.into_iter().map(|it| it.join().expect("an answer"));
        told.collect()
    })
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn requests_beyond_a_limit_are_refused_in_the_same_words() {
    let refused = "503 upstream connect error or disconnect/reset before headers. reset reason: \
                   overflow overloaded true";
    let limits = |cluster: &mut Value, limits: &[&str]| {
        for limit in limits {
            cluster["circuit_breakers"]["thresholds"][0][*limit] = json!(1);
        }
    };
    let only = endpoint("alpha", "");
    let policy = "connectionPool: {http: {http2MaxRequests: 1}}";
    for side in both(&only, policy, |it| limits(it, &["max_requests"])) {
        assert_eq!(at_once(&side, 2), ["200 alpha", refused], "{}", side.letter);
    }
    let policy = "connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}";
    let set = ["max_connections", "max_pending_requests"];
    for side in both(&only, policy, |it| limits(it, &set)) {
        let told = at_once(&side, 3);
        assert_eq!(told, ["200 alpha", "200 alpha", refused], "{}", side.letter);
    }
}

const OVERFLOW: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: overflow";

/// `tests/order.rs` keeps the answers.
#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn a_refusal_for_want_of_room_is_dressed_as_others_of_the_router() {
    let policy = "connectionPool: {http: {http2MaxRequests: 1}}";
    let sides = both(&endpoint("alpha", ""), policy, |cluster| {
        cluster["circuit_breakers"]["thresholds"][0]["max_requests"] = json!(1);
    });
    for side in sides {
        thread::scope(|scope| {
            let first = scope.spawn(|| send(&side, &[("x-up-delay", "1500")]));
            thread::sleep(Duration::from_millis(500));
            let with_cors = "503 x-rule x-to access-control-allow-origin";
            for (origin, method, want) in [
                ("https://ok.test", "", with_cors),
                ("https://no.test", "", "503 x-rule x-to"),
                ("https://ok.test", "grpc", with_cors),
            ] {
                let mut headers = vec![("origin", origin)];
                if method == "grpc" {
                    headers.push(("content-type", "application/grpc"));
                }
                let answer = send(&side, &headers).expect("an answer");
                let want = want.replace("503", if method == "grpc" { "200" } else { "503" });
                assert_eq!(dressed(&answer), want, "{} {headers:?}", side.letter);
                assert_eq!(answer.header("x-envoy-overloaded"), Some("true"));
                if method == "grpc" {
                    assert_eq!(answer.header("grpc-status"), Some("14"));
                    assert_eq!(answer.header("grpc-message"), Some(OVERFLOW));
                    assert_eq!(answer.header("content-type"), Some("application/grpc"));
                    assert!(answer.body.is_empty(), "{}: trailers only", side.letter);
                }
            }
            // There is nothing to copy where nobody was asked.
            let full = format!("comparison/full{}", side.letter);
            let mirrored = send_as(&side, "/mirrored", &full, &[]);
            assert_eq!(mirrored.expect("an answer").status, 503);
            let first = first.join().expect("it does not panic").expect("an answer");
            assert_eq!(dressed(&first), "200 x-rule x-to", "{}", side.letter);
            let room = format!("comparison/room{}", side.letter);
            let mirrored = send_as(&side, "/mirrored", &room, &[]);
            assert_eq!(mirrored.expect("an answer").status, 200);
            let copies = |marker: &str| count(marker, |it| it.endpoint == "bravo");
            let copied = process::poll(PATIENCE, || (copies(&room) == 1).then_some(()));
            assert!(copied.is_some(), "{}: no copy", side.letter);
            assert_eq!(copies(&full), 0, "{}", side.letter);
        });
    }
}

/// What comes of so many requests at once, each of which fails in its first try and takes long
/// for its second: status, flags and tries, and how many fared so.
fn failing_once(side: &mut Sidecar, count: usize) -> BTreeMap<String, usize> {
    let script = [("x-up-status", "503,200"), ("x-up-delay", "400,1200")];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let request = Request {
        method: "GET".to_owned(),
        target: "/again".to_owned(),
        host: Some("a.test".to_owned()),
        headers: script.map(owned).to_vec(),
        ..Request::default()
    };
    let mut counts = BTreeMap::new();
    for seen in exchange_many(side, &vec![request; count]) {
        let say = |field: &str| seen.get(field).map_or("-", String::as_str);
        let words = [
            "status",
            "log.response_flags",
            "log.upstream_request_attempt_count",
        ];
        *counts.entry(words.map(say).join(" ")).or_default() += 1;
    }
    counts
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn retries_beyond_a_limit_are_not_made() {
    let only = endpoint("alpha", "");
    let budget = |percent: f64, least: u32| json!({"budget_percent": {"value": percent}, "min_retry_concurrency": least});
    for (policy, limit, value, requests, retried) in [
        (
            "connectionPool: {http: {maxRetries: 1}}",
            "max_retries",
            json!(1),
            6,
            1,
        ),
        (
            "retryBudget: {percent: 20, minRetryConcurrency: 1}",
            "retry_budget",
            budget(20.0, 1),
            // A share of four, even if some are answered before others are.
            24,
            4,
        ),
        (
            "retryBudget: {percent: 1, minRetryConcurrency: 3}",
            "retry_budget",
            budget(1.0, 3),
            6,
            3,
        ),
        // A budget stands for a number; a share of all would hang on who waits for a second try just
        // then, and counts as no request.
        (
            "connectionPool: {http: {maxRetries: 1}}, retryBudget: {percent: 1, minRetryConcurrency: 6}",
            "retry_budget",
            budget(1.0, 6),
            6,
            6,
        ),
    ] {
        let write = |it: &mut Value| {
            it["circuit_breakers"]["thresholds"][0][limit] = value.clone();
        };
        let mut want = BTreeMap::from([("200 - 2".to_owned(), retried)]);
        if retried < requests {
            want.insert("503 UO 1".to_owned(), requests - retried);
        }
        for mut side in both(&only, policy, write) {
            let got = failing_once(&mut side, requests);
            assert_eq!(got, want, "{}: {policy}", side.letter);
        }
    }
}
