//! The index against asking every rule in order, on tables and requests drawn to nearly match.

use std::collections::HashMap;
use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue};

use super::RouteIndex;
use crate::context::Claims;
use crate::match_request::head::RequestHead;
use crate::match_request::matcher::{
    ClaimSource, HeaderMatch, HeaderSource, MatchRequest, PathMatch, QueryMatch,
};
use crate::string_match::{Re2, TextMatch};

/// Dice that fall the same way every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        // The generator known as SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

const PIECES: [&str; 14] = [
    "/", "/a", "/b", "/ab", "/A", "a", "b", "/svc1", "/svc", ".png", "/orders", "/v2", "//", "Z",
];

/// Patterns beside those put together of pieces.
const PATTERNS: [&str; 16] = [
    ".*",
    "[a-z/]+",
    "/[^/]+/orders",
    "/[^/]+/orders/.*",
    r".*\.(png|jpg)",
    "(?i)/Ab.*",
    "(?i)/a/b",
    "/(a|b)/.*",
    "/(a|ab)(/.*)?",
    ".*/svc1/.*",
    ".*svc.*orders.*",
    "/a?/b",
    "/a|/b",
    "(/a)+",
    "^/a$",
    "/v[0-9]+.*",
];

fn path(dice: &mut Dice) -> String {
    let pieces = dice.below(4);
    let mut path: String = (0..=pieces).map(|_| dice.of(&PIECES)).collect();
    if !dice.one_in(20) && !path.starts_with('/') {
        path.insert(0, '/');
    }
    path
}

/// Regular expressions, each compiled once for all tables.
#[derive(Default)]
struct Patterns(HashMap<String, Re2>);

impl Patterns {
    fn draw(&mut self, dice: &mut Dice) -> Re2 {
        let pattern = match dice.below(3) {
            0 => dice.of(&PATTERNS).to_owned(),
            1 => format!("{}[a-z0-9]*{}", dice.of(&PIECES), dice.of(&PIECES)),
            _ => {
                let between = ["[^/]+", ".*", "(x|a)?", "(?i:b)"];
                let (a, b) = (dice.of(&between), dice.of(&between));
                format!("{}{a}{}{b}", dice.of(&PIECES), dice.of(&PIECES))
            }
        };
        let known = self.0.entry(pattern);
        known
            .or_insert_with_key(|it| Re2::new(it).expect("a valid pattern"))
            .clone()
    }
}

const VALUES: [&str; 12] = ["", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"];

fn text(dice: &mut Dice, patterns: &mut Patterns, values: &[&str]) -> TextMatch {
    let value = dice.of(values).as_bytes();
    match dice.below(8) {
        0 => TextMatch::Present,
        1 => TextMatch::Prefix(value.into()),
        2 => TextMatch::Regex(
            patterns
                .0
                .entry("[0-9]".to_owned())
                .or_insert_with_key(|it| Re2::new(it).expect("a valid pattern"))
                .clone(),
        ),
        _ => TextMatch::Exact(value.into()),
    }
}

fn claim() -> HeaderSource {
    HeaderSource::Claim(Box::new(ClaimSource {
        written: "@request.auth.claims.c".to_owned(),
        path: vec!["c".to_owned()],
    }))
}

/// Of a request whose claim has two texts.
fn claimed() -> Extensions {
    let mut extensions = Extensions::new();
    extensions.insert(Claims::new().claim(&["c"], &VALUES[..2]));
    extensions
}

fn header(dice: &mut Dice, patterns: &mut Patterns) -> HeaderMatch {
    let name = |it| HeaderSource::Name(HeaderName::from_static(it));
    let (source, values): (_, &[&str]) = match dice.below(10) {
        0 => (HeaderSource::Method, &["GET", "POST", "get"]),
        1 => (HeaderSource::Scheme, &["http", "https"]),
        2 => (HeaderSource::Authority, &["a.com", "A.com", "a.com:80"]),
        3 => (HeaderSource::PathAndQuery, &["/a?k=1", "/a", "/b"]),
        4 => (HeaderSource::Absent, &["200"]),
        5 | 6 => (name("x-a"), &VALUES),
        7 => (claim(), &VALUES),
        _ => (name("x-b"), &VALUES),
    };
    HeaderMatch {
        source,
        text: text(dice, patterns, values),
        inverted: dice.one_in(6),
    }
}

fn table(dice: &mut Dice, patterns: &mut Patterns) -> Vec<Arc<MatchRequest>> {
    let most = dice.of(&[4, 12, 40, 120]);
    let length = 1 + dice.below(most);
    // Some tables are of a few paths again and again.
    let common: Vec<String> = (0..=dice.below(3)).map(|_| path(dice)).collect();
    let repeats = dice.below(3);
    let conditions = dice.below(4);
    let mut rules: Vec<Arc<MatchRequest>> = Vec::new();
    for _ in 0..length {
        if let Some(again) = rules.get(dice.below(60)).cloned()
            && dice.one_in(10)
        {
            rules.push(again);
            continue;
        }
        let uri = match dice.below(3) < repeats {
            true => common[dice.below(common.len())].clone(),
            false => path(dice),
        };
        let uri = match dice.one_in(40) {
            true => Box::default(),
            false => uri.into_bytes().into_boxed_slice(),
        };
        let path = match dice.below(10) {
            0..3 => PathMatch::Prefix(uri),
            3..5 => PathMatch::Exact(uri),
            5 => PathMatch::PrefixFold(uri),
            6 => PathMatch::ExactFold(uri),
            _ => PathMatch::Regex(patterns.draw(dice)),
        };
        let headers = (0..dice.below(conditions + 1)).map(|_| header(dice, patterns));
        let headers = headers.collect();
        let query = (0..usize::from(conditions > 0 && dice.one_in(4))).map(|_| QueryMatch {
            name: (dice.of(&["k", "l"])).into(),
            text: text(dice, patterns, &VALUES),
        });
        rules.push(Arc::new(MatchRequest {
            path,
            headers,
            query: query.collect(),
        }));
    }
    rules
}

/// A path that a rule of the table nearly matches, or matches.
fn near(dice: &mut Dice, rules: &[Arc<MatchRequest>]) -> String {
    let mut near = match &rules[dice.below(rules.len())].path {
        PathMatch::Regex(regex) => regex.as_str().replace("[^/]+", "x").replace(".*", ""),
        PathMatch::Exact(it)
        | PathMatch::ExactFold(it)
        | PathMatch::Prefix(it)
        | PathMatch::PrefixFold(it) => String::from_utf8_lossy(it).into_owned(),
    };
    match dice.below(8) {
        0 => near.push_str(dice.of(&PIECES)),
        1 => drop(near.pop()),
        2 => near = near.to_ascii_uppercase(),
        3 => near = near.to_ascii_lowercase(),
        4 => near = path(dice),
        5 => near.insert_str(0, dice.of(&PIECES)),
        _ => {}
    }
    match dice.below(4) {
        0 => near.push_str(dice.of(&["?k=1", "?k", "?l=2&k=1", "?k=2&k=1", "?"])),
        1 => near.push_str(dice.of(&PIECES)),
        _ => {}
    }
    near
}

fn headers(dice: &mut Dice) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in ["x-a", "x-b"] {
        for _ in 0..dice.below(4) {
            let value = HeaderValue::from_static(dice.of(&VALUES));
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers
}

#[test]
fn the_index_finds_what_asking_in_order_finds() {
    let extensions = claimed();
    let mut dice = Dice(1);
    let mut patterns = Patterns::default();
    let (mut pairs, mut found, mut later) = (0, 0, 0);
    while pairs < 120_000 {
        let rules = table(&mut dice, &mut patterns);
        let index: RouteIndex = rules.iter().cloned().collect();
        for _ in 0..40 {
            let path = near(&mut dice, &rules);
            let headers = headers(&mut dice);
            let method = dice.of(&["GET", "POST"]);
            let authority = dice.of(&["a.com", "A.com", "a.com:80"]);
            let request = RequestHead::new(method, "http", authority, &path, &headers);
            let request = request.with_extensions(&extensions);
            let want = rules.iter().position(|it| it.matches(&request));
            let list = || rules.iter().enumerate();
            assert_eq!(
                index.find(&request),
                want,
                "{request:?}\n{:#?}",
                list().collect::<Vec<_>>()
            );
            pairs += 1;
            found += usize::from(want.is_some());
            later += usize::from(want.is_some_and(|it| it >= super::FEW));
        }
    }
    // The draw is worth something only if both answers come up often.
    assert!(
        found > pairs / 3 && found < pairs * 19 / 20,
        "{found} of {pairs}"
    );
    assert!(later > pairs / 10, "{later} of {pairs}");
}

/// One host with ten thousand rules of all kinds, most of them drawn anew, some again and again.
#[test]
fn a_table_of_ten_thousand_rules_finds_what_asking_in_order_finds() {
    let mut dice = Dice(7);
    let mut patterns = Patterns::default();
    let mut rules: Vec<Arc<MatchRequest>> = Vec::new();
    while rules.len() < 10_000 {
        let n = rules.len();
        // Most have a beginning of their own, so that a request does not end at the first of them.
        let own = |it: &[u8]| [format!("/own{}", n % 7000).as_bytes(), it].concat().into();
        for rule in table(&mut dice, &mut patterns) {
            let mut rule = MatchRequest::clone(&rule);
            rule.path = match rule.path {
                PathMatch::Exact(it) => PathMatch::Exact(own(&it)),
                PathMatch::ExactFold(it) => PathMatch::ExactFold(own(&it)),
                PathMatch::Prefix(it) => PathMatch::Prefix(own(&it)),
                PathMatch::PrefixFold(it) => PathMatch::PrefixFold(own(&it)),
                // Those that take nearly every path would leave nothing to others.
                PathMatch::Regex(it) if it.as_str().starts_with(['.', '[', '(']) => continue,
                regex @ PathMatch::Regex(_) => regex,
            };
            rules.push(Arc::new(rule));
        }
    }
    rules.truncate(10_000);
    let index: RouteIndex = rules.iter().cloned().collect();
    let (mut found, mut late) = (0, 0);
    for _ in 0..500 {
        let (path, headers) = (near(&mut dice, &rules), headers(&mut dice));
        let method = dice.of(&["GET", "POST"]);
        let request = RequestHead::new(method, "http", "a.com", &path, &headers);
        let want = rules.iter().position(|it| it.matches(&request));
        assert_eq!(index.find(&request), want, "{request:?}");
        found += usize::from(want.is_some());
        late += usize::from(want.is_some_and(|it| it >= 1000));
    }
    assert!(found > 150 && found < 475, "{found} of 500");
    assert!(late > 50, "{late} of 500 beyond the first thousand");
}

/// Each of many prefixes is the prefix of the next: as deep as a table gets.
#[test]
fn a_deep_table_is_searched_without_recursion() {
    let rule = |n: usize| {
        let path = "/".repeat(n).into_bytes().into_boxed_slice();
        let path = PathMatch::Prefix(path);
        Arc::new(MatchRequest {
            path,
            ..MatchRequest::default()
        })
    };
    let index: RouteIndex = (1..=3000).rev().map(rule).collect();
    let headers = HeaderMap::new();
    for n in [1, 2, 1500, 2999, 3000, 3001] {
        let path = "/".repeat(n);
        let request = RequestHead::new("GET", "http", "a.com", &path, &headers);
        assert_eq!(index.find(&request), Some(3000_usize.saturating_sub(n)));
    }
}
