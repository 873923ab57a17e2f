//! Which headers a cross-origin request gets, decided without touching it.

use std::time::Duration;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, ORIGIN,
};
use http::{HeaderMap, Method};

use crate::api::UnmatchedPreflights;
use crate::string_match::TextMatch;

const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*",
];

/// A setting that no CORS policy can have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCorsPolicy {
    /// A method HTTP does not have, or not in capitals.
    #[error("{0:?} is not a supported HTTP method")]
    Method(String),
    /// A header without a name.
    #[error("header name cannot be empty")]
    EmptyHeaderName,
    /// A name no header can have.
    #[error("header name {0} is not a valid header name")]
    HeaderName(String),
    /// No time at all.
    #[error("duration must be greater than 1ms")]
    NoTime,
    /// A part of a second.
    #[error("max_age duration is accurate only to seconds precision")]
    PartOfSecond,
}

/// Who may ask from elsewhere, and for what.
///
/// All header values are made here; requests are answered with copies of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CorsPolicy {
    origins: Vec<TextMatch>,
    /// Whether one of the origins matches a literal `*`, which stands for all.
    any_origin: bool,
    methods: Option<Listed>,
    headers: Option<Listed>,
    expose: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
    credentials: bool,
    ignore_unmatched: bool,
}

/// What a preflight is told to be allowed.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Listed {
    /// `*`: whatever it asks for.
    Asked,
    These(HeaderValue),
}

/// What becomes of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CorsDecision {
    /// It goes on and its response stays as it is.
    Forward,
    /// It goes on and its response is [dressed](CorsPolicy::dress) for this origin.
    Allow(HeaderValue),
    /// It is a preflight, answered with 200 and these headers.
    Preflight(HeaderMap),
}

impl CorsPolicy {
    /// A policy that allows nothing: no response gets a header.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with this origin allowed as well, such as `https://shop.example.com`; `*` is all.
    #[must_use]
    pub fn allow_origin(self, origin: &str) -> Self {
        self.allow_origin_match(TextMatch::Exact(origin.as_bytes().into()))
    }

    /// The same, with the origins that match allowed as well.
    #[must_use]
    pub fn allow_origin_match(mut self, origin: TextMatch) -> Self {
        self.any_origin |= origin.matches(b"*");
        self.origins.push(origin);
        self
    }

    /// The same with these methods told to preflights; `*` alone repeats what is asked for. None is
    /// told unless said.
    ///
    /// # Errors
    ///
    /// For a method that HTTP does not have, or that is not in capitals.
    pub fn allow_methods<'a>(
        mut self,
        methods: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidCorsPolicy> {
        let methods = join(methods, |method| {
            let known = METHODS.contains(&method);
            let error = || InvalidCorsPolicy::Method(method.to_owned());
            known.then_some(()).ok_or_else(error)
        })?;
        self.methods = methods.map(Listed::new);
        Ok(self)
    }

    /// The same with these request headers told to preflights; `*` alone repeats what is asked for.
    /// None is told unless said.
    ///
    /// # Errors
    ///
    /// For a name that no header can have.
    pub fn allow_headers<'a>(
        mut self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidCorsPolicy> {
        self.headers = join(names, check_name)?.map(Listed::new);
        Ok(self)
    }

    /// The same with these response headers shown to who asked; none unless told.
    ///
    /// # Errors
    ///
    /// For a name that no header can have.
    pub fn expose_headers<'a>(
        mut self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, InvalidCorsPolicy> {
        self.expose = join(names, check_name)?;
        Ok(self)
    }

    /// The same with preflights good for this many whole seconds; nothing is said of it unless told.
    ///
    /// # Errors
    ///
    /// For less than a second, or a part of one.
    pub fn max_age(mut self, age: Duration) -> Result<Self, InvalidCorsPolicy> {
        if age < Duration::from_millis(1) {
            return Err(InvalidCorsPolicy::NoTime);
        }
        if age.subsec_nanos() > 0 {
            return Err(InvalidCorsPolicy::PartOfSecond);
        }
        self.max_age = Some(age.as_secs().into());
        Ok(self)
    }

    /// The same, with credentials allowed or not; they are not unless told.
    #[must_use]
    pub const fn allow_credentials(mut self, allow: bool) -> Self {
        self.credentials = allow;
        self
    }

    /// The same with this for preflights from origins not allowed, which are forwarded unless told.
    #[must_use]
    pub const fn unmatched_preflights(mut self, what: UnmatchedPreflights) -> Self {
        self.ignore_unmatched = matches!(what, UnmatchedPreflights::Ignore);
        self
    }

    /// What becomes of a request with this method and these headers.
    #[must_use]
    pub fn decide(&self, method: &Method, headers: &HeaderMap) -> CorsDecision {
        let Some(origin) = value_of(headers, &ORIGIN) else {
            return CorsDecision::Forward;
        };
        let allowed = self.allows(origin.as_bytes());
        let asked = match *method {
            Method::OPTIONS => value_of(headers, &ACCESS_CONTROL_REQUEST_METHOD),
            _ => None,
        };
        match asked {
            Some(asked) if allowed || self.ignore_unmatched => {
                let origin = allowed.then_some(origin);
                CorsDecision::Preflight(self.preflight(origin, asked, headers))
            }
            _ if allowed => CorsDecision::Allow(origin),
            _ => CorsDecision::Forward,
        }
    }

    /// Gives a response the headers for an origin that is allowed, in place of those it has.
    pub fn dress(&self, origin: HeaderValue, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
        if let Some(names) = &self.expose {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names.clone());
        }
    }

    fn allows(&self, origin: &[u8]) -> bool {
        self.any_origin || self.origins.iter().any(|it| it.matches(origin))
    }

    /// The headers that answer a preflight; `origin` where it is allowed.
    fn preflight(
        &self,
        origin: Option<HeaderValue>,
        asked: HeaderValue,
        request: &HeaderMap,
    ) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match origin {
            Some(origin) => self.dress(origin, &mut headers),
            None if self.credentials => {
                let yes = HeaderValue::from_static("true");
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            }
            None => {}
        }
        if let Some(methods) = &self.methods {
            let methods = methods.or_asked(|| Some(asked));
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
        if let Some(names) = &self.headers {
            let names = names.or_asked(|| value_of(request, &ACCESS_CONTROL_REQUEST_HEADERS));
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        if let Some(age) = &self.max_age {
            headers.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
        }
        headers
    }
}

impl Listed {
    fn new(list: HeaderValue) -> Self {
        match list.as_bytes() {
            b"*" => Self::Asked,
            _ => Self::These(list),
        }
    }

    /// The list; what is asked for, be it nothing, where that is allowed.
    fn or_asked(&self, asked: impl FnOnce() -> Option<HeaderValue>) -> HeaderValue {
        match self {
            Self::These(list) => list.clone(),
            Self::Asked => asked().unwrap_or_else(|| HeaderValue::from_static("")),
        }
    }
}

fn check_name(name: &str) -> Result<(), InvalidCorsPolicy> {
    match name {
        "" => Err(InvalidCorsPolicy::EmptyHeaderName),
        name if HeaderName::from_bytes(name.as_bytes()).is_ok() => Ok(()),
        name => Err(InvalidCorsPolicy::HeaderName(name.to_owned())),
    }
}

/// The words, each of them checked, with commas between them; nothing for no words.
fn join<'a>(
    words: impl IntoIterator<Item = &'a str>,
    check: impl Fn(&'a str) -> Result<(), InvalidCorsPolicy>,
) -> Result<Option<HeaderValue>, InvalidCorsPolicy> {
    let mut list = String::new();
    for word in words {
        check(word)?;
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(word);
    }
    if list.is_empty() {
        return Ok(None);
    }
    let value = HeaderValue::try_from(&list);
    value
        .map(Some)
        .map_err(|_| InvalidCorsPolicy::HeaderName(list))
}

/// A header's value, with commas between its lines, as Envoy reads it; nothing where it is empty.
fn value_of(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    let mut joined = Vec::new();
    for line in lines {
        if joined.is_empty() {
            joined.extend_from_slice(first.as_bytes());
        }
        joined.push(b',');
        joined.extend_from_slice(line.as_bytes());
    }
    let value = match joined.is_empty() {
        true => first.clone(),
        // Values and commas make a value.
        false => HeaderValue::try_from(joined).ok()?,
    };
    (!value.is_empty()).then_some(value)
}
