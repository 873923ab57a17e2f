//! Conditions in words, for whoever wants to know why a request did not meet one.

use std::fmt;

use super::head::RequestHead;
use super::matcher::{Failure, HeaderMatch, HeaderSource, MatchRequest, PathMatch};
use crate::context::Claims;
use crate::string_match::TextMatch;

impl MatchRequest {
    /// The condition a [`failure`](Self::failure) is about, and what the request has instead.
    #[must_use]
    pub fn describe(&self, failure: &Failure, request: &RequestHead<'_>) -> String {
        match failure {
            Failure::Path => format!("uri: {} does not match {:?}", self.path, request.path),
            Failure::Header(name) => {
                let named = |it: &&HeaderMatch| it.source.as_str() == name && !it.holds(request);
                match self.headers.iter().find(named) {
                    Some(condition) => condition.describe(request),
                    None => format!("headers.{name}: does not match"),
                }
            }
            Failure::QueryParameter(name) => {
                let got = request.query_parameter(name);
                let condition = self.query.iter().find(|it| *it.name == **name);
                let text = condition.map_or(&TextMatch::Present, |it| &it.text);
                format!("queryParams.{name}: {}", mismatch(text, got))
            }
        }
    }
}

/// What was wanted and what is there.
fn mismatch(wanted: &TextMatch, got: Option<&str>) -> String {
    let wanted = InWords(wanted);
    match got {
        Some(got) => format!("{wanted} does not match {got:?}"),
        None => format!("{wanted} is wanted, and the request has none"),
    }
}

impl HeaderMatch {
    fn describe(&self, request: &RequestHead<'_>) -> String {
        let lines: Vec<_>;
        let got = match &self.source {
            HeaderSource::Method => Some(request.method),
            HeaderSource::Scheme => Some(request.scheme),
            HeaderSource::Authority => Some(request.authority),
            HeaderSource::PathAndQuery => Some(request.path_and_query),
            HeaderSource::Absent => None,
            HeaderSource::Claim(claim) => {
                let values = Claims::of(request.extensions, &claim.path);
                values.first().map(String::as_str)
            }
            HeaderSource::Name(name) => {
                let all = request.headers.get_all(name).iter();
                lines = all.map(|it| it.to_str().unwrap_or("…")).collect();
                // Of several lines one is enough to name.
                lines.first().copied()
            }
        };
        let name = self.source.as_str();
        match (self.inverted, &self.text, got) {
            (false, ..) => {
                let field = match self.source {
                    HeaderSource::Name(_)
                    | HeaderSource::PathAndQuery
                    | HeaderSource::Absent
                    | HeaderSource::Claim(_) => format!("headers.{name}"),
                    HeaderSource::Method | HeaderSource::Scheme | HeaderSource::Authority => {
                        name.trim_start_matches(':').to_owned()
                    }
                };
                format!("{field}: {}", mismatch(&self.text, got))
            }
            (true, TextMatch::Present, _) => {
                format!("withoutHeaders.{name}: the request has it")
            }
            (true, text, Some(got)) => {
                format!("withoutHeaders.{name}: {} matches {got:?}", InWords(text))
            }
            (true, text, None) => {
                let text = InWords(text);
                format!("withoutHeaders.{name}: {text} matches a header that is not there")
            }
        }
    }
}

impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text, more) = match self {
            Self::Exact(text) => ("exact", text, ""),
            Self::ExactFold(text) => ("exact", text, " in any case"),
            Self::Prefix(text) => ("prefix", text, ""),
            Self::PrefixFold(text) => ("prefix", text, " in any case"),
            Self::Regex(regex) => return write!(f, "regex {:?}", regex.as_str()),
        };
        write!(f, "{word} \"{}\"{more}", text.escape_ascii())
    }
}

/// A text match as YAML spells it.
struct InWords<'m>(&'m TextMatch);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            TextMatch::Present => f.write_str("any value"),
            TextMatch::Exact(text) => write!(f, "exact \"{}\"", text.escape_ascii()),
            TextMatch::Prefix(text) => write!(f, "prefix \"{}\"", text.escape_ascii()),
            TextMatch::Regex(regex) => write!(f, "regex {:?}", regex.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::{MatchRequest, RequestHead};
    use crate::api::{HttpMatchRequest, StringMatch};

    #[track_caller]
    fn check(write: impl Fn(&mut HttpMatchRequest), want: &str) {
        let mut block = HttpMatchRequest::default();
        write(&mut block);
        let rule = MatchRequest::new(&block).expect("a valid block");
        let mut headers = HeaderMap::new();
        headers.insert("end-user", "bob".parse().expect("a value"));
        let request = RequestHead::new("GET", "http", "shop", "/a?q=1", &headers);
        let failure = rule.failure(&request).expect("it does not match");
        assert_eq!(rule.describe(&failure, &request), want);
    }

    #[test]
    fn a_failed_condition_is_told_with_what_the_request_has() {
        let exact = |text: &str| StringMatch::Exact(text.to_owned());
        check(
            |it| it.uri = Some(StringMatch::Prefix("/b".to_owned())),
            "uri: prefix \"/b\" does not match \"/a\"",
        );
        check(
            |it| it.method = Some(exact("POST")),
            "method: exact \"POST\" does not match \"GET\"",
        );
        check(
            |it| drop(it.headers.insert("end-user".to_owned(), exact("jason"))),
            "headers.end-user: exact \"jason\" does not match \"bob\"",
        );
        check(
            |it| drop(it.headers.insert("x".to_owned(), StringMatch::Present)),
            "headers.x: any value is wanted, and the request has none",
        );
        check(
            |it| {
                drop(
                    it.without_headers
                        .insert("end-user".to_owned(), exact("bob")),
                )
            },
            "withoutHeaders.end-user: exact \"bob\" matches \"bob\"",
        );
        check(
            |it| drop(it.query_params.insert("q".to_owned(), exact("2"))),
            "queryParams.q: exact \"2\" does not match \"1\"",
        );
    }
}
