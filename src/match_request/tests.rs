//! Matching, case by case: each row is an answer a real Envoy 1.40 gave.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Hosts, MatchRequest, RequestHead, SameHost};
use crate::api::{HttpMatchRequest, StringMatch};
use crate::context::Claims;

fn exact(text: &str) -> StringMatch {
    StringMatch::Exact(text.to_owned())
}

fn prefix(text: &str) -> StringMatch {
    StringMatch::Prefix(text.to_owned())
}

fn regex(text: &str) -> StringMatch {
    StringMatch::Regex(text.to_owned())
}

fn compile(write: impl FnOnce(&mut HttpMatchRequest)) -> MatchRequest {
    let mut written = HttpMatchRequest::default();
    write(&mut written);
    MatchRequest::new(&written).expect("a valid match")
}

#[track_caller]
fn check_path(uri: StringMatch, fold: bool, rows: &[(&str, bool)]) {
    let rule = compile(|it| {
        it.uri = Some(uri);
        it.ignore_uri_case = fold;
    });
    let headers = HeaderMap::new();
    for (path, want) in rows {
        let request = RequestHead::new("GET", "http", "x", path, &headers);
        assert_eq!(rule.matches(&request), *want, "{path}");
        assert_eq!(rule.failure(&request).is_none(), *want, "{path}");
    }
}

#[test]
fn paths_are_compared_by_bytes_and_without_the_query() {
    let rows = [
        ("/exact", true),
        ("/exact?x=1", true),
        ("/exact/", false),
        ("/EXACT", false),
    ];
    check_path(exact("/exact"), false, &rows);
    check_path(
        exact("/Exact"),
        true,
        &[("/eXACT", true), ("/exact/", false)],
    );
    let rows = [
        ("/foo", true),
        ("/foobar", true),
        ("/foo/bar", true),
        ("/fo", false),
    ];
    check_path(prefix("/foo"), false, &rows);
    check_path(prefix("/foo/"), false, &[("/foo", false), ("/foo/", true)]);
    check_path(prefix("/Foo"), true, &[("/fOObar", true), ("/fo", false)]);
    check_path(prefix(""), false, &[("/", true), ("/a", true)]);
    check_path(exact("/a?b"), false, &[("/a?b", false), ("/a", false)]);
    check_path(exact(""), false, &[("/", false)]);
    let rows = [
        ("/re/12", true),
        ("/re/12?a", true),
        ("/re/12x", false),
        ("/x/re/12", false),
    ];
    check_path(regex("/re/[0-9]+"), false, &rows);
    check_path(regex("/RE"), true, &[("/re", false), ("/RE", true)]);
    check_path(StringMatch::Present, false, &[("/any", true)]);
}

#[track_caller]
fn check_header(value: StringMatch, inverted: bool, rows: &[(&[&str], bool)]) {
    let rule = compile(|it| {
        let map = if inverted {
            &mut it.without_headers
        } else {
            &mut it.headers
        };
        map.insert("X-V".to_owned(), value);
    });
    for (lines, want) in rows {
        let mut headers = HeaderMap::new();
        for line in *lines {
            let name = HeaderName::from_static("x-v");
            headers.append(name, HeaderValue::from_str(line).expect("a valid value"));
        }
        let request = RequestHead::new("GET", "http", "x", "/", &headers);
        assert_eq!(rule.matches(&request), *want, "{lines:?}");
    }
}

#[test]
fn one_matching_line_of_a_header_is_enough() {
    let rows: &[(&[&str], bool)] = &[
        (&["1"], true),
        (&["1", "2"], true),
        (&["2", "1"], true),
        (&["1,2"], false),
        (&["2"], false),
        (&[], false),
    ];
    check_header(exact("1"), false, rows);
    check_header(exact(""), false, &[(&[""], true), (&[], false)]);
    check_header(
        prefix("be"),
        false,
        &[(&["beta"], true), (&["Beta"], false), (&[], false)],
    );
    check_header(
        regex("v[0-9]+"),
        false,
        &[(&["v1"], true), (&["v1x"], false), (&[], false)],
    );
    check_header(
        StringMatch::Present,
        false,
        &[(&[""], true), (&["x"], true), (&[], false)],
    );
    check_header(regex("*"), false, &[(&[""], true), (&[], false)]);
}

#[test]
fn without_headers_takes_a_missing_header_for_an_empty_one() {
    let rows: &[(&[&str], bool)] = &[
        (&["1"], false),
        (&["2"], true),
        (&["2", "1"], false),
        (&[], true),
        (&[""], true),
    ];
    check_header(exact("1"), true, rows);
    check_header(prefix("be"), true, &[(&[], true), (&["beta"], false)]);
    check_header(regex(".*"), true, &[(&[], false), (&["x"], false)]);
    check_header(StringMatch::Present, true, &[(&[], true), (&[""], false)]);
    check_header(exact(""), true, &[(&[], false), (&["x"], true)]);
}

#[test]
fn query_parameters_are_compared_raw_and_the_first_counts() {
    let rows: &[(StringMatch, &[(&str, bool)])] = &[
        (
            exact("v"),
            &[
                ("/?k=v", true),
                ("/?k=v&k=w", true),
                ("/?k=w&k=v", false),
                ("/?K=v", false),
                ("/?k=%76", false),
                ("/?x=1&k=v", true),
                ("/?x;k=v", false),
                ("/", false),
            ],
        ),
        (exact(""), &[("/?k", true), ("/?k=", true), ("/?kk", false)]),
        (StringMatch::Present, &[("/?k", true), ("/?a=k", false)]),
        (regex("[0-9]+"), &[("/?k=12", true), ("/?k=1a", false)]),
    ];
    for (value, rows) in rows {
        let rule = compile(|it| {
            it.query_params.insert("k".to_owned(), value.clone());
        });
        let headers = HeaderMap::new();
        for (path, want) in *rows {
            let request = RequestHead::new("GET", "http", "x", path, &headers);
            assert_eq!(rule.matches(&request), *want, "{value:?} {path}");
        }
    }
}

#[test]
fn pseudo_headers_are_case_sensitive_and_authority_keeps_its_port() {
    let headers = HeaderMap::new();
    let request = RequestHead::new("PUT", "http", "Shop.com:8080", "/a?b", &headers);
    let matches = |write: fn(&mut HttpMatchRequest)| compile(write).matches(&request);
    assert!(matches(|it| it.method = Some(exact("PUT"))));
    assert!(!matches(|it| it.method = Some(exact("put"))));
    assert!(matches(|it| it.scheme = Some(exact("http"))));
    assert!(matches(|it| it.authority = Some(exact("Shop.com:8080"))));
    assert!(!matches(|it| it.authority = Some(exact("Shop.com"))));
    assert!(!matches(|it| it.authority = Some(prefix("shop"))));
    assert!(matches(|it| it.method = Some(StringMatch::Present)));
    let header = |name: &str, value| {
        compile(|it| {
            it.headers.insert(name.to_owned(), value);
        })
        .matches(&request)
    };
    assert!(header(":path", exact("/a?b")));
    assert!(header("Host", prefix("Shop")));
    assert!(!header(":status", StringMatch::Present));
}

#[test]
fn a_catch_all_is_what_istio_takes_for_one() {
    let is = |write: fn(&mut HttpMatchRequest)| compile(write).is_catch_all();
    assert!(is(|_| {}));
    assert!(is(|it| it.uri = Some(prefix("/"))));
    assert!(is(|it| it.uri = Some(regex(".*"))));
    assert!(!is(|it| it.uri = Some(prefix(""))));
    assert!(!is(|it| it.uri = Some(regex("/.*"))));
    assert!(!is(|it| it.method = Some(exact("GET"))));
}

#[test]
fn the_most_specific_host_is_found() {
    let mut hosts = Hosts::new();
    for name in ["a.foo.com", "*.foo.com", "*foo.com", "*.b.foo.com", "*"] {
        hosts.insert(name, name).expect("no name twice");
    }
    assert_eq!(hosts.insert("A.foo.com", ""), Err(SameHost));
    assert_eq!(hosts.insert("*.FOO.com", ""), Err(SameHost));
    let check = |authority, want| assert_eq!(hosts.find(authority), Some(&want), "{authority}");
    check("a.foo.com", "a.foo.com");
    check("A.FOO.com:99999", "a.foo.com");
    check("b.foo.com", "*.foo.com");
    check("x.b.foo.com", "*.b.foo.com");
    check(".b.foo.com", "*.foo.com");
    check("barfoo.com", "*foo.com");
    check("foo.com", "*");
    check("a.foo.com.", "*");
    check("", "*");
}

/// The longest of many suffixes that cover a name, by asking each.
#[test]
fn wildcards_are_found_by_length_whatever_they_are() {
    let labels = ["a", "b", ".a", ".b", ".ab", ".a.b", "é"];
    let name = |n: usize| -> String {
        let parts = [n % 7, n / 7 % 7, n / 49 % 7, n / 343 % 7];
        let parts = parts.iter().take(1 + n % 4);
        parts.map(|it| labels[*it]).collect()
    };
    let long = format!(".{}", "x".repeat(300));
    let mut hosts = Hosts::new();
    let mut suffixes: Vec<String> = (0..2401).step_by(5).map(name).collect();
    suffixes.push(long.clone());
    suffixes.retain(|it| hosts.insert(&format!("*{it}"), it.clone()).is_ok());
    assert!(suffixes.len() > 100, "{}", suffixes.len());
    let mut found = 0;
    for name in (0..2401).map(name).chain([format!("a{long}"), long]) {
        let covering = suffixes
            .iter()
            .filter(|it| name.len() > it.len() && name.ends_with(it.as_str()));
        let want = covering.max_by_key(|it| it.len());
        assert_eq!(hosts.find(&name), want, "{name}");
        found += usize::from(want.is_some());
    }
    assert!(found > 500, "{found}");
}

#[test]
fn faults_name_the_field() {
    let written = HttpMatchRequest {
        uri: Some(regex("a)|(b")),
        method: Some(prefix("")),
        headers: [("a b".to_owned(), exact("1"))].into_iter().collect(),
        port: Some(70_000),
        ..HttpMatchRequest::default()
    };
    let found = MatchRequest::new(&written).expect_err("four faults");
    let paths: Vec<_> = found.iter().map(|it| it.path().to_string()).collect();
    assert_eq!(
        paths,
        ["uri.regex", "method.prefix", "headers[\"a b\"]", "port"]
    );
}

/// What Istio makes of a key and what Envoy's metadata matcher makes of it, asked of Envoy 1.40 with a
/// token of these claims.
#[test]
fn one_text_of_a_claim_is_enough() {
    let claims = Claims::new()
        .claim(&["sub"], &["jason"])
        .claim(&["groups"], &["all", "testers"])
        .claim(&["a.b", "c"], &["d"])
        .claim(&["nobody"], &[])
        .claim(&["realm", "roles"], &["admin"]);
    let mut extensions = http::Extensions::new();
    extensions.insert(claims);
    let headers = HeaderMap::new();
    let check = |key: &str, value: StringMatch, want: bool| {
        for inverted in [false, true] {
            let rule = compile(|it| {
                let list = if inverted {
                    &mut it.without_headers
                } else {
                    &mut it.headers
                };
                list.insert(key.to_owned(), value.clone());
            });
            let request = RequestHead::new("GET", "http", "x", "/", &headers);
            let claimed = request.with_extensions(&extensions);
            assert_eq!(rule.matches(&claimed), want != inverted, "{key} {value:?}");
            // A request without claims has none that match.
            assert_eq!(rule.matches(&request), inverted, "{key} {value:?}");
            let failure = rule.failure(&claimed);
            assert_eq!(failure.is_none(), want != inverted);
        }
    };
    check("@request.auth.claims.sub", exact("jason"), true);
    check("@request.auth.claims.sub", exact("Jason"), false);
    check("@Request.Auth.Claims.sub", prefix("ja"), true);
    check("@request.auth.claims.Sub", exact("jason"), false);
    check("@request.auth.claims.sub", regex("aso"), false);
    check("@request.auth.claims.nobody", prefix("a"), false);
    check("@request.auth.claims.none", exact("jason"), false);
    check("@request.auth.claims.groups", exact("testers"), true);
    check("@request.auth.claims.groups", regex("t.*"), true);
    check("@request.auth.claims.groups", exact("all,testers"), false);
    check("@request.auth.claims[groups]", StringMatch::Present, true);
    check("@request.auth.claims.realm.roles", exact("admin"), true);
    check("@request.auth.claims[realm][roles]", exact("admin"), true);
    check("@request.auth.claims[a.b][c]", exact("d"), true);
    check("@request.auth.claims.a.b.c", exact("d"), false);
    check("@request.auth.claims.realm", StringMatch::Present, false);
    for key in [
        "@request.auth.claims",
        "@request.auth.claims.",
        "@request.auth.claims[]",
        "@other",
    ] {
        let mut written = HttpMatchRequest::default();
        written.headers.insert(key.to_owned(), exact("a"));
        assert!(MatchRequest::new(&written).is_err(), "{key}");
    }
}
