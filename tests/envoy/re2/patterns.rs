//! Patterns of RE2's dialect, and of what looks like it, each with texts that match or nearly do.
//!
//! A pattern is drawn together with a text it matches, if it is read as it is meant. Then some are
//! damaged, so that what is refused, and what odd spellings mean, is compared too.

use super::Dice;

/// How deep groups are drawn; RE2 itself has no such limit as ours.
const DEPTH: usize = 4;

const PLAIN: [&str; 16] = [
    "a", "b", "A", "B", "0", "7", "_", "-", "/", " ", "é", "ß", ",", "&", "<", "]",
];
/// Atoms, each with some text it takes.
const ATOMS: [(&str, &str); 44] = [
    (".", "x"),
    ("\\d", "4"),
    ("\\D", "x"),
    ("\\w", "_"),
    ("\\W", "-"),
    ("\\s", " "),
    ("\\S", "a"),
    ("[abc]", "b"),
    ("[^abc]", "d"),
    ("[a-c]", "c"),
    ("[a&&b]", "&"),
    ("[+--b]", ","),
    ("[[a]", "["),
    ("[]a]", "]"),
    ("[^]a]", "b"),
    ("[a-]", "-"),
    ("[-a]", "-"),
    ("[\\d-z]", "-"),
    ("[\\w.]", "."),
    ("[^\\W]", "a"),
    ("[[:alpha:]]", "z"),
    ("[[:^digit:]]", "x"),
    ("[[:word:]-]", "-"),
    ("\\.", "."),
    ("\\/", "/"),
    ("\\-", "-"),
    ("\\<", "<"),
    ("\\x41", "A"),
    ("\\x{62}", "b"),
    ("\\012", "\n"),
    ("\\07", "\u{7}"),
    ("\\n", "\n"),
    ("\\t", "\t"),
    ("\\a", "\u{7}"),
    ("\\C", "q"),
    ("\\Qa.b\\E", "a.b"),
    ("\\Q[\\E", "["),
    ("\\pL", "e"),
    ("\\PN", "x"),
    ("\\p{Lu}", "Q"),
    ("\\p{Greek}", "x"),
    ("\\x{e9}", "\u{e9}"),
    ("\\x{100}", "x"),
    ("{", "{"),
];
/// What takes no text.
const EMPTY: [&str; 12] = [
    "^", "$", "\\b", "\\B", "\\A", "\\z", "(?i)", "(?s)", "(?m)", "(?U)", "(?-i)", "(?i-s)",
];
const REPEATS: [(&str, usize); 20] = [
    ("*", 0),
    ("*", 2),
    ("+", 1),
    ("+", 3),
    ("?", 0),
    ("?", 1),
    ("*?", 1),
    ("+?", 2),
    ("??", 0),
    ("{2}", 2),
    ("{0}", 0),
    ("{1,3}", 2),
    ("{2,}", 3),
    ("{0,2}?", 1),
    ("{,3}", 1),
    ("{3,1}", 2),
    ("{a}", 1),
    ("{1001}", 1),
    ("{1000}", 1),
    ("**", 1),
];
const GROUPS: [&str; 9] = [
    "(", "(", "(?:", "(?:", "(?P<n>", "(?<m>", "(?i:", "(?s-i:", "(?U:",
];
/// Pieces that damage a pattern, or make it mean something else.
const ODD: [&str; 40] = [
    "(", ")", "[", "]", "{", "}", "*", "+", "?", "|", "\\", "^", "$", ".", "-", ",", ":", "(?",
    "(?=", "(?!", "(?<=", "(?>", "(?#", "(?x)", "(?u)", "(?P<", "(?P=n)", "\\1", "\\8", "\\Z",
    "\\G", "\\k", "\\e", "\\c", "\\x", "\\x{", "\\p", "\\pX", "[[:", ":]]",
];

/// A pattern, and as many inputs.
pub(super) fn row(dice: &mut Dice, inputs: usize) -> Vec<String> {
    let (mut pattern, text) = alternatives(dice, 0);
    if dice.one_in(4) {
        for _ in 0..=dice.below(2) {
            pattern = damaged(dice, &pattern);
        }
    }
    let mut row = vec![pattern];
    // Characters are bytes on the way: what is beyond a byte would be two.
    let text: String = text.bytes().map(char::from).collect();
    for at in 0..inputs {
        row.push(match at {
            0 => text.clone(),
            _ => near(dice, &text),
        });
    }
    // The pattern is sent as the bytes of its UTF-8 form, a character a byte.
    row
}

fn alternatives(dice: &mut Dice, depth: usize) -> (String, String) {
    let mut all: Vec<_> = (0..=usize::from(dice.one_in(4)))
        .map(|_| sequence(dice, depth))
        .collect();
    if dice.one_in(16) {
        all.push((String::new(), String::new()));
    }
    let patterns: Vec<String> = all.iter().map(|(pattern, _)| pattern.clone()).collect();
    let text = all.swap_remove(dice.below(patterns.len())).1;
    (patterns.join("|"), text)
}

fn sequence(dice: &mut Dice, depth: usize) -> (String, String) {
    let (mut pattern, mut text) = (String::new(), String::new());
    for _ in 0..dice.below(4) + usize::from(depth == 0) {
        if dice.one_in(8) {
            pattern += dice.of(&EMPTY);
            continue;
        }
        let (one, taken) = atom(dice, depth);
        pattern += &one;
        match dice.one_in(3) {
            true => {
                let (repeat, times) = dice.of(&REPEATS);
                pattern += repeat;
                text += &taken.repeat(times);
            }
            false => text += &taken,
        }
    }
    (pattern, text)
}

fn atom(dice: &mut Dice, depth: usize) -> (String, String) {
    match dice.below(5) {
        0 if depth < DEPTH => {
            let (inner, text) = alternatives(dice, depth + 1);
            (format!("{}{inner})", dice.of(&GROUPS)), text)
        }
        0..=2 => {
            let plain = dice.of(&PLAIN);
            (plain.to_owned(), plain.to_owned())
        }
        _ => {
            let (atom, text) = dice.of(&ATOMS);
            (atom.to_owned(), text.to_owned())
        }
    }
}

/// The pattern with a piece more, or a character less.
fn damaged(dice: &mut Dice, pattern: &str) -> String {
    let mut characters: Vec<char> = pattern.chars().collect();
    let at = dice.below(characters.len() + 1);
    match dice.below(3) {
        0 if at < characters.len() => drop(characters.remove(at)),
        1 if at < characters.len() => {
            let again = characters[at];
            characters.insert(at, again);
        }
        _ => drop(characters.splice(at..at, dice.of(&ODD).chars())),
    }
    characters.into_iter().collect()
}

/// A text close to another, of bytes.
fn near(dice: &mut Dice, text: &str) -> String {
    const BYTES: [char; 20] = [
        'a', 'b', 'A', 'c', 'd', '0', '9', '_', '-', '/', ' ', '\n', '&', '.', '[', ']', '\u{e9}',
        '\u{c3}', '\u{0}', '\u{ff}',
    ];
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..=dice.below(2) {
        let at = dice.below(characters.len() + 1);
        match dice.below(6) {
            0 if at < characters.len() => drop(characters.remove(at)),
            1 if at < characters.len() => characters[at] = dice.of(&BYTES),
            2 if at < characters.len() => {
                let it = characters[at];
                characters[at] = if it.is_ascii_uppercase() {
                    it.to_ascii_lowercase()
                } else {
                    it.to_ascii_uppercase()
                };
            }
            3 if at < characters.len() => {
                let again = characters[at];
                characters.insert(at, again);
            }
            4 => {}
            _ => characters.insert(at, dice.of(&BYTES)),
        }
    }
    characters.into_iter().collect()
}
