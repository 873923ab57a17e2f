//! Expressions as [`Re2`] reads them, against RE2 itself: drawn patterns, inputs that match them or
//! nearly do.
//!
//! `TOWER_MESH_RE2` (240 000) is how many pairs of pattern and input are compared.

mod patterns;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use tower_mesh::string_match::Re2;

use super::generate::Dice;
use super::process::Folder;
use super::{number, say, wire};

/// How many inputs each pattern gets.
const INPUTS: usize = 12;
/// The largest program that Istio lets Envoy run.
const MOST_INSTRUCTIONS: u32 = 32_768;
/// The most differences that are told.
const MAX_REPORTS: usize = 20;

/// What is said of a pattern: nothing where it is refused.
type Said = Option<Vec<bool>>;

/// Asks RE2 about all patterns at once.
fn theirs(rows: &[Vec<String>]) -> Vec<Said> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".re2/bin/python");
    assert!(
        python.is_file(),
        "there is no RE2 to compare with: run ci/re2"
    );
    let folder = Folder::new("re2");
    let mut lines = String::new();
    for row in rows {
        let _ = writeln!(lines, "{}", json!(row));
    }
    let questions = folder.write("questions", &lines);
    let questions = std::fs::File::open(questions).expect("what was just written");
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/envoy/re2/ask.py"))
        .stdin(Stdio::from(questions))
        .stderr(Stdio::inherit())
        .output()
        .expect("Python runs");
    assert!(output.status.success(), "ask.py: {}", output.status);
    let answers = String::from_utf8(output.stdout).expect("ASCII");
    let answers = answers.lines().map(|line| {
        let (size, matches) = line.split_once(' ')?;
        let size: u32 = size.parse().expect("a size");
        // Envoy refuses what is too large, and so does Istio before it.
        (size <= MOST_INSTRUCTIONS).then(|| matches.bytes().map(|it| it == b'1').collect())
    });
    answers.collect()
}

fn ours(row: &[String]) -> Said {
    let (pattern, inputs) = row.split_first().expect("a pattern");
    let compiled = Re2::new(pattern.as_str()).ok()?;
    let inputs = inputs
        .iter()
        .map(|it| compiled.is_full_match(&wire::bytes(it)));
    Some(inputs.collect())
}

#[test]
#[ignore = "needs RE2: run ci/re2, then cargo test --test envoy re2 -- --ignored"]
fn re2_gives_the_same_answers() {
    let count = number("TOWER_MESH_RE2", 240_000);
    let mut dice = Dice::new(number("TOWER_MESH_SEED", 1));
    let mut rows = Vec::new();
    while (rows.len() * INPUTS) < usize::try_from(count).expect("fits") {
        let row = patterns::row(&mut dice, INPUTS);
        // Istio refuses an empty pattern, and one of more than 1024 bytes.
        if (1..=1024).contains(&row[0].len()) {
            rows.push(row);
        }
    }
    let theirs = theirs(&rows);
    assert_eq!(theirs.len(), rows.len());
    let (mut differing, mut refused, mut matching, mut reports) = (0, 0, 0, Vec::new());
    for (row, theirs) in rows.iter().zip(theirs) {
        let ours = ours(row);
        match &theirs {
            None => refused += INPUTS,
            Some(answers) => matching += answers.iter().filter(|it| **it).count(),
        }
        if ours == theirs {
            continue;
        }
        differing += 1;
        if reports.len() < MAX_REPORTS {
            reports.push(format!("{row:?}\n  RE2:  {theirs:?}\n  here: {ours:?}"));
        }
    }
    let compared = rows.len() * INPUTS;
    say(&format!(
        "re2: compared {compared} pairs of {} patterns, differing {differing} patterns \
         ({matching} pairs match, {refused} are of patterns that are refused)",
        rows.len()
    ));
    assert!(reports.is_empty(), "{}", reports.join("\n"));
    // Patterns that are all refused, or never match, would prove nothing.
    assert!(
        matching * 10 > compared && refused * 20 > compared,
        "{matching} match, {refused} refused"
    );
}
