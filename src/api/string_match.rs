//! `StringMatch`: how a text is compared.

use super::decode::{Decode, Decoder, camel_case};
use super::node::Node;
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
    const FIELDS: &'static [&'static str] = &["exact", "prefix", "regex"];
}

impl Decode for StringMatch {
    // A header `x-user:` with nothing behind it reads as `{}` in file configurations.
    const NULL_IS_A_VALUE: bool = false;

    fn decode(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Self> {
        if node.value == super::node::Value::Null {
            let message = "a match may not be null";
            let diagnostic = Diagnostic::new(Code::InvalidValue, at, message);
            decoder.report(
                node.mark,
                diagnostic.hint("write {} for \"present, with any value\""),
            );
            return None;
        }
        let mut found = None;
        for entry in decoder.mapping(node, at)? {
            if !Self::FIELDS.contains(&&*entry.key) {
                decoder.unknown_field(entry, at, Self::FIELDS);
                continue;
            }
            let Some(text) = String::decode(&entry.value, at.field(&entry.key), decoder) else {
                continue;
            };
            if found.is_some() {
                let known = Self::FIELDS
                    .iter()
                    .map(|it| camel_case(it))
                    .collect::<Vec<_>>();
                let message = format!("only one of {} may be set", known.join(", "));
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
        Some(found.unwrap_or_default())
    }
}

impl<'de> serde::Deserialize<'de> for StringMatch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::from_serde(deserializer)
    }
}
