//! RE2's global replace: everything an expression finds, replaced by a text with `\1` for groups.
//!
//! Follows `RE2::GlobalReplace` step by step, also where a substitution is not a proper one: Envoy
//! does not check it. A group the expression does not have means that nothing is replaced at all;
//! a backslash before anything but a digit or a backslash ends the substitution.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use regex::bytes::{Captures, Regex};

use super::{InvalidRegex, compile, translate};

/// A regular expression in RE2's dialect, and what takes the place of what it finds.
///
/// Unlike [`Re2`](super::Re2) it looks for its pattern anywhere in a text. `\1` to `\9` stand for
/// what the groups found, `\0` for the whole match, `\\` for a backslash. A clone shares the
/// compiled program; two are equal when pattern and substitution are written alike.
///
/// # Examples
///
/// ```
/// use tower_mesh::string_match::Re2Replace;
///
/// let swap = Re2Replace::new("/(v[0-9]+)/([a-z]+)", r"/\2/\1")?;
/// assert_eq!(&*swap.replace_all(b"/v1/orders/7"), b"/orders/v1/7");
/// assert_eq!(&*swap.replace_all(b"/orders"), b"/orders");
/// # Ok::<(), tower_mesh::string_match::InvalidRegex>(())
/// ```
#[derive(Clone)]
pub struct Re2Replace(Arc<Compiled>);

struct Compiled {
    pattern: Box<str>,
    substitution: Box<str>,
    regex: Regex,
    /// Nothing when the substitution names a group the pattern does not have.
    parts: Option<Box<[Part]>>,
}

enum Part {
    Text(Box<[u8]>),
    Group(usize),
}

impl Re2Replace {
    /// Compiles `pattern`, with `substitution` for what it finds.
    ///
    /// # Errors
    ///
    /// [`InvalidRegex`] when RE2 would refuse the pattern, or Istio would for its size. Like RE2
    /// it takes any substitution.
    pub fn new(pattern: &str, substitution: &str) -> Result<Self, InvalidRegex> {
        let translated = translate(pattern)?;
        let groups = count_groups(&translated);
        Ok(Self(Arc::new(Compiled {
            pattern: pattern.into(),
            substitution: substitution.into(),
            regex: compile(&translated)?,
            parts: read(substitution.as_bytes(), groups),
        })))
    }

    /// The text with everything replaced that the pattern finds, from left to right.
    ///
    /// Matches do not overlap, and an empty one right behind another is left out.
    #[must_use]
    pub fn replace_all<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let Some(parts) = &self.0.parts else {
            return Cow::Borrowed(text);
        };
        let between = |start, end| text.get(start..end).unwrap_or_default();
        let mut replaced = Vec::new();
        let mut position = 0;
        let mut last_end = None;
        while position <= text.len() {
            let Some(groups) = self.0.regex.captures_at(text, position) else {
                break;
            };
            let Some(found) = groups.get(0) else {
                break;
            };
            replaced.extend_from_slice(between(position, found.start()));
            if found.is_empty() && last_end == Some(found.start()) {
                replaced.extend_from_slice(between(position, position + 1));
                position += 1;
                continue;
            }
            write(parts, &groups, &mut replaced);
            position = found.end();
            last_end = Some(position);
        }
        if last_end.is_none() {
            return Cow::Borrowed(text);
        }
        replaced.extend_from_slice(text.get(position..).unwrap_or_default());
        Cow::Owned(replaced)
    }

    /// What the substitution does otherwise than it seems to, where it is not a proper one.
    pub(crate) fn complaint(&self) -> Option<String> {
        let groups = count_groups(&translate(self.pattern()).ok()?);
        let mut characters = self.substitution().chars();
        let mut ends = None;
        while let Some(character) = characters.next() {
            match (character, characters.clone().next()) {
                ('\\', Some(digit @ '0'..='9')) => {
                    let known = digit.to_digit(10).is_some_and(|it| it as usize <= groups);
                    if !known {
                        let (verb, plural) = if groups == 1 {
                            ("is", "")
                        } else {
                            ("are", "s")
                        };
                        return Some(format!(
                            "there {verb} {groups} group{plural} in match, and \\{digit} is none \
                             of them: nothing is replaced"
                        ));
                    }
                }
                ('\\', Some('\\')) => {}
                ('\\', other) => {
                    ends = ends.or_else(|| {
                        let other = other.map_or(String::new(), |it| it.to_string());
                        Some(format!(
                            "\\{other} stands for nothing: what comes after it is left out"
                        ))
                    });
                }
                _ => continue,
            }
            // What stands behind the backslash has been read.
            characters.next();
        }
        ends
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.0.pattern
    }

    /// The substitution as it was written.
    #[must_use]
    pub fn substitution(&self) -> &str {
        &self.0.substitution
    }
}

/// How many groups a translated pattern has: in it, every parenthesis opens or closes one.
///
/// The crate's own count leaves out a last group that is repeated zero times.
fn count_groups(translated: &str) -> usize {
    translated
        .split('(')
        .skip(1)
        .filter(|rest| !rest.starts_with('?'))
        .count()
}

/// Reads a substitution; nothing if it names a group beyond `groups`, be it behind its end.
fn read(substitution: &[u8], groups: usize) -> Option<Box<[Part]>> {
    let mut parts = Vec::new();
    let mut text = Vec::new();
    let mut ended = false;
    let mut bytes = substitution.iter();
    while let Some(byte) = bytes.next() {
        let part = match (byte, bytes.as_slice().first()) {
            (b'\\', Some(digit @ b'0'..=b'9')) => {
                let group = usize::from(digit - b'0');
                if group > groups {
                    return None;
                }
                Some(Part::Group(group))
            }
            (b'\\', Some(b'\\')) => {
                text.extend((!ended).then_some(b'\\'));
                None
            }
            (b'\\', _) => {
                ended = true;
                None
            }
            (byte, _) => {
                text.extend((!ended).then_some(byte));
                continue;
            }
        };
        // What stands behind the backslash has been read.
        bytes.next();
        if let Some(part) = part
            && !ended
        {
            parts.push(Part::Text(std::mem::take(&mut text).into()));
            parts.push(part);
        }
    }
    parts.push(Part::Text(text.into()));
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    Some(parts.into())
}

fn write(parts: &[Part], groups: &Captures<'_>, replaced: &mut Vec<u8>) {
    for part in parts {
        match part {
            Part::Text(text) => replaced.extend_from_slice(text),
            // A group that took no part in the match is empty.
            Part::Group(group) => {
                let found = groups.get(*group).map_or(&b""[..], |it| it.as_bytes());
                replaced.extend_from_slice(found);
            }
        }
    }
}

impl fmt::Debug for Re2Replace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Re2Replace")
            .field(&self.pattern())
            .field(&self.substitution())
            .finish()
    }
}

impl PartialEq for Re2Replace {
    fn eq(&self, other: &Self) -> bool {
        self.pattern() == other.pattern() && self.substitution() == other.substitution()
    }
}

impl Eq for Re2Replace {}
