//! What is done to the headers of a message, decided without a service around it.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};

use super::facts::{Facts, Known, NotedRequest, RequestFacts};
use super::format::{Part, Value, format};
use super::one_line::Side;
use crate::context::ResponseFlags;
use crate::reply::{LastHeaders, LocalReply};
use crate::rt::WallClock;

/// One pass over the headers of a message: first remove, then set, then add.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HeaderOperations {
    pub(super) remove: Vec<HeaderName>,
    pub(super) set: Vec<(HeaderName, Value)>,
    pub(super) add: Vec<(HeaderName, Value)>,
}

/// What is done to the headers of a request before it is sent.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestHeaders {
    passes: Vec<HeaderOperations>,
    /// Whether all values are as they are written.
    plain: bool,
}

/// What is done to the headers of a response before it is returned.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResponseHeaders {
    passes: Vec<HeaderOperations>,
    /// Whether all values are as they are written.
    plain: bool,
    /// Whether a value is made of more than the response's own headers.
    pub(super) asks: bool,
    /// Whether a value tells flags, which layers further out may add to.
    pub(super) tells_flags: bool,
    /// Whether the answers of an injected fault are left as they are.
    spares_faults: bool,
}

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

    /// Whether all values are as they are written.
    pub(super) fn is_plain(&self) -> bool {
        let mut values = self.set.iter().chain(&self.add);
        values.all(|(_, it)| it.is_plain())
    }

    /// `know` tells, of what is left of the headers, what values are made of.
    fn apply(
        &self,
        headers: &mut HeaderMap,
        side: Side,
        know: impl Fn(&HeaderMap, &mut dyn FnMut(&Facts<'_>)),
    ) {
        if self.is_plain() {
            return self.apply_plain(headers, side);
        }
        // Values see what is left after removing, and nothing that is set or added.
        self.take_off(headers);
        let mut formatted = Vec::new();
        know(headers, &mut |facts| formatted = self.format(facts));
        let mut formatted = formatted.into_iter();
        self.change(headers, side, || formatted.next().flatten());
    }

    /// The same where all values are as they are written.
    #[inline]
    fn apply_plain(&self, headers: &mut HeaderMap, side: Side) {
        self.take_off(headers);
        self.change(headers, side, || None);
    }

    #[inline]
    fn take_off(&self, headers: &mut HeaderMap) {
        if !self.remove.is_empty() {
            self.remove_from(headers);
        }
    }

    fn remove_from(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
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
    fn format(&self, facts: &Facts<'_>) -> Vec<Option<HeaderValue>> {
        let formatted = self.formatted().map(|parts| format(parts, facts));
        formatted.collect()
    }

    fn formatted(&self) -> impl Iterator<Item = &[Part]> {
        let values = self.set.iter().chain(&self.add).map(|(_, value)| value);
        values.filter_map(|value| match value {
            Value::Formatted(parts) => Some(&**parts),
            Value::Plain(_) => None,
        })
    }
}

impl RequestHeaders {
    /// One pass.
    #[must_use]
    pub fn new(operations: HeaderOperations) -> Self {
        Self::of(vec![operations])
    }

    /// The same; then another pass over what the passes before made of the headers.
    #[must_use]
    pub fn then(self, operations: HeaderOperations) -> Self {
        let mut passes = self.passes;
        passes.push(operations);
        Self::of(passes)
    }

    fn of(passes: Vec<HeaderOperations>) -> Self {
        let plain = passes.iter().all(HeaderOperations::is_plain);
        Self { passes, plain }
    }

    /// Changes the headers of `request`, which the caller has taken out of it.
    pub fn apply<B>(&self, request: &Request<B>, headers: &mut HeaderMap) {
        for operations in &self.passes {
            operations.apply(headers, Side::Request, |headers, format| {
                format(&Facts::Request(RequestFacts {
                    method: request.method(),
                    uri: request.uri(),
                    version: request.version(),
                    headers,
                    connection: request.extensions().get().copied(),
                    direct: request.extensions().get().copied(),
                    start: WallClock::now(),
                }));
            });
        }
    }

    /// The same for a request from which nothing is borrowed.
    pub(crate) fn apply_in<B>(&self, request: &mut Request<B>) {
        if self.plain {
            let headers = request.headers_mut();
            for operations in &self.passes {
                operations.apply_plain(headers, Side::Request);
            }
            return;
        }
        let mut headers = std::mem::take(request.headers_mut());
        self.apply(request, &mut headers);
        *request.headers_mut() = headers;
    }

    pub(super) fn from_passes(passes: Vec<HeaderOperations>) -> Option<Self> {
        effective(passes).map(Self::of)
    }
}

impl ResponseHeaders {
    /// One pass.
    #[must_use]
    pub fn new(operations: HeaderOperations) -> Self {
        Self::of(vec![operations])
    }

    /// The same; then another pass over what the passes before made of the headers.
    #[must_use]
    pub fn then(self, operations: HeaderOperations) -> Self {
        let mut passes = self.passes;
        passes.push(operations);
        Self::of(passes)
    }

    /// Changes the headers of a response.
    ///
    /// What a [local reply](crate::reply::LocalReply) says of its own body is written last: an
    /// operation sees neither its type nor its length, may give a text another type, and may not
    /// give a gRPC reply one. Of the request nothing is known here: values that speak of it come
    /// out empty.
    pub fn apply<B>(&self, response: &mut Response<B>) {
        self.apply_to(response, None);
    }

    /// The same, for the answer to this request.
    pub(crate) fn apply_to<B>(&self, response: &mut Response<B>, request: Option<&NotedRequest>) {
        // An upstream's own answer, as nearly all are, and nothing to be worked out.
        if self.plain && response.extensions().is_empty() {
            for operations in &self.passes {
                operations.apply_plain(response.headers_mut(), Side::Response);
            }
            return;
        }
        if self.spares_faults && is_fault(response) {
            return;
        }
        let known = Known::of(response, self.asks);
        let last = LastHeaders::take(response);
        let headers = response.headers_mut();
        for operations in &self.passes {
            operations.apply(headers, Side::Response, |headers, format| {
                format(&Facts::Response(known.facts(request, headers)));
            });
        }
        if let Some(last) = last {
            last.put(headers);
        }
    }

    /// Whether a value is made of more than the response's own headers.
    pub(crate) const fn asks(&self) -> bool {
        self.asks
    }

    pub(super) fn from_passes(passes: Vec<HeaderOperations>) -> Option<Self> {
        effective(passes).map(Self::of)
    }

    fn of(passes: Vec<HeaderOperations>) -> Self {
        let own = |it: &Part| matches!(it, Part::Text(_) | Part::Response(_));
        let mut policy = Self::default();
        for part in passes
            .iter()
            .flat_map(HeaderOperations::formatted)
            .flatten()
        {
            policy.asks |= !own(part);
            policy.tells_flags |= *part == Part::ResponseFlags;
        }
        policy.plain = passes.iter().all(HeaderOperations::is_plain);
        Self { passes, ..policy }
    }

    /// The same for a rule that answers by itself: its headers are for that answer.
    pub(crate) fn sparing_faults(mut self) -> Self {
        self.spares_faults = true;
        self
    }
}

fn is_fault<B>(response: &Response<B>) -> bool {
    let reply = LocalReply::of(response);
    reply.is_some_and(|it| it.flags.contains(ResponseFlags::FAULT_INJECTED))
}

/// The passes that do something; nothing if none does.
fn effective(mut passes: Vec<HeaderOperations>) -> Option<Vec<HeaderOperations>> {
    passes.retain(|pass| !pass.is_empty());
    (!passes.is_empty()).then_some(passes)
}
