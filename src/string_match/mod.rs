//! `StringMatch`, compiled: exact, prefix, RE2 regular expression, or merely present.

use crate::api;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

mod re2;

pub(crate) use re2::Literals;
pub use re2::{InvalidRegex, Re2, Re2Replace};

/// A compiled [`api::StringMatch`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TextMatch {
    /// Anything.
    Present,
    /// The whole text.
    Exact(Box<[u8]>),
    /// Its beginning.
    Prefix(Box<[u8]>),
    /// The whole text, by RE2.
    Regex(Re2),
}

impl TextMatch {
    /// Compiles a match on anything but a path: prefixes and regular expressions may not be empty.
    pub(crate) fn compile(
        written: &api::StringMatch,
        at: At<'_>,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        if let api::StringMatch::Prefix(prefix) = written
            && prefix.is_empty()
        {
            let message = "prefix string match should not be empty";
            found.push(Diagnostic::new(
                Code::InvalidValue,
                at.field("prefix"),
                message,
            ));
            return None;
        }
        Self::compile_path(written, at, found)
    }

    /// Compiles a match on a path, where the empty prefix means every path.
    pub(crate) fn compile_path(
        written: &api::StringMatch,
        at: At<'_>,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        Some(match written {
            api::StringMatch::Present => Self::Present,
            api::StringMatch::Exact(text) => Self::Exact(text.as_bytes().into()),
            api::StringMatch::Prefix(text) => Self::Prefix(text.as_bytes().into()),
            api::StringMatch::Regex(pattern) => match Re2::new(pattern) {
                Ok(regex) => Self::Regex(regex),
                Err(error) => {
                    let at = at.field("regex");
                    found.push(Diagnostic::new(Code::InvalidValue, at, error.to_string()));
                    return None;
                }
            },
        })
    }

    /// Whether `text` is meant.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Exact(exact) => **exact == *text,
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Regex(regex) => regex.is_full_match(text),
        }
    }
}
