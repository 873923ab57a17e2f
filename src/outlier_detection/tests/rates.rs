//! Shares of good answers: Envoy's arithmetic, and when it is done.

use std::time::Duration;

use tokio::time::{Instant, advance};

use super::super::rates::{RateStatus, Volume, judge};
use super::super::{FailurePercentage, OutlierDetection, OutlierDetectionPolicy, SuccessRate};
use super::{Outcome, endpoints, status};
use crate::endpoint::Endpoint;
use crate::rt::Rng;

const NOBODY: [usize; 0] = [];

/// A policy that looks at nothing but shares.
fn policy() -> OutlierDetectionPolicy {
    OutlierDetectionPolicy {
        consecutive_5xx_errors: 0,
        max_ejection_percent: 100,
        ..OutlierDetectionPolicy::default()
    }
}

fn by_rate() -> OutlierDetectionPolicy {
    OutlierDetectionPolicy {
        success_rate: Some(SuccessRate::default()),
        ..policy()
    }
}

fn by_percentage() -> OutlierDetectionPolicy {
    OutlierDetectionPolicy {
        failure_percentage: Some(FailurePercentage::default()),
        ..policy()
    }
}

/// Who is to go, where endpoints had so many answers and so many good ones.
fn out(policy: &OutlierDetectionPolicy, seen: &[(u32, u32)]) -> Vec<usize> {
    judge(policy, &volumes(seen)).out
}

fn volumes(seen: &[(u32, u32)]) -> Vec<Volume> {
    let volume = |(place, (all, good)): (usize, &(u32, u32))| Volume {
        place,
        all: *all,
        good: *good,
    };
    seen.iter().enumerate().map(volume).collect()
}

/// The numbers of Envoy's own test: 50, 100, 100, 100 and 100 percent.
#[test]
fn who_does_much_worse_than_the_others_is_below_the_mean_by_deviations() {
    let seen = [(200, 100), (200, 200), (200, 200), (200, 200), (200, 200)];
    let judged = judge(&by_rate(), &volumes(&seen));
    let mean = RateStatus {
        mean: 90.0,
        threshold: 52.0,
    };
    assert_eq!(judged.status, Some(mean));
    assert_eq!(judged.out, [0]);
    assert_eq!(judged.rates[0], (0, 50.0));
    // All alike: nobody is below.
    assert_eq!(out(&by_rate(), &[(200, 20); 5]), NOBODY);
}

#[test]
fn only_who_had_enough_answers_counts_and_there_must_be_enough_of_them() {
    let good = (100, 100);
    assert_eq!(out(&by_rate(), &[(100, 50), good, good, good, good]), [0]);
    assert_eq!(out(&by_rate(), &[(99, 50), good, good, good, good]), NOBODY);
    assert_eq!(out(&by_rate(), &[(100, 50), good, good, good]), NOBODY);
    assert_eq!(out(&by_rate(), &[(0, 0); 9]), NOBODY);
    let more = [(100, 50), good, good, good, good, (3, 0), (0, 0)];
    assert_eq!(out(&by_rate(), &more), [0]);
}

#[test]
fn who_fails_too_often_is_out_however_the_others_do() {
    let bad = (100, 15);
    assert_eq!(out(&by_percentage(), &[bad; 5]), [0, 1, 2, 3, 4]);
    assert_eq!(out(&by_percentage(), &[(100, 16); 5]), NOBODY);
    assert_eq!(
        out(&by_percentage(), &[bad, bad, bad, bad, (49, 0)]),
        NOBODY
    );
    assert_eq!(
        out(&by_percentage(), &[bad, bad, bad, bad, (50, 50)]),
        [0, 1, 2, 3]
    );
}

/// Answers of an interval: so many per endpoint, with these failing of a hundred.
fn answers(outliers: &OutlierDetection, all: &[Endpoint], failing: &[usize]) {
    for (place, failing) in failing.iter().enumerate() {
        for n in 0..100 {
            let code = if n < *failing { 500 } else { 200 };
            outliers.report(all, place, status(code));
        }
    }
}

fn ejected(endpoints: &[Endpoint]) -> Vec<usize> {
    let out = endpoints
        .iter()
        .enumerate()
        .filter(|(_, it)| it.is_ejected());
    out.map(|(place, _)| place).collect()
}

#[tokio::test(start_paused = true)]
async fn an_interval_is_judged_when_it_has_ended_and_only_then() {
    let endpoints = endpoints(5);
    let outliers = OutlierDetection::new(by_rate(), &endpoints, Instant::now());
    answers(&outliers, &endpoints, &[50, 0, 0, 0, 0]);
    advance(Duration::from_millis(9_999)).await;
    assert!(!outliers.settle(&endpoints, Instant::now()));
    advance(Duration::from_millis(1)).await;
    assert!(outliers.settle(&endpoints, Instant::now()));
    assert_eq!(ejected(&endpoints), [0]);
    assert_eq!(endpoints[0].success_rate(), Some(50.0));
    assert_eq!(outliers.rates()[0].map(|it| it.threshold), Some(52.0));
    // The next interval begins at nothing, and who is out is not judged.
    answers(&outliers, &endpoints, &[100, 0, 0, 0]);
    advance(Duration::from_secs(10)).await;
    assert!(!outliers.settle(&endpoints, Instant::now()));
    assert_eq!(outliers.rates(), [None, None]);
    assert_eq!(endpoints[0].success_rate(), None);
    advance(Duration::from_secs(19)).await;
    outliers.settle(&endpoints, Instant::now());
    assert_eq!(ejected(&endpoints), [0]);
    advance(Duration::from_secs(1)).await;
    assert!(outliers.settle(&endpoints, Instant::now()));
    assert_eq!(ejected(&endpoints), NOBODY);
}

/// Nobody asked for three intervals: what was counted belongs to the first of them, and so does
/// the ejection.
#[tokio::test(start_paused = true)]
async fn whoever_looks_late_finds_what_was_to_be() {
    let endpoints = endpoints(5);
    let outliers = OutlierDetection::new(by_percentage(), &endpoints, Instant::now());
    answers(&outliers, &endpoints, &[85, 0, 0, 0, 0]);
    advance(Duration::from_secs(35)).await;
    // An answer that comes now belongs to another interval.
    outliers.report(&endpoints, 1, status(500));
    assert_eq!(ejected(&endpoints), [0]);
    assert!(
        outliers.settle(&endpoints, Instant::now()),
        "a pick learns of it"
    );
    // Out since 10 s, for 30.
    advance(Duration::from_secs(5)).await;
    assert!(outliers.settle(&endpoints, Instant::now()));
    assert_eq!(ejected(&endpoints), NOBODY);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_out_than_the_percentage_allows() {
    let endpoints = endpoints(10);
    let policy = OutlierDetectionPolicy {
        max_ejection_percent: 30,
        ..by_percentage()
    };
    let outliers = OutlierDetection::new(policy, &endpoints, Instant::now());
    answers(&outliers, &endpoints, &[100; 10]);
    advance(Duration::from_secs(10)).await;
    outliers.settle(&endpoints, Instant::now());
    assert_eq!(ejected(&endpoints), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn failures_on_this_side_have_a_share_of_their_own_where_they_are_split() {
    let endpoints = endpoints(5);
    let policy = OutlierDetectionPolicy {
        split_external_local_origin_errors: true,
        consecutive_local_origin_failures: 0,
        ..by_rate()
    };
    let outliers = OutlierDetection::new(policy, &endpoints, Instant::now());
    answers(&outliers, &endpoints, &[0, 0, 0, 0, 0]);
    for _ in 0..100 {
        outliers.report(&endpoints, 3, Outcome::ConnectFailure);
    }
    advance(Duration::from_secs(10)).await;
    outliers.settle(&endpoints, Instant::now());
    assert_eq!(ejected(&endpoints), [3]);
    let [answers, local] = outliers.rates();
    assert_eq!(answers.map(|it| it.mean), Some(100.0));
    assert_eq!(local.map(|it| it.mean), Some(90.0));
}

/// Ten endpoints over fifty intervals: nine that fail with one answer of fifty, and one with three
/// of ten.
#[tokio::test(start_paused = true)]
async fn of_ten_endpoints_the_bad_one_is_found_and_nearly_never_another() {
    let dice = Rng::seeded(8);
    let endpoints = endpoints(10);
    let policy = OutlierDetectionPolicy {
        base_ejection_time: Duration::from_millis(1),
        ..by_rate()
    };
    let outliers = OutlierDetection::new(policy, &endpoints, Instant::now());
    let (mut found, mut wronged) = (0, 0);
    for _ in 0..50 {
        for _ in 0..3_000 {
            let place = (dice.next_u64() % 10) as usize;
            let failing = if place == 4 { 30 } else { 2 };
            let code = if dice.next_u64() % 100 < failing {
                503
            } else {
                200
            };
            outliers.report(&endpoints, place, status(code));
        }
        advance(Duration::from_secs(10)).await;
        outliers.settle(&endpoints, Instant::now());
        let out = ejected(&endpoints);
        found += usize::from(out.contains(&4));
        wronged += out.iter().filter(|it| **it != 4).count();
        // It is let back before the next interval is judged.
        advance(Duration::from_secs(10)).await;
        outliers.settle(&endpoints, Instant::now());
    }
    assert_eq!((found, wronged), (50, 0));
}

/// Threads count while an interval ends: whatever they reported is counted once.
#[test]
fn nothing_is_lost_or_counted_twice_at_the_end_of_an_interval() {
    let endpoints = endpoints(2);
    let tally = |place: usize| &endpoints[place].seldom().answers;
    let policy = OutlierDetectionPolicy {
        interval: Duration::from_secs(3600),
        ..by_rate()
    };
    let outliers = OutlierDetection::new(policy, &endpoints, Instant::now());
    let (mut all, mut good) = (0, 0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let (endpoints, outliers) = (&endpoints, &outliers);
                scope.spawn(move || {
                    for n in 0..10_000 {
                        let code = if (n + thread) % 5 == 0 { 500 } else { 200 };
                        outliers.report(endpoints, n % 2, status(code));
                    }
                })
            })
            .collect();
        while threads.iter().any(|it| !it.is_finished()) {
            for place in 0..2 {
                let (more, well) = tally(place).take();
                all += more;
                good += well;
            }
        }
    });
    for place in 0..2 {
        let (more, well) = tally(place).take();
        all += more;
        good += well;
    }
    assert_eq!((all, good), (40_000, 32_000));
}

#[tokio::test(start_paused = true)]
async fn only_the_newest_detection_of_the_same_endpoints_judges() {
    let endpoints = endpoints(5);
    let old = OutlierDetection::new(by_rate(), &endpoints, Instant::now());
    advance(Duration::from_secs(5)).await;
    let new = OutlierDetection::new(by_rate(), &endpoints, Instant::now()).after(&old, 0);
    new.settle(&endpoints, Instant::now());
    answers(&old, &endpoints, &[50, 0, 0, 0, 0]);
    advance(Duration::from_secs(7)).await;
    old.settle(&endpoints, Instant::now());
    assert_eq!(
        ejected(&endpoints),
        NOBODY,
        "its interval has ended, and is not the one in force"
    );
    advance(Duration::from_secs(3)).await;
    assert!(new.settle(&endpoints, Instant::now()));
    assert_eq!(ejected(&endpoints), [0]);
    assert!(
        old.settle(&endpoints, Instant::now()),
        "requests of the rules before learn of it"
    );
}

/// Rules that are refused have been compiled by then.
#[tokio::test(start_paused = true)]
async fn one_that_is_never_asked_takes_nothing_over() {
    let endpoints = endpoints(5);
    let old = OutlierDetection::new(by_rate(), &endpoints, Instant::now());
    let refused = OutlierDetection::new(by_rate(), &endpoints, Instant::now()).after(&old, 0);
    answers(&old, &endpoints, &[50, 0, 0, 0, 0]);
    advance(Duration::from_secs(10)).await;
    assert!(old.settle(&endpoints, Instant::now()));
    assert_eq!(ejected(&endpoints), [0]);
    drop(refused);
}

/// A plan that no longer looks at shares ends that, though requests of the one before go on.
#[tokio::test(start_paused = true)]
async fn the_newest_judges_though_it_looks_at_no_shares() {
    let endpoints = endpoints(5);
    let old = OutlierDetection::new(by_rate(), &endpoints, Instant::now());
    let new = OutlierDetection::new(policy(), &endpoints, Instant::now()).after(&old, 0);
    assert!(new.is_stirred(), "the first pick asks");
    assert!(!new.settle(&endpoints, Instant::now()));
    assert!(!new.is_stirred());
    answers(&old, &endpoints, &[50, 0, 0, 0, 0]);
    advance(Duration::from_secs(10)).await;
    old.settle(&endpoints, Instant::now());
    assert_eq!(ejected(&endpoints), NOBODY);
}
