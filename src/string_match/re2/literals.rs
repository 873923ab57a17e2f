//! Text that every match of a pattern holds, so that an index need not try the pattern on others.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::{Re2, translate};

/// How many alternatives are kept apart; a pattern with more has no literals of that kind.
const MAX_ALTERNATIVES: usize = 8;

/// What is known of every text a pattern matches. An empty list says nothing.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Literals {
    /// It begins with one of these.
    pub(crate) prefixes: Vec<Vec<u8>>,
    /// It begins with this, in lower case, where case is overlooked.
    pub(crate) folded_prefix: Vec<u8>,
    /// It ends with one of these.
    pub(crate) suffixes: Vec<Vec<u8>>,
    /// It contains each of these.
    pub(crate) inner: Vec<Vec<u8>>,
}

impl Re2 {
    /// The literals of the pattern. Reads the pattern anew, which is for compile time.
    pub(crate) fn literals(&self) -> Literals {
        Literals::of(self.as_str())
    }
}

impl Literals {
    /// The literals of a pattern; none are known of one that is invalid.
    pub(crate) fn of(pattern: &str) -> Self {
        let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
        let hir = translate(pattern).ok();
        let Some(hir) = hir.and_then(|it| parser.parse(&it).ok()) else {
            return Self::default();
        };
        let mut pieces = Pieces::default();
        pieces.read(&hir);
        pieces.cut();
        Self {
            prefixes: alternatives(&hir, ExtractKind::Prefix),
            folded_prefix: pieces.folded_prefix(),
            suffixes: alternatives(&hir, ExtractKind::Suffix),
            inner: pieces.runs,
        }
    }
}

/// The beginnings or ends of a pattern, none of which covers another.
fn alternatives(hir: &Hir, kind: ExtractKind) -> Vec<Vec<u8>> {
    let is_suffix = matches!(kind, ExtractKind::Suffix);
    let mut extractor = Extractor::new();
    let found = extractor
        .kind(kind)
        .limit_class(1)
        .limit_repeat(4)
        .limit_total(MAX_ALTERNATIVES)
        .extract(hir);
    let Some(found) = found.literals() else {
        return Vec::new();
    };
    let all: Vec<&[u8]> = found.iter().map(|it| it.as_bytes()).collect();
    if all.len() > MAX_ALTERNATIVES || all.contains(&b"".as_slice()) {
        return Vec::new();
    }
    let covers = |short: &[u8], long: &[u8]| {
        short.len() < long.len()
            && match is_suffix {
                true => long.ends_with(short),
                false => long.starts_with(short),
            }
    };
    let mut least: Vec<Vec<u8>> = Vec::new();
    for one in &all {
        let known = least.iter().any(|it| it == one);
        if !known && !all.iter().any(|other| covers(other, one)) {
            least.push(one.to_vec());
        }
    }
    least
}

/// A pattern read from left to right, as far as it goes without a choice.
#[derive(Debug, Default)]
struct Pieces {
    /// Runs of bytes that stand in every match, each with its case.
    runs: Vec<Vec<u8>>,
    run: Vec<u8>,
    /// What the pattern begins with, lower case; ends at the first choice.
    beginning: Vec<u8>,
    beginning_folds: bool,
    beginning_ended: bool,
}

impl Pieces {
    /// Reads the parts in order. The translator bounds how deep they nest.
    fn read(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => {
                self.run.extend(&*literal.0);
                if !self.beginning_ended {
                    self.beginning.extend(literal.0.to_ascii_lowercase());
                }
            }
            HirKind::Capture(group) => self.read(&group.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|it| self.read(it)),
            HirKind::Repetition(repetition) if repetition.min > 0 => {
                self.read(&repetition.sub);
                self.cut();
                self.beginning_ended = true;
            }
            HirKind::Class(class) => {
                self.cut();
                match either_case(class) {
                    Some(letter) if !self.beginning_ended => {
                        self.beginning_folds = true;
                        self.beginning.push(letter);
                    }
                    _ => self.beginning_ended = true,
                }
            }
            HirKind::Repetition(_) | HirKind::Alternation(_) => {
                self.cut();
                self.beginning_ended = true;
            }
        }
    }

    /// Ends the run under way.
    fn cut(&mut self) {
        let run = std::mem::take(&mut self.run);
        if !run.is_empty() && !self.runs.contains(&run) {
            self.runs.push(run);
        }
    }

    /// The beginning, where it overlooks case; else the prefixes say as much.
    fn folded_prefix(&self) -> Vec<u8> {
        match self.beginning_folds {
            true => self.beginning.clone(),
            false => Vec::new(),
        }
    }
}

/// The letter, in lower case, of a class that holds its two cases and nothing else.
fn either_case(class: &Class) -> Option<u8> {
    let Class::Bytes(bytes) = class else {
        return None;
    };
    match bytes.ranges() {
        [upper, lower]
            if upper.start() == upper.end()
                && lower.start() == lower.end()
                && upper.start().is_ascii_uppercase()
                && upper.start().to_ascii_lowercase() == lower.start() =>
        {
            Some(lower.start())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Literals, Re2};

    fn check(pattern: &str, prefixes: &[&str], folded: &str, suffixes: &[&str], inner: &[&str]) {
        let bytes = |list: &[&str]| list.iter().map(|it| it.as_bytes().to_vec()).collect();
        let found = Re2::new(pattern).expect("a valid pattern").literals();
        let want = Literals {
            prefixes: bytes(prefixes),
            folded_prefix: folded.as_bytes().to_vec(),
            suffixes: bytes(suffixes),
            inner: bytes(inner),
        };
        assert_eq!(found, want, "{pattern}");
    }

    #[test]
    fn literals_stand_in_every_match() {
        check("/a/[0-9]+/b", &["/a/"], "", &["/b"], &["/a/", "/b"]);
        check(r".*\.(png|jpg)$", &[], "", &[".png", ".jpg"], &["."]);
        check("/(api|web)/.*", &["/api/", "/web/"], "", &[], &["/"]);
        check("/x?/y.*z", &["/x/y", "//y"], "", &["z"], &["/", "/y", "z"]);
        check("(?i)/Api/v[0-9].*", &["/"], "/api/v", &[], &["/"]);
        check("/a|/ab", &["/a"], "", &["/a", "/ab"], &[]);
        check(".*", &[], "", &[], &[]);
        check("[^/]*", &[], "", &[], &[]);
        check("(/a/b)+.*", &["/a/b"], "", &[], &["/a/b"]);
    }
}
