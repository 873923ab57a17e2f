//! The rest of the chain, neighbour by neighbour: faults before answers of a rule's own, and what
//! each try does by itself.
//!
//! | The first of the two | The second | Where it is proven |
//! |---|---|---|
//! | what a proxy refuses | everything | `requests_without_a_route_get_nothing` |
//! | normalising the path | matching it | `the_path_is_normalised_before_it_is_matched` |
//! | matching, once | whatever changes the request | `a_route_is_matched_once_whatever_a_rule_makes_of_the_request` |
//! | choosing the destination | faults | `an_abort_comes_before_cors_and_the_destinations_headers_come_with_it` |
//! | response headers, outermost | faults, answers of the rule | `aborts_get_header_operations_and_no_cors`, `redirects_and_direct_responses_know_no_cors` |
//! | delay | abort | `a_delay_comes_before_an_abort` |
//! | faults | redirect, direct response | `faults_come_before_redirects_and_direct_responses` |
//! | redirect | direct response | `a_redirect_comes_before_a_direct_response` |
//! | redirect, direct response | CORS | `redirects_and_direct_responses_know_no_cors` |
//! | CORS | response headers of what is further in | `cors_has_the_last_word_on_an_upstreams_answer` |
//! | CORS | request headers | `cors_reads_the_origin_before_a_rule_removes_it` |
//! | request headers | rewrite | `headers_are_set_before_the_path_and_the_host_are_rewritten` |
//! | rewrite | mirrors | `a_copy_is_made_once_of_the_request_as_it_is_sent` |
//! | mirrors | timeout | `a_copy_has_the_whole_time_for_itself` |
//! | timeout | retries | `the_timeout_spans_all_tries_and_the_waits_between` |
//! | retries | the time for a try | `the_timeout_spans_all_tries_and_the_waits_between` |
//! | the time for a try | the choice of an endpoint | `each_try_chooses_an_endpoint_for_itself` |
//! | headers and rewrite | the choice of an endpoint | `endpoints_are_chosen_by_the_request_as_a_rule_has_made_it` |
//! | choosing an endpoint | limits | `neither_the_want_of_endpoints_nor_that_of_room_is_tried_again` |
//! | limits | the endpoint | `refusals_for_want_of_room_get_both` |
//! | a try | outlier detection | `outlier_detection_hears_of_each_try`, `outlier_detection_hears_of_what_was_late` |

use std::time::Duration;

use super::pairs::{EJECTS, Seen, TO_ONE, mesh, rules, send, send_all};

/// A host of two endpoints.
const TWO: &str = r#"---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: two}
spec:
  hosts: [two.test]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1}, {address: 10.0.0.3}]
"#;

const TO_TWO: &str = "route: [{destination: {host: two.test}}]";

/// A DestinationRule of a host.
fn policy(host: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: d-{host}}}\n\
         spec:\n  host: {host}\n  {spec}\n"
    )
}

/// An entry that hands on to a delegate's one rule.
fn delegated(entry: &str, leaf: &str) -> String {
    let leaf = leaf.replace('\n', "\n    ");
    rules(&format!("delegate: {{name: leaf}}\n{entry}"))
        + &format!(
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n\
             metadata: {{name: leaf}}\nspec:\n  http:\n  - {leaf}\n"
        )
}

async fn send_one(yaml: &str, line: &str, headers: &[(&str, &str)]) -> Seen {
    send_all(mesh(yaml), &[(line, headers)]).await.remove(0)
}

/// Istio refuses them in one rule, and does not look when a delegate's rule is merged.
#[tokio::test(start_paused = true)]
async fn faults_come_before_redirects_and_direct_responses() {
    let delay = "fault: {delay: {fixedDelay: 2s, percentage: {value: 100}}}";
    let abort = "fault: {abort: {httpStatus: 503, percentage: {value: 100}}}";
    for (leaf, status) in [
        ("redirect: {uri: /x}", 301),
        ("directResponse: {status: 200}", 200),
    ] {
        let seen = send_one(&delegated(abort, leaf), "GET /p", &[]).await;
        assert_eq!(seen.answer(), "503 FI", "{leaf}");
        assert!(seen.header("location").is_empty());
        let seen = send_one(&delegated(delay, leaf), "GET /p", &[]).await;
        assert_eq!(seen.answer(), format!("{status} DI"), "{leaf}");
        assert_eq!(seen.took, Duration::from_secs(2), "{leaf}");
    }
}

#[tokio::test]
async fn a_redirect_comes_before_a_direct_response() {
    let yaml = delegated("directResponse: {status: 204}", "redirect: {uri: /x}");
    let seen = send_one(&yaml, "GET /p", &[]).await;
    assert_eq!(seen.answer(), "301 -");
}

/// A copy's time is that of the rule from when it leaves, whatever became of its request.
#[tokio::test(start_paused = true)]
async fn a_copy_has_the_whole_time_for_itself() {
    let rule = format!(
        "mirror: {{host: mirror.test}}\ntimeout: 1s\n\
         retries: {{attempts: 1, retryOn: 5xx, perTryTimeout: 100ms}}\n{TO_ONE}"
    );
    let seen = send(&rule, "GET /p", &[("x-up", "sleep,200")]).await;
    assert_eq!((seen.answer().as_str(), seen.copies), ("200 -", 1));
    let copies = seen.received.iter().filter(|it| it.starts_with("mirror"));
    assert_eq!((copies.count(), seen.received.len()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn each_try_chooses_an_endpoint_for_itself() {
    let rule = format!("retries: {{attempts: 1, retryOn: 5xx, perTryTimeout: 1s}}\n{TO_TWO}");
    let yaml = rules(&rule) + TWO;
    let yaml = yaml
        + &policy(
            "two.test",
            "trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}",
        );
    for (does, want) in [
        ("503", "503 URX"),
        ("sleep", "504 URX,UT"),
        ("refuse", "503 URX,UF"),
    ] {
        let mut seen = send_one(&yaml, "GET /p", &[("x-up", does)]).await;
        assert_eq!(seen.answer(), want);
        seen.received.sort();
        let hosts = seen.received.iter().map(|it| it.split(' ').next().unwrap());
        assert_eq!(hosts.collect::<Vec<_>>(), ["one", "other"], "{does}");
    }
}

#[tokio::test]
async fn endpoints_are_chosen_by_the_request_as_a_rule_has_made_it() {
    let hash = "trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}";
    let yaml = |headers: &str| {
        rules(&format!("name: it\n{headers}{TO_TWO}")) + TWO + &policy("two.test", hash)
    };
    let users = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|it| [("x-user", it)]);
    let lines: Vec<(&str, &[(&str, &str)])> =
        users.iter().map(|it| ("GET /p", it.as_slice())).collect();
    let hosts = async |yaml: &str| {
        let seen = send_all(mesh(yaml), &lines).await;
        let hosts = seen.iter().map(|it| it.received[0].starts_with("one "));
        hosts.filter(|one| *one).count()
    };
    let apart = hosts(&yaml("")).await;
    assert!((1..8).contains(&apart), "{apart}");
    let together = hosts(&yaml("headers: {request: {set: {x-user: all}}}\n")).await;
    assert!(together == 0 || together == 8, "{together}");
}

#[tokio::test(start_paused = true)]
async fn neither_the_want_of_endpoints_nor_that_of_room_is_tried_again() {
    let retries = "retries: {attempts: 3, retryOn: '5xx,reset,connect-failure'}";
    let rule = format!("{retries}\nroute: [{{destination: {{host: one.test, subset: empty}}}}]");
    let subset = policy(
        "one.test",
        "subsets: [{name: empty, labels: {version: none}}]",
    );
    let seen = send_one(&(rules(&rule) + &subset), "GET /p", &[]).await;
    assert_eq!(
        (seen.answer().as_str(), seen.took),
        ("503 UH", Duration::ZERO)
    );
    assert!(seen.received.is_empty());

    let room = "trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}";
    let mesh = mesh(&(rules(&format!("{retries}\n{TO_ONE}")) + &policy("one.test", room)));
    let (first, second) = tokio::join!(
        send_all(mesh.clone(), &[("GET /p", &[("x-up", "sleep")])]),
        send_all(mesh.clone(), &[("GET /p", &[])]),
    );
    assert_eq!(first[0].answer(), "200 -");
    assert_eq!(
        (second[0].answer().as_str(), second[0].took),
        ("503 UO", Duration::ZERO)
    );
    assert!(second[0].received.is_empty());
}

#[tokio::test(start_paused = true)]
async fn outlier_detection_hears_of_each_try() {
    let twice = EJECTS.replace("consecutive5xxErrors: 1", "consecutive5xxErrors: 2");
    let rule = format!("retries: {{attempts: 1, retryOn: 5xx}}\n{TO_ONE}");
    let lines: [(&str, &[(&str, &str)]); 2] =
        [("GET /p", &[("x-up", "503,503")]), ("GET /rest", &[])];
    let seen = send_all(mesh(&(rules(&rule) + &twice)), &lines).await;
    let answers: Vec<_> = seen.iter().map(Seen::answer).collect();
    assert_eq!(answers, ["503 URX", "503 UH"]);
    // With three it would have taken one more.
    let thrice = EJECTS.replace("consecutive5xxErrors: 1", "consecutive5xxErrors: 3");
    let seen = send_all(mesh(&(rules(&rule) + &thrice)), &lines).await;
    let answers: Vec<_> = seen.iter().map(Seen::answer).collect();
    assert_eq!(answers, ["503 URX", "200 -"]);
}

#[tokio::test(start_paused = true)]
async fn outlier_detection_hears_of_what_was_late() {
    // Where a try was late, the one endpoint is out before there is a second.
    for (time, first) in [
        ("timeout: 1s", "504 UT"),
        (
            "retries: {attempts: 1, perTryTimeout: 1s, retryOn: reset}",
            "503 UH",
        ),
    ] {
        let yaml = rules(&format!("{time}\n{TO_ONE}")) + EJECTS;
        let lines: [(&str, &[(&str, &str)]); 2] =
            [("GET /p", &[("x-up", "sleep")]), ("GET /rest", &[])];
        let seen = send_all(mesh(&yaml), &lines).await;
        let answers: Vec<_> = seen.iter().map(Seen::answer).collect();
        assert_eq!(answers, [first, "503 UH"], "{time}");
    }
}
