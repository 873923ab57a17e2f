//! Go's duration syntax, the one Istio's YAML is written in: `1h30m`, `1.5s`, `100ms`.
//!
//! A number and a unit, repeated; units `h m s ms us µs μs ns`; a fraction is
//! allowed, blanks are not, and there are no days. A bare `0` needs no unit.

use std::time::Duration;

/// A text that is not a duration, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDuration {
    /// Nothing was written.
    #[error("a duration is empty; write a number and a unit, such as 1.5s")]
    Empty,
    /// A number without a unit.
    #[error("a duration needs a unit: write {0}s or {0}ms")]
    NoUnit(String),
    /// A unit Go does not have, such as `d`.
    #[error("{0:?} is not a unit of time; use h, m, s, ms, us or ns")]
    UnknownUnit(String),
    /// Something that is not a number where one belongs.
    #[error("{0:?} is not a duration; write a number and a unit, such as 1.5s")]
    NotANumber(String),
    /// Less than nothing.
    #[error("a duration cannot be negative here")]
    Negative,
    /// More than 292 years, where Go's own type ends.
    #[error("the duration is too long")]
    TooLong,
}

/// Reads a duration as Go's `time.ParseDuration` does, except that it may not be negative.
///
/// ```
/// use std::time::Duration;
/// use tower_mesh::duration::parse;
///
/// assert_eq!(parse("1m1.5s"), Ok(Duration::from_millis(61_500)));
/// assert!(parse("2d").is_err());
/// ```
///
/// # Errors
///
/// When the text is not such a duration; the error says what to write instead.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let not_a_number = || InvalidDuration::NotANumber(text.to_owned());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if text.is_empty() {
        return Err(InvalidDuration::Empty);
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(not_a_number());
    }

    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(not_a_number());
        }
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let scale = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" | "µs" | "μs" => 1_000,
            "ns" => 1,
            "" if after.is_empty() => return Err(InvalidDuration::NoUnit(text.to_owned())),
            "" => return Err(not_a_number()),
            _ => return Err(InvalidDuration::UnknownUnit(unit.to_owned())),
        };
        nanos = number(whole)
            .and_then(|whole| whole.checked_mul(scale))
            .and_then(|whole| nanos.checked_add(whole))
            .and_then(|sum| sum.checked_add(parts_of(fraction, scale)))
            .filter(|sum| *sum <= i64::MAX as u128)
            .ok_or(InvalidDuration::TooLong)?;
        rest = after;
    }
    if negative && nanos > 0 {
        return Err(InvalidDuration::Negative);
    }
    Ok(Duration::from_nanos(
        u64::try_from(nanos).map_err(|_| InvalidDuration::TooLong)?,
    ))
}

/// Why Istio refuses a duration that was read, in most of its fields.
pub(crate) fn refusal(duration: Duration) -> Option<&'static str> {
    if duration < Duration::from_millis(1) {
        return Some("duration must be greater than 1ms");
    }
    let whole = duration.subsec_nanos().is_multiple_of(1_000_000);
    (!whole).then_some("only durations to ms precision are supported")
}

/// Writes a duration as [`parse`] reads it, in one unit: `90s`, `1.5s`, `250ms`, `0s`.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(tower_mesh::duration::format(Duration::from_millis(1500)), "1.5s");
/// ```
#[must_use]
pub fn format(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let (unit, name) = match nanos {
        0 | 1_000_000_000.. => (1_000_000_000, "s"),
        1_000_000.. => (1_000_000, "ms"),
        1_000.. => (1_000, "us"),
        _ => (1, "ns"),
    };
    let (whole, rest) = (nanos / unit, nanos % unit);
    let places = unit.ilog10() as usize;
    match rest {
        0 => format!("{whole}{name}"),
        rest => {
            let fraction = format!("{rest:0places$}");
            format!("{whole}.{}{name}", fraction.trim_end_matches('0'))
        }
    }
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn number(digits: &str) -> Option<u128> {
    if digits.is_empty() {
        return Some(0);
    }
    digits.parse().ok()
}

/// The nanoseconds of `0.digits` of a unit; what is below a nanosecond is cut, as Go does.
fn parts_of(digits: &str, unit: u128) -> u128 {
    let digits = digits.get(..18).unwrap_or(digits);
    let places = u32::try_from(digits.len()).unwrap_or(0);
    number(digits).unwrap_or(0) * unit / 10_u128.pow(places)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{InvalidDuration, format, parse};

    #[test]
    fn what_is_written_is_read_again() {
        let check = |nanos: u64, want: &str| {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(format(duration), want);
            assert_eq!(parse(want), Ok(duration));
        };
        check(0, "0s");
        check(90_000_000_000, "90s");
        check(1_500_000_000, "1.5s");
        check(250_000_000, "250ms");
        check(1_050, "1.05us");
        check(7, "7ns");
    }

    #[track_caller]
    fn check(text: &str, nanos: u64) {
        assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
    }

    #[test]
    fn reads_what_go_reads() {
        check("0", 0);
        check("0s", 0);
        check("+5s", 5_000_000_000);
        check("-0s", 0);
        check("1h30m", 5_400_000_000_000);
        check("1.5s", 1_500_000_000);
        check(".5s", 500_000_000);
        check("1.s", 1_000_000_000);
        check("100ms", 100_000_000);
        check("1us", 1_000);
        check("1µs", 1_000);
        check("1μs", 1_000);
        check("0.3333333333333333333h", 1_200_000_000_000 - 1);
        check("2540400h10m10.000000000s", 9_145_440_610_000_000_000);
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(parse(""), Err(InvalidDuration::Empty));
        assert_eq!(parse("5"), Err(InvalidDuration::NoUnit("5".into())));
        assert_eq!(parse("2d"), Err(InvalidDuration::UnknownUnit("d".into())));
        assert_eq!(parse("2 h"), Err(InvalidDuration::UnknownUnit(" h".into())));
        assert_eq!(parse("-1s"), Err(InvalidDuration::Negative));
        assert_eq!(
            parse("1.5.5s"),
            Err(InvalidDuration::NotANumber("1.5.5s".into()))
        );
        assert_eq!(parse("9223372036855s"), Err(InvalidDuration::TooLong));
        for text in ["s", ".s", "-", "+", "1.5.5s", "fast", "."] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
