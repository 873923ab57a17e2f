//! Files with something wrong in them, and every word that is told of them.
//!
//! The cases stand in `cases/*.txt`: a line `#! template flags | name`, the text
//! that the template completes, and a line `#> line:column code path: message (hint)`
//! for everything that is to be told; no such line where nothing is wrong. Beside
//! each stands a small mesh in which nothing is wrong either. With `BLESS=1` in the
//! environment the expectations are written anew, to be read before they are kept.
#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

mod cases;
mod istio_rules;
mod left_out;
mod lenient;
mod limits;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tower_mesh::diagnostic::{Code, Diagnostic};

use cases::{Case, read, told, write};

const CODES: &str = include_str!("codes.txt");

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics/cases");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    files.sort();
    files
}

/// A file of cases, and what is told of each.
struct Told {
    file: PathBuf,
    cases: Vec<(Case, Vec<Diagnostic>)>,
}

/// All cases; what is told of them is asked once.
static ALL: LazyLock<Vec<Told>> = LazyLock::new(|| {
    let told = |file: PathBuf| {
        let cases = read(&file).into_iter();
        let cases = cases.map(|case| {
            let told = told(&case);
            (case, told)
        });
        let cases = cases.collect();
        Told { file, cases }
    };
    files().into_iter().map(told).collect()
});

fn all() -> impl Iterator<Item = &'static (Case, Vec<Diagnostic>)> {
    ALL.iter().flat_map(|it| &it.cases)
}

#[test]
fn everything_wrong_is_told_in_these_words() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for Told { file, cases } in ALL.iter() {
        let mut blessed = Vec::new();
        for (case, told) in cases {
            let told: Vec<String> = told.iter().map(cases::line).collect();
            if told != case.want {
                let name = file.file_stem().unwrap().display();
                wrong.push(format!(
                    "{name}: {}\n  told: {told:#?}\n  want: {:#?}",
                    case.name, case.want
                ));
            }
            blessed.push((case, told));
        }
        if bless {
            write(file, &blessed);
        }
    }
    assert!(bless || wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_enough_cases_and_no_two_with_one_name() {
    for Told { file, cases } in ALL.iter() {
        let is_good = file.ends_with("good.txt");
        let faultless = cases.iter().all(|(it, _)| it.want.is_empty());
        assert!(!is_good || faultless, "something is told of good.txt");
        let mut names = BTreeSet::new();
        for (case, _) in cases {
            assert!(names.insert(&case.name), "{} stands twice", case.name);
        }
    }
    let bad: Vec<_> = all().filter(|(it, _)| !it.want.is_empty()).collect();
    let good = all().count() - bad.len();
    let kinds: BTreeSet<(String, String)> = bad
        .iter()
        .flat_map(|(_, told)| told)
        .map(|it| (it.code().to_string(), cases::without_numbers(it.path())))
        .collect();
    assert!(bad.len() >= 250, "{} bad cases", bad.len());
    assert!(kinds.len() >= 150, "{} kinds of findings", kinds.len());
    assert!(good >= 50, "{good} good cases");
}

#[test]
fn every_code_is_told_by_some_case() {
    let told: BTreeSet<_> = all()
        .flat_map(|(_, told)| told)
        .map(|it| it.code().as_str())
        .collect();
    let missing: Vec<_> = Code::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|code| !told.contains(code) && TOLD_ELSEWHERE.iter().all(|(it, _)| it != code))
        .collect();
    assert!(missing.is_empty(), "no case tells {missing:?}");
    for (code, file) in TOLD_ELSEWHERE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(code), "{file} says nothing of {code}");
    }
}

/// Codes that no case tells, and the tests that do: what is not built is left out of cases, and what
/// has expired takes a certificate.
const TOLD_ELSEWHERE: [(&str, &str); 2] = [
    ("not-built", "tests/mesh/apply.rs"),
    ("expired", "tests/tls/files.rs"),
];

#[test]
fn every_code_is_kept_by_some_case() {
    let mut seen = BTreeSet::new();
    let lines = CODES.lines();
    for line in lines.filter(|it| !it.is_empty() && !it.starts_with('#')) {
        let parts: Vec<&str> = line.split(" | ").collect();
        let [code, name, near] = parts.as_slice() else {
            panic!("{line}: three parts");
        };
        let (file, case) = name.split_once(": ").unwrap();
        let files = ALL.iter().filter(|it| it.file.file_stem().unwrap() == file);
        let mut cases = files.flat_map(|it| &it.cases);
        let Some((case, told)) = cases.find(|(it, _)| it.name == case) else {
            panic!("there is no case {name:?}");
        };
        let is_told = told.iter().any(|it| it.code().as_str() == *code);
        assert!(!is_told, "{name} tells {code}");
        assert!(case.text.contains(near), "{name} does not hold {near:?}");
        seen.insert(*code);
    }
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(seen, all, "a code has no case that keeps it, or is none");
}
