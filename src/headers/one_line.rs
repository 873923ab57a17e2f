//! The headers Envoy keeps in one line: what is added to them is appended with a comma.
//!
//! Asked of Envoy 1.40, header by header.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// In requests, sorted.
const REQUEST: &[&str] = &[
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "authorization",
    "cache-control",
    "cdn-loop",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "grpc-accept-encoding",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "origin",
    "pragma",
    "proxy-connection",
    "proxy-status",
    "referer",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-client-trace-id",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
    "x-envoy-force-trace",
    "x-envoy-internal",
    "x-envoy-ip-tags",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-envoy-original-url",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-timeout-ms",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// In responses, sorted.
const RESPONSE: &[&str] = &[
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "age",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expires",
    "grpc-message",
    "grpc-status",
    "keep-alive",
    "last-modified",
    "location",
    "proxy-connection",
    "proxy-status",
    "server",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-envoy-degraded",
    "x-envoy-immediate-health-check-fail",
    "x-envoy-ratelimited",
    "x-envoy-upstream-canary",
    "x-envoy-upstream-healthchecked-cluster",
    "x-envoy-upstream-service-time",
    "x-request-id",
];

/// Which of the two a header belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    Request,
    Response,
}

impl Side {
    fn keeps_in_one_line(self, name: &HeaderName) -> bool {
        let names = match self {
            Self::Request => REQUEST,
            Self::Response => RESPONSE,
        };
        names.binary_search(&name.as_str()).is_ok()
    }

    /// Appends a line, or to the line where there may be only one.
    pub(super) fn add(self, headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
        if self.keeps_in_one_line(name) && headers.contains_key(name) {
            let parts = headers.get_all(name).iter().chain([&value]);
            if let Some(line) = join(parts, b",") {
                headers.insert(name, line);
            }
            return;
        }
        // Only a map that is full to its last entry refuses.
        let _ = headers.try_append(name, value);
    }
}

/// Makes one line of several in a request that a proxy has received.
pub(crate) fn join_request_lines(headers: &mut HeaderMap) {
    join_lines(headers, Side::Request);
}

/// The same in the response of an endpoint.
pub(crate) fn join_response_lines(headers: &mut HeaderMap) {
    join_lines(headers, Side::Response);
}

fn join_lines(headers: &mut HeaderMap, side: Side) {
    // Most messages have every header once.
    if headers.len() == headers.keys_len() {
        return;
    }
    let has_several = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
    let several = headers.keys().filter(has_several);
    let several = several.filter(|name| side.keeps_in_one_line(name));
    let several: Vec<HeaderName> = several.cloned().collect();
    for name in several {
        let lines = headers.get_all(&name).iter();
        // A line that says nothing leaves no mark.
        if let Some(joined) = join(lines.filter(|it| !it.is_empty()), b",") {
            headers.insert(name, joined);
        }
    }
}

/// One line of several, with this between them. It is as sensitive as the most sensitive of them.
pub(crate) fn join<'v>(
    lines: impl Iterator<Item = &'v HeaderValue>,
    between: &[u8],
) -> Option<HeaderValue> {
    let (mut text, mut sensitive) = (Vec::new(), false);
    for line in lines {
        if !text.is_empty() {
            text.extend_from_slice(between);
        }
        text.extend_from_slice(line.as_bytes());
        sensitive |= line.is_sensitive();
    }
    let mut joined = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()?;
    joined.set_sensitive(sensitive);
    Some(joined)
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

    use super::{REQUEST, RESPONSE, Side, join_request_lines};

    #[test]
    fn the_names_can_be_searched() {
        assert!(REQUEST.is_sorted());
        assert!(RESPONSE.is_sorted());
    }

    #[test]
    fn what_is_sensitive_stays_so_in_one_line_with_others() {
        let value = |text, sensitive| {
            let mut value = HeaderValue::from_static(text);
            value.set_sensitive(sensitive);
            value
        };
        for (first, second) in [(true, false), (false, true), (false, false)] {
            let mut headers = HeaderMap::new();
            headers.append(AUTHORIZATION, value("a", first));
            let mut added = headers.clone();
            headers.append(AUTHORIZATION, value("b", second));
            join_request_lines(&mut headers);
            Side::Request.add(&mut added, &AUTHORIZATION, value("b", second));
            for headers in [headers, added] {
                assert_eq!(headers[AUTHORIZATION], "a,b");
                assert_eq!(headers[AUTHORIZATION].is_sensitive(), first || second);
            }
        }
    }
}
