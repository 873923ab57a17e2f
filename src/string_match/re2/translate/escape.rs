//! Backslashes and bracketed classes: what RE2 reads as one set of bytes.
//!
//! Differs from the `regex` crate in that a class holds no nested class and no
//! operator: after the `[:name:]` and `\p` forms have been looked for, every
//! other byte stands for itself. The list of escapes is RE2's; an unknown letter
//! is refused, never taken as that letter.

use super::{
    super::{
        InvalidRegex,
        byte_set::{ByteSet, perl_class, posix_class, unicode_class},
    },
    Translator, syntax, unsupported,
};

impl Translator<'_> {
    /// Reads what follows a backslash outside a class.
    pub(super) fn escape(&mut self, at: usize) -> Result<(), InvalidRegex> {
        match self.peek() {
            Some(b'A') => self.push(r"\A"),
            Some(b'z') => self.push(r"\z"),
            Some(b'b') => self.push(r"\b"),
            Some(b'B') => self.push(r"\B"),
            Some(b'C') => self.push_set(ByteSet::default().complement()),
            Some(b'Q') => {
                self.position += 1;
                let text = self.eat_until(br"\E").unwrap_or_else(|| {
                    let rest = self.rest();
                    self.position = self.pattern.len();
                    rest
                });
                for byte in text {
                    self.push_literal(*byte);
                }
                return Ok(());
            }
            _ => {
                match self.named_set(at)? {
                    Some(set) => self.push_set(set),
                    None => {
                        let byte = self.escaped_byte(at)?;
                        self.push_literal(byte);
                    }
                }
                return Ok(());
            }
        }
        self.position += 1;
        Ok(())
    }

    /// Reads a class from behind its `[`.
    pub(super) fn class(&mut self, at: usize) -> Result<ByteSet, InvalidRegex> {
        let negated = self.eat(b"^");
        let mut set = ByteSet::default();
        // A `]` in front is a member.
        let mut first = true;
        while first || !self.eat(b"]") {
            first = false;
            set = set.union(self.class_item(at)?);
        }
        Ok(if negated { set.complement() } else { set })
    }

    fn class_item(&mut self, class: usize) -> Result<ByteSet, InvalidRegex> {
        let at = self.position;
        if self.eat(b"[:") {
            // Without its `:]` this is a plain bracket.
            let Some(name) = self.eat_until(b":]") else {
                self.position = at;
                return self.class_range(class);
            };
            let (negated, name) = without_caret(name);
            let set = posix_class(name).ok_or_else(|| {
                syntax(format!("`{}` is not a named class", self.written(at)), at)
            })?;
            return Ok(self.resolve(set, negated));
        }
        if self.eat(br"\") {
            if let Some(set) = self.named_set(at)? {
                return Ok(set);
            }
            self.position = at;
        }
        self.class_range(class)
    }

    /// Reads one byte of a class, or two with a `-` between them.
    fn class_range(&mut self, class: usize) -> Result<ByteSet, InvalidRegex> {
        let at = self.position;
        let first = self.class_byte(class)?;
        let mut last = first;
        if self.peek() == Some(b'-') && !self.rest().starts_with(b"-]") {
            self.position += 1;
            last = self.class_byte(class)?;
        }
        if last < first {
            return Err(syntax(
                format!("the range `{}` runs backwards", self.written(at)),
                at,
            ));
        }
        Ok(self.resolve(ByteSet::range(first, last), false))
    }

    fn class_byte(&mut self, class: usize) -> Result<u8, InvalidRegex> {
        let at = self.position;
        match self.next() {
            Some(b'\\') => self.escaped_byte(at),
            Some(byte) => Ok(byte),
            None => Err(syntax(
                "this `[` is never closed; add `]` or write `\\[`",
                class,
            )),
        }
    }

    /// Reads `d`, `pN`, `p{Greek}` and the like from behind the backslash; on
    /// anything else stays where it is.
    fn named_set(&mut self, at: usize) -> Result<Option<ByteSet>, InvalidRegex> {
        let Some(letter) = self.peek() else {
            return Ok(None);
        };
        if let Some(set) = perl_class(letter) {
            self.position += 1;
            return Ok(Some(set));
        }
        if !matches!(letter, b'p' | b'P') {
            return Ok(None);
        }
        self.position += 1;
        let name = if self.eat(b"{") {
            self.eat_until(b"}")
        } else {
            let name = self.rest().get(..1);
            self.position += usize::from(name.is_some());
            name
        };
        let Some(name) = name else {
            return Err(syntax("a Unicode class is written `\\pL` or `\\p{Lu}`", at));
        };
        let (negated, name) = without_caret(name);
        let set = unicode_class(name).ok_or_else(|| {
            unsupported(
                format!("Unicode class `{}`", self.written(at)),
                "it knows general categories by their short names, such as `Lu`, \
                 and scripts by their long ones, such as `Greek`",
                at,
            )
        })?;
        Ok(Some(self.resolve(set, negated != (letter == b'P'))))
    }

    /// Applies the case flag, which comes before the negation: `(?i)\P{Lu}`
    /// leaves out lower-case ASCII letters as well.
    fn resolve(&self, set: ByteSet, negated: bool) -> ByteSet {
        let set = if self.flags.ignore_case {
            set.ignoring_case()
        } else {
            set
        };
        if negated { set.complement() } else { set }
    }

    /// Reads an escape that stands for one byte, from behind its backslash.
    fn escaped_byte(&mut self, at: usize) -> Result<u8, InvalidRegex> {
        let Some(byte) = self.next() else {
            return Err(syntax(
                "the pattern ends in a backslash; write `\\\\` for the text",
                at,
            ));
        };
        match byte {
            b'a' => Ok(0x07),
            b'f' => Ok(0x0C),
            b'n' => Ok(b'\n'),
            b'r' => Ok(b'\r'),
            b't' => Ok(b'\t'),
            b'v' => Ok(0x0B),
            b'x' => self.hexadecimal().ok_or_else(|| {
                syntax(
                    "`\\x` takes two hexadecimal digits, or `\\x{..}` up to `\\x{FF}`",
                    at,
                )
            }),
            b'0'..=b'7' => self.octal(byte, at),
            // Unlike a letter, an escaped `_` is RE2's concession to habit.
            _ if byte.is_ascii() && !byte.is_ascii_alphanumeric() => Ok(byte),
            _ => Err(self.unknown_escape(byte, at)),
        }
    }

    /// Up to three octal digits, the first of which is `first`.
    fn octal(&mut self, first: u8, at: usize) -> Result<u8, InvalidRegex> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'7').then(|| u32::from(byte - b'0'));
        if first != b'0' && self.peek().and_then(digit).is_none() {
            return Err(self.unknown_escape(first, at));
        }
        let mut value = u32::from(first - b'0');
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(digit) else {
                break;
            };
            self.position += 1;
            value = value * 8 + digit;
        }
        u8::try_from(value)
            .map_err(|_| syntax(format!("`{}` is more than `\\377`", self.written(at)), at))
    }

    /// `41` or `{41}`, from behind the `x`.
    fn hexadecimal(&mut self) -> Option<u8> {
        let digits = if self.eat(b"{") {
            self.eat_until(b"}")?
        } else {
            let digits = self.rest().get(..2)?;
            self.position += 2;
            digits
        };
        // Parsing by the standard library alone would let a sign through.
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        // Leading zeros are allowed without end: `\x{0000041}`.
        u8::try_from(digits.iter().try_fold(0_u32, |value, digit| {
            value
                .checked_mul(16)?
                .checked_add(char::from(*digit).to_digit(16)?)
        })?)
        .ok()
        .filter(|_| !digits.is_empty())
    }

    fn unknown_escape(&self, byte: u8, at: usize) -> InvalidRegex {
        let (name, hint) = match byte {
            b'1'..=b'9' | b'k' | b'g' => (
                "back-reference",
                "repeat the part it refers to, or write `\\x01` for that byte",
            ),
            b'Z' => (
                "end anchor before a newline",
                "the whole value has to match anyway; leave it out, or use `\\z`",
            ),
            b'G' => (
                "anchor at the last match",
                "leave it out; the whole value has to match anyway",
            ),
            b'K' => (
                "reset of the match start",
                "leave it out; the whole value has to match anyway",
            ),
            b'h' | b'H' => (
                "class of horizontal white space",
                "write `[ \\t]` or `[^ \\t]`",
            ),
            b'R' => ("class of line ends", "write `\\r?\\n`"),
            b'N' => ("class of all but newlines", "write `.`"),
            b'X' => ("class of whole characters", "write `\\C` for one byte"),
            b'e' | b'c' => (
                "escape for control characters",
                "write `\\x1b` or another `\\xNN`",
            ),
            b'u' | b'U' => (
                "escape for Unicode characters",
                "write the character itself, or its UTF-8 bytes as `\\xNN`",
            ),
            b'E' => ("`\\E` without `\\Q` before it", "remove it"),
            b'A' | b'z' | b'b' | b'B' | b'C' | b'Q' => {
                ("such escape inside a class", "move it out of the brackets")
            }
            b'd' | b'D' | b's' | b'S' | b'w' | b'W' => {
                ("class as the end of a range", "write the `-` first or last")
            }
            _ => (
                "escape of this name",
                "leave the backslash out, or double it",
            ),
        };
        let written = self.written(at);
        unsupported(format!("{name}: `{written}`"), hint, at)
    }
}

/// Splits the `^` off a name such as `[:^alpha:]` or `\p{^Lu}`.
fn without_caret(name: &[u8]) -> (bool, &[u8]) {
    name.strip_prefix(b"^")
        .map_or((false, name), |name| (true, name))
}
