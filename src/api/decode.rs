//! From a document to messages, without stopping at the first fault.

use std::time::Duration;

use indexmap::IndexMap;

use super::node::{Entry, Mark, Node, Value};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics, Place};
use crate::duration;

/// A type a field of a message can have.
pub(crate) trait Decode: Sized {
    /// Reads a value; on a fault says so to `decoder` and returns nothing.
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self>;

    /// Whether a written `null` is a value of its own rather than an absent field.
    const NULL_IS_A_VALUE: bool = false;
}

/// Collects what is wrong while a document is decoded.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    file: Option<std::sync::Arc<str>>,
    pub(crate) found: Diagnostics,
}

impl Decoder {
    pub(crate) fn new(file: Option<std::sync::Arc<str>>) -> Self {
        Self {
            file,
            found: Diagnostics::default(),
        }
    }

    pub(crate) fn place(&self, mark: Mark) -> Option<Place> {
        let file = self.file.clone()?;
        (mark.line > 0).then(|| Place::new(file, mark.line, mark.column))
    }

    pub(crate) fn report(&mut self, mark: Mark, diagnostic: Diagnostic) {
        let diagnostic = match self.place(mark) {
            Some(place) => diagnostic.at(place),
            None => diagnostic,
        };
        self.found.push(diagnostic);
    }

    pub(crate) fn wrong_type(&mut self, node: &Node, at: At<'_>, wanted: &str) {
        let message = format!("expected {wanted}, found {}", node.describe());
        self.report(node.mark, Diagnostic::new(Code::WrongType, at, message));
    }

    pub(crate) fn mapping<'n>(&mut self, node: &'n Node, at: At<'_>) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Map(entries) => Some(entries),
            Value::Null | Value::Scalar { .. } | Value::List(_) => {
                self.wrong_type(node, at, "a mapping");
                None
            }
        }
    }

    pub(crate) fn unknown_field(&mut self, entry: &Entry, at: At<'_>, known: &[&str]) {
        let at = at.field(&entry.key);
        let message = format!("there is no field {:?} here", entry.key);
        let mut diagnostic = Diagnostic::new(Code::UnknownField, at, message);
        if let Some(instead) = removed(&entry.key) {
            diagnostic = diagnostic.hint(format!("Istio removed it; use {instead}"));
        } else if let Some(meant) = did_you_mean(&entry.key, known) {
            diagnostic = diagnostic.hint(format!("did you mean {meant:?}?"));
        } else if !known.is_empty() {
            let known: Vec<_> = known.iter().map(|name| camel_case(name)).collect();
            diagnostic = diagnostic.hint(format!("the fields are {}", known.join(", ")));
        }
        self.report(entry.mark, diagnostic);
    }

    /// Reads one field of a message into `slot`; `seen` tells whether it was there before.
    pub(crate) fn field<T: Decode>(&mut self, slot: &mut T, seen: bool, entry: &Entry, at: At<'_>) {
        let at = at.field(&entry.key);
        if seen {
            let message = format!("{:?} is set twice, once in each spelling", entry.key);
            self.report(entry.mark, Diagnostic::new(Code::DuplicateKey, at, message));
            return;
        }
        if entry.value.value == Value::Null && !T::NULL_IS_A_VALUE {
            return;
        }
        if let Some(value) = T::decode(&entry.value, at, self) {
            *slot = value;
        }
    }
}

/// What took the place of fields that Istio once had.
fn removed(key: &str) -> Option<&'static str> {
    Some(match key {
        "appendHeaders" | "appendRequestHeaders" => "headers.request.add",
        "removeRequestHeaders" => "headers.request.remove",
        "appendResponseHeaders" => "headers.response.add",
        "removeResponseHeaders" => "headers.response.remove",
        "websocketUpgrade" => "nothing: upgrades are always on",
        _ => return None,
    })
}

/// The known name nearest to what was written, in its YAML spelling.
pub(crate) fn did_you_mean(written: &str, known: &[&str]) -> Option<String> {
    let lower = written.to_lowercase();
    known
        .iter()
        .map(|name| camel_case(name))
        .map(|name| {
            (
                strsim::damerau_levenshtein(&lower, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| *distance <= 1 + name.len().min(written.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A Rust field name in proto3's JSON spelling: `max_age` is `maxAge`.
pub(crate) fn camel_case(field: &str) -> String {
    let mut name = String::with_capacity(field.len());
    let mut raise = false;
    for c in field.trim_start_matches("r#").chars() {
        match (c, raise) {
            ('_', _) => raise = true,
            (c, true) => {
                name.push(c.to_ascii_uppercase());
                raise = false;
            }
            (c, false) => name.push(c),
        }
    }
    name
}

/// Whether `written` is the Rust field `field`, spelt in camelCase or in snake_case.
pub(crate) fn same_name(field: &str, written: &str) -> bool {
    let field = field.trim_start_matches("r#");
    if field == written {
        return true;
    }
    let mut written = written.bytes();
    let mut raise = false;
    for byte in field.bytes() {
        if byte == b'_' {
            raise = true;
            continue;
        }
        let wanted = if raise {
            byte.to_ascii_uppercase()
        } else {
            byte
        };
        if written.next() != Some(wanted) {
            return false;
        }
        raise = false;
    }
    written.next().is_none()
}

/// The text of a scalar and whether it was quoted.
fn scalar<'n>(
    node: &'n Node,
    at: At<'_>,
    decoder: &mut Decoder,
    wanted: &str,
) -> Option<(&'n str, bool)> {
    match &node.value {
        Value::Scalar { text, quoted } => Some((text, *quoted)),
        Value::Null | Value::List(_) | Value::Map(_) => {
            decoder.wrong_type(node, at, wanted);
            None
        }
    }
}

/// Whether YAML would read this plain scalar as something other than text.
fn reads_as_other_than_text(text: &str) -> bool {
    let boolean = ["true", "True", "TRUE", "false", "False", "FALSE"];
    let old_boolean = [
        "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF",
    ];
    boolean.contains(&text)
        || old_boolean.contains(&text)
        || (text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && text.parse::<f64>().is_ok())
}

impl Decode for String {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        let (text, quoted) = scalar(node, at, decoder, "text")?;
        if text.contains('\0') {
            let message = "the text holds a NUL character";
            decoder.report(node.mark, Diagnostic::new(Code::InvalidValue, at, message));
            return None;
        }
        if !quoted && reads_as_other_than_text(text) {
            let message =
                format!("YAML reads {text} as a number or a boolean, and text belongs here");
            let hint = format!("Kubernetes would refuse it; write \"{text}\"");
            decoder.report(
                node.mark,
                Diagnostic::new(Code::UnquotedText, at, message).hint(hint),
            );
        }
        Some(text.to_owned())
    }
}

impl Decode for bool {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        match scalar(node, at, decoder, "true or false")? {
            ("true" | "True" | "TRUE", false) => Some(true),
            ("false" | "False" | "FALSE", false) => Some(false),
            _ => {
                decoder.wrong_type(node, at, "true or false");
                None
            }
        }
    }
}

macro_rules! numbers {
    ($($type:ident: $wanted:literal),*) => { $(
        impl Decode for $type {
            fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
                let (text, _) = scalar(node, at, decoder, $wanted)?;
                match text.parse::<Self>() {
                    Ok(number) => Some(number),
                    Err(_) => {
                        decoder.wrong_type(node, at, $wanted);
                        None
                    }
                }
            }
        }
    )* };
}

numbers! {
    i32: "a whole number between -2147483648 and 2147483647",
    u32: "a whole number between 0 and 4294967295",
    u64: "a whole number that is not negative"
}

impl Decode for f64 {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        let (text, _) = scalar(node, at, decoder, "a number")?;
        match text.parse::<Self>() {
            Ok(number) if number.is_finite() => Some(number),
            Ok(_) | Err(_) => {
                decoder.wrong_type(node, at, "a number");
                None
            }
        }
    }
}

impl Decode for Duration {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        let (text, _) = scalar(node, at, decoder, "a duration such as 1.5s")?;
        match duration::parse(text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                let diagnostic = Diagnostic::new(Code::InvalidValue, at, error.to_string());
                decoder.report(node.mark, diagnostic);
                None
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        T::decode(node, at, decoder).map(Some)
    }

    const NULL_IS_A_VALUE: bool = T::NULL_IS_A_VALUE;
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        let Value::List(items) = &node.value else {
            decoder.wrong_type(node, at, "a list");
            return None;
        };
        let items = items.iter().enumerate();
        Some(
            items
                .filter_map(|(index, item)| T::decode(item, at.item(index), decoder))
                .collect(),
        )
    }
}

impl<T: Decode> Decode for IndexMap<String, T> {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        let entries = decoder.mapping(node, at)?;
        let entries = entries.iter().filter_map(|entry| {
            let value = T::decode(&entry.value, at.key(&entry.key), decoder)?;
            Some((entry.key.to_string(), value))
        });
        Some(entries.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{camel_case, did_you_mean, same_name};

    #[test]
    fn both_spellings_name_a_field() {
        assert_eq!(camel_case("consecutive_5xx_errors"), "consecutive5xxErrors");
        assert_eq!(camel_case("r#match"), "match");
        assert!(same_name("max_age", "maxAge"));
        assert!(same_name("max_age", "max_age"));
        assert!(same_name("r#match", "match"));
        assert!(same_name("http2_max_requests", "http2MaxRequests"));
        assert!(!same_name("max_age", "maxage"));
        assert!(!same_name("max_age", "maxAgeX"));
    }

    #[test]
    fn slips_of_the_hand_are_recognised() {
        let known = ["host", "weight", "headers", "percentage"];
        let check = |written, meant: Option<&str>| {
            assert_eq!(did_you_mean(written, &known).as_deref(), meant, "{written}");
        };
        check("wieght", Some("weight"));
        check("heraders", Some("headers"));
        check("hosts", Some("host"));
        check("percenttage", Some("percentage"));
        check("elephant", None);
    }
}
