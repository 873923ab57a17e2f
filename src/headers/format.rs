//! Header values with Envoy's formatters: `%REQ(x-user)%`, `%PROTOCOL%`, `%%`.

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Request, Uri, Version};

use super::one_line::Side;
use super::variables;

/// A value: written out, or made anew for every message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    Plain(HeaderValue),
    Formatted(Box<[Part]>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Text(Box<[u8]>),
    /// The first of these that the message has.
    FirstOf(Box<[Field]>),
    Protocol,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Field {
    Method,
    Path,
    Authority,
    Header(HeaderName),
}

/// What a request says beside its headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLine<'r> {
    method: &'r Method,
    uri: &'r Uri,
    version: Version,
}

impl<'r> RequestLine<'r> {
    pub(super) fn of<B>(request: &'r Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
        }
    }
}

/// Why a value cannot be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    Invalid(String),
    NotBuilt(String),
}

impl Value {
    /// Reads a value by Istio's rules, then by Envoy's.
    pub(super) fn read(written: &str, side: Side) -> Result<Self, Fault> {
        let forbidden = |byte: u8| byte != b'\t' && byte.is_ascii_control();
        if written.bytes().any(forbidden) {
            let shown = written.escape_debug();
            let message = format!("header value configuration {shown} is invalid");
            return Err(Fault::Invalid(message));
        }
        if let Err(why) = variables::check(written) {
            let message =
                format!("header value configuration: invalid header configuration. {why}");
            return Err(Fault::Invalid(message));
        }
        let mut parts = Vec::new();
        let mut text = Vec::new();
        let mut rest = written;
        while let Some((before, behind)) = rest.split_once('%') {
            text.extend_from_slice(before.as_bytes());
            if let Some(behind) = behind.strip_prefix('%') {
                text.push(b'%');
                rest = behind;
                continue;
            }
            let (part, behind) = read_formatter(behind, side)?;
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text).into()));
            }
            parts.push(part);
            rest = behind;
        }
        text.extend_from_slice(rest.as_bytes());
        if parts.is_empty() {
            // Control characters have been ruled out.
            return HeaderValue::from_maybe_shared(Bytes::from(text))
                .map(Self::Plain)
                .map_err(|error| Fault::Invalid(error.to_string()));
        }
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        Ok(Self::Formatted(parts.into()))
    }
}

/// Formats the parts; nothing where nothing comes out.
pub(super) fn format(
    parts: &[Part],
    line: Option<RequestLine<'_>>,
    headers: &HeaderMap,
) -> Option<HeaderValue> {
    let mut value = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => value.extend_from_slice(text),
            Part::FirstOf(fields) => {
                let found = fields.iter().find_map(|it| it.find(line, headers));
                value.extend_from_slice(found.unwrap_or_default());
            }
            Part::Protocol => {
                let protocol = line.map_or("", |it| protocol(it.version));
                value.extend_from_slice(protocol.as_bytes());
            }
        }
    }
    if value.is_empty() {
        return None;
    }
    HeaderValue::from_maybe_shared(Bytes::from(value)).ok()
}

impl Field {
    fn find<'h>(&self, line: Option<RequestLine<'h>>, headers: &'h HeaderMap) -> Option<&'h [u8]> {
        let header = |name| headers.get(name).map(HeaderValue::as_bytes);
        match self {
            Self::Method => line.map(|it| it.method.as_str().as_bytes()),
            Self::Path => line?
                .uri
                .path_and_query()
                .map(PathAndQuery::as_str)
                .map(str::as_bytes),
            Self::Authority => header(&HOST).or_else(|| {
                let authority = line?.uri.authority();
                authority.map(Authority::as_str).map(str::as_bytes)
            }),
            Self::Header(name) => header(name),
        }
    }
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

/// Reads a formatter from behind its `%`; what stands behind it comes back too.
fn read_formatter(behind: &str, side: Side) -> Result<(Part, &str), Fault> {
    let malformed = || {
        let message =
            format!("header value configuration: Envoy has no formatter like `%{behind}`");
        Fault::Invalid(message)
    };
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let end = behind.bytes().position(|byte| !is_name(byte));
    let (name, mut rest) = behind.split_at(end.filter(|it| *it > 0).ok_or_else(malformed)?);
    let mut arguments = None;
    if let Some(inside) = rest.strip_prefix('(') {
        let (inside, after) = inside.split_once(')').ok_or_else(malformed)?;
        arguments = Some(inside);
        rest = after;
    }
    let rest = rest.strip_prefix('%').ok_or_else(malformed)?;
    let part = match (name, side, arguments) {
        ("REQ", Side::Request, Some(names)) | ("RESP", Side::Response, Some(names)) => {
            Part::FirstOf(read_fields(names, side)?)
        }
        ("REQ" | "RESP", _, None) => {
            let message = format!("header value configuration: {name} requires parameters");
            return Err(Fault::Invalid(message));
        }
        ("PROTOCOL", Side::Request, None) => Part::Protocol,
        ("PROTOCOL", _, Some(_)) => {
            let message = "header value configuration: PROTOCOL takes no parameters";
            return Err(Fault::Invalid(message.to_owned()));
        }
        _ => {
            let headers = match side {
                Side::Request => "request",
                Side::Response => "response",
            };
            let message = format!("this version does not format %{name}% in {headers} headers yet");
            return Err(Fault::NotBuilt(message));
        }
    };
    Ok((part, rest))
}

/// Reads `x-user` or `x-user?x-guest`.
fn read_fields(written: &str, side: Side) -> Result<Box<[Field]>, Fault> {
    let names: Vec<_> = written.split('?').collect();
    if names.len() > 2 {
        let message = format!(
            "header value configuration: more than one alternative header specified in {written}"
        );
        return Err(Fault::Invalid(message));
    }
    let names = names.into_iter().filter(|it| !it.is_empty());
    names.map(|name| read_field(name, side)).collect()
}

fn read_field(name: &str, side: Side) -> Result<Field, Fault> {
    if name.starts_with(':') {
        let field = match (name.to_ascii_lowercase().as_str(), side) {
            (":method", Side::Request) => Some(Field::Method),
            (":path", Side::Request) => Some(Field::Path),
            (":authority", Side::Request) => Some(Field::Authority),
            _ => None,
        };
        return field.ok_or_else(|| {
            Fault::NotBuilt(format!(
                "this version does not format `{name}` in header values yet"
            ))
        });
    }
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(HOST) if side == Side::Request => Ok(Field::Authority),
        Ok(name) => Ok(Field::Header(name)),
        Err(_) => {
            let message = format!("header value configuration: `{name}` is not a header name");
            Err(Fault::Invalid(message))
        }
    }
}
