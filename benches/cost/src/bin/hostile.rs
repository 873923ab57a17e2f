//! What refusing a text costs that is made to do harm: a program `ci/perf` runs.
//!
//! ```text
//! hostile KIND read     makes the text and reads it, for callgrind to count
//! hostile KIND make     makes the text alone, to be taken off
//! ```
#![allow(
    clippy::unwrap_used,
    reason = "a program for ci may stop at what cannot be"
)]

use std::fmt::Write as _;
use std::hint::black_box;

use tower_mesh::api::Resources;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KINDS: [&str; 6] = ["laughs", "aliases", "brackets", "keys", "items", "text"];

fn text(kind: &str) -> String {
    match kind {
        "laughs" => {
            let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
            for n in 1..10 {
                let aliases = vec![format!("*a{}", n - 1); 9].join(", ");
                writeln!(text, "a{n}: &a{n} [{aliases}]").unwrap();
            }
            text
        }
        "aliases" => {
            let aliases = vec!["*a"; 100_000].join(", ");
            format!("a: &a {}\nb: [{aliases}]\n", "x".repeat(1 << 20))
        }
        "brackets" => "[".repeat(200_000),
        "keys" => (0..100_000).map(|n| format!("k{n}: 1\n")).collect(),
        "items" => format!("hosts: [{}]", "a,".repeat(2_000_000)),
        _ => format!("name: {}", "x".repeat(3 << 20)),
    }
}

fn read(kind: &str) {
    let resources = Resources::from_yaml("hostile.yaml", &text(kind));
    assert!(resources.is_empty(), "{kind} is refused");
    drop(black_box(resources));
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [kind, "read"] => read(kind),
        [kind, "make"] => drop(black_box(text(kind))),
        // Everything once.
        _ => KINDS.into_iter().for_each(read),
    }
}
