//! Limits, messages and the properties of [`Re2`] itself; the dialect is tested
//! in the two tables next door.

mod matches;
mod refused;
mod replace;

use super::{InvalidRegex, MAX_PATTERN_LENGTH, Re2};

#[track_caller]
fn check(pattern: &str, matching: &[&[u8]], others: &[&[u8]]) {
    let regex = Re2::new(pattern).unwrap_or_else(|error| panic!("{pattern:?}: {error}"));
    for (texts, expected) in [(matching, true), (others, false)] {
        for text in texts {
            assert_eq!(
                regex.is_full_match(text),
                expected,
                "{pattern:?} on \"{}\"",
                text.escape_ascii()
            );
        }
    }
}

#[track_caller]
fn check_refused(patterns: &[&str]) {
    for pattern in patterns {
        match Re2::new(pattern) {
            Err(InvalidRegex::Syntax { at, .. } | InvalidRegex::Unsupported { at, .. }) => {
                assert!(
                    at < pattern.len(),
                    "{pattern:?}: offset {at} is not in the pattern"
                );
            }
            other => panic!("{pattern:?}: {other:?}"),
        }
    }
}

#[track_caller]
fn check_message(pattern: &str, message: &str) {
    assert_eq!(Re2::new(pattern).unwrap_err().to_string(), message);
}

#[test]
fn messages_say_what_where_and_how_else() {
    check_message(
        "",
        "the regular expression is empty; write `.*` to match every value",
    );
    check_message(
        "/(?<!x)y",
        "RE2 has no look-behind `(?<!` (at byte 1); \
         match the excluded values in an earlier route, or use withoutHeaders",
    );
    check_message(
        r"(a)\1",
        "RE2 has no back-reference: `\\1` (at byte 3); \
         repeat the part it refers to, or write `\\x01` for that byte",
    );
    check_message(
        "ab++",
        "RE2 has no possessive or stacked repetition: `++` (at byte 2); \
         for a repetition of a repetition write `(?:a*)*`",
    );
    check_message(
        "a(b",
        "this `(` is never closed; add `)` or write `\\(` (at byte 1)",
    );
    check_message(
        "a)|(b",
        "this `)` closes nothing; remove it or write `\\)` (at byte 1)",
    );
    check_message(
        "/[a-z",
        "this `[` is never closed; add `]` or write `\\[` (at byte 1)",
    );
    check_message(
        "é*|*",
        "`*` has nothing to repeat; write `\\*` for the text (at byte 4)",
    );
    check_message("[z-a]", "the range `z-a` runs backwards (at byte 1)");
    check_message(
        "a{1001}",
        "the counts of `{1001}` must rise and not exceed 1000 (at byte 1)",
    );
    check_message(
        "(a{20}){100}",
        "`{100}` makes 2000 copies of what is repeated inside it; at most 1000 are allowed (at byte 7)",
    );
    check_message(
        r"\p{Grek}",
        "RE2 has no Unicode class `\\p{Grek}` (at byte 0); it knows general categories by their \
         short names, such as `Lu`, and scripts by their long ones, such as `Greek`",
    );
}

/// A message goes to logs and terminals; the pattern may come from anywhere.
#[test]
fn messages_hold_no_control_characters() {
    for pattern in [
        "[z-\n]",
        "(?\u{1b}",
        "\\p{\r}",
        "[[:\u{85}:]]",
        "\\\u{7f}(",
        "[b\\\n-\0]",
    ] {
        let message = Re2::new(pattern).unwrap_err().to_string();
        assert!(!message.contains(char::is_control), "{message:?}");
    }
}

#[test]
fn a_pattern_has_at_most_1024_bytes() {
    let longest = "é".repeat(MAX_PATTERN_LENGTH / 2);
    assert!(
        Re2::new(&longest)
            .unwrap()
            .is_full_match(longest.as_bytes())
    );
    assert_eq!(
        Re2::new(&format!("{longest}a")).unwrap_err(),
        InvalidRegex::TooLong { length: 1025 }
    );
}

/// These have a program size of 32004 in RE2; Istio's limit is 32768.
#[test]
fn programs_up_to_istios_size_compile() {
    for (part, times) in [
        ("a{1000}", 32),
        ("(a?){1000}", 8),
        ("(?i)[a-z]{1000}", 32),
        ("(?:a|){1000}", 16),
        (".{1000}", 16),
        (r"\PL{1000}", 4),
    ] {
        assert!(Re2::new(&part.repeat(times)).is_ok(), "{part}");
    }
}

#[test]
fn a_program_far_above_istios_size_is_refused() {
    assert_eq!(
        Re2::new(&".{1000}".repeat(64)).unwrap_err(),
        InvalidRegex::TooLarge
    );
}

/// Deeper patterns exhaust the small stack of a test thread inside the crate.
#[test]
fn groups_nest_32_deep() {
    for (open, close) in [
        ("(", ")"),
        ("(a|", "b)*"),
        ("(?:a|b", "c)+"),
        ("(?i:", "){1}"),
        ("", "*(?i)"),
    ] {
        // The first star needs no group around what it repeats.
        let depth = if open.is_empty() { 33 } else { 32 };
        let nested = |depth| format!("{}[ab]{}", open.repeat(depth), close.repeat(depth));
        assert!(Re2::new(&nested(depth)).unwrap().is_full_match(b"a"));
        let refused = Re2::new(&nested(depth + 1)).unwrap_err();
        assert!(
            matches!(refused, InvalidRegex::TooDeep { .. }),
            "{open}{close}: {refused}"
        );
    }
}

#[test]
fn equality_and_text_are_those_of_the_pattern() {
    let regex = Re2::new(r"\d+").unwrap();
    assert_eq!(regex.as_str(), r"\d+");
    assert_eq!(regex, regex.clone());
    assert_eq!(regex, Re2::new(r"\d+").unwrap());
    assert_ne!(regex, Re2::new("[0-9]+").unwrap());
    assert_eq!(format!("{regex:?}"), r#"Re2("\\d+")"#);
}
