//! Repetition operators: when a brace is one, and which RE2 refuses.
//!
//! Differs from the `regex` crate in three ways: braces that hold no valid
//! counts are plain characters, an operator may not directly follow another, and
//! no part of a pattern may be repeated more than 1000 times, counted through
//! nested repetitions.

use super::{super::InvalidRegex, Item, Translator, syntax, unsupported};

/// The highest repetition count, also for nested repetitions multiplied.
const MAX_REPETITION: u32 = 1000;

impl Translator<'_> {
    /// Reads `n}`, `n,}` or `n,m}`; on anything else stays where it is, as then
    /// the brace is a plain character.
    pub(super) fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let start = self.position;
        let counts = self.try_counts();
        if counts.is_none() {
            self.position = start;
        }
        counts
    }

    fn try_counts(&mut self) -> Option<(u32, Option<u32>)> {
        let least = self.count()?;
        if self.eat(b"}") {
            return Some((least, Some(least)));
        }
        if !self.eat(b",") {
            return None;
        }
        if self.eat(b"}") {
            return Some((least, None));
        }
        let most = self.count()?;
        self.eat(b"}").then_some((least, Some(most)))
    }

    /// A number without leading zeros. RE2 stops reading at nine digits; with
    /// ten, the braces are text.
    fn count(&mut self) -> Option<u32> {
        let digits = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let written = self.rest().get(..digits)?;
        if digits > 9 || (digits > 1 && written.starts_with(b"0")) {
            return None;
        }
        self.position += digits;
        std::str::from_utf8(written).ok()?.parse().ok()
    }

    /// Applies the operator at `at`, whose symbol or `counts` have been read.
    pub(super) fn repeat(
        &mut self,
        at: usize,
        previous: Option<usize>,
        counts: Option<(u32, Option<u32>)>,
    ) -> Result<(), InvalidRegex> {
        let operator = self.written(at);
        let lazy = self.eat(b"?") != self.flags.lazy;
        if let Some(previous) = previous {
            return Err(unsupported(
                format!(
                    "possessive or stacked repetition: `{}`",
                    self.written(previous)
                ),
                "for a repetition of a repetition write `(?:a*)*`",
                previous,
            ));
        }
        let Some(mut item) = self.last else {
            return Err(syntax(
                format!("`{operator}` has nothing to repeat; write `\\{operator}` for the text"),
                at,
            ));
        };
        if let Some((least, most)) = counts {
            let count = most.unwrap_or(least);
            if least.max(count) > MAX_REPETITION || least > count {
                return Err(syntax(
                    format!("the counts of `{operator}` must rise and not exceed {MAX_REPETITION}"),
                    at,
                ));
            }
            item.nesting.copies *= count.max(1);
            if item.nesting.copies > MAX_REPETITION {
                return Err(syntax(
                    format!(
                        "`{operator}` makes {} copies of what is repeated inside it; \
                         at most {MAX_REPETITION} are allowed",
                        item.nesting.copies
                    ),
                    at,
                ));
            }
        }
        if item.repeated {
            item.nesting = item.nesting.deeper(at)?;
            self.output.insert_str(item.start, "(?:");
            self.output.push(')');
        }
        self.output.push_str(&operator);
        if lazy {
            self.output.push('?');
        }
        self.nesting = self.nesting.max(item.nesting);
        self.last = Some(Item {
            repeated: true,
            ..item
        });
        Ok(())
    }
}
