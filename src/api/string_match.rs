//! `StringMatch`: how a text is compared.

use super::decode::{Decode, Decoder, wrong_type};
use super::node::{Node, Value};
use crate::diagnostic::{At, Code, Diagnostic};

/// How a text is compared: wholly, by its beginning, or by a regular expression.
///
/// Source: Istio's `StringMatch`. Comparison is by bytes and case-sensitive.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum StringMatch {
    /// `{}`: whatever it is, as long as it is there.
    #[default]
    Present,
    /// `exact`: the whole text.
    Exact(String),
    /// `prefix`: the text begins so; by bytes, not by path segments.
    Prefix(String),
    /// `regex`: RE2, matching the whole text.
    Regex(String),
}

impl StringMatch {
    pub(super) const FIELDS: &'static [&'static str] = &["exact", "prefix", "regex"];

    /// The whole text.
    #[must_use]
    pub fn exact(text: impl Into<String>) -> Self {
        Self::Exact(text.into())
    }

    /// The text begins so.
    #[must_use]
    pub fn prefix(text: impl Into<String>) -> Self {
        Self::Prefix(text.into())
    }

    /// RE2, matching the whole text.
    #[must_use]
    pub fn regex(expression: impl Into<String>) -> Self {
        Self::Regex(expression.into())
    }
}

impl Decode for StringMatch {
    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Null => {
                let message = "a match may not be null";
                let diagnostic = Diagnostic::new(Code::InvalidValue, at, message);
                let hint = "write {} for \"present, with any value\"";
                decoder.report(node.mark, diagnostic.hint(hint));
                return None;
            }
            Value::Scalar { text, .. } if text.len() <= 40 => {
                let hint = format!("write {{exact: {text:?}}}, or prefix or regex");
                decoder.report(node.mark, wrong_type(node, at, "a mapping").hint(hint));
                return None;
            }
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {}
        }
        let mut found = None;
        let entries = decoder.enter(node, at, Self::FIELDS)?;
        for entry in entries {
            if !Self::FIELDS.contains(&&*entry.key) {
                decoder.unknown_field(entry, entries, at, Self::FIELDS);
                continue;
            }
            let Some(text) = String::decode(&entry.value, at.field(&entry.key), decoder) else {
                continue;
            };
            if found.is_some() {
                let message = format!("only one of {} may be set", Self::FIELDS.join(", "));
                let at = at.field(&entry.key);
                decoder.report(entry.mark, Diagnostic::new(Code::Exclusive, at, message));
                continue;
            }
            found = Some(match &*entry.key {
                "exact" => Self::Exact(text),
                "prefix" => Self::Prefix(text),
                _ => Self::Regex(text),
            });
        }
        decoder.leave();
        Some(found.unwrap_or_default())
    }
}

impl<'de> serde::Deserialize<'de> for StringMatch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::from_serde(deserializer)
    }
}
