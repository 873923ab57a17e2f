//! The small examples: each does what it says.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::{exchange, program};

/// What a program that ends by itself prints.
fn printed(name: &str) -> String {
    let output = program(name).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn client_asks_two_versions() {
    let printed = printed("client");
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 12, "{printed}");
    for line in &lines[..10] {
        assert!(line.starts_with("200 OK {\"by\": \"v"), "{printed}");
    }
    assert_eq!(lines[10], "jason: \"v2\"");
    assert!(lines[11].starts_with("nowhere: UnknownHost: nothing declares"));
}

#[test]
fn reqwest_works_both_ways() {
    let want = "by reqwest: got \"five stars\"\nin reqwest's types: got \"four stars\"\n";
    assert_eq!(printed("reqwest"), want);
}

#[test]
fn grpc_is_balanced_and_refused_in_its_own_words() {
    let printed = printed("grpc");
    let lines: Vec<_> = printed.lines().collect();
    for line in &lines[..4] {
        assert!(line.starts_with("hello world, from "), "{printed}");
    }
    assert_eq!(lines[4], "chaos: Unavailable: fault filter abort");
}

#[test]
fn layers_work_alone() {
    let want = "hyper: 200 OK \"https://shop.example.com\"\nhyper: b\"here\"\n\
                function: 504 Gateway Timeout UT\n";
    assert_eq!(printed("layers"), want);
}

#[test]
fn axum_has_rules_on_both_sides() {
    let mut child = program("axum")
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_line(&mut first).unwrap();
    let address = first.trim().strip_prefix("listening on ").unwrap();
    let answers =
        ["/cart", "/basket", "/orders"].map(|path| exchange(address, path, "shop.example.com"));
    child.kill().unwrap();
    child.wait().unwrap();
    let [cart, basket, orders] = answers;
    assert!(cart.ends_with("the new cart\n"), "{cart}");
    assert!(
        basket.contains("\r\nlocation: http://shop.example.com/cart\r\n"),
        "{basket}"
    );
    assert!(orders.ends_with("from the old shop\n"), "{orders}");
    assert!(orders.contains("\r\nx-served-by: shop\r\n"), "{orders}");
}
