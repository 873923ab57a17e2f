//! Requests that are odd on the wire, and what becomes of them: a real Envoy 1.40 under Istio's
//! settings, and `forward` behind hyper's server, which refuses some before any layer sees them.
//!
//! `tests/edges` sends them to a proxy in axum, `tests/envoy` to an Envoy and the `gateway` program.

/// The status and the body of an answer; status 0 where there is none.
pub(crate) type Answer = (u16, &'static str);

/// One request to a proxy for `a.com`, whose requests a rule answers with `routed`; it refuses
/// hosts it does not know.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) request: Vec<u8>,
    pub(crate) envoy: Answer,
    pub(crate) ours: Answer,
    /// The row of ARCHITECTURE.md that tells of the difference.
    pub(crate) documented: &'static str,
}

const BAD: Answer = (400, "Bad Request");
const ROUTED: Answer = (200, "routed");
/// The host is not declared.
const UNKNOWN: Answer = (502, "");
const OLD: Answer = (426, "Upgrade Required");
const NO_CODING: Answer = (501, "Not Implemented");
const TOO_LARGE: Answer = (431, "Request Header Fields Too Large");
/// hyper's own, before any layer.
const BY_HYPER: Answer = (400, "");
const TOO_LARGE_BY_HYPER: Answer = (431, "");

impl Row {
    /// A request that both answer alike; its characters are bytes.
    fn alike(name: &'static str, head: &str, answer: Answer) -> Self {
        Self {
            name,
            request: format!("{head}\r\n\r\n").chars().map(|c| c as u8).collect(),
            envoy: answer,
            ours: answer,
            documented: "",
        }
    }

    /// The same for more lines, or a body, after those of a plain request.
    fn lines(name: &'static str, lines: &str, answer: Answer) -> Self {
        let head = format!("GET / HTTP/1.1\r\nhost: a.com\r\n{lines}");
        Self::alike(name, &head, answer)
    }

    /// The same where this crate answers otherwise.
    fn but(self, ours: Answer, documented: &'static str) -> Self {
        Self {
            ours,
            documented,
            ..self
        }
    }
}

/// Heads that both answer alike: hosts, then targets, then methods and versions.
const HEADS: &[(&str, &str, Answer)] = &[
    ("plain", "GET / HTTP/1.1\r\nhost: a.com", ROUTED),
    ("upper case", "GET / HTTP/1.1\r\nhost: A.COM", ROUTED),
    ("with a port", "GET / HTTP/1.1\r\nhost: a.com:99999", ROUTED),
    ("an empty port", "GET / HTTP/1.1\r\nhost: a.com:", ROUTED),
    (
        "letters for a port",
        "GET / HTTP/1.1\r\nhost: a.com:abc",
        ROUTED,
    ),
    ("a trailing dot", "GET / HTTP/1.1\r\nhost: a.com.", ROUTED),
    ("somebody's", "GET / HTTP/1.1\r\nhost: u@a.com", UNKNOWN),
    ("no host", "GET / HTTP/1.1", (400, "")),
    ("an empty host", "GET / HTTP/1.1\r\nhost:", UNKNOWN),
    (
        "two hosts",
        "GET / HTTP/1.1\r\nhost: a.com\r\nhost: b.com",
        UNKNOWN,
    ),
    (
        "a host twice",
        "GET / HTTP/1.1\r\nhost: a.com\r\nhost: a.com",
        UNKNOWN,
    ),
    ("a space", "GET / HTTP/1.1\r\nhost: a com", BAD),
    ("a comma", "GET / HTTP/1.1\r\nhost: a.com,b.com", UNKNOWN),
    (
        "a comma and a space",
        "GET / HTTP/1.1\r\nhost: a.com, b.com",
        BAD,
    ),
    (
        "another alphabet",
        "GET / HTTP/1.1\r\nhost: b\u{fc}cher",
        BAD,
    ),
    ("an address", "GET / HTTP/1.1\r\nhost: [::1]:80", UNKNOWN),
    ("a percent sign", "GET / HTTP/1.1\r\nhost: a%2ecom", UNKNOWN),
    (
        "a slash in the host",
        "GET / HTTP/1.1\r\nhost: a.com/x",
        BAD,
    ),
    ("an underscore", "GET / HTTP/1.1\r\nhost: a_b.com", UNKNOWN),
    (
        "a list as a target",
        "GET http://a.com,b.com/ HTTP/1.1\r\nhost: a.com",
        BAD,
    ),
    (
        "an absolute target",
        "GET http://a.com/ HTTP/1.1\r\nhost: b.com",
        ROUTED,
    ),
    (
        "an absolute target alone",
        "GET http://a.com/ HTTP/1.1",
        ROUTED,
    ),
    (
        "a scheme in capitals",
        "GET hTTp://a.com/ HTTP/1.1\r\nhost: b.com",
        ROUTED,
    ),
    (
        "somebody's target",
        "GET http://u@a.com/ HTTP/1.1\r\nhost: b.com",
        ROUTED,
    ),
    (
        "another scheme",
        "GET ftp://a.com/ HTTP/1.1\r\nhost: a.com",
        BAD,
    ),
    ("no slash", "GET a HTTP/1.1\r\nhost: a.com", BAD),
    ("a star", "GET * HTTP/1.1\r\nhost: a.com", BAD),
    (
        "a star of OPTIONS",
        "OPTIONS * HTTP/1.1\r\nhost: a.com",
        (404, ""),
    ),
    (
        "a tunnel",
        "CONNECT a.com:80 HTTP/1.1\r\nhost: a.com:80",
        (404, ""),
    ),
    (
        "a tunnel without a port",
        "CONNECT a.com HTTP/1.1\r\nhost: a.com",
        BAD,
    ),
    (
        "a tunnel to a path",
        "CONNECT / HTTP/1.1\r\nhost: a.com",
        BAD,
    ),
    (
        "nothing, escaped",
        "GET /%00 HTTP/1.1\r\nhost: a.com",
        (400, ""),
    ),
    (
        "a percent sign alone",
        "GET /% HTTP/1.1\r\nhost: a.com",
        ROUTED,
    ),
    ("a fragment", "GET /a#f HTTP/1.1\r\nhost: a.com", ROUTED),
    ("small letters", "get / HTTP/1.1\r\nhost: a.com", BAD),
    ("no such method", "FOO / HTTP/1.1\r\nhost: a.com", BAD),
    ("long ago", "GET / HTTP/1.0\r\nhost: a.com", OLD),
];

/// Lines of headers that both answer alike.
const LINES: &[(&str, &str, Answer)] = &[
    ("eight bits in a value", "x: \u{e9}", ROUTED),
    ("an underscore in a name", "x_y: a", ROUTED),
    ("a control to the proxy", "x-envoy-retry-on: 5xx", ROUTED),
    ("a name taken off", "connection: x-forwarded-for", BAD),
    (
        "another protocol",
        "connection: upgrade\r\nupgrade: foo",
        (403, ""),
    ),
    (
        "an unknown coding",
        "transfer-encoding: gzip, chunked\r\n\r\n0",
        NO_CODING,
    ),
];

/// Lines that Envoy refuses with a text, and hyper without one before any layer sees them.
const LINES_FOR_HYPER: &[(&str, &str)] = &[
    ("nothing in a value", "x: a\0b"),
    ("a name with a space", "x y: a"),
    ("a space before the colon", "x : a"),
    ("no name", ": a"),
    ("no colon", "x"),
    ("a length of letters", "content-length: a"),
    ("a length below nothing", "content-length: -1"),
    ("a length with a sign", "content-length: +0"),
    (
        "two lengths",
        "content-length: 1\r\ncontent-length: 2\r\n\r\nab",
    ),
    ("a list of lengths", "content-length: 1, 1\r\n\r\na"),
];

/// All of them.
pub(crate) fn rows() -> Vec<Row> {
    let framing = "a length beside chunks";
    let refused = "request targets hyper refuses";
    let by_hyper = "requests hyper refuses itself";
    let other = "versions and transfer codings that hyper does not know";
    let get = |name, target: &str, answer| {
        Row::alike(
            name,
            &format!("GET {target} HTTP/1.1\r\nhost: a.com"),
            answer,
        )
    };
    let many = |count: usize| {
        (0..count)
            .map(|n| format!("x-{n}: y\r\n"))
            .collect::<String>()
    };
    let long = "x".repeat(61 << 10);
    let heads = HEADS
        .iter()
        .map(|(name, head, answer)| Row::alike(name, head, *answer));
    let lines = LINES
        .iter()
        .map(|(name, lines, answer)| Row::lines(name, lines, *answer));
    let for_hyper = LINES_FOR_HYPER.iter();
    let for_hyper =
        for_hyper.map(|(name, lines)| Row::lines(name, lines, BAD).but(BY_HYPER, by_hyper));
    let others = [
        get("eight bits", "/\u{e9}", BAD).but(BY_HYPER, by_hyper),
        get("nothing", "/\0", BAD).but(BY_HYPER, by_hyper),
        get("a bracket", "/<a>", ROUTED).but(BY_HYPER, refused),
        get("a long target", &format!("/{long}"), TOO_LARGE),
        Row::alike("longer ago", "GET /", OLD).but(BY_HYPER, other),
        Row::alike("a version to come", "GET / HTTP/2.0\r\nhost: a.com", OLD).but(BY_HYPER, other),
        Row::lines("61 KiB of headers", &format!("x: {long}"), TOO_LARGE),
        Row::lines("99 more headers", many(99).trim_end(), ROUTED),
        Row::lines("100 more headers", many(100).trim_end(), TOO_LARGE)
            .but(TOO_LARGE_BY_HYPER, by_hyper),
        Row::lines("a folded header", "x: a\r\n b", ROUTED)
            .but(BY_HYPER, "a header folded over two lines"),
        Row::lines("the identity", "transfer-encoding: identity", NO_CODING).but(BY_HYPER, other),
        Row::lines(
            "a length twice",
            "content-length: 0\r\ncontent-length: 0",
            BAD,
        )
        .but(ROUTED, framing),
        Row::lines(
            "a length beside chunks",
            "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0",
            BAD,
        )
        .but(ROUTED, framing),
    ];
    heads.chain(lines).chain(for_hyper).chain(others).collect()
}

#[test]
fn every_difference_is_told_to_readers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md");
    let text = std::fs::read_to_string(path).expect("the file");
    for row in rows() {
        let (name, documented) = (row.name, row.documented);
        assert_eq!(row.envoy == row.ours, documented.is_empty(), "{name}");
        let told = documented.is_empty() || text.contains(&format!("| {documented}"));
        assert!(told, "{name}: no row begins with {documented:?}");
    }
}
