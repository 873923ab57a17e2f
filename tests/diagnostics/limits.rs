//! How much memory it takes to refuse what was made to do harm: counted, not timed.

use std::fmt::Write as _;

use tower_mesh::api::Resources;
use tower_mesh::diagnostic::Code;

/// The most memory reading may hold at once, for each byte of the text.
const MOST: u64 = 10;

/// Reads a text that must be refused, in memory that its size allows, with few words.
#[track_caller]
fn check(text: &str, code: Code) {
    let mut told = 0;
    let mut refused = false;
    let used = allocation_counter::measure(|| {
        let resources = Resources::from_yaml("hostile.yaml", text);
        let found = resources.diagnostics();
        refused = found.iter().any(|it| it.code() == code);
        told = found.to_string().len();
    });
    assert!(refused, "{code} is not told");
    assert!(told < 2 << 20, "{told} bytes are told");
    let allowed = MOST * text.len() as u64 + (256 << 10);
    assert!(
        used.bytes_max <= allowed,
        "{} bytes are held for a text of {}",
        used.bytes_max,
        text.len()
    );
}

#[test]
fn a_billion_laughs() {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..10 {
        let aliases = vec![format!("*a{}", n - 1); 9].join(", ");
        writeln!(text, "a{n}: &a{n} [{aliases}]").unwrap();
    }
    // The text is small: what its aliases may copy is a bound of its own.
    let used = allocation_counter::measure(|| {
        let resources = Resources::from_yaml("hostile.yaml", &text);
        assert!(
            resources
                .diagnostics()
                .iter()
                .any(|it| it.code() == Code::TooLarge)
        );
    });
    assert!(
        used.bytes_max < 16 << 20,
        "{} bytes are held",
        used.bytes_max
    );
    assert!(
        used.count_total < 400_000,
        "{} allocations",
        used.count_total
    );
}

#[test]
fn brackets_without_end() {
    check(&"[".repeat(1 << 20), Code::TooLarge);
    check(&"{a: ".repeat(1 << 18), Code::TooLarge);
    check(&"- ".repeat(1 << 19), Code::TooLarge);
    check(&"? ".repeat(1 << 19), Code::TooLarge);
}

#[test]
fn a_value_and_a_key_without_end() {
    check(&format!("name: {}", "x".repeat(8 << 20)), Code::TooLarge);
    check(
        &format!("name: \"{}\"", "x".repeat(8 << 20)),
        Code::TooLarge,
    );
    check(&format!("? {}\n: b\n", "x".repeat(8 << 20)), Code::TooLarge);
    check(
        &format!("name: |\n{}", " x\n".repeat(3 << 20)),
        Code::TooLarge,
    );
}

#[test]
fn a_million_keys() {
    let text: String = (0..1_000_000).map(|n| format!("k{n}: 1\n")).collect();
    check(&text, Code::TooLarge);
}

#[test]
fn two_million_items() {
    check(
        &format!("hosts: [{}]", "a,".repeat(2_000_000)),
        Code::TooLarge,
    );
    check(
        &format!("hosts:\n{}", "- a\n".repeat(2_000_000)),
        Code::TooLarge,
    );
}

#[test]
fn anchors_without_end() {
    let anchors: String = (0..500_000).map(|n| format!("&a{n} x,")).collect();
    check(&format!("hosts: [{anchors}]"), Code::TooLarge);
}

#[test]
fn documents_without_end() {
    check(&"--- [\n".repeat(1 << 18), Code::TooLarge);
    check(&"--- x\n".repeat(1 << 18), Code::WrongType);
}

#[test]
fn more_than_any_file_holds() {
    check(&"#".repeat(33 << 20), Code::TooLarge);
}
