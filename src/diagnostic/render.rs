//! Diagnostics as rustc draws its own: the line, what is wrong in it underlined, the way out below.

use std::collections::HashMap;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Snippet};

use super::{Diagnostic, Severity};

/// Lines longer than this are told of, not drawn.
const LONGEST_LINE: usize = 16 << 10;

/// Draws diagnostics under the lines they speak of.
///
/// It knows the files it was given with [`source`](Self::source); a finding in
/// any other file, or in none, is drawn without its line. A sink for text:
/// nothing is printed here.
///
/// ```
/// # #[cfg(feature = "yaml")] {
/// use tower_mesh::api::Resources;
/// use tower_mesh::diagnostic::Renderer;
///
/// let text = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
///             medata: {name: a}\nspec: {hosts: [a]}\n";
/// let resources = Resources::from_yaml("a.yaml", text);
/// let renderer = Renderer::new().source("a.yaml", text);
/// let first = resources.diagnostics().iter().next().expect("a misspelt field");
/// assert_eq!(
///     renderer.render(first),
///     r#"error[unknown-field]: there is no field "medata" here
///  --> a.yaml:3:1
///   |
/// 3 | medata: {name: a}
///   | ^^^^^^ medata
///   |
///   = note: in VirtualService default/
///   = help: did you mean "metadata"?"#
/// );
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Renderer {
    sources: HashMap<String, Source>,
    color: bool,
}

/// A file and where its lines begin.
#[derive(Clone, Debug)]
struct Source {
    text: String,
    starts: Vec<usize>,
}

impl Renderer {
    /// A renderer that knows no file yet and draws without colour.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the text of a file known, under the name diagnostics call it by.
    #[must_use]
    pub fn source(mut self, file: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(n, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(n + 1) != Some(&b'\n'),
            _ => false,
        });
        let starts = std::iter::once(0).chain(ends.map(|(n, _)| n + 1)).collect();
        self.sources.insert(file.into(), Source { text, starts });
        self
    }

    /// Whether to colour for a terminal; not unless told.
    #[must_use]
    pub const fn color(mut self, color: bool) -> Self {
        self.color = color;
        self
    }

    /// One diagnostic, in several lines, without a line break at the end.
    #[must_use]
    pub fn render(&self, diagnostic: &Diagnostic) -> String {
        let level = match diagnostic.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let path = diagnostic.path().to_string();
        let title = level
            .primary_title(printable(diagnostic.message()))
            .id(diagnostic.code().as_str());
        let mut group = Group::with_title(title);
        let drawn = diagnostic.place().and_then(|place| {
            let line = self.sources.get(&*place.file)?.line(place.line)?;
            (line.len() <= LONGEST_LINE).then_some((place, line))
        });
        match (drawn, diagnostic.place()) {
            (Some((place, line)), _) => {
                let mut mark = AnnotationKind::Primary.span(token(line, place.column));
                if !path.is_empty() {
                    mark = mark.label(printable(&path));
                }
                let snippet = Snippet::source(line)
                    .line_start(place.line as usize)
                    .path(printable(&place.file));
                group = group.element(snippet.annotation(mark));
            }
            (None, place) => {
                if let Some(place) = place {
                    let origin = annotate_snippets::Origin::path(printable(&place.file));
                    let origin = origin.line(place.line as usize);
                    group = group.element(origin.char_column(place.column as usize));
                }
                if !path.is_empty() {
                    group = group.element(Level::NOTE.message(format!("at {}", printable(&path))));
                }
            }
        }
        if let Some(resource) = diagnostic.resource() {
            let resource = printable(&format!("in {resource}"));
            group = group.element(Level::NOTE.message(resource));
        }
        if let Some(hint) = diagnostic.help() {
            group = group.element(Level::HELP.message(printable(hint)));
        }
        let renderer = match self.color {
            true => annotate_snippets::Renderer::styled(),
            false => annotate_snippets::Renderer::plain(),
        };
        renderer.render(&[group])
    }
}

impl Source {
    /// A line without its break, counted from one.
    fn line(&self, number: u32) -> Option<&str> {
        let n = (number as usize).checked_sub(1)?;
        let start = *self.starts.get(n)?;
        let end = self.starts.get(n + 1).copied().unwrap_or(self.text.len());
        Some(self.text.get(start..end)?.trim_end_matches(['\n', '\r']))
    }
}

/// Text without control characters, which could steer a terminal.
fn printable(text: &str) -> String {
    let show = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(show).collect()
}

/// The bytes of the key or scalar, or of the brackets, that begin in a column.
fn token(line: &str, column: u32) -> Range<usize> {
    let skipped = (column as usize).saturating_sub(1);
    let start = line
        .char_indices()
        .nth(skipped)
        .map_or(line.len(), |(n, _)| n);
    let rest = line.get(start..).unwrap_or_default();
    let length = match rest.bytes().next() {
        Some(quote @ (b'"' | b'\'')) => quoted(rest, char::from(quote)),
        Some(b'[' | b'{') => bracketed(rest),
        _ => plain(rest, line.get(..start).unwrap_or_default()),
    };
    start..start + length
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (n, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return n + 1,
            _ => {}
        }
    }
    rest.trim_end().len()
}

fn bracketed(rest: &str) -> usize {
    let mut depth = 0_usize;
    for (n, byte) in rest.bytes().enumerate() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return n + 1;
        }
    }
    1
}

fn plain(rest: &str, before: &str) -> usize {
    let count = |text: &str, wanted: [char; 2]| text.matches(wanted).count();
    let in_brackets = count(before, ['[', '{']) > count(before, [']', '}']);
    let bytes = rest.as_bytes();
    let ends = |n: usize| {
        let next = bytes.get(n + 1);
        match bytes.get(n) {
            Some(b':') => next.is_none_or(u8::is_ascii_whitespace),
            Some(b' ') => next == Some(&b'#'),
            Some(b',' | b']' | b'}') => in_brackets,
            _ => false,
        }
    };
    let end = (0..bytes.len()).find(|n| ends(*n)).unwrap_or(bytes.len());
    let word = rest.get(..end).unwrap_or(rest).trim_end().len();
    word.max(rest.chars().next().map_or(0, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::{Renderer, token};
    use crate::diagnostic::{At, Code, Diagnostic, Place};

    #[track_caller]
    fn check(line: &str, column: u32, want: &str) {
        assert_eq!(&line[token(line, column)], want, "{line}");
    }

    #[test]
    fn keys_and_values_are_underlined_whole() {
        check("  weight: 1 # one", 3, "weight");
        check("  weight: 1 # one", 11, "1");
        check(
            "apiVersion:networking.istio.io/v1",
            1,
            "apiVersion:networking.istio.io/v1",
        );
        check("- {a: b, c: d}", 4, "a");
        check("- {a: b, c: d}", 7, "b");
        check("- {a: b, c: d}", 3, "{a: b, c: d}");
        check("a: [1, [2]] ", 4, "[1, [2]]");
        check("a: [1, [2]", 4, "[");
        check("a: b, c", 4, "b, c");
        check(r#"a: "x \" y" # z"#, 4, r#""x \" y""#);
        check("a: 'it''s'", 4, "'it'");
        check("a: \"open", 4, "\"open");
        check("é: ü x", 4, "ü x");
        check("a", 9, "");
        check("", 1, "");
    }

    fn finding(line: u32, column: u32) -> Diagnostic {
        let at = At::Top.field("spec");
        let place = Place::new("a.yaml".into(), line, column);
        Diagnostic::new(Code::InvalidValue, at.field("x"), "it is \u{1b}[2Jwrong").at(place)
    }

    #[test]
    fn lines_end_as_yaml_ends_them() {
        let renderer =
            Renderer::new().source("a.yaml", "\u{feff}one: 1\r\ntwo: 2\rthree: 3\nfour: 4");
        for (line, want) in [
            (1, "one: 1"),
            (2, "two: 2"),
            (3, "three: 3"),
            (4, "four: 4"),
        ] {
            let drawn = renderer.render(&finding(line, 1));
            assert!(drawn.contains(&format!("{line} | {want}\n")), "{drawn}");
        }
        assert!(!renderer.render(&finding(5, 1)).contains('|'));
    }

    #[test]
    fn a_terminal_is_not_steered_by_what_is_told() {
        let text = "spec: \u{1b}[31m\u{202e}red\n";
        let renderer = Renderer::new().source("a.yaml", text);
        assert!(
            !renderer
                .render(&finding(1, 7))
                .contains(['\u{1b}', '\u{202e}'])
        );
        let colored = renderer.color(true).render(&finding(1, 7));
        assert!(
            colored.contains('\u{1b}') && !colored.contains("\u{1b}[2J"),
            "{colored}"
        );
    }

    #[test]
    fn without_its_line_the_place_is_still_told() {
        let long = Renderer::new().source("a.yaml", "x".repeat(1 << 20));
        for renderer in [Renderer::new(), long] {
            assert_eq!(
                renderer.render(&finding(1, 7)),
                "error[invalid-value]: it is \u{fffd}[2Jwrong\n--> a.yaml:1:7\n = note: at spec.x"
            );
        }
    }
}
