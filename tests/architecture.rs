//! Keeps the house in order: who may import whom, how big a file may grow, that every layer, service
//! and future is held to what all of them are held to, and that the README's table does not lie.

#![allow(clippy::unwrap_used, reason = "a broken checkout may panic here")]

mod floors;

use std::fs;
use std::path::{Path, PathBuf};

use floors::FLOORS;

const MAX_LINES: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap();
            if path.is_dir() && name != "target" && name != "corpus" {
                walk(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found
}

/// The top-level module a source file belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str();
    first.to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The top-level modules a file reaches through `crate::`.
fn imports(text: &str) -> impl Iterator<Item = &str> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            rest.get(..end.unwrap_or(rest.len())).unwrap()
        })
}

#[test]
fn modules_import_only_from_floors_below() {
    for path in rust_files("src") {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        let (_, allowed) = FLOORS
            .iter()
            .find(|(known, _)| *known == module)
            .unwrap_or_else(|| panic!("`{module}` has no floor; add it to FLOORS"));
        let text = fs::read_to_string(&path).unwrap();
        for import in imports(&text) {
            assert!(
                import == module || allowed.contains(&import),
                "{}: `{module}` may not import `{import}`",
                path.display(),
            );
        }
    }
}

#[test]
fn floors_point_downwards() {
    for (n, (module, allowed)) in FLOORS.iter().enumerate() {
        for import in *allowed {
            assert!(
                FLOORS[..n].iter().any(|(below, _)| below == import),
                "`{module}` would import `{import}`, which is not below it",
            );
        }
    }
}

#[test]
fn files_say_what_they_are_and_stay_small() {
    for folder in ["src", "tests", "examples", "benches", "fuzz"] {
        for path in rust_files(folder) {
            let text = fs::read_to_string(&path).unwrap();
            let shebang_free = text.trim_start_matches("#![no_main]\n").trim_start();
            let name = path.display();
            assert!(
                shebang_free.starts_with("//!"),
                "{name} says nothing about itself"
            );
            let lines = text.lines().count();
            assert!(lines <= MAX_LINES, "{name} has {lines} lines; split it");
        }
    }
}

/// The public types of `src` that are what `meant` says, each as `module::Name`.
fn public_types(meant: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for path in rust_files("src") {
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("pub struct ") else {
                continue;
            };
            let end = rest.find(|c: char| !c.is_alphanumeric());
            let name = rest.get(..end.unwrap_or(rest.len())).unwrap();
            if meant(name, &text) {
                found.push(format!("{}::{name}", module_of(&path)));
            }
        }
    }
    found.sort();
    found
}

/// What tests say in a file or a folder, but for comments and imports.
fn said_in_tests(place: &str) -> String {
    let place = root().join("tests").join(place);
    let inside = |it: &PathBuf| it.starts_with(&place);
    let files = rust_files("tests").into_iter().filter(inside);
    let text: String = files.map(|it| fs::read_to_string(it).unwrap()).collect();
    let mut imports = false;
    let said = text.lines().filter(|line| {
        imports |= line.starts_with("use ");
        let is_said = !imports && !line.trim_start().starts_with("//");
        imports &= !line.ends_with(';');
        is_said
    });
    said.map(|line| format!("{line}\n")).collect()
}

/// Whether a text names this, and not only something that ends or begins with it.
fn names(text: &str, wanted: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(wanted).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + wanted.len()..]);
        !is_part(before.chars().next_back()) && !is_part(after.chars().next())
    })
}

#[test]
fn every_public_layer_is_held_to_towers_contract() {
    let layers = public_types(|name, _| name.ends_with("Layer"));
    assert!(layers.len() >= 17, "not all are found: {layers:?}");
    let contract = said_in_tests("contract");
    for layer in layers {
        let (_, name) = layer.rsplit_once("::").unwrap();
        assert!(names(&contract, name), "tests/contract leaves out {layer}");
    }
}

#[test]
fn every_public_service_and_future_is_proved_to_be_sent() {
    let services = public_types(|name, text| {
        let text = text.replace('\n', " ");
        ["Service<", "Future "].iter().any(|what| {
            text.match_indices(what).any(|(at, _)| {
                let Some((between, type_named)) = text[at..].split_once("for ") else {
                    return false;
                };
                let end = type_named.find(|c: char| !c.is_alphanumeric());
                !between.contains([';', '{']) && type_named.get(..end.unwrap_or(0)) == Some(name)
            })
        })
    });
    assert!(services.len() >= 38, "not all are found: {services:?}");
    let proved = said_in_tests("edges/traits.rs");
    for name in services {
        assert!(
            names(&proved, &name),
            "tests/edges/traits.rs leaves out {name}"
        );
    }
}

/// The words of the README's status column for a concept.
fn statuses() -> Vec<(String, String, String)> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let start = readme.find("<!-- status -->").unwrap();
    let end = readme.find("<!-- /status -->").unwrap();
    let rows = readme[start..end]
        .lines()
        .filter(|line| line.starts_with("| "));
    rows.skip(1)
        .map(|row| {
            let mut cells = row
                .trim_matches('|')
                .split('|')
                .map(|it| it.trim().to_owned());
            let mut cell = || cells.next().unwrap();
            (cell(), cell(), cell())
        })
        .collect()
}

/// Each row names a module there is and says one of two words; `tests/diagnostics/left_out.rs` holds
/// what is left out to its word, and the guide's table of fields what works.
#[test]
fn the_status_table_names_modules_and_says_whether_they_work() {
    let table = statuses();
    assert!(table.len() >= 50, "not all rows are found: {table:?}");
    for (concept, module, status) in &table {
        let module = module.trim_matches('`');
        let folder = root().join("src").join(module);
        let exists = folder.is_dir() || folder.with_extension("rs").is_file();
        assert!(exists, "{concept}: there is no module `{module}`");
        assert!(
            ["works", "left out"].contains(&status.as_str()),
            "{concept}: {status:?} is not a status"
        );
    }
}
