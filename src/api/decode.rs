//! From a document to messages, without stopping at the first fault.

use indexmap::IndexMap;

use super::MAX_FAULTS;
use super::names::{begun, camel_case, did_you_mean, nearest, replacement, same_name};
use super::node::{Entry, Mark, Node, Value, shortened};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics, Place};

/// A type a field of a message can have.
pub(crate) trait Decode: Sized {
    /// Reads a value; on a fault says so to `decoder` and returns nothing.
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self>;
}

/// Collects what is wrong while a document is decoded.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    file: Option<std::sync::Arc<str>>,
    /// The fields of the messages one stands in, outermost first.
    above: Vec<&'static [&'static str]>,
    pub(crate) found: Diagnostics,
}

impl Decoder {
    pub(crate) fn new(file: Option<std::sync::Arc<str>>) -> Self {
        Self {
            file,
            above: Vec::new(),
            found: Diagnostics::default(),
        }
    }

    pub(crate) fn place(&self, mark: Mark) -> Option<Place> {
        let file = self.file.clone()?;
        (mark.line > 0).then(|| Place::new(file, mark.line, mark.column))
    }

    pub(crate) fn report(&mut self, mark: Mark, diagnostic: Diagnostic) {
        if self.found.len() >= MAX_FAULTS {
            return;
        }
        let diagnostic = match self.place(mark) {
            Some(place) => diagnostic.at(place),
            None => diagnostic,
        };
        self.found.push(diagnostic);
    }

    pub(crate) fn wrong_type(&mut self, node: &Node, at: At<'_>, wanted: &str) {
        self.report(node.mark, wrong_type(node, at, wanted));
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

    /// The entries of a message with these fields; [`Decoder::leave`] it afterwards.
    pub(crate) fn enter<'n>(
        &mut self,
        node: &'n Node,
        at: At<'_>,
        fields: &'static [&'static str],
    ) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Map(entries) => {
                self.above.push(fields);
                return Some(entries);
            }
            Value::Scalar { text, .. } if fields.len() == 1 && text.len() <= 40 => {
                let diagnostic = wrong_type(node, at, "a mapping");
                let hint = format!("write {{{}: {text}}}", camel_case(fields[0]));
                self.report(node.mark, diagnostic.hint(hint));
            }
            Value::Scalar { .. } if (2..=5).contains(&fields.len()) => {
                let diagnostic = wrong_type(node, at, "a mapping");
                self.report(node.mark, diagnostic.hint(list_of(fields)));
            }
            Value::Null | Value::Scalar { .. } | Value::List(_) => {
                self.wrong_type(node, at, "a mapping");
            }
        }
        None
    }

    pub(crate) fn leave(&mut self) {
        self.above.pop();
    }

    /// Reports an entry of `entries` that is none of the `known` fields.
    pub(crate) fn unknown_field(
        &mut self,
        entry: &Entry,
        entries: &[Entry],
        at: At<'_>,
        known: &[&str],
    ) {
        if self.found.len() >= MAX_FAULTS {
            return;
        }
        let message = format!("there is no field {} here", shortened(&entry.key));
        let mut diagnostic = Diagnostic::new(Code::UnknownField, at.field(&entry.key), message);
        let of_fault = known
            .iter()
            .any(|it| ["fixed_delay", "http_status"].contains(it));
        if of_fault && did_you_mean(&entry.key, known).as_deref() == Some("percentage") {
            diagnostic = diagnostic.firm();
        }
        let hint = self.hint_for(entry, entries, at, known);
        self.report(entry.mark, diagnostic.hint(hint));
    }

    fn hint_for(&self, entry: &Entry, entries: &[Entry], at: At<'_>, known: &[&str]) -> String {
        if let Some(replacement) = replacement(&entry.key) {
            return replacement.to_owned();
        }
        if known == ["number"] && *entry.key == *"name" {
            return "ports are chosen by number, no longer by name".to_owned();
        }
        // Further up, a common name such as `name` would be found by chance.
        let (mut message, above) = (at, self.above.iter().rev());
        for fields in above.take(3) {
            if fields.iter().any(|field| same_name(field, &entry.key)) {
                let owner = message.to_path();
                return format!("it is a field of {owner}; mind the indentation");
            }
            message = message.above();
        }
        if let Some(meant) = did_you_mean(&entry.key, known) {
            return format!("did you mean {meant:?}?");
        }
        let before = entries.iter().take_while(|it| !std::ptr::eq(*it, entry));
        if let Some(empty) = before.filter(|it| it.value.value == Value::Null).last() {
            let key = shortened(&empty.key);
            return format!("to put it under {key}, which is empty, indent it further");
        }
        match begun(&entry.key, known) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => list_of(known),
        }
    }

    /// The number of one of an enumeration's names, written as its name or as the number.
    pub(crate) fn choice(
        &mut self,
        node: &Node,
        at: At<'_>,
        choices: &[(&'static str, u32)],
    ) -> Option<u32> {
        let names = choices.iter().map(|(name, _)| *name);
        let wanted = || format!("one of {}", names.clone().collect::<Vec<_>>().join(", "));
        let Value::Scalar { text, .. } = &node.value else {
            self.wrong_type(node, at, &wanted());
            return None;
        };
        let is_meant =
            |(name, number): &&(&str, u32)| **text == **name || text.parse() == Ok(*number);
        if let Some((_, number)) = choices.iter().find(is_meant) {
            return Some(*number);
        }
        let message = format!("expected {}, found {}", wanted(), node.describe());
        let mut diagnostic = Diagnostic::new(Code::InvalidValue, at, message);
        if let Some(meant) = nearest(text, names) {
            diagnostic = diagnostic.hint(format!("did you mean {meant}?"));
        }
        self.report(node.mark, diagnostic);
        None
    }

    /// Reads one field of a message into `slot`; `seen` tells whether it was there before.
    pub(crate) fn field<T: Decode>(&mut self, slot: &mut T, seen: bool, entry: &Entry, at: At<'_>) {
        let at = at.field(&entry.key);
        if seen {
            let message = format!("{:?} is set twice, once in each spelling", entry.key);
            self.report(entry.mark, Diagnostic::new(Code::DuplicateKey, at, message));
            return;
        }
        if entry.value.value == Value::Null {
            return;
        }
        if let Some(value) = T::decode(&entry.value, at, self) {
            *slot = value;
        }
    }
}

pub(super) fn wrong_type(node: &Node, at: At<'_>, wanted: &str) -> Diagnostic {
    let message = format!("expected {wanted}, found {}", node.describe());
    Diagnostic::new(Code::WrongType, at, message)
}

fn list_of(fields: &[&str]) -> String {
    let names: Vec<_> = fields.iter().map(|name| camel_case(name)).collect();
    match names.as_slice() {
        [name] => format!("the only field is {name}"),
        names => format!("the fields are {}", names.join(", ")),
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        T::decode(node, at, decoder).map(Some)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        let Value::List(items) = &node.value else {
            let mut diagnostic = wrong_type(node, at, "a list");
            match &node.value {
                Value::Scalar { text, .. } if text.len() <= 40 => {
                    diagnostic = diagnostic.hint(format!("write [{text:?}]"));
                }
                Value::Map(_) => diagnostic = diagnostic.hint("put \"- \" before its first field"),
                Value::Null | Value::Scalar { .. } | Value::List(_) => {}
            }
            decoder.report(node.mark, diagnostic);
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
