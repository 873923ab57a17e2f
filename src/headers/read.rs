//! Reading a value: what is known when rules are read is put in, what is not becomes a formatter.

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};

use super::format::{End, Field, Moment, Original, Part, Piece, Value};
use super::left_out::instead_of;
use super::one_line::Side;
use super::{moment, variables};

/// What a rule is called and where its requests go, which its values may name.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Names<'n> {
    /// The rule's, with that of the match block.
    pub(crate) route: &'n str,
    /// The destination's, `outbound|port|subset|host`; empty where there is none.
    pub(crate) cluster: &'n str,
}

/// Why a value cannot be used, or why a part of it is always the same.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    Invalid(String),
    /// With what does the same here.
    LeftOut(String, &'static str),
    /// It can be used, and says less than it seems to.
    Idle(String),
}

impl Value {
    /// Reads a value by Istio's rules, then by Envoy's; `told` hears of parts that say nothing.
    pub(super) fn read(
        written: &str,
        side: Side,
        names: Names<'_>,
        told: &mut dyn FnMut(Fault),
    ) -> Result<Self, Fault> {
        let forbidden = |byte: u8| byte != b'\t' && byte.is_ascii_control();
        if written.bytes().any(forbidden) {
            let shown = written.escape_debug();
            let message = format!("header value configuration {shown} is invalid");
            return Err(Fault::Invalid(message));
        }
        if let Err(why) = variables::check(written) {
            return Err(invalid(&format!("invalid header configuration. {why}")));
        }
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = written;
        while let Some((before, behind)) = rest.split_once('%') {
            text.push_str(before);
            if let Some(behind) = behind.strip_prefix('%') {
                text.push('%');
                rest = behind;
                continue;
            }
            let (operator, behind) = Operator::split(behind)?;
            rest = behind;
            match operator.read(side, names, told)? {
                Read::Known(known) => text.push_str(&known),
                Read::Later(part) => {
                    if !text.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut text).into_bytes().into()));
                    }
                    parts.push(part);
                }
            }
        }
        text.push_str(rest);
        if parts.is_empty() {
            // Control characters have been ruled out, but in what the environment says.
            return HeaderValue::from_maybe_shared(Bytes::from(text))
                .map(Self::Plain)
                .map_err(|error| Fault::Invalid(error.to_string()));
        }
        if !text.is_empty() {
            parts.push(Part::Text(text.into_bytes().into()));
        }
        Ok(Self::Formatted(parts.into()))
    }
}

/// `%NAME%` or `%NAME(arguments)%`.
struct Operator<'w> {
    name: &'w str,
    arguments: Option<&'w str>,
}

enum Read {
    Known(String),
    Later(Part),
}

impl<'w> Operator<'w> {
    /// Takes one from behind its `%`; what stands behind it comes back too.
    fn split(behind: &'w str) -> Result<(Self, &'w str), Fault> {
        let malformed = || invalid(&format!("Envoy has no formatter like `%{behind}`"));
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
        Ok((Self { name, arguments }, rest))
    }

    fn read(
        &self,
        side: Side,
        names: Names<'_>,
        told: &mut dyn FnMut(Fault),
    ) -> Result<Read, Fault> {
        use End::{DirectRemote, Local, Remote};
        use Piece::{Port, Whole, WithoutPort};

        let mut takes_none = true;
        let later = match self.name {
            "REQ" | "REQUEST_HEADER" => {
                return self.fields(self.required()?, |name| {
                    request_field(name, told).map(Part::Request)
                });
            }
            "RESP" if side == Side::Request => {
                self.required()?;
                told(self.idle("nothing"));
                return Ok(Read::Known(String::new()));
            }
            "RESP" => {
                return self.fields(self.required()?, |name| {
                    response_field(name, told).map(Part::Response)
                });
            }
            "PATH" => return self.path(),
            "QUERY_PARAM" => Part::QueryParam(self.required()?.into()),
            "QUERY_PARAMS" => match self.arguments.unwrap_or_default() {
                "" | "ORIG" | "DECODED" => Part::Query,
                option => {
                    let known = "'ORIG'/'DECODED'";
                    return Err(self.option(option, known));
                }
            },
            "ENVIRONMENT" => {
                let value = std::env::var(self.required()?);
                return Ok(Read::Known(value.unwrap_or_else(|_| "-".to_owned())));
            }
            "START_TIME" => Part::Time(Moment::Start, self.time()),
            "EMIT_TIME" => Part::Time(Moment::Now, self.time()),
            "RESPONSE_CODE_DETAILS" if side == Side::Response => Part::ResponseCodeDetails,
            name => {
                takes_none = false;
                match name {
                    "PROTOCOL" => Part::Protocol,
                    "DOWNSTREAM_REMOTE_ADDRESS" => Part::Address(Remote, Whole),
                    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => Part::Address(Remote, WithoutPort),
                    "DOWNSTREAM_REMOTE_PORT" => Part::Address(Remote, Port),
                    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" => Part::Address(DirectRemote, Whole),
                    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" => {
                        Part::Address(DirectRemote, WithoutPort)
                    }
                    "DOWNSTREAM_DIRECT_REMOTE_PORT" => Part::Address(DirectRemote, Port),
                    "DOWNSTREAM_LOCAL_ADDRESS" | "DOWNSTREAM_DIRECT_LOCAL_ADDRESS" => {
                        Part::Address(Local, Whole)
                    }
                    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"
                    | "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT" => {
                        Part::Address(Local, WithoutPort)
                    }
                    "DOWNSTREAM_LOCAL_PORT" | "DOWNSTREAM_DIRECT_LOCAL_PORT" => {
                        Part::Address(Local, Port)
                    }
                    _ => return self.known_or_of_response(side, names, told),
                }
            }
        };
        if !takes_none {
            self.none_taken()?;
        }
        Ok(Read::Later(later))
    }

    /// What the rules say already, and what only a response tells.
    fn known_or_of_response(
        &self,
        side: Side,
        names: Names<'_>,
        told: &mut dyn FnMut(Fault),
    ) -> Result<Read, Fault> {
        use Piece::{Port, Whole, WithoutPort};

        // What a request has to say of its response, where it says anything.
        let (part, on_request) = match self.name {
            "ROUTE_NAME" | "UPSTREAM_CLUSTER" | "UPSTREAM_CLUSTER_RAW" | "HOSTNAME" => {
                self.none_taken()?;
                return Ok(Read::Known(match self.name {
                    "ROUTE_NAME" => names.route.to_owned(),
                    "HOSTNAME" => hostname(),
                    _ => names.cluster.to_owned(),
                }));
            }
            "UPSTREAM_HOST" => (Part::UpstreamHost(Whole), ""),
            "UPSTREAM_REMOTE_ADDRESS" => (Part::UpstreamRemote(Whole), ""),
            "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => (Part::UpstreamRemote(WithoutPort), ""),
            "UPSTREAM_REMOTE_PORT" => (Part::UpstreamRemote(Port), ""),
            "UPSTREAM_REQUEST_ATTEMPT_COUNT" => (Part::Attempts, "1"),
            "RESPONSE_CODE" => (Part::ResponseCode, "0"),
            "RESPONSE_FLAGS" => (Part::ResponseFlags, "-"),
            "RESPONSE_CODE_DETAILS" => (Part::ResponseCodeDetails, ""),
            "DURATION" if side == Side::Response => (Part::Duration, ""),
            "DURATION" => {
                let instead = "a request's headers are written as it comes; write it in a response";
                return Err(self.left_out(instead));
            }
            name => {
                return Err(match instead_of(name) {
                    Some(instead) => self.left_out(instead),
                    None => invalid(&format!("Not supported field in StreamInfo: {name}")),
                });
            }
        };
        if self.name != "RESPONSE_CODE_DETAILS" {
            self.none_taken()?;
        }
        Ok(match side {
            Side::Response => Read::Later(part),
            Side::Request => {
                told(self.idle(if on_request.is_empty() {
                    "nothing"
                } else {
                    on_request
                }));
                Read::Known(on_request.to_owned())
            }
        })
    }

    /// Reads `x-user` or `x-user?x-guest`.
    fn fields(
        &self,
        written: &str,
        read: impl FnOnce(&[&str]) -> Result<Part, Fault>,
    ) -> Result<Read, Fault> {
        let names: Vec<_> = written.split('?').collect();
        if names.len() > 2 {
            return Err(invalid(&format!(
                "More than 1 alternative header specified in token: {written}"
            )));
        }
        let names: Vec<_> = names.into_iter().filter(|it| !it.is_empty()).collect();
        read(&names).map(Read::Later)
    }

    /// `WQ` or `NQ`, then which path where there are two.
    fn path(&self) -> Result<Read, Fault> {
        let (query, which) = match self.arguments.unwrap_or_default() {
            written if written.contains(':') => written.split_once(':').unwrap_or_default(),
            written => (written, ""),
        };
        let query = match query {
            "" | "WQ" => true,
            "NQ" => false,
            option => return Err(self.option(option, "'WQ'/'NQ'")),
        };
        let original = match which {
            "" | "ORIG_OR_PATH" => Original::Preferred,
            "ORIG" => Original::Only,
            "PATH" => Original::Never,
            option => return Err(self.option(option, "'ORIG'/'PATH'/'ORIG_OR_PATH'")),
        };
        Ok(Read::Later(Part::Path { original, query }))
    }

    fn time(&self) -> Box<str> {
        match self.arguments {
            None | Some("") => moment::DEFAULT.into(),
            Some(form) => form.into(),
        }
    }

    fn required(&self) -> Result<&'w str, Fault> {
        let arguments = self.arguments.filter(|it| !it.is_empty());
        arguments.ok_or_else(|| invalid(&format!("{} requires parameters", self.name)))
    }

    fn none_taken(&self) -> Result<(), Fault> {
        match self.arguments {
            None | Some("") => Ok(()),
            Some(_) => Err(invalid(&format!(
                "{} does not take any parameters or length",
                self.name
            ))),
        }
    }

    fn option(&self, option: &str, known: &str) -> Fault {
        let name = self.name;
        invalid(&format!(
            "Invalid {name} option: '{option}', only {known} are allowed"
        ))
    }

    fn left_out(&self, instead: &'static str) -> Fault {
        Fault::LeftOut(format!("%{}% is not formatted here", self.name), instead)
    }

    fn idle(&self, always: &str) -> Fault {
        let name = self.name;
        Fault::Idle(format!(
            "%{name}% in a request's header is always {always}: there is no response yet"
        ))
    }
}

fn invalid(why: &str) -> Fault {
    Fault::Invalid(format!("header value configuration: {why}"))
}

fn request_field(names: &[&str], told: &mut dyn FnMut(Fault)) -> Result<Box<[Field]>, Fault> {
    let special = |name: &str| match name {
        ":method" => Some(Field::Method),
        ":path" => Some(Field::Path),
        ":authority" | "host" => Some(Field::Authority),
        ":scheme" => Some(Field::Scheme),
        _ => None,
    };
    read_fields(names, "request", special, told)
}

fn response_field(names: &[&str], told: &mut dyn FnMut(Fault)) -> Result<Box<[Field]>, Fault> {
    let special = |name: &str| (name == ":status").then_some(Field::Status);
    read_fields(names, "response", special, told)
}

fn read_fields(
    names: &[&str],
    of: &str,
    special: impl Fn(&str) -> Option<Field>,
    told: &mut dyn FnMut(Fault),
) -> Result<Box<[Field]>, Fault> {
    let mut fields = Vec::with_capacity(names.len());
    for name in names {
        let lower = name.to_ascii_lowercase();
        if let Some(field) = special(&lower) {
            fields.push(field);
        } else if lower.starts_with(':') {
            told(Fault::Idle(format!("no {of} has a {name}")));
        } else {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| invalid(&format!("`{name}` is not a header name")))?;
            debug_assert!(name != HOST || of == "response", "the authority, above");
            fields.push(Field::Header(name));
        }
    }
    Ok(fields.into())
}

/// The machine's name, as its system or the environment tells it; `-` where neither does.
fn hostname() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let told = told.ok().or_else(|| std::env::var("HOSTNAME").ok());
    let name = told.as_deref().map(str::trim).unwrap_or_default();
    if name.is_empty() { "-" } else { name }.to_owned()
}
