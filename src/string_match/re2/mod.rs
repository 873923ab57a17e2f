//! Regular expressions in the dialect of RE2, matched the way Envoy matches them.
//!
//! A `regex` match in a `VirtualService` is checked by Istio and then run by
//! Envoy as a `safe_regex`: RE2, over the whole string, on raw bytes. The `regex`
//! crate is RE2's close relative and just as free of exponential blow-ups, but
//! it reads some patterns differently, and a route that matches one request
//! more or less is a routing bug or a hole in an access rule. [`Re2`] therefore
//! reads the pattern itself, with RE2's rules, and hands the crate a spelling
//! that leaves it nothing to interpret.
//!
//! | pattern | `regex` crate | RE2, and here |
//! |---|---|---|
//! | `.`, `é` | one character, the UTF-8 character | one byte, the two bytes of its UTF-8 form |
//! | `\d`, `\w`, `\s`, `\b`, `(?i)` | all of Unicode | ASCII |
//! | `[a&&b]`, `[+--b]`, `[[a]` | set operations, nested classes | plain characters |
//! | `\<`, `\>` | word boundaries | the characters `<` and `>` |
//! | `{`, `a{,3}`, `\Q.\E`, `\C`, `\012`, `[\d-z]` | errors | valid |
//! | `a**`, `a++`, `(?x)`, `(?u)`, `(?R)`, `a{1001}` | valid | errors |
//!
//! Sources: RE2's [syntax page](https://github.com/google/re2/wiki/Syntax);
//! Envoy's [`RegexMatcher`](https://www.envoyproxy.io/docs/envoy/latest/api-v3/type/matcher/v3/regex.proto),
//! which must match the whole value; Istio's validation, which refuses an empty
//! pattern and one of more than 1024 bytes; and the program size of 32768 that
//! Istio allows Envoy.
//!
//! Istio checks a pattern with Go's `regexp` before Envoy sees it. Go reads the
//! same dialect with small differences (it has no `\C`, and refuses a group name
//! used twice); this module follows RE2. One limit is this module's own: groups
//! nest at most 32 deep.

mod byte_set;
mod literals;
mod replace;
#[cfg(test)]
mod tests;
mod translate;

pub(crate) use literals::Literals;
pub use replace::Re2Replace;

use std::{fmt, sync::Arc};

use regex::bytes::{Regex, RegexBuilder};

/// The longest pattern Istio lets through, in bytes.
const MAX_PATTERN_LENGTH: usize = 1024;

/// The memory a compiled pattern may take. Patterns just within Istio's program
/// size of 32768 were measured to take up to 2.5 MB; the rest is margin.
const MAX_COMPILED_BYTES: usize = 4 << 20;

/// How deep groups may be nested, which RE2 does not limit. The crate compiles a
/// group by calling itself: in an unoptimised build 80 levels overflow a stack of
/// 2 MiB, the size a thread gets unless told otherwise.
const MAX_DEPTH: u32 = 32;

/// A regular expression in RE2's dialect that has to match a whole value.
///
/// Matching takes time linear in the length of the value, whatever the pattern.
/// A clone shares the compiled program. Two expressions are equal when their
/// patterns are written alike.
///
/// # Examples
///
/// ```
/// use tower_mesh::string_match::Re2;
///
/// let version = Re2::new(r"/api/v\d+/{id}")?;
/// assert!(version.is_full_match(b"/api/v2/{id}"));
/// assert!(!version.is_full_match(b"/api/v2/{id}/more"));
///
/// // One dot is one byte, so it takes two of them to match `é`.
/// assert!(Re2::new("caf..")?.is_full_match("café".as_bytes()));
///
/// // What is wrong, where, and the way out.
/// let refused = Re2::new("/(?!admin).*").unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "RE2 has no look-ahead `(?!` (at byte 1); match the excluded values in an earlier route, \
///      or use withoutHeaders"
/// );
/// # Ok::<(), tower_mesh::string_match::InvalidRegex>(())
/// ```
#[derive(Clone)]
pub struct Re2(Arc<Compiled>);

struct Compiled {
    pattern: Box<str>,
    regex: Regex,
}

impl Re2 {
    /// Compiles `pattern`.
    ///
    /// # Errors
    ///
    /// [`InvalidRegex`] when RE2 would refuse the pattern, or Istio would for
    /// its size.
    pub fn new(pattern: &str) -> Result<Self, InvalidRegex> {
        // The translator has seen every parenthesis closed, so a pattern such as
        // `a)|(b` cannot break out of the group that anchors it.
        let regex = compile(&format!(r"\A(?:{})\z", translate(pattern)?))?;
        Ok(Self(Arc::new(Compiled {
            pattern: pattern.into(),
            regex,
        })))
    }

    /// Whether the expression matches the whole of `text`.
    #[must_use]
    pub fn is_full_match(&self, text: &[u8]) -> bool {
        self.0.regex.is_match(text)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.pattern
    }
}

/// Reads a pattern within Istio's limits, and writes it for the `regex` crate.
fn translate(pattern: &str) -> Result<String, InvalidRegex> {
    if pattern.is_empty() {
        return Err(InvalidRegex::Empty);
    }
    if pattern.len() > MAX_PATTERN_LENGTH {
        return Err(InvalidRegex::TooLong {
            length: pattern.len(),
        });
    }
    translate::translate(pattern.as_bytes())
}

fn compile(translated: &str) -> Result<Regex, InvalidRegex> {
    RegexBuilder::new(translated)
        .unicode(false)
        .size_limit(MAX_COMPILED_BYTES)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => InvalidRegex::TooLarge,
            other => InvalidRegex::Syntax {
                what: other.to_string(),
                at: 0,
            },
        })
}

impl fmt::Debug for Re2 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Re2").field(&self.as_str()).finish()
    }
}

impl PartialEq for Re2 {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Re2 {}

/// Why a pattern is not a regular expression that Istio and Envoy accept.
///
/// Offsets count bytes from the start of the pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRegex {
    /// The pattern is empty, which Istio refuses.
    #[error("the regular expression is empty; write `.*` to match every value")]
    Empty,
    /// The pattern is longer than the 1024 bytes Istio allows.
    #[error("the regular expression is {length} bytes long, Istio allows {MAX_PATTERN_LENGTH}")]
    #[non_exhaustive]
    TooLong {
        /// The length of the pattern in bytes.
        length: usize,
    },
    /// The pattern breaks a rule of the syntax.
    #[error("{what} (at byte {at})")]
    #[non_exhaustive]
    Syntax {
        /// The rule that is broken, and the way out where there is one.
        what: String,
        /// Where the offending part starts.
        at: usize,
    },
    /// The pattern uses something other dialects have and RE2 does not.
    #[error("RE2 has no {what} (at byte {at}){}{hint}", if hint.is_empty() { "" } else { "; " })]
    #[non_exhaustive]
    Unsupported {
        /// The construct, by name and as it was written.
        what: String,
        /// Where it starts.
        at: usize,
        /// What to write instead; empty when there is no obvious way.
        hint: &'static str,
    },
    /// Groups are nested more than 32 deep.
    #[error("groups are nested more than {MAX_DEPTH} deep (at byte {at}); take some of them apart")]
    #[non_exhaustive]
    TooDeep {
        /// Where the outermost of them starts.
        at: usize,
    },
    /// The compiled expression would take too much memory.
    #[error("the regular expression is too large once compiled; lower its repetition counts")]
    TooLarge,
}
