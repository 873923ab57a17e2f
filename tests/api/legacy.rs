//! Names that Istio has replaced and users' files still hold.

use std::time::Duration;

use tower_mesh::api::{DestinationRule, HttpRoute, SimpleLoadBalancer, Spec};

use super::tell::only;

fn rule(yaml: &str) -> HttpRoute {
    let text = format!(
        "apiVersion: networking.istio.io/v1alpha3\nkind: VirtualService\n\
         metadata: {{name: a}}\nspec: {{hosts: [a], http: [{yaml}]}}"
    );
    let Spec::VirtualService(service) = only(&text).spec else {
        panic!("not a VirtualService: {text}")
    };
    service.http.into_iter().next().unwrap()
}

fn destination(policy: &str) -> DestinationRule {
    let text = format!(
        "apiVersion: networking.istio.io/v1alpha3\nkind: DestinationRule\n\
         metadata: {{name: a}}\nspec: {{host: a, trafficPolicy: {policy}}}"
    );
    let Spec::DestinationRule(rule) = only(&text).spec else {
        panic!("not a DestinationRule: {text}")
    };
    *rule
}

#[test]
fn mirror_percent_has_both_its_names() {
    assert_eq!(rule("{mirrorPercent: 10}").mirror_percent, Some(10));
    assert_eq!(rule("{mirror_percent: 20}").mirror_percent, Some(20));
}

#[test]
fn allow_origin_lists_texts() {
    let policy = rule("{corsPolicy: {allowOrigin: [news.com]}}").cors_policy;
    assert_eq!(policy.unwrap().allow_origin, ["news.com"]);
}

#[test]
fn a_delay_may_have_whole_percents() {
    let fault = rule("{fault: {delay: {percent: 50, fixedDelay: 5s}}}").fault;
    let delay = fault.unwrap().delay.unwrap();
    assert_eq!(delay.percent, Some(50));
    assert_eq!(delay.fixed_delay, Some(Duration::from_secs(5)));
    assert_eq!(delay.percentage, None);
}

#[test]
fn least_conn_is_an_algorithm() {
    for name in ["LEAST_CONN", "1", "\"1\""] {
        let rule = destination(&format!("{{loadBalancer: {{simple: {name}}}}}"));
        let balancer = rule.traffic_policy.unwrap().load_balancer.unwrap();
        assert_eq!(balancer.simple, Some(SimpleLoadBalancer::LeastConn));
    }
}

#[test]
fn consecutive_errors_is_a_counter() {
    let rule = destination("{outlierDetection: {consecutiveErrors: 10}}");
    let detection = rule.traffic_policy.unwrap().outlier_detection.unwrap();
    assert_eq!(detection.consecutive_errors, Some(10));
    assert_eq!(detection.consecutive_5xx_errors, None);
}

#[test]
fn warmup_and_ring_size_keep_their_old_places() {
    let rule = destination(
        "{loadBalancer: {warmupDurationSecs: 1m, consistentHash: {minimumRingSize: \"64\"}}}",
    );
    let balancer = rule.traffic_policy.unwrap().load_balancer.unwrap();
    assert_eq!(balancer.warmup_duration_secs, Some(Duration::from_secs(60)));
    assert_eq!(
        balancer.consistent_hash.unwrap().minimum_ring_size,
        Some(64)
    );
}

#[test]
fn durations_are_gos() {
    let check = |text: &str, millis: u64| {
        let timeout = rule(&format!("{{timeout: {text}}}")).timeout;
        assert_eq!(timeout, Some(Duration::from_millis(millis)), "{text}");
    };
    check("500ms", 500);
    check("1.5s", 1_500);
    check("15m", 900_000);
    check("1h30m", 5_400_000);
    check("\"2h\"", 7_200_000);
    check("1500000us", 1_500);
    check("0", 0);
    check("0s", 0);
}

#[test]
fn null_is_an_absent_field() {
    let rule = rule("{timeout: null, retries: ~, name: , fault: {delay: null}}");
    assert_eq!(rule.timeout, None);
    assert_eq!(rule.retries, None);
    assert_eq!(rule.name, "");
    assert_eq!(rule.fault.unwrap().delay, None);
}
