//! What is left to the dice: each side's share of destinations, endpoints, copies and faults
//! against the share that is configured.
//!
//! The `gateway` program's dice have a seed. Envoy's have none, so a share may be as far off as
//! happens once in a million times.

use std::time::Duration;

use super::cases::translated;
use super::counted::{self, Counted};
use super::generate;
use super::process;
use super::say;
use super::sidecar::Sidecar;

const REQUESTS: usize = 5_000;
/// So many standard deviations off has a probability of one in a million.
const MOST_DEVIATIONS: f64 = 4.9;
/// How long the last copies and log lines may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether so many of `REQUESTS` are a share of them.
fn is_share(what: &str, side: char, hits: usize, share: f64) -> Option<String> {
    let requests = REQUESTS as f64;
    let deviation = (requests * share * (1.0 - share)).sqrt();
    let off = (hits as f64 - requests * share) / deviation;
    say(&format!(
        "{side}: {what}: {hits} of {REQUESTS} for {:.2} %, {off:+.1} deviations",
        share * 100.0
    ));
    (off.abs() > MOST_DEVIATIONS)
        .then(|| format!("{side}: {what}: {hits}, {off:+.1} deviations off"))
}

/// Services with one endpoint each, one with three by weight, and rules with shares.
fn yaml(endpoints: &[Counted]) -> String {
    let [one, two, three, copied, often] = endpoints else {
        panic!("five endpoints")
    };
    let mut yaml = String::new();
    for (host, endpoint) in [
        ("one.test", one),
        ("two.test", two),
        ("three.test", three),
        ("copied.test", copied),
        ("often.test", often),
    ] {
        yaml += &counted::service(host, &[endpoint.written("")]);
    }
    let weighted = [(one, 1), (two, 3), (three, 6)];
    let weighted = weighted.map(|(it, weight)| it.written(&format!(", weight: {weight}")));
    yaml += &counted::service("weighted.test", &weighted);
    yaml + "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: weighted}
spec: {host: weighted.test, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shares}
spec:
  hosts: [shares.test]
  http:
  - name: split
    match: [{uri: {prefix: /split}}]
    route:
    - {destination: {host: one.test}, weight: 2}
    - {destination: {host: two.test}, weight: 33}
    - {destination: {host: three.test}, weight: 65}
  - name: endpoints
    match: [{uri: {prefix: /endpoints}}]
    route: [{destination: {host: weighted.test}}]
  - name: copied
    match: [{uri: {prefix: /copied}}]
    mirrors:
    - {destination: {host: copied.test}, percentage: {value: 12.5}}
    - {destination: {host: often.test}, percentage: {value: 70}}
    route: [{destination: {host: one.test}}]
  - name: aborted
    match: [{uri: {prefix: /aborted}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 7.5}}}
    route: [{destination: {host: one.test}}]
  - name: seldom
    match: [{uri: {prefix: /seldom}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 0.5}}}
    route: [{destination: {host: one.test}}]
  - name: delayed
    match: [{uri: {prefix: /delayed}}]
    fault: {delay: {fixedDelay: 1ms, percentage: {value: 20}}}
    route: [{destination: {host: one.test}}]
"
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn the_dice_fall_as_they_are_configured() {
    let endpoints: Vec<Counted> = (101..=105).map(Counted::start).collect();
    let (yaml, client) = (yaml(&endpoints), generate::client(true));
    let sides = [
        Sidecar::envoy('e', &translated("shares", &yaml, &client)),
        Sidecar::gateway('g', &yaml, &client),
    ];
    let mut off = Vec::new();
    for mut side in sides {
        let letter = side.letter;
        let ask = |side: &Sidecar, path: &str| {
            let request = format!("GET {path} HTTP/1.1\r\nhost: shares.test\r\n\r\n");
            counted::answers(side, &vec![request; REQUESTS])
        };
        for (path, shares) in [
            ("/split", [0.02, 0.33, 0.65]),
            // At random, whatever their weights: to Envoy RANDOM has none.
            ("/endpoints", [1.0 / 3.0; 3]),
        ] {
            let answers = ask(&side, path);
            for (number, share) in (101..).zip(shares) {
                let hits = answers
                    .iter()
                    .filter(|it| counted::endpoint(it) == Some(number));
                off.extend(is_share(
                    &format!("{path} to {number}"),
                    letter,
                    hits.count(),
                    share,
                ));
            }
        }
        for (path, share) in [("/aborted", 0.075), ("/seldom", 0.005)] {
            let answers = ask(&side, path);
            let hits = answers.iter().filter(|it| it.status == 418);
            off.extend(is_share(path, letter, hits.count(), share));
        }
        let [copied, often] = [&endpoints[3], &endpoints[4]];
        let before = [copied.copies(), often.copies()];
        ask(&side, "/copied");
        let mut last = (0, 0);
        process::poll(PATIENCE, || {
            let now = copied.copies() + often.copies();
            last = if now == last.0 {
                (now, last.1 + 1)
            } else {
                (now, 0)
            };
            (last.1 > 50).then_some(())
        });
        for (endpoint, before, share) in [(copied, before[0], 0.125), (often, before[1], 0.7)] {
            let hits = usize::try_from(endpoint.copies() - before).expect("few");
            off.extend(is_share(&format!("copies, {share}"), letter, hits, share));
        }
        ask(&side, "/delayed");
        let (mut lines, mut delayed) = (0, 0);
        process::poll(PATIENCE, || {
            for line in side.read_log() {
                if line["route_name"] == "delayed" {
                    lines += 1;
                    let flags = line["response_flags"].as_str().unwrap_or_default();
                    delayed += usize::from(flags.split(',').any(|it| it == "DI"));
                }
            }
            (lines == REQUESTS).then_some(())
        });
        assert_eq!(lines, REQUESTS, "{letter}: lines in the log");
        off.extend(is_share("delayed", letter, delayed, 0.2));
    }
    assert!(off.is_empty(), "{}", off.join("\n"));
}
