//! What the dice decide of a request: how long the next try is awaited, and that faults are rolled
//! apart from the destination. Seeded, so that the figures are the same each time.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tower::ServiceExt as _;
use tower_mesh::context::ResponseFlags;
use tower_mesh::mesh::Mesh;
use tower_mesh::rt::Rng;

use crate::support::{build, proxy, service, virtual_service};
use crate::tries::{Does, Script, get, rules};

/// How far figures drawn evenly from ten equal parts are from even; above 40 once in 130 000 times.
fn chi_square(parts: &[usize; 10]) -> f64 {
    let expected = parts.iter().sum::<usize>() as f64 / 10.0;
    let square = |it: &usize| (*it as f64 - expected).powi(2) / expected;
    parts.iter().map(square).sum()
}

/// Before retry k Envoy waits evenly from nothing to the base times 2^(k-1), at most ten times the
/// base.
#[tokio::test(start_paused = true)]
async fn waits_are_drawn_evenly_from_nothing_to_a_span_that_doubles() {
    const REQUESTS: usize = 1000;
    let spans = [1000.0, 2000.0, 4000.0, 8000.0, 10_000.0, 10_000.0];
    let more = "    retries: {attempts: 6, retryOn: 5xx, backoff: 1s}\n";
    let mesh = build(Mesh::builder().rng(Rng::seeded(11)), &rules(&[1], more));
    let mut waits = [const { Vec::new() }; 6];
    for _ in 0..REQUESTS {
        let script = Script::new(&[Does::Answer(503)]);
        let _ = script.proxy(&mesh).oneshot(get(&[])).await;
        let tries = script.tries();
        assert_eq!(tries.len(), 7);
        for (n, two) in tries.windows(2).enumerate() {
            waits[n].push((two[1].elapsed - two[0].elapsed) as f64);
        }
    }
    for (n, span) in spans.into_iter().enumerate() {
        let waits = &waits[n];
        let mut parts = [0; 10];
        for wait in waits {
            // Timers are a millisecond late at most.
            assert!(*wait <= span + 1.0, "retry {}: {wait} of {span}", n + 1);
            parts[((wait / span * 10.0) as usize).min(9)] += 1;
        }
        let uneven = chi_square(&parts);
        assert!(uneven < 40.0, "retry {}: {uneven} {parts:?}", n + 1);
        let mean = waits.iter().sum::<f64>() / REQUESTS as f64;
        let deviation = span / 12.0_f64.sqrt() / (REQUESTS as f64).sqrt();
        let off = (mean - span / 2.0).abs() / deviation;
        assert!(off < 5.0, "retry {}: {mean} of {span}", n + 1);
    }
    // Each is drawn for itself: long waits are not followed by long ones.
    let half = |n: usize, wait: f64| wait > spans[n] / 2.0;
    let both = waits[0].iter().zip(&waits[1]);
    let same = both.filter(|(a, b)| half(0, **a) == half(1, **b)).count();
    assert!((421..579).contains(&same), "{same} of {REQUESTS}");
}

/// Of both faults, the destination and a copy: how often which came together.
#[tokio::test(start_paused = true)]
async fn faults_are_rolled_apart_from_each_other_and_from_the_destination() {
    const REQUESTS: usize = 4000;
    let rule = "  hosts: [a.com]\n  http:\n  - fault:
      delay: {fixedDelay: 1s, percentage: {value: 50}}
      abort: {httpStatus: 418, percentage: {value: 50}}
    mirror: {host: copied.com}
    mirrorPercentage: {value: 50}
    route:
    - {destination: {host: a.com}, weight: 50, headers: {response: {set: {x-to: a}}}}
    - {destination: {host: b.com}, weight: 50, headers: {response: {set: {x-to: b}}}}";
    let yaml = service("a.com", 80, &[1])
        + &service("b.com", 80, &[2])
        + &service("copied.com", 80, &[3])
        + &virtual_service("a", rule);
    let mesh = build(Mesh::builder().rng(Rng::seeded(12)), &yaml);
    let mut seen = BTreeMap::<_, usize>::new();
    for _ in 0..REQUESTS {
        let (began, copies) = (Instant::now(), mesh.mirrored().sent());
        let answer = proxy(&mesh).oneshot(get(&[])).await.unwrap();
        let delayed = began.elapsed() >= Duration::from_secs(1);
        let flags = ResponseFlags::of(&answer);
        assert_eq!(flags.contains(ResponseFlags::DELAY_INJECTED), delayed);
        let aborted = answer.status() == 418;
        assert_eq!(flags.contains(ResponseFlags::FAULT_INJECTED), aborted);
        let to_a = answer.headers()["x-to"] == "a";
        // Copies leave by themselves.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let copied = mesh.mirrored().sent() > copies;
        assert!(!aborted || !copied, "a copy of what was not sent");
        let together = (delayed, to_a, (!aborted).then_some(copied));
        *seen.entry(together).or_default() += 1;
    }
    // Each eighth as likely where it was aborted, and each sixteenth where not; the bounds are five
    // standard deviations away.
    assert_eq!(seen.len(), 12);
    for (what, times) in &seen {
        let (expected, most) = match what.2 {
            None => (REQUESTS / 8, 105),
            Some(_) => (REQUESTS / 16, 77),
        };
        assert!(times.abs_diff(expected) < most, "{what:?}: {times}");
    }
}
