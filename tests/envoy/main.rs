//! The same YAML and the same bytes to a real Envoy and to this crate's `gateway` program,
//! and every visible difference between the two.
//!
//! ```text
//! ci/envoy                              # once: puts Envoy 1.40 under .envoy/
//! cargo build --example gateway
//! cargo test --test envoy -- --ignored
//! ```
//!
//! Envoy gets what Istio would give a sidecar's Envoy, made by [`translate`], a second
//! reading of the resources that shares no code with the library. The `gateway` program gets
//! the YAML. [`cases`] are written by hand, tables and requests in `cases/`; [`generate`]
//! draws more. What cannot be equal stands in one table in [`compare`].
//!
//! `TOWER_MESH_ENVOY` and `TOWER_MESH_GATEWAY` name other programs,
//! `TOWER_MESH_COMPARISONS` (2 000) and `TOWER_MESH_SEED` change what is drawn.
#![cfg(all(unix, feature = "yaml"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::panic, reason = "a test fails by panicking")]

mod cases;
mod compare;
mod ejection;
mod exchange;
mod generate;
mod process;
mod sidecar;
mod translate;
mod upstream;
mod wire;
mod yaml;

use std::collections::BTreeMap;
use std::io::Write as _;

use cases::{Case, translated};
use exchange::{exchange, marker_of};
use generate::Dice;
use sidecar::Sidecar;
use translate::Client;

/// The most differences that are told; the rest is counted.
const MAX_REPORTS: usize = 10;

/// Tells something whether the test passes or not; the harness would swallow it.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A test for every hand-written case, and the list of their names.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        const CASES: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            #[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
            fn $name() {
                let case = Case::read(stringify!($name));
                let mut envoy = Sidecar::envoy('e', &case.translated());
                let mut gateway = Sidecar::gateway('g', &case.yaml, &case.client);
                let compared = case.compare(&mut envoy, &mut gateway, true);
                compared.unwrap_or_else(|differences| panic!("{differences}"));
            }
        )*
    };
}

cases![
    aliases,
    balancing,
    cors,
    delegates,
    destinations,
    direct_response,
    faults,
    formatters,
    forwarding,
    header_operations,
    headers,
    hosts,
    layers,
    local_replies,
    localities,
    methods,
    mirror,
    order,
    other_port,
    ownership,
    pairs,
    paths,
    query,
    redirect,
    registry_only,
    retries,
    rewrite,
    static_filters,
    timeouts,
    uri,
    without_headers,
];

#[test]
fn every_case_is_in_the_list_and_can_be_translated() {
    let files = std::fs::read_dir(cases::folder()).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let tables = files.filter_map(|file| Some(file.strip_suffix(".yaml")?.to_owned()));
    let mut tables: Vec<String> = tables.collect();
    tables.sort();
    assert_eq!(tables, CASES);
    for name in CASES {
        let _ = Case::read(name).translated();
    }
}

/// Whether the comparison is any good: two Envoys must agree, and Envoy must do what the
/// cases expect of it.
#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn envoy_agrees_with_itself() {
    let mut failed = Vec::new();
    for name in CASES {
        let case = Case::read(name);
        let [mut one, mut other] = ['e', 'f'].map(|it| Sidecar::envoy(it, &case.translated()));
        failed.extend(case.compare(&mut one, &mut other, false).err());
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let count = number("TOWER_MESH_COMPARISONS", 1000);
    compare_drawn(count, |previous, yaml| {
        let translation = translated("drawn", yaml, &random_client());
        match previous {
            None => Sidecar::envoy('f', &translation),
            Some(mut envoy) => {
                envoy.swap(&translation);
                envoy
            }
        }
    });
}

/// Whether the comparison sees anything: an Envoy with slightly other routes must be told apart.
#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn a_changed_table_is_noticed() {
    let case = Case::read("order");
    let mut changed = case.translated();
    let host = &mut changed.routes["virtual_hosts"][0];
    host["routes"][0]["name"] = "renamed".into();
    host["include_request_attempt_count"] = false.into();
    let mut envoy = Sidecar::envoy('e', &case.translated());
    let mut other = Sidecar::envoy('f', &changed);
    let told = case.compare(&mut envoy, &mut other, false).unwrap_err();
    for field in ["log.route_name", "upstream[0].header.x-envoy-attempt-count"] {
        assert!(told.contains(field), "{field} is not in:\n{told}");
    }
    assert!(!told.contains("-- status"), "{told}");
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn drawn_tables() {
    let client = random_client();
    let count = number("TOWER_MESH_COMPARISONS", 2000);
    compare_drawn(count, |previous, yaml| {
        drop(previous);
        Sidecar::gateway('g', yaml, &client)
    });
}

/// The client of drawn tables.
fn random_client() -> Client {
    Client {
        namespace: "default".to_owned(),
        labels: BTreeMap::from([("app".to_owned(), "web".to_owned())]),
        port: 80,
        registry_only: false,
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let parse = |text: String| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}: a number"))
    };
    std::env::var(variable).map_or(otherwise, parse)
}

/// Draws tables until enough requests are compared; `other` is given its last side and the
/// next configuration.
fn compare_drawn(count: u64, mut other: impl FnMut(Option<Sidecar>, &str) -> Sidecar) {
    let seed = number("TOWER_MESH_SEED", 1);
    let started = tokio::time::Instant::now();
    let mut dice = Dice::new(seed);
    let (mut envoy, mut ours): (Option<Sidecar>, Option<Sidecar>) = (None, None);
    let (mut compared, mut reports, mut differing) = (0, Vec::new(), 0);
    let mut all = Vec::new();
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    while compared < count {
        let batch = generate::batch(&mut dice);
        let translation = translated("drawn", &batch.yaml, &random_client());
        let side = match envoy.take() {
            None => Sidecar::envoy('e', &translation),
            Some(mut side) => {
                side.swap(&translation);
                side
            }
        };
        let (side, other_side) = (envoy.insert(side), other(ours.take(), &batch.yaml));
        let other_side = ours.insert(other_side);
        let requests: Vec<_> = batch.requests.iter().map(|(_, it)| it.clone()).collect();
        let (one, another) = std::thread::scope(|scope| {
            let one = scope.spawn(|| exchange(side, &requests));
            let another = exchange(other_side, &requests);
            (one.join().expect("the exchange with Envoy"), another)
        });
        for ((table, request), (one, another)) in
            batch.requests.iter().zip(one.iter().zip(&another))
        {
            compared += 1;
            let status = one.get("status").cloned().unwrap_or_default();
            *seen.entry(status).or_default() += 1;
            let found = compare::differences(one, another, &translation.endpoints);
            if !found.is_empty() {
                differing += 1;
                let title = format!("drawn with TOWER_MESH_SEED={seed}, comparison {compared}");
                let text = request.text("comparison/N");
                let report = compare::report(&title, &batch.tables[*table], &text, &found);
                reports.extend((reports.len() < MAX_REPORTS).then_some(report));
                all.extend(found);
            }
        }
    }
    let rate = compared as f64 / started.elapsed().as_secs_f64();
    say(&format!(
        "drawn: compared {compared}, differing {differing} (seed {seed}, {rate:.0} a second, statuses {seen:?})"
    ));
    // A suite that never gets past the gate proves nothing.
    assert!(
        seen.get("200").is_some_and(|hits| hits * 4 > compared),
        "{seen:?}"
    );
    assert!(
        seen.contains_key("404") && seen.contains_key("503"),
        "{seen:?}"
    );
    assert!(
        differing == 0,
        "{differing} of {compared} differ\n{}\n{}",
        reports.join("\n"),
        compare::tally(all.iter()),
    );
}
