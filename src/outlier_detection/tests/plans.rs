//! Detections of one destination in several plans: what one does the others see.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, advance};

use super::super::{OutlierDetection, OutlierDetectionPolicy};
use super::{endpoints, policy, status};

#[tokio::test(start_paused = true)]
async fn another_detection_of_the_same_endpoints_goes_on() {
    let endpoints = endpoints(2);
    let first = OutlierDetection::new(policy(50), &endpoints, Instant::now());
    for _ in 0..5 {
        first.report(&endpoints, 0, status(503));
    }
    advance(Duration::from_secs(13)).await;
    let second = OutlierDetection::new(policy(100), &endpoints, Instant::now());
    let second = second.after(&first, first.changes());
    assert!(second.is_stirred() && !second.settle(&endpoints, Instant::now()));
    // A request of the rules before fails, and the rules in force learn of it.
    for _ in 0..5 {
        first.report(&endpoints, 1, status(503));
    }
    assert!(
        !endpoints[1].is_ejected(),
        "the rules before allow one of two"
    );
    for _ in 0..5 {
        second.report(&endpoints, 1, status(503));
    }
    assert!(endpoints[1].is_ejected());
    assert!(first.settle(&endpoints, Instant::now()));
    advance(Duration::from_secs(17)).await;
    assert!(second.settle(&endpoints, Instant::now()));
    assert!(!endpoints[0].is_ejected() && endpoints[1].is_ejected());
}

/// A request of the rules before and one of those in force fail at the same time, at two endpoints
/// of which one may go.
#[test]
fn racing_ejections_of_two_plans_never_break_the_cap() {
    const ROUNDS: usize = 20_000;
    let policy = OutlierDetectionPolicy {
        consecutive_5xx_errors: 1,
        ..policy(50)
    };
    let round = |_| {
        let endpoints = endpoints(2);
        let old = OutlierDetection::new(policy.clone(), &endpoints, Instant::now());
        let new = OutlierDetection::new(policy.clone(), &endpoints, Instant::now());
        let new = new.after(&old, old.changes());
        (endpoints, [old, new])
    };
    let rounds: Vec<_> = (0..ROUNDS).map(round).collect();
    let there = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for plan in 0..2 {
            let (rounds, there) = (&rounds, &there);
            scope.spawn(move || {
                for (n, (endpoints, plans)) in rounds.iter().enumerate() {
                    there.fetch_add(1, Ordering::SeqCst);
                    let mut turns = 0;
                    while there.load(Ordering::SeqCst) < 2 * n + 2 {
                        turns += 1;
                        match turns % 10_000 {
                            0 => std::thread::yield_now(),
                            _ => std::hint::spin_loop(),
                        }
                    }
                    plans[plan].report(endpoints, plan, status(503));
                }
            });
        }
    });
    for (endpoints, _) in &rounds {
        assert_eq!(endpoints.iter().filter(|it| it.is_ejected()).count(), 1);
    }
}

/// What one lets back the other learns of, as of what it leaves out.
#[tokio::test(start_paused = true)]
async fn both_of_two_plans_learn_of_who_is_let_back() {
    let endpoints = endpoints(2);
    let old = OutlierDetection::new(policy(50), &endpoints, Instant::now());
    for _ in 0..5 {
        old.report(&endpoints, 0, status(503));
    }
    assert!(old.settle(&endpoints, Instant::now()));
    let new = OutlierDetection::new(policy(50), &endpoints, Instant::now());
    let new = new.after(&old, old.changes());
    assert!(!new.settle(&endpoints, Instant::now()));
    advance(Duration::from_secs(30)).await;
    assert!(new.settle(&endpoints, Instant::now()));
    assert!(!endpoints[0].is_ejected());
    assert!(old.is_stirred() && old.settle(&endpoints, Instant::now()));
}

/// An ejection between the making of a plan and its first request is not overlooked.
#[tokio::test(start_paused = true)]
async fn what_happens_while_a_plan_is_made_is_seen_by_it() {
    let endpoints = endpoints(2);
    let old = OutlierDetection::new(policy(50), &endpoints, Instant::now());
    let changes = old.changes();
    let new = OutlierDetection::new(policy(50), &endpoints, Instant::now());
    for _ in 0..5 {
        old.report(&endpoints, 0, status(503));
    }
    let new = new.after(&old, changes);
    assert!(new.settle(&endpoints, Instant::now()), "it is left out");
    advance(Duration::from_secs(30)).await;
    assert!(new.settle(&endpoints, Instant::now()), "and let back");
    assert!(!endpoints[0].is_ejected());
}

/// Rules that allow shorter rows than there has been one already: its next failure ends it.
#[tokio::test(start_paused = true)]
async fn a_row_that_is_longer_than_new_rules_allow_ends_with_its_next_failure() {
    let endpoints = endpoints(2);
    let before = OutlierDetection::new(policy(50), &endpoints, Instant::now());
    for _ in 0..4 {
        before.report(&endpoints, 0, status(500));
    }
    assert!(!endpoints[0].is_ejected());
    let stricter = OutlierDetectionPolicy {
        consecutive_5xx_errors: 3,
        ..policy(50)
    };
    let after = OutlierDetection::new(stricter, &endpoints, Instant::now());
    let after = after.after(&before, before.changes());
    after.report(&endpoints, 0, status(500));
    assert!(endpoints[0].is_ejected());
}
