//! Which part of a request is its key, and what that part hashes to.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};

use super::hash;

/// `consistentHash`: the part of a request that is its key.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HashPolicy {
    /// All values of a header.
    Header(HeaderName),
    /// The authority: what `host` and `:authority` name.
    Authority,
    /// A cookie.
    Cookie(HashCookie),
    /// The address the request came from.
    SourceIp,
    /// The first value of a query parameter, as written.
    QueryParameter(String),
}

/// A cookie that is read, and made where it is missing.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HashCookie {
    /// Its name.
    pub name: String,
    /// How long the client is to keep it, zero for a session; not made when nothing.
    pub ttl: Option<Duration>,
    /// Its path; not told when empty.
    pub path: String,
    /// Further attributes, each a name and a value that may be empty.
    pub attributes: Vec<(String, String)>,
}

impl HashCookie {
    /// A cookie that is read and never made.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ttl: None,
            path: String::new(),
            attributes: Vec::new(),
        }
    }

    /// The header that asks a client to keep `value`; nothing where no header can say it.
    fn set(&self, value: &str) -> Option<HeaderValue> {
        let mut line = format!("{}=\"{value}\"", self.name);
        let seconds = self.ttl.unwrap_or_default().as_secs();
        if seconds > 0 {
            line += &format!("; Max-Age={seconds}");
        }
        if !self.path.is_empty() {
            line += &format!("; Path={}", self.path);
        }
        for (name, value) in &self.attributes {
            line += &match value.as_str() {
                "" => format!("; {name}"),
                value => format!("; {name}={value}"),
            };
        }
        line += "; HttpOnly";
        HeaderValue::try_from(line).ok()
    }
}

/// What keys are read from.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Keyed<'r> {
    /// `:authority`.
    pub authority: &'r str,
    /// The query, raw.
    pub query: Option<&'r str>,
    /// The headers.
    pub headers: &'r HeaderMap,
    /// Where the request came from, and where it came in.
    pub connection: Option<(SocketAddr, SocketAddr)>,
    /// The address it came from, where that is not the connection's or nothing is known of one.
    pub source: Option<IpAddr>,
}

impl<'r> Keyed<'r> {
    /// The parts of a request that came from nowhere in particular.
    #[must_use]
    pub const fn new(authority: &'r str, query: Option<&'r str>, headers: &'r HeaderMap) -> Self {
        Self {
            authority,
            query,
            headers,
            connection: None,
            source: None,
        }
    }
}

/// The hash of a request's keys, in the order of the policies; nothing where it has none of them.
///
/// Cookies that are missing and to be made are made, and told to `set`; `roll` makes the value of
/// one where nothing is known of the connection.
pub fn hash_request<'p>(
    policies: impl IntoIterator<Item = &'p HashPolicy>,
    request: &Keyed<'_>,
    roll: u64,
    set: &mut Vec<HeaderValue>,
) -> Option<u64> {
    let mut whole: Option<u64> = None;
    for policy in policies {
        if let Some(one) = policy.hash(request, roll, set) {
            whole = Some(whole.map_or(one, |it| it.rotate_left(1) ^ one));
        }
    }
    whole
}

impl HashPolicy {
    fn hash(&self, request: &Keyed<'_>, roll: u64, set: &mut Vec<HeaderValue>) -> Option<u64> {
        match self {
            Self::Header(name) => hash_header(request.headers, name),
            Self::Authority => Some(hash(request.authority.as_bytes())),
            Self::SourceIp => {
                let connected = request.connection.map(|(from, _)| from.ip());
                let address = request.source.or(connected)?;
                Some(hash(address.to_string().as_bytes()))
            }
            Self::QueryParameter(name) => {
                let pairs = request.query?.split('&');
                let mut pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
                let (_, value) = pairs.find(|(key, _)| key == name)?;
                Some(hash(value.as_bytes()))
            }
            Self::Cookie(cookie) => match cookie_value(request.headers, &cookie.name) {
                Some(value) if !value.is_empty() => Some(hash(value)),
                _ => {
                    cookie.ttl?;
                    let made = match request.connection {
                        Some((from, to)) => hash(format!("{from}{to}").as_bytes()),
                        None => roll,
                    };
                    let made = format!("{made:016x}");
                    set.extend(cookie.set(&made));
                    Some(hash(made.as_bytes()))
                }
            },
        }
    }
}

/// The values in ascending order, each hashed with the hash before as seed.
fn hash_header(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let Some(second) = values.next() else {
        return Some(hash(first.as_bytes()));
    };
    let mut all: Vec<&[u8]> = [first, second]
        .into_iter()
        .chain(values)
        .map(|it| it.as_bytes())
        .collect();
    all.sort_unstable();
    let seeded = |seed, value: &&[u8]| twox_hash::XxHash64::oneshot(seed, value);
    Some(all.iter().fold(0, seeded))
}

/// The first cookie of this name, without quotes.
fn cookie_value<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r [u8]> {
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let mut pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    let value = pairs.find_map(|pair| {
        let rest = pair.trim_ascii_start().strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    })?;
    let value = value.trim_ascii_end();
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|it| it.strip_suffix(b"\""));
    Some(inner.unwrap_or(value))
}
