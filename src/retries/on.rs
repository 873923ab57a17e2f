//! `retryOn`: the conditions, and the pure test whether a try has failed.

use std::fmt;

use http::{HeaderMap, HeaderName, StatusCode};

use crate::failure::Failure;

/// The conditions of `retryOn`, parsed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RetryOn {
    conditions: u16,
    statuses: Vec<StatusCode>,
    /// Which headers of responses count; only headers of requests can name them.
    headers: Vec<HeaderName>,
}

/// A word `retryOn` does not know.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a valid retryOn policy")]
pub struct InvalidRetryOn(String);

const FIVE_XX: u16 = 1;
const GATEWAY_ERROR: u16 = 1 << 1;
const RESET: u16 = 1 << 2;
const RESET_BEFORE_REQUEST: u16 = 1 << 3;
const CONNECT_FAILURE: u16 = 1 << 4;
const RETRIABLE_4XX: u16 = 1 << 5;
const REFUSED_STREAM: u16 = 1 << 6;
const RETRIABLE_STATUS_CODES: u16 = 1 << 7;
const RATE_LIMITED: u16 = 1 << 8;
const CANCELLED: u16 = 1 << 9;
const DEADLINE_EXCEEDED: u16 = 1 << 10;
const INTERNAL: u16 = 1 << 11;
const RESOURCE_EXHAUSTED: u16 = 1 << 12;
const UNAVAILABLE: u16 = 1 << 13;
const RETRIABLE_HEADERS: u16 = 1 << 14;

pub(super) const WORDS: [(&str, u16); 16] = [
    ("5xx", FIVE_XX),
    ("gateway-error", GATEWAY_ERROR),
    ("reset", RESET),
    ("reset-before-request", RESET_BEFORE_REQUEST),
    ("connect-failure", CONNECT_FAILURE),
    ("retriable-4xx", RETRIABLE_4XX),
    ("refused-stream", REFUSED_STREAM),
    ("retriable-status-codes", RETRIABLE_STATUS_CODES),
    ("envoy-ratelimited", RATE_LIMITED),
    ("cancelled", CANCELLED),
    ("deadline-exceeded", DEADLINE_EXCEEDED),
    ("internal", INTERNAL),
    ("resource-exhausted", RESOURCE_EXHAUSTED),
    ("unavailable", UNAVAILABLE),
    // Istio names no headers; a rule's `x-envoy-retriable-header-names` does.
    ("retriable-headers", RETRIABLE_HEADERS),
    // There is no HTTP/3 here.
    ("http3-post-connect-failure", 0),
];

/// The gRPC conditions with the status each stands for.
const GRPC: [(u16, &[u8]); 5] = [
    (CANCELLED, b"1"),
    (DEADLINE_EXCEEDED, b"4"),
    (RESOURCE_EXHAUSTED, b"8"),
    (INTERNAL, b"13"),
    (UNAVAILABLE, b"14"),
];

const RATELIMITED: HeaderName = HeaderName::from_static("x-envoy-ratelimited");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

impl RetryOn {
    /// What Istio writes where nothing is written.
    pub(crate) const ISTIO_DEFAULT: &str =
        "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";

    /// What Istio retries on when nothing is written.
    #[must_use]
    pub const fn istio_default() -> Self {
        Self {
            conditions: CONNECT_FAILURE
                | REFUSED_STREAM
                | UNAVAILABLE
                | CANCELLED
                | RETRIABLE_STATUS_CODES,
            statuses: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Reads a comma-separated list of conditions and status codes.
    ///
    /// # Errors
    ///
    /// The first word that is neither. A blank belongs to its word and makes it unknown, as in
    /// Istio.
    pub fn parse(text: &str) -> Result<Self, InvalidRetryOn> {
        let mut on = Self::default();
        for word in text.split(',').filter(|word| !word.is_empty()) {
            if let Some((_, condition)) = WORDS.iter().find(|(known, _)| *known == word) {
                on.conditions |= condition;
                continue;
            }
            let status = word
                .parse()
                .ok()
                .and_then(|it| StatusCode::from_u16(it).ok());
            let Some(status) = status.filter(|it| it.canonical_reason().is_some()) else {
                return Err(InvalidRetryOn(word.to_owned()));
            };
            on.conditions |= RETRIABLE_STATUS_CODES;
            on.statuses.push(status);
        }
        Ok(on)
    }

    /// Adds a condition by its word in `x-envoy-retry-on`; another word adds none.
    pub(super) fn add_http(&mut self, word: &str) {
        let grpc = |condition| GRPC.iter().any(|(it, _)| *it == condition);
        let known = WORDS.iter().find(|(known, _)| *known == word);
        if let Some((_, condition)) = known.filter(|(_, it)| !grpc(*it)) {
            self.conditions |= condition;
        }
    }

    /// The same of `x-envoy-retry-grpc-on`.
    pub(super) fn add_grpc(&mut self, word: &str) {
        let known = WORDS.iter().find(|(known, _)| *known == word);
        let grpc = |condition| GRPC.iter().any(|(it, _)| *it == condition);
        if let Some((_, condition)) = known.filter(|(_, it)| grpc(*it)) {
            self.conditions |= condition;
        }
    }

    /// Adds a status, which counts where `retriable-status-codes` is a condition.
    pub(super) fn add_status(&mut self, status: StatusCode) {
        self.statuses.push(status);
    }

    /// Adds a header of responses, which counts where `retriable-headers` is a condition.
    pub(super) fn add_header(&mut self, name: HeaderName) {
        self.headers.push(name);
    }

    /// Whether there is any condition.
    pub(super) const fn is_any(&self) -> bool {
        self.conditions != 0
    }

    const fn any(&self, conditions: u16) -> bool {
        self.conditions & conditions != 0
    }

    /// Whether a response of an upstream, judged by its head, is tried again.
    #[must_use]
    pub fn retries_response(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        let by_status = match status.as_u16() {
            409 if self.any(RETRIABLE_4XX) => true,
            502..=504 if self.any(GATEWAY_ERROR) => true,
            500..=599 => self.any(FIVE_XX),
            _ => false,
        };
        let counts = by_status
            || (self.any(RETRIABLE_STATUS_CODES) && self.statuses.contains(&status))
            || self.retries_grpc(headers)
            || (self.any(RETRIABLE_HEADERS)
                && self.headers.iter().any(|it| headers.contains_key(it)));
        // A rate limit has a condition of its own and counts as no other.
        let by_limit = self.any(RATE_LIMITED);
        match counts == by_limit {
            true => counts,
            false => headers.contains_key(RATELIMITED) == by_limit,
        }
    }

    /// Whether a response with this status is tried again at once, if the request itself did not
    /// come early.
    #[must_use]
    pub fn retries_at_once(&self, status: StatusCode) -> bool {
        status == StatusCode::TOO_EARLY
            && self.any(RETRIABLE_STATUS_CODES)
            && self.statuses.contains(&status)
    }

    fn retries_grpc(&self, headers: &HeaderMap) -> bool {
        let mut conditions = GRPC.iter().filter(|(condition, _)| self.any(*condition));
        let Some(first) = conditions.next() else {
            return false;
        };
        let Some(status) = headers.get(GRPC_STATUS) else {
            return false;
        };
        let mut conditions = std::iter::once(first).chain(conditions);
        conditions.any(|(_, code)| status.as_bytes() == *code)
    }

    /// Whether a try that brought no response is tried again.
    #[must_use]
    pub fn retries_failure(&self, failure: &Failure) -> bool {
        let whatever = FIVE_XX | GATEWAY_ERROR | RESET;
        let conditions = match failure {
            Failure::Connect(_) | Failure::Tls(_) | Failure::ConnectTimeout => {
                whatever | CONNECT_FAILURE | RESET_BEFORE_REQUEST
            }
            Failure::RefusedStream => whatever | REFUSED_STREAM,
            Failure::Terminated | Failure::Reset | Failure::Protocol | Failure::LocalReset => {
                whatever
            }
            // Trying again would only add to what is too much.
            Failure::Overflow => 0,
        };
        self.any(conditions)
    }

    /// Whether a try that took longer than its time is tried again.
    #[must_use]
    pub const fn retries_late_try(&self) -> bool {
        self.any(FIVE_XX | GATEWAY_ERROR | RESET)
    }
}

impl fmt::Display for RetryOn {
    /// As `retryOn` is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = WORDS.iter().filter(|(_, condition)| self.any(*condition));
        let mut separator = "";
        for (word, _) in known {
            // Codes speak for themselves.
            if *word == "retriable-status-codes" && !self.statuses.is_empty() {
                continue;
            }
            write!(f, "{separator}{word}")?;
            separator = ",";
        }
        let codes = self.any(RETRIABLE_STATUS_CODES);
        for status in self.statuses.iter().filter(|_| codes) {
            write!(f, "{separator}{}", status.as_u16())?;
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::RetryOn;
    use crate::failure::Failure;

    /// Which of the statuses are tried again.
    #[track_caller]
    fn check(on: &str, statuses: &[u16]) {
        let on_parsed = RetryOn::parse(on).expect("valid");
        let all = [200, 409, 425, 429, 500, 501, 502, 503, 504, 505, 599];
        let headers = HeaderMap::new();
        let retried: Vec<u16> = all
            .into_iter()
            .filter(|status| {
                let status = StatusCode::from_u16(*status).expect("valid");
                on_parsed.retries_response(status, &headers)
            })
            .collect();
        assert_eq!(retried, statuses, "{on}");
    }

    #[test]
    fn statuses_are_judged_as_envoy_judges_them() {
        check("5xx", &[500, 501, 502, 503, 504, 505, 599]);
        check("gateway-error", &[502, 503, 504]);
        check("retriable-4xx", &[409]);
        check("503,429", &[429, 503]);
        check("retriable-status-codes", &[]);
        check("reset,connect-failure,refused-stream,unavailable", &[]);
        check("", &[]);
    }

    #[test]
    fn failures_are_judged_as_envoy_judges_them() {
        let check = |on: &str, failure: &Failure, want: bool| {
            let on_parsed = RetryOn::parse(on).expect("valid");
            assert_eq!(on_parsed.retries_failure(failure), want, "{on} {failure:?}");
        };
        let refused = Failure::Connect("refused".to_owned());
        for on in [
            "5xx",
            "gateway-error",
            "reset",
            "reset-before-request",
            "connect-failure",
        ] {
            check(on, &refused, true);
        }
        check("refused-stream,503,unavailable", &refused, false);
        for on in ["5xx", "gateway-error", "reset"] {
            check(on, &Failure::Terminated, true);
        }
        check(
            "connect-failure,reset-before-request,503",
            &Failure::Terminated,
            false,
        );
        check("refused-stream", &Failure::RefusedStream, true);
        assert!(RetryOn::istio_default().retries_failure(&refused));
        assert!(!RetryOn::istio_default().retries_failure(&Failure::Terminated));
        assert!(!RetryOn::istio_default().retries_late_try());
    }

    #[test]
    fn grpc_statuses_count_in_the_head_only() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", "14".parse().expect("valid"));
        let on = RetryOn::istio_default();
        assert!(on.retries_response(StatusCode::OK, &headers));
        headers.insert("grpc-status", "13".parse().expect("valid"));
        assert!(!on.retries_response(StatusCode::OK, &headers));
        assert!(!on.retries_response(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new()));
    }

    #[test]
    fn rate_limited_responses_need_a_word_of_their_own() {
        let mut headers = HeaderMap::new();
        headers.insert("x-envoy-ratelimited", "true".parse().expect("valid"));
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let retries = |on| {
            RetryOn::parse(on)
                .expect("valid")
                .retries_response(status, &headers)
        };
        assert!(!retries("5xx"));
        assert!(retries("envoy-ratelimited"));
    }

    #[test]
    fn the_default_is_what_istio_writes() {
        let written = RetryOn::parse(RetryOn::ISTIO_DEFAULT);
        assert_eq!(written, Ok(RetryOn::istio_default()));
    }

    #[test]
    fn conditions_are_written_as_they_are_read() {
        for text in [
            "",
            "5xx,reset",
            "gateway-error,409,429",
            "retriable-status-codes",
        ] {
            let on = RetryOn::parse(text).expect("valid");
            assert_eq!(on.to_string(), text);
        }
    }

    #[test]
    fn unknown_words_are_refused_with_their_blanks() {
        let refused = |text| RetryOn::parse(text).expect_err("invalid").to_string();
        assert_eq!(
            refused("5xx, 503"),
            "\" 503\" is not a valid retryOn policy"
        );
        assert_eq!(refused("6xx"), "\"6xx\" is not a valid retryOn policy");
        assert_eq!(refused("799"), "\"799\" is not a valid retryOn policy");
    }
}
