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
const TOO_LARGE: Answer = (431, "Request Header Fields Too Large");
/// hyper's own, before any layer.
const BY_HYPER: Answer = (400, "");
const TOO_LARGE_BY_HYPER: Answer = (431, "");

/// Bytes, a character a byte.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| c as u8).collect()
}

/// All of them.
pub(crate) fn rows() -> Vec<Row> {
    let long = "x".repeat(61 << 10);
    let many = |count: usize| {
        (0..count)
            .map(|n| format!("x-{n}: y\r\n"))
            .collect::<String>()
    };
    let same = |name, head: String, answer| Row {
        name,
        request: bytes(&format!("{head}\r\n\r\n")),
        envoy: answer,
        ours: answer,
        documented: "",
    };
    let get = |name, rest: &str, answer| same(name, format!("GET {rest}"), answer);
    let lines = |name, lines: &str, answer| {
        same(
            name,
            format!("GET / HTTP/1.1\r\nhost: a.com\r\n{lines}"),
            answer,
        )
    };
    let differ = |row: Row, ours, documented| Row {
        ours,
        documented,
        ..row
    };
    let framing = "a length beside chunks";
    let refused = "request targets hyper refuses";
    let by_hyper = "requests hyper refuses itself";
    let other = "versions and transfer codings that hyper does not know";
    vec![
        get("plain", "/ HTTP/1.1\r\nhost: a.com", ROUTED),
        // Hosts.
        get("upper case", "/ HTTP/1.1\r\nhost: A.COM", ROUTED),
        get("with a port", "/ HTTP/1.1\r\nhost: a.com:99999", ROUTED),
        get("an empty port", "/ HTTP/1.1\r\nhost: a.com:", ROUTED),
        get("a port of letters", "/ HTTP/1.1\r\nhost: a.com:abc", ROUTED),
        get("a trailing dot", "/ HTTP/1.1\r\nhost: a.com.", ROUTED),
        get("somebody's", "/ HTTP/1.1\r\nhost: u@a.com", UNKNOWN),
        get("no host", "/ HTTP/1.1", (400, "")),
        get("an empty host", "/ HTTP/1.1\r\nhost:", UNKNOWN),
        get(
            "two hosts",
            "/ HTTP/1.1\r\nhost: a.com\r\nhost: b.com",
            UNKNOWN,
        ),
        get(
            "a host twice",
            "/ HTTP/1.1\r\nhost: a.com\r\nhost: a.com",
            UNKNOWN,
        ),
        get("a space", "/ HTTP/1.1\r\nhost: a com", BAD),
        get("a comma", "/ HTTP/1.1\r\nhost: a.com,b.com", UNKNOWN),
        get(
            "a comma and a space",
            "/ HTTP/1.1\r\nhost: a.com, b.com",
            BAD,
        ),
        get("another alphabet", "/ HTTP/1.1\r\nhost: b\u{fc}cher", BAD),
        get("an address", "/ HTTP/1.1\r\nhost: [::1]:80", UNKNOWN),
        get("a percent sign", "/ HTTP/1.1\r\nhost: a%2ecom", UNKNOWN),
        get("a slash in the host", "/ HTTP/1.1\r\nhost: a.com/x", BAD),
        get("an underscore", "/ HTTP/1.1\r\nhost: a_b.com", UNKNOWN),
        // Targets.
        get(
            "a comma in the target",
            "http://a.com,b.com/ HTTP/1.1\r\nhost: a.com",
            BAD,
        ),
        get(
            "an absolute target",
            "http://a.com/ HTTP/1.1\r\nhost: b.com",
            ROUTED,
        ),
        get("an absolute target alone", "http://a.com/ HTTP/1.1", ROUTED),
        get(
            "a scheme in capitals",
            "hTTp://a.com/ HTTP/1.1\r\nhost: b.com",
            ROUTED,
        ),
        get(
            "somebody's target",
            "http://u@a.com/ HTTP/1.1\r\nhost: b.com",
            ROUTED,
        ),
        get(
            "another scheme",
            "ftp://a.com/ HTTP/1.1\r\nhost: a.com",
            BAD,
        ),
        get("no slash", "a HTTP/1.1\r\nhost: a.com", BAD),
        get("a star", "* HTTP/1.1\r\nhost: a.com", BAD),
        same(
            "a star of OPTIONS",
            "OPTIONS * HTTP/1.1\r\nhost: a.com".to_owned(),
            (404, ""),
        ),
        same(
            "a tunnel",
            "CONNECT a.com:80 HTTP/1.1\r\nhost: a.com:80".to_owned(),
            (404, ""),
        ),
        same(
            "a tunnel without a port",
            "CONNECT a.com HTTP/1.1\r\nhost: a.com".to_owned(),
            BAD,
        ),
        same(
            "a tunnel to a path",
            "CONNECT / HTTP/1.1\r\nhost: a.com".to_owned(),
            BAD,
        ),
        differ(
            get("eight bits", "/\u{e9} HTTP/1.1\r\nhost: a.com", BAD),
            BY_HYPER,
            by_hyper,
        ),
        get(
            "nothing, escaped",
            "/%00 HTTP/1.1\r\nhost: a.com",
            (400, ""),
        ),
        differ(
            get("nothing", "/\0 HTTP/1.1\r\nhost: a.com", BAD),
            BY_HYPER,
            by_hyper,
        ),
        get("a percent sign alone", "/% HTTP/1.1\r\nhost: a.com", ROUTED),
        get("a fragment", "/a#f HTTP/1.1\r\nhost: a.com", ROUTED),
        differ(
            get("a bracket", "/<a> HTTP/1.1\r\nhost: a.com", ROUTED),
            BY_HYPER,
            refused,
        ),
        get(
            "a long target",
            &format!("/{long} HTTP/1.1\r\nhost: a.com"),
            TOO_LARGE,
        ),
        // Methods and versions.
        same(
            "small letters",
            "get / HTTP/1.1\r\nhost: a.com".to_owned(),
            BAD,
        ),
        same(
            "no such method",
            "FOO / HTTP/1.1\r\nhost: a.com".to_owned(),
            BAD,
        ),
        get(
            "long ago",
            "/ HTTP/1.0\r\nhost: a.com",
            (426, "Upgrade Required"),
        ),
        differ(
            get("longer ago", "/", (426, "Upgrade Required")),
            BY_HYPER,
            other,
        ),
        differ(
            get(
                "a version to come",
                "/ HTTP/2.0\r\nhost: a.com",
                (426, "Upgrade Required"),
            ),
            BY_HYPER,
            other,
        ),
        // Headers.
        lines("61 KiB of headers", &format!("x: {long}"), TOO_LARGE),
        lines("99 more headers", many(99).trim_end(), ROUTED),
        differ(
            lines("100 more headers", many(100).trim_end(), TOO_LARGE),
            TOO_LARGE_BY_HYPER,
            by_hyper,
        ),
        differ(
            lines("nothing in a value", "x: a\0b", BAD),
            BY_HYPER,
            by_hyper,
        ),
        differ(
            lines("a name with a space", "x y: a", BAD),
            BY_HYPER,
            by_hyper,
        ),
        differ(
            lines("a space before the colon", "x : a", BAD),
            BY_HYPER,
            by_hyper,
        ),
        differ(lines("no name", ": a", BAD), BY_HYPER, by_hyper),
        differ(lines("no colon", "x", BAD), BY_HYPER, by_hyper),
        lines("eight bits in a value", "x: \u{e9}", ROUTED),
        lines("an underscore in a name", "x_y: a", ROUTED),
        differ(
            lines("a folded header", "x: a\r\n b", ROUTED),
            BY_HYPER,
            "a header folded over two lines",
        ),
        lines("a control to the proxy", "x-envoy-retry-on: 5xx", ROUTED),
        lines("a name taken off", "connection: x-forwarded-for", BAD),
        lines(
            "another protocol",
            "connection: upgrade\r\nupgrade: foo",
            (403, ""),
        ),
        // Bodies.
        lines(
            "an unknown coding",
            "transfer-encoding: gzip, chunked\r\n\r\n0",
            (501, "Not Implemented"),
        ),
        differ(
            lines(
                "the identity",
                "transfer-encoding: identity",
                (501, "Not Implemented"),
            ),
            BY_HYPER,
            other,
        ),
        differ(
            lines("a length of letters", "content-length: a", BAD),
            BY_HYPER,
            by_hyper,
        ),
        differ(
            lines("a length below nothing", "content-length: -1", BAD),
            BY_HYPER,
            by_hyper,
        ),
        differ(
            lines("a length with a sign", "content-length: +0", BAD),
            BY_HYPER,
            by_hyper,
        ),
        differ(
            lines(
                "two lengths",
                "content-length: 1\r\ncontent-length: 2\r\n\r\nab",
                BAD,
            ),
            BY_HYPER,
            by_hyper,
        ),
        differ(
            lines("a list of lengths", "content-length: 1, 1\r\n\r\na", BAD),
            BY_HYPER,
            by_hyper,
        ),
        differ(
            lines(
                "a length twice",
                "content-length: 0\r\ncontent-length: 0",
                BAD,
            ),
            ROUTED,
            framing,
        ),
        differ(
            lines(
                "a length beside chunks",
                "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0",
                BAD,
            ),
            ROUTED,
            framing,
        ),
    ]
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
