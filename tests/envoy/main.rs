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
//! [`over_time`] has endpoints follow a script, [`hashes`], [`shares`], [`tries`] and [`zones`] send many
//! requests to see what keys and dice come to, and [`re2`]
//! asks Google's RE2 (`ci/re2`) about regular expressions.
//!
//! `TOWER_MESH_ENVOY` and `TOWER_MESH_GATEWAY` name other programs,
//! `TOWER_MESH_COMPARISONS` (20 000), `TOWER_MESH_SEED` (1) and `TOWER_MESH_WORKERS` (2), each with
//! both programs to itself, change what is drawn. A long run:
//!
//! ```text
//! cargo build --release --all-features --example gateway
//! TOWER_MESH_COMPARISONS=1000000 TOWER_MESH_SEED=2 \
//!     cargo test --release --all-features --test envoy drawn_tables -- --ignored --nocapture
//! ```
#![cfg(all(unix, feature = "yaml"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::panic, reason = "a test fails by panicking")]

mod apart;
mod cases;
mod claims;
mod compare;
mod counted;
mod deliberate;
mod drawn;
mod ejection;
mod exchange;
mod generate;
mod hashes;
mod limits;
mod outliers;
mod over_time;
mod process;
mod rates;
mod re2;
#[path = "../edges/refusals.rs"]
mod refusals;
mod refused;
mod scripted;
mod shares;
mod shrink;
mod sidecar;
mod sides;
mod translate;
mod tries;
mod upstream;
mod wire;
mod yaml;
mod zones;

use std::io::Write as _;

use cases::Case;
use drawn::Other;
use exchange::marker_of;
use sidecar::Sidecar;

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
    allow_any,
    balancing,
    cors,
    delegates,
    destinations,
    direct_response,
    faults,
    formatters,
    forwarding,
    found_by_drawing,
    header_operations,
    headers,
    hosts,
    layers,
    lines,
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
    drawn::compare(number("TOWER_MESH_COMPARISONS", 3000), Other::Envoy);
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
    drawn::compare(number("TOWER_MESH_COMPARISONS", 20_000), Other::Gateway);
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let parse = |text: String| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}: a number"))
    };
    std::env::var(variable).map_or(otherwise, parse)
}
