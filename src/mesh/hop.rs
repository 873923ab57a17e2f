//! What a proxy changes in headers on the way through, as Envoy does it under Istio.

use std::time::Duration;

use http::header::{
    CONNECTION, EXPECT, HOST, HeaderName, HeaderValue, SERVER, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::Authority;
use http::{HeaderMap, Request, Version};

use crate::context::AbsoluteTarget;
use crate::headers::{join, join_request_lines};
use crate::rt::Rng;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const SERVICE_TIME: HeaderName = HeaderName::from_static("x-envoy-upstream-service-time");

/// Words to a proxy, which end at the first one whether it heeds them or not.
const CONTROL: [&str; 17] = [
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-force-trace",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-internal",
    "x-envoy-ip-tags",
    "x-envoy-max-retries",
    "x-envoy-original-url",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
    "x-forwarded-client-cert",
];

/// Finds the request's host where HTTP says: an absolute target's authority, else `Host`.
pub(super) fn read_host<B>(request: &mut Request<B>) {
    // Who the user is does not belong to the host.
    let authority = request.uri().authority().map(Authority::as_str);
    if let Some(authority) = authority.map(|it| it.rsplit_once('@').map_or(it, |(_, host)| host))
        && let Ok(host) = HeaderValue::from_str(authority)
    {
        request.headers_mut().insert(HOST, host);
    }
    if request.uri().scheme().is_some() && request.headers().contains_key(FORWARDED_PROTO) {
        request.extensions_mut().insert(AbsoluteTarget);
    }
    join_lines(request.headers_mut(), "host", b",");
    if request.version() == Version::HTTP_2 {
        // HTTP/2 lets clients send a cookie in crumbs.
        join_lines(request.headers_mut(), "cookie", b"; ");
    }
}

/// The same where the request stays in this process: nothing is added where one host is named.
pub(super) fn settle_host<B>(request: &mut Request<B>) {
    let mut named = request.headers().get_all(HOST).iter();
    let first = named.next().map(HeaderValue::as_bytes);
    let target = request.uri().authority().map(|it| it.as_str().as_bytes());
    let same = first.is_none() || target.is_none() || first == target;
    if !same || named.next().is_some() {
        read_host(request);
    }
}

/// Another protocol that a request asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Upgrade {
    /// None, or HTTP/2, which is not changed to midway: an ordinary request.
    None,
    /// WebSocket, which Istio lets through.
    Accepted,
    /// Any other, which it does not.
    Refused,
}

/// Which other protocol a request asks for.
pub(super) fn upgrade<B>(request: &Request<B>) -> Upgrade {
    let headers = request.headers();
    let Some(protocol) = headers.get(UPGRADE) else {
        return Upgrade::None;
    };
    let asks = words(headers, &CONNECTION).any(|word| word.eq_ignore_ascii_case("upgrade"));
    let is = |name: &[u8]| protocol.as_bytes().eq_ignore_ascii_case(name);
    if request.version() != Version::HTTP_11 || !asks || is(b"h2c") {
        Upgrade::None
    } else if is(b"websocket") {
        Upgrade::Accepted
    } else {
        Upgrade::Refused
    }
}

/// What is done to a request's headers before it is routed; `upgrade` if it goes on to ask for
/// another protocol.
pub(super) fn receive(headers: &mut HeaderMap, dice: &Rng, upgrade: bool) {
    join_request_lines(headers);
    let protocol = headers.get(UPGRADE).filter(|_| upgrade).cloned();
    let trailers = wants_trailers(headers);
    remove_nominated(headers);
    end_hop(headers);
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, protocol);
    }
    headers.remove(TE);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    // It is this hop that answers 100 Continue.
    let continues = |it: &HeaderValue| it.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if headers.get(EXPECT).is_some_and(continues) {
        headers.remove(EXPECT);
    }
    for name in CONTROL {
        headers.remove(name);
    }
    if !headers.contains_key(FORWARDED_PROTO) {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    if headers.get(REQUEST_ID).is_none_or(HeaderValue::is_empty)
        && let Ok(id) = HeaderValue::try_from(random_uuid(dice))
    {
        headers.insert(REQUEST_ID, id);
    }
}

/// The scheme a received request is matched by: an absolute target's, else what the hop before
/// says. Nothing where that is said and empty: no rule matches such a request.
pub(super) fn scheme<B>(request: &Request<B>) -> Option<&'static str> {
    let said = request.headers().get(FORWARDED_PROTO)?.as_bytes();
    let target = request.uri().scheme_str().map(str::as_bytes);
    match (said, target.unwrap_or(said)) {
        ([], _) => None,
        (_, scheme) if scheme.eq_ignore_ascii_case(b"https") => Some("https"),
        _ => Some("http"),
    }
}

/// What is done to every response of a proxy; `close` ends the connection after it.
pub(super) fn dress_response(headers: &mut HeaderMap, close: bool) {
    headers.insert(SERVER, HeaderValue::from_static("envoy"));
    if close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// What is done to a response that came from an upstream, `took` after the request.
pub(super) fn dress_upstream_response(headers: &mut HeaderMap, took: Duration) {
    end_hop(headers);
    join_lines(headers, "content-type", b",");
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    headers.insert(SERVICE_TIME, millis.into());
    dress_response(headers, false);
}

/// What is done to an upstream's answer to a request for another protocol.
pub(super) fn dress_upgrade_response(headers: &mut HeaderMap, switches: bool) {
    let protocol = headers.get(UPGRADE).filter(|_| switches).cloned();
    end_hop(headers);
    dress_response(headers, !switches);
    if switches {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    if let Some(protocol) = protocol {
        headers.insert(UPGRADE, protocol);
    }
}

/// Removes what concerns one connection only.
fn end_hop(headers: &mut HeaderMap) {
    for name in [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
}

/// Removes what the `Connection` header of a request names.
fn remove_nominated(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = words(headers, &CONNECTION)
        .filter_map(|name| name.parse().ok())
        .collect();
    for name in nominated {
        headers.remove(name);
    }
}

fn wants_trailers(headers: &HeaderMap) -> bool {
    words(headers, &TE).any(|coding| coding.eq_ignore_ascii_case("trailers"))
}

/// The comma-separated words of all lines of a header.
pub(super) fn words<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
}

fn join_lines(headers: &mut HeaderMap, name: &str, between: &[u8]) {
    let lines = headers.get_all(name);
    if lines.iter().nth(1).is_none() {
        return;
    }
    // A line that says nothing leaves no mark.
    let joined = join(lines.iter().filter(|it| !it.is_empty()), between);
    if let (Ok(name), Some(joined)) = (HeaderName::from_bytes(name.as_bytes()), joined) {
        headers.insert(name, joined);
    }
}

/// A random UUID, version 4.
fn random_uuid(dice: &Rng) -> String {
    let (high, low) = (dice.next_u64(), dice.next_u64());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff,
    )
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Request};

    use super::{Upgrade, random_uuid, read_host, receive, scheme, upgrade};
    use crate::body::Body;
    use crate::rt::Rng;

    #[track_caller]
    fn check(write: &[(&'static str, &'static str)], want: &[(&str, &str)]) {
        let mut headers = HeaderMap::new();
        for (name, value) in write {
            headers.append(*name, value.parse().expect("a valid value"));
        }
        receive(&mut headers, &Rng::seeded(1), false);
        let id = headers.remove("x-request-id").expect("always there");
        assert!(!id.is_empty());
        headers.remove("x-forwarded-proto");
        let got: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().expect("text")))
            .collect();
        assert_eq!(got, want);
    }

    #[test]
    fn what_concerns_one_connection_ends_here() {
        check(
            &[("connection", "x-a, close"), ("x-a", "1"), ("x-b", "2")],
            &[("x-b", "2")],
        );
        check(&[("te", "trailers, gzip")], &[("te", "trailers")]);
        check(
            &[("te", "trailers"), ("connection", "te")],
            &[("te", "trailers")],
        );
        check(&[("te", "gzip")], &[]);
        let hop = [
            ("keep-alive", "1"),
            ("proxy-connection", "x"),
            ("upgrade", "h2c"),
        ];
        check(&hop, &[]);
    }

    #[test]
    fn words_to_a_proxy_and_doubled_lines_are_dealt_with() {
        check(
            &[
                ("x-envoy-retry-on", "5xx"),
                ("accept", "a"),
                ("accept", "b"),
            ],
            &[("accept", "a,b")],
        );
        check(&[("x-request-id", ""), ("expect", "100-continue")], &[]);
    }

    #[test]
    fn a_cookie_in_crumbs_is_one_line_and_as_sensitive_as_they_are() {
        let request = Request::get("/").version(http::Version::HTTP_2);
        let mut crumb = HeaderValue::from_static("a=b");
        crumb.set_sensitive(true);
        let request = request.header("cookie", crumb).header("cookie", "c=d");
        let mut request = request.body(Body::empty()).expect("a valid request");
        read_host(&mut request);
        let cookie = &request.headers()["cookie"];
        assert_eq!(cookie, "a=b; c=d");
        assert!(cookie.is_sensitive());
    }

    #[test]
    fn an_absolute_target_replaces_the_host() {
        let request = Request::get("http://shop/a").header("host", "other");
        let mut request = request.body(Body::empty()).expect("a valid request");
        read_host(&mut request);
        assert_eq!(request.headers()["host"], "shop");
    }

    #[test]
    fn the_scheme_is_what_the_hop_before_says() {
        let says = |target: &str, value: &str| {
            let request = Request::get(target).header("x-forwarded-proto", value);
            scheme(&request.body(()).expect("a valid request"))
        };
        assert_eq!(says("/", "HTTPS"), Some("https"));
        assert_eq!(says("/", "http"), Some("http"));
        assert_eq!(says("/", "ftp"), Some("http"));
        assert_eq!(says("/", ""), None);
        assert_eq!(says("https://shop/", "http"), Some("https"));
    }

    #[test]
    fn of_other_protocols_websocket_alone_is_let_through() {
        let asks = |connection: &str, protocol: &str| {
            let request = Request::get("/").header("connection", connection);
            upgrade(&request.header("upgrade", protocol).body(()).expect("valid"))
        };
        assert_eq!(asks("keep-alive, Upgrade", "WebSocket"), Upgrade::Accepted);
        assert_eq!(asks("upgrade", "foo"), Upgrade::Refused);
        assert_eq!(asks("upgrade", "websocket, foo"), Upgrade::Refused);
        assert_eq!(asks("upgrade, http2-settings", "h2c"), Upgrade::None);
        assert_eq!(asks("close", "websocket"), Upgrade::None);
    }

    #[test]
    fn request_ids_are_uuids_of_version_four() {
        let id = random_uuid(&Rng::seeded(1));
        let shape: String = id
            .chars()
            .map(|c| if c == '-' { '-' } else { 'x' })
            .collect();
        assert_eq!(shape, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
    }
}
