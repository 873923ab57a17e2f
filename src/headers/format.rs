//! Header values that are made anew for every message, by Envoy's formatters.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use bytes::Bytes;
use http::Version;
use http::header::{HeaderName, HeaderValue};
use http::uri::PathAndQuery;

use super::facts::{Facts, RequestFacts, ResponseFacts};
use super::moment;
use crate::rt::WallClock;

/// A value: written out, or made anew for every message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    Plain(HeaderValue),
    Formatted(Box<[Part]>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Text(Box<[u8]>),
    /// `%REQ()%`: the first of these that the request has.
    Request(Box<[Field]>),
    /// `%RESP()%`: the first of these that the response has.
    Response(Box<[Field]>),
    Protocol,
    Path {
        original: Original,
        query: bool,
    },
    QueryParam(Box<str>),
    Query,
    Address(End, Piece),
    UpstreamHost(Piece),
    /// The same, where it answered.
    UpstreamRemote(Piece),
    Attempts,
    ResponseCode,
    ResponseFlags,
    ResponseCodeDetails,
    Duration,
    Time(Moment, Box<str>),
}

/// Which path, where a rewrite has changed it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Original {
    Only,
    Never,
    Preferred,
}

/// An end of the connection a request came on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// Who sent the request first, by what the hop before says.
    Remote,
    /// The hop before.
    DirectRemote,
    Local,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Piece {
    Whole,
    WithoutPort,
    Port,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Moment {
    /// When the request came.
    Start,
    Now,
}

/// What may be read of a message's head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Field {
    Method,
    Path,
    Authority,
    Scheme,
    Status,
    Header(HeaderName),
}

impl Value {
    /// Whether it is the same for every message.
    pub(super) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

/// Formats the parts; nothing where nothing comes out.
pub(super) fn format(parts: &[Part], facts: &Facts<'_>) -> Option<HeaderValue> {
    let mut value = Vec::new();
    for part in parts {
        part.write(facts, &mut value);
    }
    if value.is_empty() {
        return None;
    }
    HeaderValue::from_maybe_shared(Bytes::from(value)).ok()
}

impl Part {
    fn write(&self, facts: &Facts<'_>, value: &mut Vec<u8>) {
        let mut text = String::new();
        let request = facts.request();
        let response = facts.response();
        match self {
            Self::Text(text) => value.extend_from_slice(text),
            Self::Request(fields) => {
                let found = request.and_then(|it| first_of(fields, |field| it.find(field)));
                value.extend_from_slice(found.unwrap_or_default());
            }
            Self::Response(fields) => {
                let found = response.and_then(|it| first_of(fields, |field| it.find(field)));
                value.extend_from_slice(found.unwrap_or_default());
            }
            Self::Protocol => text.push_str(request.map_or("", |it| protocol(it.version))),
            Self::Path { original, query } => {
                let path = request
                    .and_then(|it| it.path(*original))
                    .unwrap_or_default();
                let end = path.iter().position(|it| *it == b'?' && !query);
                value.extend_from_slice(path.get(..end.unwrap_or(path.len())).unwrap_or_default());
            }
            Self::QueryParam(name) => {
                let query = request.and_then(|it| it.uri.query()).unwrap_or_default();
                percent_decode(query_param(query, name).unwrap_or_default(), value);
            }
            Self::Query => {
                text.push_str(request.and_then(|it| it.uri.query()).unwrap_or_default());
            }
            Self::Address(end, piece) => {
                let address = request.and_then(|it| it.address(*end));
                if let Some(address) = address {
                    write_address(address, *piece, &mut text);
                }
            }
            Self::UpstreamHost(piece) | Self::UpstreamRemote(piece) => {
                let silent = matches!(self, Self::UpstreamRemote(_))
                    && response.is_some_and(|it| it.details.is_some());
                let host = response.and_then(|it| it.upstream?.host.as_deref());
                write_host(
                    host.filter(|_| !silent).unwrap_or_default(),
                    *piece,
                    &mut text,
                );
            }
            Self::Attempts => {
                let attempts = response.and_then(|it| Some(it.upstream?.attempts));
                // Writing to a String cannot fail.
                let _ = write!(text, "{}", attempts.unwrap_or_default());
            }
            Self::ResponseCode => {
                let upstreams = response.filter(|it| it.details.is_none());
                let status = upstreams.map(|it| it.status.as_u16());
                let _ = write!(text, "{}", status.unwrap_or_default());
            }
            Self::ResponseFlags => {
                let flags = response.map(|it| it.flags).unwrap_or_default();
                let _ = write!(text, "{flags}");
            }
            Self::ResponseCodeDetails => {
                let details = response.map(|it| it.details.unwrap_or("via_upstream"));
                text.push_str(details.unwrap_or_default());
            }
            Self::Duration => {
                if let Some(began) = response.and_then(|it| it.began) {
                    let _ = write!(text, "{}", began.elapsed().as_millis());
                }
            }
            Self::Time(moment, form) => {
                let start = request.map_or(SystemTime::UNIX_EPOCH, |it| it.start);
                let at = match moment {
                    Moment::Start => start,
                    Moment::Now => WallClock::now(),
                };
                moment::write(form, at, &mut text);
            }
        }
        value.extend_from_slice(text.as_bytes());
    }
}

fn first_of<'h>(
    fields: &[Field],
    find: impl FnMut(&Field) -> Option<&'h [u8]>,
) -> Option<&'h [u8]> {
    fields.iter().find_map(find)
}

impl<'r> RequestFacts<'r> {
    fn find(&'r self, field: &Field) -> Option<&'r [u8]> {
        match field {
            Field::Method => Some(self.method.as_str().as_bytes()),
            Field::Path => self.target(),
            Field::Authority => self.authority(),
            Field::Scheme => Some(self.scheme()),
            Field::Status => None,
            Field::Header(name) => self.headers.get(name).map(HeaderValue::as_bytes),
        }
    }

    fn target(&self) -> Option<&'r [u8]> {
        let target = self.uri.path_and_query();
        target.map(PathAndQuery::as_str).map(str::as_bytes)
    }

    fn scheme(&self) -> &'r [u8] {
        let said = self.headers.get("x-forwarded-proto");
        let said = said.map(HeaderValue::as_bytes);
        let known = said.filter(|it| matches!(*it, b"http" | b"https"));
        known.unwrap_or(self.uri.scheme_str().unwrap_or("http").as_bytes())
    }

    fn path(&self, original: Original) -> Option<&'r [u8]> {
        let before = self.headers.get("x-envoy-original-path");
        let before = before.map(HeaderValue::as_bytes);
        match original {
            Original::Only => before,
            Original::Never => self.target(),
            Original::Preferred => before.or_else(|| self.target()),
        }
    }

    fn address(&self, end: End) -> Option<SocketAddr> {
        let remote = || self.connection.map(|it| it.remote);
        match end {
            End::Remote if self.direct.is_some() => remote(),
            End::Remote => self.forwarded().or_else(remote),
            End::DirectRemote => self.direct.map(|it| it.0).or_else(remote),
            End::Local => self.connection.map(|it| it.local),
        }
    }
}

impl<'r> ResponseFacts<'r> {
    fn find(&'r self, field: &Field) -> Option<&'r [u8]> {
        match field {
            Field::Status => Some(self.status.as_str().as_bytes()),
            Field::Header(name) => self.headers.get(name).map(HeaderValue::as_bytes),
            Field::Method | Field::Path | Field::Authority | Field::Scheme => None,
        }
    }
}

/// The first value of a parameter.
fn query_param<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut pairs = query
        .split('&')
        .map(|it| it.split_once('=').unwrap_or((it, "")));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Writes out what is written as `%41`; anything else stays.
fn percent_decode(written: &str, value: &mut Vec<u8>) {
    let mut rest = written.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| *first == b'%');
        let digits = digits.and_then(|it| std::str::from_utf8(it).ok());
        let byte = digits
            .filter(|it| it.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|it| u8::from_str_radix(it, 16).ok());
        value.push(byte.unwrap_or(*first));
        rest = behind
            .get(if byte.is_some() { 2 } else { 0 }..)
            .unwrap_or_default();
    }
}

fn write_address(address: SocketAddr, piece: Piece, text: &mut String) {
    // Writing to a String cannot fail.
    let _ = match (piece, address.ip()) {
        (Piece::Whole, _) => write!(text, "{address}"),
        (Piece::WithoutPort, IpAddr::V4(ip)) => write!(text, "{ip}"),
        (Piece::WithoutPort, IpAddr::V6(ip)) => write!(text, "{ip}"),
        (Piece::Port, _) => write!(text, "{}", address.port()),
    };
}

/// Writes an endpoint's address, which is no socket's where it is a name or a path.
fn write_host(host: &str, piece: Piece, text: &mut String) {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return write_address(address, piece, text);
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => (name, port),
        _ => (host, ""),
    };
    text.push_str(match piece {
        Piece::Whole => host,
        Piece::WithoutPort => name,
        Piece::Port => port,
    });
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}
