//! Fields that drawn tables cannot try, and the tests that do.
//!
//! That each of those tests is there, and that its file speaks of the field, is a test too.

use super::listed;

/// Why settings of TLS are not drawn.
const CLEAR: &str = "the endpoints of the comparison speak in the clear";

/// Fields that are not drawn, with all below them; the file and the test in it that try them, of
/// this suite or, where Envoy cannot be asked, of another one; and the reason.
pub(super) const ELSEWHERE: &[(&str, &str, &str, &str)] = &[
    (
        "ServiceEntry.metadata.namespace",
        "tests/envoy/cases/aliases.yaml",
        "aliases",
        "short names and aliases go by it: written by hand",
    ),
    (
        "VirtualService.http[].retries.retryRemoteLocalities",
        "tests/mesh/locality.rs",
        "tries_leave_the_places_of_earlier_ones_where_a_rule_says_so",
        "a drawn client is nowhere in particular",
    ),
    (
        "DestinationRule.trafficPolicy.outlierDetection.consecutiveLocalOriginFailures",
        "tests/envoy/ejection.rs",
        "failures_on_this_side_eject_by_themselves_where_they_are_split",
        "goes with errors of this side told apart, which takes requests in a row",
    ),
    (
        "DestinationRule.trafficPolicy.tls.clientCertificate",
        "tests/tls/modes.rs",
        "mutual_shows_a_certificate",
        CLEAR,
    ),
    (
        "DestinationRule.trafficPolicy.tls.privateKey",
        "tests/tls/modes.rs",
        "mutual_shows_a_certificate",
        CLEAR,
    ),
    (
        "DestinationRule.trafficPolicy.tls.caCertificates",
        "tests/tls/trust.rs",
        "signers_times_and_names_are_checked",
        CLEAR,
    ),
    (
        "DestinationRule.trafficPolicy.tls.caCrl",
        "tests/tls/trust.rs",
        "revoked_certificates_are_refused",
        CLEAR,
    ),
    (
        "DestinationRule.trafficPolicy.tls.credentialName",
        "tests/tls/modes.rs",
        "a_credential_is_a_folder_of_files",
        CLEAR,
    ),
    (
        "DestinationRule.trafficPolicy.tls.insecureSkipVerify",
        "tests/tls/trust.rs",
        "nobody_is_checked_where_a_rule_says_so",
        CLEAR,
    ),
    (
        "DestinationRule.trafficPolicy.tls.sni",
        "tests/tls/modes.rs",
        "a_written_sni_is_asked_for_and_must_be_answered",
        CLEAR,
    ),
    (
        "DestinationRule.trafficPolicy.tls.subjectAltNames",
        "tests/tls/trust.rs",
        "one_of_the_subject_alternative_names_must_be_there",
        CLEAR,
    ),
    (
        "DestinationRule.trafficPolicy.proxyProtocol",
        "tests/transport/pool.rs",
        "connections_are_kept_apart_by_how_they_begin",
        "comes before HTTP on a connection",
    ),
    (
        "DestinationRule.trafficPolicy.loadBalancer.localityLbSetting",
        "tests/mesh/locality.rs",
        "shares_are_given_to_localities_and_change_with_the_rules",
        "a drawn client is nowhere in particular: `localities` asks Envoy",
    ),
    (
        "DestinationRule.trafficPolicy.loadBalancer.zoneAwareLbSetting",
        "tests/mesh/locality.rs",
        "zones_keep_what_is_theirs_and_pass_on_the_rest",
        "a drawn client is nowhere in particular",
    ),
    (
        "DestinationRule.trafficPolicy.loadBalancer.warmup",
        "tests/mesh/status.rs",
        "who_warms_up",
        "takes seconds, and goes by shares",
    ),
    (
        "DestinationRule.trafficPolicy.loadBalancer.warmup.aggression",
        "src/load_balancer/tests/places.rs",
        "the_curve_of_a_warm_up_is_envoys",
        "takes seconds, and goes by shares",
    ),
    (
        "DestinationRule.trafficPolicy.loadBalancer.warmup.minimumPercent",
        "src/load_balancer/tests/places.rs",
        "the_curve_of_a_warm_up_is_envoys",
        "takes seconds, and goes by shares",
    ),
    (
        "DestinationRule.trafficPolicy.loadBalancer.warmupDurationSecs",
        "tests/api/legacy.rs",
        "warmup_and_ring_size_keep_their_old_places",
        "takes seconds, and goes by shares",
    ),
    (
        "DestinationRule.workloadSelector",
        "tests/mesh/destination_rules.rs",
        "a_rule_for_chosen_workloads_comes_first",
        "istiod picks by it before Envoy sees anything",
    ),
    (
        "ServiceEntry.addresses",
        "tests/envoy/cases/aliases.yaml",
        "aliases",
        "names of virtual hosts, of which a table has one",
    ),
    (
        "ServiceEntry.endpoints[].locality",
        "tests/envoy/cases/localities.yaml",
        "localities",
        "a drawn client is nowhere in particular",
    ),
    (
        "ServiceEntry.endpoints[].network",
        "tests/mesh/endpoints.rs",
        "a_mesh_tells_its_destinations",
        "Istio's gateways between networks, of which there are none here",
    ),
    (
        "ServiceEntry.endpoints[].serviceAccount",
        "tests/tls",
        "istio_mutual_is_the_workload_speaking_to_the_destinations_account",
        "a name in certificates, and endpoints speak in the clear",
    ),
    (
        "ServiceEntry.subjectAltNames",
        "tests/tls/trust.rs",
        "a_service_entry_names_them_too",
        "names in certificates, and endpoints speak in the clear",
    ),
];

/// Fields that are drawn, with all below them, to values that one request at a time does not meet:
/// that they change no answer is compared. The file and the test in it that show what they do.
pub(super) const UNMET: &[(&str, &str, &str)] = &[
    (
        "DestinationRule.trafficPolicy.connectionPool",
        "tests/envoy/limits.rs",
        "requests_beyond_a_limit_are_refused_in_the_same_words",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http",
        "tests/envoy/limits.rs",
        "requests_beyond_a_limit_are_refused_in_the_same_words",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http.http1MaxPendingRequests",
        "tests/envoy/limits.rs",
        "requests_beyond_a_limit_are_refused_in_the_same_words",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http.http2MaxRequests",
        "tests/envoy/limits.rs",
        "requests_beyond_a_limit_are_refused_in_the_same_words",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http.maxRetries",
        "tests/envoy/limits.rs",
        "retries_beyond_a_limit_are_not_made",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http.maxRequestsPerConnection",
        "tests/transport/limits.rs",
        "a_connection_serves_as_many_requests_and_as_long_as_it_may",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http.idleTimeout",
        "tests/transport/limits.rs",
        "a_connection_serves_as_many_requests_and_as_long_as_it_may",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http.h2UpgradePolicy",
        "tests/transport/limits.rs",
        "policies_say_which_protocol_is_spoken",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http.useClientProtocol",
        "tests/transport/limits.rs",
        "policies_say_which_protocol_is_spoken",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http.maxConcurrentStreams",
        "tests/transport/limits.rs",
        "streams_beyond_a_connections_share_need_another",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.http.http2KeepAlive",
        "tests/transport/http2.rs",
        "times_out_of_reach_never_come",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.tcp",
        "tests/envoy/limits.rs",
        "requests_beyond_a_limit_are_refused_in_the_same_words",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.tcp.maxConnections",
        "tests/envoy/limits.rs",
        "requests_beyond_a_limit_are_refused_in_the_same_words",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.tcp.connectTimeout",
        "tests/transport/limits.rs",
        "the_time_to_connect_is_the_rules",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.tcp.idleTimeout",
        "tests/transport/limits.rs",
        "a_connection_serves_as_many_requests_and_as_long_as_it_may",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.tcp.maxConnectionDuration",
        "tests/transport/limits.rs",
        "a_connection_serves_as_many_requests_and_as_long_as_it_may",
    ),
    (
        "DestinationRule.trafficPolicy.connectionPool.tcp.tcpKeepalive",
        "tests/transport/http2.rs",
        "times_out_of_reach_never_come",
    ),
    (
        "DestinationRule.trafficPolicy.retryBudget",
        "tests/envoy/limits.rs",
        "retries_beyond_a_limit_are_not_made",
    ),
    (
        "DestinationRule.trafficPolicy.retryBudget.budgetInterval",
        "src/limits/mod.rs",
        "a_budget_may_be_a_share_of_what_began_lately",
    ),
    (
        "DestinationRule.trafficPolicy.outlierDetection",
        "tests/envoy/ejection.rs",
        "rows_of_errors_eject",
    ),
    (
        "DestinationRule.trafficPolicy.outlierDetection.baseEjectionTime",
        "tests/envoy/outliers/mod.rs",
        "ejections_grow_and_shrink_alike",
    ),
    (
        "DestinationRule.trafficPolicy.outlierDetection.consecutive5xxErrors",
        "tests/envoy/ejection.rs",
        "rows_of_errors_eject",
    ),
    (
        "DestinationRule.trafficPolicy.outlierDetection.consecutiveErrors",
        "tests/api/legacy.rs",
        "consecutive_errors_is_a_counter",
    ),
    (
        "DestinationRule.trafficPolicy.outlierDetection.consecutiveGatewayErrors",
        "tests/envoy/ejection.rs",
        "rows_of_gateway_errors_eject",
    ),
    (
        "DestinationRule.trafficPolicy.outlierDetection.interval",
        "tests/envoy/outliers/mod.rs",
        "ejections_grow_and_shrink_alike",
    ),
    (
        "DestinationRule.trafficPolicy.outlierDetection.maxEjectionPercent",
        "tests/envoy/outliers",
        "what_counts_and_how_many_may_be_out",
    ),
    (
        "DestinationRule.trafficPolicy.outlierDetection.minHealthPercent",
        "tests/envoy/outliers",
        "what_counts_and_how_many_may_be_out",
    ),
    (
        "DestinationRule.trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes",
        "tests/envoy/outliers",
        "what_counts_and_how_many_may_be_out",
    ),
    (
        "DestinationRule.trafficPolicy.outlierDetection.splitExternalLocalOriginErrors",
        "tests/envoy/ejection.rs",
        "failures_on_this_side_eject_by_themselves_where_they_are_split",
    ),
    (
        "DestinationRule.trafficPolicy.tls",
        "tests/tls/modes.rs",
        "simple_asks_for_the_host_and_announces_http2_only",
    ),
];

/// Whether a field is the listed one or stands below it.
pub(super) fn is_below(field: &str, listed: &str) -> bool {
    let rest = field.strip_prefix(listed);
    rest.is_some_and(|it| it.is_empty() || it.starts_with(['.', '[']))
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
    let elsewhere = ELSEWHERE
        .iter()
        .map(|(field, file, test, _)| (*field, *file, *test));
    let all: Vec<_> = elsewhere.chain(UNMET.iter().copied()).collect();
    let mut wrong = Vec::new();
    for field in listed::works(listed::TABLE) {
        // The row that says the most of it.
        let rows = all.iter().filter(|(listed, ..)| is_below(&field, listed));
        let Some((_, file, test)) = rows.max_by_key(|(listed, ..)| listed.len()) else {
            continue;
        };
        let found = text(&root.join(file));
        let is_test = match file.ends_with(".yaml") {
            true => super::super::CASES.contains(test),
            false => found.contains(&format!("fn {test}()")),
        };
        if !is_test {
            wrong.push(format!("{field}: there is no test {test} in {file}"));
        }
        let last = field.trim_end_matches("[]").trim_end_matches(".*");
        let last = last.rsplit(['.', ']']).next().unwrap_or_default();
        if ![last.to_owned(), snake_case(last)]
            .iter()
            .any(|it| found.contains(it))
        {
            wrong.push(format!("{file} says nothing of {field}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A field's name as Rust has it.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
