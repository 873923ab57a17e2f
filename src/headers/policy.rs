//! What is done to the headers of a message, decided without a service around it.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};

use super::format::{RequestLine, Value, format};
use super::one_line::Side;
use crate::reply::LastHeaders;

/// One pass over the headers of a message: first remove, then set, then add.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeaderOperations {
    pub(super) remove: Vec<HeaderName>,
    pub(super) set: Vec<(HeaderName, Value)>,
    pub(super) add: Vec<(HeaderName, Value)>,
}

/// What is done to the headers of a request before it is sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestHeaders(Vec<HeaderOperations>);

/// What is done to the headers of a response before it is returned.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResponseHeaders(Vec<HeaderOperations>);

impl HeaderOperations {
    /// A pass that does nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same; also removes all lines of a header.
    #[must_use]
    pub fn remove(mut self, name: HeaderName) -> Self {
        self.remove.push(name);
        self
    }

    /// The same; also puts one line in the place of all lines of a header. An empty value does
    /// nothing.
    #[must_use]
    pub fn set(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.set.push((name, Value::Plain(value)));
        self
    }

    /// The same; also appends a line to those a header has. An empty value does nothing.
    #[must_use]
    pub fn add(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.add.push((name, Value::Plain(value)));
        self
    }

    /// Whether nothing is done.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    fn apply(&self, headers: &mut HeaderMap, line: Option<RequestLine<'_>>, side: Side) {
        for name in &self.remove {
            headers.remove(name);
        }
        let plain = |(_, value): &(_, Value)| matches!(value, Value::Plain(_));
        // Values see what is left after removing, and nothing that is set or added.
        if self.set.iter().all(plain) && self.add.iter().all(plain) {
            return self.change(headers, side, || None);
        }
        let mut formatted = self.format(headers, line).into_iter();
        self.change(headers, side, || formatted.next().flatten());
    }

    /// Changes the headers; `formatted` gives one after the other the values that are made anew.
    fn change(
        &self,
        headers: &mut HeaderMap,
        side: Side,
        mut formatted: impl FnMut() -> Option<HeaderValue>,
    ) {
        let mut next = |value: &Value| match value {
            Value::Formatted(_) => formatted(),
            Value::Plain(value) => (!value.is_empty()).then(|| value.clone()),
        };
        for (name, value) in &self.set {
            if let Some(value) = next(value) {
                // Only a map that is full to its last entry refuses.
                let _ = headers.try_insert(name, value);
            }
        }
        for (name, value) in &self.add {
            if let Some(value) = next(value) {
                side.add(headers, name, value);
            }
        }
    }

    /// The values that are made anew, in the order in which they are used.
    fn format(
        &self,
        headers: &HeaderMap,
        line: Option<RequestLine<'_>>,
    ) -> Vec<Option<HeaderValue>> {
        let values = self.set.iter().chain(&self.add).map(|(_, value)| value);
        let formatted = values.filter_map(|value| match value {
            Value::Formatted(parts) => Some(format(parts, line, headers)),
            Value::Plain(_) => None,
        });
        formatted.collect()
    }
}

impl RequestHeaders {
    /// One pass.
    #[must_use]
    pub fn new(operations: HeaderOperations) -> Self {
        Self(vec![operations])
    }

    /// The same; then another pass over what the passes before made of the headers.
    #[must_use]
    pub fn then(mut self, operations: HeaderOperations) -> Self {
        self.0.push(operations);
        self
    }

    /// Changes the headers of `request`, which the caller has taken out of it.
    pub fn apply<B>(&self, request: &Request<B>, headers: &mut HeaderMap) {
        for operations in &self.0 {
            operations.apply(headers, Some(RequestLine::of(request)), Side::Request);
        }
    }

    pub(super) fn from_passes(passes: Vec<HeaderOperations>) -> Option<Self> {
        effective(passes).map(Self)
    }
}

impl ResponseHeaders {
    /// One pass.
    #[must_use]
    pub fn new(operations: HeaderOperations) -> Self {
        Self(vec![operations])
    }

    /// The same; then another pass over what the passes before made of the headers.
    #[must_use]
    pub fn then(mut self, operations: HeaderOperations) -> Self {
        self.0.push(operations);
        self
    }

    /// Changes the headers of a response.
    ///
    /// What a [local reply](crate::reply::LocalReply) says of its own body is written last: an
    /// operation sees neither its type nor its length, may give a text another type, and may not
    /// give a gRPC reply one.
    pub fn apply<B>(&self, response: &mut Response<B>) {
        let last = LastHeaders::take(response);
        let headers = response.headers_mut();
        for operations in &self.0 {
            operations.apply(headers, None, Side::Response);
        }
        if let Some(last) = last {
            last.put(headers);
        }
    }

    pub(super) fn from_passes(passes: Vec<HeaderOperations>) -> Option<Self> {
        effective(passes).map(Self)
    }
}

/// The passes that do something; nothing if none does.
fn effective(mut passes: Vec<HeaderOperations>) -> Option<Vec<HeaderOperations>> {
    passes.retain(|pass| !pass.is_empty());
    (!passes.is_empty()).then_some(passes)
}
