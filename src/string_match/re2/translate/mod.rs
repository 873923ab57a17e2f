//! Reads a pattern by RE2's rules and writes it for the `regex` crate.
//!
//! One pass over the bytes, with a stack for the open groups and no recursion.
//! Whatever the two dialects could read differently is resolved here: flags are
//! applied instead of copied, every class becomes an explicit list of bytes,
//! every literal that is not a letter or digit becomes `\xNN`. What is left for
//! the crate are alternatives, groups, repetitions, anchors and bytes. RE2's
//! order of errors is not reproduced, only what it accepts; where its syntax
//! page (<https://github.com/google/re2/wiki/Syntax>) is silent, RE2 itself was
//! asked.

mod escape;
mod repeat;

use std::mem;

use super::{
    InvalidRegex, MAX_DEPTH,
    byte_set::{ByteSet, unicode_class},
};

/// What [`unicode_class`] calls the bytes a group name may consist of.
const NAME_CATEGORIES: [&[u8]; 3] = [b"L", b"Nd", b"Pc"];

/// Translates `pattern`, without anchoring it.
pub(super) fn translate(pattern: &[u8]) -> Result<String, InvalidRegex> {
    let mut translator = Translator {
        pattern,
        position: 0,
        output: String::with_capacity(2 * pattern.len()),
        flags: Flags::default(),
        open: Vec::new(),
        last: None,
        nesting: Nesting::NONE,
    };
    translator.run()?;
    Ok(translator.output)
}

#[derive(Clone, Copy, Default)]
struct Flags {
    ignore_case: bool,
    multi_line: bool,
    dot_matches_newline: bool,
    lazy: bool,
}

/// What a part of the pattern costs, which multiplies or adds up with nesting.
#[derive(Clone, Copy)]
struct Nesting {
    /// How often its most repeated piece is written out.
    copies: u32,
    /// How many groups are around its innermost piece.
    depth: u32,
}

impl Nesting {
    const NONE: Self = Self {
        copies: 1,
        depth: 0,
    };

    fn max(self, other: Self) -> Self {
        Self {
            copies: self.copies.max(other.copies),
            depth: self.depth.max(other.depth),
        }
    }

    /// One level of groups more, opened at `at`.
    fn deeper(self, at: usize) -> Result<Self, InvalidRegex> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            Err(InvalidRegex::TooDeep { at })
        } else {
            Ok(Self { depth, ..self })
        }
    }
}

/// What a repetition operator would apply to.
#[derive(Clone, Copy)]
struct Item {
    /// Where it starts in the output.
    start: usize,
    nesting: Nesting,
    repeated: bool,
}

/// An open group, and what to go back to when it closes.
struct Group {
    at: usize,
    start: usize,
    flags: Flags,
    nesting: Nesting,
}

struct Translator<'pattern> {
    pattern: &'pattern [u8],
    position: usize,
    output: String,
    flags: Flags,
    open: Vec<Group>,
    last: Option<Item>,
    /// The largest [`Item::nesting`] so far in the innermost open group.
    nesting: Nesting,
}

impl<'pattern> Translator<'pattern> {
    fn run(&mut self) -> Result<(), InvalidRegex> {
        // Where the repetition operator right before this one starts. Flags or
        // an empty quotation in between make stacking legal: `a*(?i)*`.
        let mut repetition = None;
        while let Some(byte) = self.next() {
            let at = self.position - 1;
            let previous = repetition.take();
            match byte {
                b'(' => self.open_group(at)?,
                b')' => self.close_group(at)?,
                b'|' => {
                    self.output.push('|');
                    self.last = None;
                }
                b'^' => self.push(if self.flags.multi_line {
                    "(?m:^)"
                } else {
                    r"\A"
                }),
                b'$' => self.push(if self.flags.multi_line {
                    "(?m:$)"
                } else {
                    r"\z"
                }),
                b'.' => {
                    let newline_too = self.flags.dot_matches_newline;
                    self.push_set(ByteSet::of(|byte| newline_too || byte != b'\n'));
                }
                b'[' => {
                    let set = self.class(at)?;
                    self.push_set(set);
                }
                b'*' | b'+' | b'?' => {
                    self.repeat(at, previous, None)?;
                    repetition = Some(at);
                }
                b'{' => match self.counts() {
                    Some(counts) => {
                        self.repeat(at, previous, Some(counts))?;
                        repetition = Some(at);
                    }
                    None => self.push_literal(b'{'),
                },
                b'\\' => self.escape(at)?,
                literal => self.push_literal(literal),
            }
        }
        match self.open.last() {
            Some(group) => Err(syntax(
                "this `(` is never closed; add `)` or write `\\(`",
                group.at,
            )),
            None => Ok(()),
        }
    }

    fn rest(&self) -> &'pattern [u8] {
        self.pattern.get(self.position..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.position += 1;
        Some(byte)
    }

    /// Steps over `expected` if it comes next.
    fn eat(&mut self, expected: &[u8]) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.position += expected.len();
        }
        found
    }

    /// Steps over everything up to and including `end`, and returns what was before it.
    fn eat_until(&mut self, end: &[u8]) -> Option<&'pattern [u8]> {
        let rest = self.rest();
        let length = rest.windows(end.len()).position(|window| window == end)?;
        self.position += length + end.len();
        rest.get(..length)
    }

    /// The pattern from `at` to here, for messages: without control characters
    /// and without a part of a character at the end.
    fn written(&self, at: usize) -> String {
        let bytes = self.pattern.get(at..self.position).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes);
        let mut written = String::with_capacity(text.len());
        for character in text.trim_end_matches(char::REPLACEMENT_CHARACTER).chars() {
            if character.is_control() {
                written.extend(character.escape_debug());
            } else {
                written.push(character);
            }
        }
        written
    }

    fn push(&mut self, item: &str) {
        self.last = Some(Item {
            start: self.output.len(),
            nesting: Nesting::NONE,
            repeated: false,
        });
        self.output.push_str(item);
    }

    fn push_set(&mut self, set: ByteSet) {
        self.push("");
        set.write(&mut self.output);
    }

    fn push_literal(&mut self, byte: u8) {
        if self.flags.ignore_case && byte.is_ascii_alphabetic() {
            self.push_set(ByteSet::range(byte, byte).ignoring_case());
        } else if byte.is_ascii_alphanumeric() {
            self.push("");
            self.output.push(char::from(byte));
        } else {
            self.push(&format!(r"\x{byte:02X}"));
        }
    }

    /// Reads what follows a `(`.
    fn open_group(&mut self, at: usize) -> Result<(), InvalidRegex> {
        if !self.eat(b"?") {
            self.enter(at, self.flags, "(");
            return Ok(());
        }
        for (start, name) in [
            ("=", "ahead"),
            ("!", "ahead"),
            ("<=", "behind"),
            ("<!", "behind"),
        ] {
            if self.eat(start.as_bytes()) {
                return Err(unsupported(
                    format!("look-{name} `(?{start}`"),
                    "match the excluded values in an earlier route, or use withoutHeaders",
                    at,
                ));
            }
        }
        if self.eat(b"P<") || self.eat(b"<") {
            return self.named_group(at);
        }
        self.flags_or_group(at)
    }

    fn named_group(&mut self, at: usize) -> Result<(), InvalidRegex> {
        let Some(name) = self.eat_until(b">") else {
            return Err(syntax("the name of this group has no closing `>`", at));
        };
        let allowed = |byte: &u8| {
            NAME_CATEGORIES
                .iter()
                .filter_map(|category| unicode_class(category))
                .any(|set| set.contains(*byte))
        };
        if name.is_empty() || !name.iter().all(allowed) {
            return Err(syntax(
                "a group name consists of letters, digits and `_`",
                at,
            ));
        }
        self.enter(at, self.flags, "(");
        Ok(())
    }

    /// Reads `(?flags)` or `(?flags:` from behind the question mark.
    fn flags_or_group(&mut self, at: usize) -> Result<(), InvalidRegex> {
        let mut flags = self.flags;
        let mut value = true;
        let mut flag_expected = false;
        loop {
            let Some(byte) = self.next() else {
                return Err(syntax("the pattern ends inside a group's `(?`", at));
            };
            match byte {
                b'i' => flags.ignore_case = value,
                b'm' => flags.multi_line = value,
                b's' => flags.dot_matches_newline = value,
                b'U' => flags.lazy = value,
                b'-' if value => value = false,
                b':' if !flag_expected => {
                    self.enter(at, flags, "(?:");
                    return Ok(());
                }
                b')' if !flag_expected => {
                    self.flags = flags;
                    return Ok(());
                }
                _ => return Err(self.unknown_group(byte, at)),
            }
            flag_expected = byte == b'-';
        }
    }

    fn unknown_group(&self, byte: u8, at: usize) -> InvalidRegex {
        let written = self.written(at);
        let (name, hint) = match (byte, written.len()) {
            (b'>', 3) => ("atomic group", "a plain group `(?:` is as fast in RE2"),
            (b'#', 3) => ("comment", "leave it out"),
            (b'|', 3) => ("branch reset", "use `(?:`"),
            (b'\'', 3) => ("group name in quotes", "write `(?P<name>`"),
            (b'P', 3) => ("reference to a group", "repeat the part it refers to"),
            (b'R' | b'&' | b'0'..=b'9', 3) => ("recursion", "spell the nesting out"),
            (b'(', 3) => ("condition", "write both cases as alternatives"),
            (b'x', _) => (
                "flag `x`",
                "take the white space and comments out of the pattern",
            ),
            (b'u' | b'a' | b'L', _) => ("flag of this name", "it always matches bytes"),
            (b'-' | b':' | b')', _) => (
                "empty flag list after `-`",
                "name a flag: `i`, `m`, `s`, `U`",
            ),
            _ => (
                "group or flag of this name",
                "its flags are `i`, `m`, `s` and `U`",
            ),
        };
        unsupported(format!("{name}: `{written}`"), hint, at)
    }

    fn enter(&mut self, at: usize, inside: Flags, written: &str) {
        self.open.push(Group {
            at,
            start: self.output.len(),
            flags: self.flags,
            nesting: mem::replace(&mut self.nesting, Nesting::NONE),
        });
        self.output.push_str(written);
        self.flags = inside;
        self.last = None;
    }

    fn close_group(&mut self, at: usize) -> Result<(), InvalidRegex> {
        let Some(group) = self.open.pop() else {
            return Err(syntax(
                "this `)` closes nothing; remove it or write `\\)`",
                at,
            ));
        };
        let nesting = self.nesting.deeper(group.at)?;
        self.output.push(')');
        self.flags = group.flags;
        self.last = Some(Item {
            start: group.start,
            nesting,
            repeated: false,
        });
        self.nesting = nesting.max(group.nesting);
        Ok(())
    }
}

fn syntax(what: impl Into<String>, at: usize) -> InvalidRegex {
    InvalidRegex::Syntax {
        what: what.into(),
        at,
    }
}

fn unsupported(what: String, hint: &'static str, at: usize) -> InvalidRegex {
    InvalidRegex::Unsupported { what, at, hint }
}
