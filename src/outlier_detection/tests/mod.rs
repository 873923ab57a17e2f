//! Rows of failures, the share that may be out, and how long they are, on a paused clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, advance};

use super::{Outcome, OutlierDetection, OutlierDetectionPolicy, SuccessRate, compile};
use crate::api;
use crate::diagnostic::{At, Diagnostics};
use crate::endpoint::{Address, Endpoint};
use crate::rt::Rng;

mod plans;
mod rates;

fn endpoints(count: u16) -> Vec<Endpoint> {
    let one = |port| Endpoint::new(Address::new("127.0.0.1", port), Arc::default());
    (0..count).map(one).collect()
}

fn policy(max_ejection_percent: u32) -> OutlierDetectionPolicy {
    OutlierDetectionPolicy {
        max_ejection_percent,
        ..OutlierDetectionPolicy::default()
    }
}

/// The places of the endpoints that are out after these outcomes, in turn of place and outcome.
#[track_caller]
fn check(policy: &OutlierDetectionPolicy, outcomes: &[Outcome], ejected: bool) {
    let endpoints = endpoints(2);
    let outliers = OutlierDetection::new(policy.clone(), &endpoints, Instant::now());
    for outcome in outcomes {
        outliers.report(&endpoints, 0, *outcome);
    }
    assert_eq!(endpoints[0].is_ejected(), ejected, "{outcomes:?}");
    assert!(!endpoints[1].is_ejected());
}

const fn status(code: u16) -> Outcome {
    Outcome::Response(code)
}

#[tokio::test(start_paused = true)]
async fn a_row_of_errors_ejects_and_anything_else_ends_it() {
    let policy = policy(50);
    check(&policy, &[status(500); 5], true);
    check(&policy, &[status(503); 4], false);
    let mut broken = [status(500); 9];
    broken[4] = status(404);
    check(&policy, &broken, false);
    check(&policy, &[Outcome::ConnectFailure; 5], true);
    check(&policy, &[Outcome::Timeout; 5], true);
    check(&policy, &[Outcome::Reset; 5], true);
    let off = OutlierDetectionPolicy {
        consecutive_5xx_errors: 0,
        ..policy
    };
    check(&off, &[status(503); 500], false);
}

#[tokio::test(start_paused = true)]
async fn gateway_errors_are_a_row_of_their_own() {
    let policy = OutlierDetectionPolicy {
        consecutive_gateway_errors: 3,
        consecutive_5xx_errors: 0,
        ..policy(50)
    };
    check(&policy, &[status(502), status(503), status(504)], true);
    check(&policy, &[status(500); 50], false);
    // Another error ends the row.
    let mixed = [
        status(502),
        status(503),
        status(500),
        status(504),
        status(502),
    ];
    check(&policy, &mixed, false);
    check(
        &policy,
        &[Outcome::Timeout, Outcome::Reset, Outcome::ConnectFailure],
        true,
    );
}

#[tokio::test(start_paused = true)]
async fn failures_on_this_side_are_counted_apart_where_they_are_split() {
    let policy = OutlierDetectionPolicy {
        split_external_local_origin_errors: true,
        consecutive_local_origin_failures: 2,
        consecutive_gateway_errors: 2,
        ..policy(50)
    };
    check(&policy, &[Outcome::ConnectFailure; 2], true);
    check(
        &policy,
        &[
            Outcome::ConnectFailure,
            status(503),
            Outcome::ConnectFailure,
        ],
        false,
    );
    check(
        &policy,
        &[status(503), Outcome::ConnectFailure, status(503)],
        true,
    );
    // What was late or broke had been connected, which ends the row it begins.
    check(&policy, &[Outcome::Timeout; 20], false);
}

#[tokio::test(start_paused = true)]
async fn the_statuses_that_are_errors_can_be_chosen() {
    let policy = OutlierDetectionPolicy {
        http_error_codes: vec![429, 503],
        ..policy(50)
    };
    check(&policy, &[status(429); 5], true);
    check(&policy, &[status(500); 5], false);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_out_than_the_percentage_allows() {
    for (count, percent, want) in [
        (1, 50, 0),
        (1, 100, 1),
        (3, 33, 0),
        (3, 34, 1),
        (3, 50, 1),
        (4, 50, 2),
        (9, 10, 0),
        (10, 10, 1),
        (10, 100, 10),
    ] {
        let endpoints = endpoints(count);
        let outliers = OutlierDetection::new(policy(percent), &endpoints, Instant::now());
        for place in 0..endpoints.len() {
            for _ in 0..20 {
                outliers.report(&endpoints, place, status(503));
            }
        }
        let out = endpoints.iter().filter(|it| it.is_ejected()).count();
        assert_eq!(out, want, "{percent} % of {count}");
    }
    let one = OutlierDetectionPolicy {
        eject_at_least_one: true,
        ..policy(0)
    };
    check(&one, &[status(503); 5], true);
}

/// Eight threads fail everything at once; whoever is last finds the share used up.
#[test]
fn racing_ejections_never_break_the_cap() {
    for _ in 0..20 {
        let endpoints = endpoints(16);
        let outliers = OutlierDetection::new(policy(25), &endpoints, Instant::now());
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (endpoints, outliers) = (&endpoints, &outliers);
                scope.spawn(move || {
                    for n in 0..400 {
                        let place = (n / 5 + thread * 2) % 16;
                        outliers.report(endpoints, place, status(503));
                    }
                });
            }
        });
        assert_eq!(endpoints.iter().filter(|it| it.is_ejected()).count(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_may_be_out_for_good() {
    let policy = OutlierDetectionPolicy {
        base_ejection_time: Duration::MAX,
        max_ejection_time: Duration::MAX,
        max_ejection_time_jitter: Duration::MAX,
        interval: Duration::MAX,
        success_rate: Some(SuccessRate::default()),
        ..policy(50)
    };
    check(&policy, &[status(503); 5], true);
}

/// Fails the first endpoint now, and gives how long it stays out, looking every millisecond.
async fn outage(outliers: &OutlierDetection, endpoints: &[Endpoint]) -> Duration {
    let began = Instant::now();
    for _ in 0..5 {
        outliers.report(endpoints, 0, status(503));
    }
    assert!(outliers.is_stirred() && endpoints[0].is_ejected());
    while endpoints[0].is_ejected() {
        advance(Duration::from_millis(1)).await;
        outliers.settle(endpoints, Instant::now());
    }
    began.elapsed()
}

/// With these settings a running Envoy took 0.58, 1.15, 1.15 and 1.14 s, and 0.55 s after a quiet
/// second: whole intervals, from wherever it stood in one.
#[tokio::test(start_paused = true)]
async fn an_outage_grows_with_each_ejection_and_shrinks_with_quiet_intervals() {
    let policy = OutlierDetectionPolicy {
        base_ejection_time: Duration::from_millis(500),
        max_ejection_time: Duration::from_secs(1),
        interval: Duration::from_millis(200),
        ..policy(50)
    };
    let endpoints = endpoints(2);
    let outliers = OutlierDetection::new(policy, &endpoints, Instant::now());
    let millis = Duration::from_millis;
    advance(millis(20)).await;
    assert_eq!(outage(&outliers, &endpoints).await, millis(580));
    advance(millis(50)).await;
    assert_eq!(outage(&outliers, &endpoints).await, millis(1150));
    advance(millis(50)).await;
    assert_eq!(outage(&outliers, &endpoints).await, millis(1150));
    assert!(!outliers.is_stirred());
    advance(millis(1050)).await;
    assert_eq!(outage(&outliers, &endpoints).await, millis(550));
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_begins_anew() {
    let endpoints = endpoints(2);
    let outliers = OutlierDetection::new(policy(50), &endpoints, Instant::now());
    for _ in 0..5 {
        outliers.report(&endpoints, 0, status(503));
    }
    // Answers to what was under way still come.
    for _ in 0..4 {
        outliers.report(&endpoints, 0, status(503));
    }
    advance(Duration::from_secs(30)).await;
    assert!(outliers.settle(&endpoints, Instant::now()));
    assert!(!endpoints[0].is_ejected());
    for _ in 0..4 {
        outliers.report(&endpoints, 0, status(503));
    }
    assert!(!endpoints[0].is_ejected());
}

#[test]
fn an_empty_block_means_istios_defaults_and_old_fields_still_work() {
    let read = |written: &api::OutlierDetection| {
        let mut found = Diagnostics::default();
        let policy = compile(written, At::Top, &mut found);
        let said: Vec<String> = found.iter().map(|it| it.message().to_owned()).collect();
        (policy, said)
    };
    let empty = api::OutlierDetection::default();
    assert_eq!(
        read(&empty),
        (OutlierDetectionPolicy::default(), Vec::new())
    );
    let zero = api::OutlierDetection {
        max_ejection_percent: Some(0),
        ..empty.clone()
    };
    assert_eq!(read(&zero).0.max_ejection_percent, 10);
    let long = api::OutlierDetection {
        base_ejection_time: Some(Duration::from_secs(900)),
        ..empty.clone()
    };
    assert_eq!(read(&long).0.max_ejection_time, Duration::from_secs(900));
    let old = api::OutlierDetection {
        consecutive_errors: Some(7),
        ..empty.clone()
    };
    let (policy, said) = read(&old);
    assert_eq!(
        (
            policy.consecutive_gateway_errors,
            policy.consecutive_5xx_errors
        ),
        (7, 0)
    );
    assert_eq!(
        said,
        [
            "outlier detection consecutive errors is deprecated, use consecutiveGatewayErrors or \
             consecutive5xxErrors instead"
        ]
    );
    let both = api::OutlierDetection {
        consecutive_5xx_errors: Some(3),
        ..old
    };
    assert_eq!(read(&both).0.consecutive_5xx_errors, 3);
    let wrong = api::OutlierDetection {
        consecutive_local_origin_failures: Some(1),
        max_ejection_percent: Some(101),
        min_health_percent: Some(-1),
        interval: Some(Duration::ZERO),
        outlier_detection_http_error_codes: vec![99, 500],
        ..empty
    };
    assert_eq!(
        read(&wrong).1,
        [
            "outlier detection consecutive local origin failures is specified, but split external \
             local origin errors is set to false",
            "percentage 101 is not in range 0..100",
            "duration must be greater than 1ms",
            "percentage -1 is not in range 0..100",
            "status 99 is not in range 100..599",
        ]
    );
}

/// Twenty endpoints that fail at once come back one after the other.
#[tokio::test(start_paused = true)]
async fn jitter_spreads_those_who_come_back() {
    let policy = OutlierDetectionPolicy {
        consecutive_5xx_errors: 1,
        interval: Duration::from_millis(1),
        max_ejection_time_jitter: Duration::from_secs(10),
        ..policy(100)
    };
    let began = Instant::now();
    let endpoints = endpoints(20);
    let outliers = OutlierDetection::new(policy, &endpoints, began).with_dice(Rng::seeded(4));
    for place in 0..20 {
        outliers.report(&endpoints, place, status(503));
    }
    let mut back = vec![None; 20];
    while began.elapsed() <= Duration::from_secs(41) {
        outliers.settle(&endpoints, Instant::now());
        for (endpoint, back) in endpoints.iter().zip(&mut back) {
            if !endpoint.is_ejected() && back.is_none() {
                *back = Some(began.elapsed().as_secs_f64());
            }
        }
        advance(Duration::from_millis(10)).await;
    }
    let back: Vec<f64> = back.into_iter().flatten().collect();
    assert_eq!(back.len(), 20);
    assert!(back.iter().all(|it| (30.0..=40.1).contains(it)), "{back:?}");
    let mean = back.iter().sum::<f64>() / 20.0;
    // Five standard deviations of the mean of twenty even rolls of ten seconds.
    assert!((mean - 35.0).abs() < 3.3, "{mean}");
}
