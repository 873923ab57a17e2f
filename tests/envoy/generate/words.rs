//! The pools everything is drawn from: small, so that rules overlap, shadow one another and
//! are told apart by one letter.

pub(super) const PATHS: [&str; 14] = [
    "/",
    "/a",
    "/ab",
    "/a/b",
    "/a/",
    "/A/b",
    "/api/v1",
    "/api/v12/x",
    "/x.y",
    "/a;p=1",
    "/%41b",
    "/a%2fb",
    "/a%2Fb/c",
    "/a//b",
];
/// Expressions, each with paths it takes and paths that look so.
pub(super) const REGEXES: [(&str, &[&str]); 14] = [
    ("/a.*", &["/a", "/abc", "/A", "/x/a"]),
    (".*", &["/", "/anything"]),
    (
        "/api/v[0-9]+",
        &["/api/v1", "/api/v", "/api/v1/", "/api/v12"],
    ),
    ("/api/v\\d+/.*", &["/api/v1/", "/api/v1/x/y", "/api/v1"]),
    ("^/x\\.y$", &["/x.y", "/xzy", "/x.y/"]),
    ("/(a|ab)(b|/.*)?", &["/ab", "/abb", "/a/b", "/abc"]),
    ("(?i)/a/B", &["/a/b", "/A/B", "/a/bc"]),
    ("/[a&&b]", &["/a", "/b", "/&", "/ab"]),
    ("/[^/]+/b", &["/a/b", "/a/c/b", "//b"]),
    ("/\\w+", &["/ab", "/a_1", "/a-b", "/%41"]),
    ("/a{2,3}", &["/a", "/aa", "/aaa", "/aaaa"]),
    ("/\\Qx.y\\E", &["/x.y", "/xzy"]),
    ("/a\\b.*", &["/a", "/a/b", "/ab", "/a%2fb"]),
    ("(?U)/a+?b*", &["/ab", "/aab", "/a", "/b"]),
];
pub(super) const HEADERS: [&str; 6] = ["x-a", "x-b", "X-Mixed", "cookie", "content-type", "accept"];
pub(super) const VALUES: [&str; 11] = [
    "1",
    "2",
    "12",
    "v1",
    "V1",
    "beta",
    "beta2",
    "a,b",
    "application/grpc",
    "application/grpc+proto",
    "",
];
/// Values a condition is written with; an empty one would be presence.
pub(super) const WRITTEN: [&str; 9] = [
    "1",
    "2",
    "12",
    "v1",
    "V1",
    "beta",
    "beta2",
    "a,b",
    "application/grpc",
];
/// Expressions for values, each with one it takes.
pub(super) const VALUE_REGEXES: [(&str, &str); 7] = [
    ("[0-9]+", "12"),
    ("v.*", "v1"),
    ("(?i)BETA", "beta"),
    ("a,b|1", "a,b"),
    (".+", "V1"),
    ("\\S*", "2"),
    ("*", ""),
];
pub(super) const PARAMETERS: [&str; 4] = ["k", "K", "p", "k2"];
pub(super) const METHODS: [&str; 7] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH"];
pub(super) const ORIGINS: [&str; 7] = [
    "https://ok.test",
    "https://OK.test",
    "https://no.test",
    "https://pre.fix.test",
    "https://re1.test",
    "null",
    "",
];
/// Headers that mean something to a proxy, as a client may send them.
pub(super) const ODD_HEADERS: [(&str, &str); 18] = [
    ("x-forwarded-for", "10.1.2.3"),
    ("x-forwarded-for", "10.1.2.3, 11.2.3.4"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "was.test"),
    ("x-request-id", "mine"),
    ("x-envoy-attempt-count", "7"),
    ("x-envoy-decorator-operation", "mine"),
    ("x-envoy-internal", "true"),
    ("te", "trailers"),
    ("te", "gzip"),
    ("connection", "x-a"),
    ("keep-alive", "timeout=5"),
    ("upgrade", "h2c"),
    ("x-in", "a b"),
    ("x-in", ""),
    ("x_under", "1"),
    ("cookie", "a=b; c=d"),
    ("via", "1.1 other"),
];
