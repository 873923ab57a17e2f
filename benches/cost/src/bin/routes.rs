//! What finding a host and its rule costs, by how many rules there are: a program `ci/perf` runs.
//!
//! ```text
//! routes KIND ROUTES N   N look-ups with different keys, for callgrind to count the instructions of
//! routes linear-KIND ROUTES N    the same, asking rule after rule
//! routes bytes           bytes a rule of each kind takes, and how many of them are the index's
//! ```
//!
//! One of 1 001 hosts has the rules. Kinds:
//!
//! - `prefix`: `/svc{i}/`; `exact`: one path each; `regex`: `/svc{i}/api/v[0-9]+/.*`
//! - `mixed`: 65 % prefix, 20 % exact, 5 % regex, 10 % prefix with a header
//! - `header`: one prefix, the exact value of a header tells them apart
//! - `suffix`: `.*/svc{i}`; `inner`: `/[a-z0-9]+/svc{i}/.*`
//! - `opaque`: expressions without a text that every match holds
//! - `wildcard`: as many wildcard hosts with a rule each
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for ci talks to its reader and may stop at what cannot be"
)]

use std::hint::black_box;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use tower_mesh::api::{HttpMatchRequest, StringMatch};
use tower_mesh::match_request::{Hosts, MatchRequest, RequestHead, RouteIndex};

const KINDS: [&str; 9] = [
    "prefix", "exact", "mixed", "regex", "header", "suffix", "inner", "opaque", "wildcard",
];

const HOST: &str = "service-1000.example.com";

/// One rule of a kind, and a path and header value that it is for.
fn rule(kind: &str, n: usize) -> (Arc<MatchRequest>, String, String) {
    let mut written = HttpMatchRequest::default();
    let mut path = format!("/svc{n}/api/v1/items/42");
    let mut env = "prod".to_owned();
    let prefix = StringMatch::Prefix(format!("/svc{n}/"));
    let exact = |path: &str| StringMatch::Exact(path.to_owned());
    let regex = StringMatch::Regex(format!("/svc{n}/api/v[0-9]+/.*"));
    let mut of_header = |value: &str| {
        let value = StringMatch::Exact(value.to_owned());
        written.headers.insert("x-env".to_owned(), value);
    };
    written.uri = Some(match (kind, n % 20) {
        ("exact", _) | ("mixed", 13..=16) => exact(&path),
        ("regex", _) | ("mixed", 17) => regex,
        ("mixed", 18) => {
            of_header("canary");
            prefix
        }
        ("mixed", 19) => {
            of_header("prod");
            prefix
        }
        ("header", _) => {
            env = format!("e{n}");
            of_header(&env);
            path = "/api/v1/items/42".to_owned();
            StringMatch::Prefix("/api/".to_owned())
        }
        ("suffix", _) => {
            path = format!("/api/v1/items/svc{n}");
            StringMatch::Regex(format!(".*/svc{n}"))
        }
        ("inner", _) => {
            path = format!("/api/svc{n}/items/42");
            StringMatch::Regex(format!("/[a-z0-9]+/svc{n}/.*"))
        }
        ("opaque", _) => {
            let (letters, digits) = (1 + n / 100, 1 + n % 100);
            path = "a".repeat(letters) + &"1".repeat(digits);
            StringMatch::Regex(format!("[a-z]{{{letters}}}[0-9]{{{digits}}}"))
        }
        _ => prefix,
    });
    (Arc::new(MatchRequest::new(&written).unwrap()), path, env)
}

/// What is asked for: an authority, a path and a header.
struct Key {
    authority: String,
    path: String,
    headers: HeaderMap,
}

impl Key {
    fn head(&self) -> RequestHead<'_> {
        RequestHead::new("GET", "http", &self.authority, &self.path, &self.headers)
    }
}

fn key(authority: String, path: String, env: &str) -> Key {
    let mut headers = HeaderMap::new();
    for (name, value) in [("user-agent", "it/1"), ("accept", "*/*"), ("x-env", env)] {
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    }
    Key {
        authority,
        path,
        headers,
    }
}

/// The hosts with their rules, and keys of rules all over the table.
fn table(kind: &str, routes: usize) -> (Hosts<RouteIndex>, Vec<Key>) {
    let mut hosts = Hosts::new();
    for n in 0..1000 {
        let index = RouteIndex::from_iter([rule("prefix", n).0]);
        hosts
            .insert(&format!("service-{n}.example.com"), index)
            .unwrap();
    }
    let mut rules = Vec::with_capacity(routes);
    let mut keys = Vec::new();
    for n in 0..routes {
        let (rule, path, env) = rule(kind, n);
        if kind == "wildcard" {
            let index = RouteIndex::from_iter([rule]);
            hosts
                .insert(&format!("*.svc{n}.example.com"), index)
                .unwrap();
            keys.push(key(format!("a.svc{n}.example.com"), path, &env));
            continue;
        }
        rules.push(rule);
        keys.push(key(HOST.to_owned(), path, &env));
    }
    hosts.insert(HOST, rules.into_iter().collect()).unwrap();
    // Some thousand keys, far apart.
    let step = (routes / 1000).max(1);
    let keys = keys.into_iter().enumerate();
    let keys = keys.filter(|(n, _)| n % step == step - 1).map(|(_, it)| it);
    (hosts, keys.collect())
}

fn drive(kind: &str, routes: usize, count: usize) {
    let (kind, linear) = match kind.strip_prefix("linear-") {
        Some(kind) => (kind, true),
        None => (kind, false),
    };
    let (hosts, keys) = table(kind, routes);
    let find = |request: RequestHead<'_>| {
        let index = hosts.find(request.authority)?;
        match linear {
            true => index.rules().iter().position(|it| it.matches(&request)),
            false => index.find(&request),
        }
    };
    for key in keys.iter().cycle().take(count) {
        // Half of the mixed rules with a header ask for another value.
        let found = black_box(find(black_box(key.head())));
        assert!(found.is_some() || kind == "mixed", "{}", key.path);
    }
}

fn bytes() {
    const RULES: usize = 10_000;
    for kind in KINDS {
        let made = |all: bool| {
            let mut rules: Vec<_> = (0..RULES).map(|n| rule(kind, n).0).collect();
            let mut index = RouteIndex::default();
            let counted = allocation_counter::measure(|| {
                if all {
                    rules = (0..RULES).map(|n| rule(kind, n).0).collect();
                }
                index = rules.drain(..).collect();
            });
            black_box(index);
            counted.bytes_current
        };
        let index = made(false) as f64 / RULES as f64;
        println!("{kind} {index:.0}");
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["bytes"] => bytes(),
        [kind, routes, count] => drive(kind, routes.parse().unwrap(), count.parse().unwrap()),
        // Everything once.
        _ => {
            for kind in KINDS {
                drive(kind, 40, 40);
                drive(&format!("linear-{kind}"), 40, 40);
            }
        }
    }
}
