//! The fuzz targets' properties, asked of samples that the dice have damaged: without a nightly
//! toolchain, the same each time.
#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

mod properties;

use std::path::Path;

use tower_mesh::rt::Rng;

/// Files whose pieces are made into others.
fn samples(folders: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut samples = Vec::new();
    for folder in folders {
        let mut files: Vec<_> = std::fs::read_dir(root.join(folder))
            .unwrap()
            .map(|it| it.unwrap().path())
            .filter(|it| it.extension().is_some_and(|it| it == "yaml"))
            .collect();
        files.sort();
        samples.extend(files.iter().map(|it| std::fs::read_to_string(it).unwrap()));
    }
    samples
}

fn below(dice: &Rng, end: usize) -> usize {
    (dice.next_u64() % end.max(1) as u64) as usize
}

/// A sample with some of its bytes taken out, doubled, or replaced.
fn damaged(dice: &Rng, samples: &[String], tokens: &[&str]) -> String {
    let mut bytes = samples[below(dice, samples.len())].clone().into_bytes();
    for _ in 0..=below(dice, 4) {
        let start = below(dice, bytes.len());
        let end = (start + below(dice, 40)).min(bytes.len());
        match below(dice, 4) {
            0 => drop(bytes.drain(start..end)),
            1 => {
                let piece = bytes[start..end].to_vec();
                let place = below(dice, bytes.len());
                drop(bytes.splice(place..place, piece));
            }
            2 => {
                let token = tokens[below(dice, tokens.len())].bytes();
                drop(bytes.splice(start..end.min(start + 3), token));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(start) {
                    *byte = below(dice, 128) as u8;
                }
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const YAML: &[&str] = &[
    "{}",
    "[]",
    "~",
    "\"\"",
    "*a",
    "&a ",
    "- ",
    ": ",
    "\n",
    "\t",
    "-1",
    "1e309",
    ".nan",
    "99999999999",
    "{regex: \"(\"}",
    "\0",
    "é",
    "http:\n",
    "subset",
    "*",
    "0s",
    "|\n",
    "!!binary ",
    "<<: ",
];

/// Asks a property of `count` damaged samples.
fn ask(count: usize, samples: &[String], tokens: &[&str], property: fn(&str)) {
    let dice = Rng::seeded(20);
    samples.iter().for_each(|it| property(it));
    for _ in 0..count {
        property(&damaged(&dice, samples, tokens));
    }
}

#[test]
fn rules_become_a_mesh_or_findings() {
    ask(
        150,
        &samples(&["tests/api", "examples/canary"]),
        YAML,
        properties::rules,
    );
}

#[test]
fn rules_are_read_alike_whatever_ends_their_lines() {
    ask(
        300,
        &samples(&["tests/api", "examples/canary"]),
        YAML,
        properties::reading,
    );
}

#[test]
fn route_tests_are_run_or_refused() {
    let sample = "apiVersion: tower-mesh/v1\nkind: RouteTests\ntests:\n- name: one\n  request: \
                  {method: GET, url: \"http://a.com/\", headers: {x-a: b}}\n  expect: {status: 404}\n";
    ask(300, &[sample.to_owned()], YAML, properties::route_tests);
}

#[test]
fn paths_stay_paths() {
    const TOKENS: &[&str] = &[
        "/", "//", "..", ".", "%2e", "%2E%2e", "%2f", "%5c", "\\", ";", "?", "#", "%00", "%", "é",
        " ",
    ];
    let samples = ["/a/../b/./c?d=/..#e", "/%61/%2e%2e;x/b\\..\\c//d", "*", "a"];
    ask(
        20_000,
        &samples.map(str::to_owned),
        TOKENS,
        properties::paths,
    );
}

#[test]
fn header_values_break_no_line() {
    const TOKENS: &[&str] = &[
        "%",
        "%%",
        "%REQ(a)%",
        "%RESP(b)%",
        "\r\n",
        "\t",
        "\0",
        "é",
        "%START_TIME(",
        ")%",
        ":",
    ];
    let samples = ["a %REQ(x-b?:path):3% c", "%PROTOCOL%%%", "plain"];
    ask(
        2_000,
        &samples.map(str::to_owned),
        TOKENS,
        properties::header_values,
    );
}

#[test]
fn patterns_are_refused_or_done() {
    const TOKENS: &[&str] = &[
        "(", ")", "(?i)", "[a-z", "]", "{2,5}", "*", "+?", "\\d", "\\pL", "\\Q", "\\E", "|", "^",
        "$", "\\b",
    ];
    let samples = [
        "/v[0-9]+/(a|b)*\n/v1/abab",
        "(x+x+)+y\nxxxxxxxxxxxxxxxxxxxxxxxx",
        "\\w{3}é?\nabcé",
    ];
    ask(
        400,
        &samples.map(str::to_owned),
        TOKENS,
        properties::patterns,
    );
}
