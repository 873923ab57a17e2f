//! All findings together: in the order of the files, each told once.

use std::collections::HashSet;
use std::fmt;

#[cfg(feature = "yaml")]
use super::ResourceName;
use super::{Code, Diagnostic, Severity, Step};

/// Everything found while reading and compiling.
///
/// As an error it stands for a configuration that was refused; the list then
/// holds at least one [`Severity::Error`].
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.0.retain(keep);
    }

    /// Names the resource that everything found from `start` on stands in.
    #[cfg(feature = "yaml")]
    pub(crate) fn name(&mut self, start: usize, resource: &ResourceName) {
        for diagnostic in self.0.iter_mut().skip(start) {
            diagnostic.resource.get_or_insert_with(|| resource.clone());
        }
    }

    /// Brings the findings into the order in which a reader of the files meets them.
    pub(crate) fn sort(&mut self) {
        self.0.sort_by(|a, b| {
            let key = |it: &Diagnostic| {
                let place = it.place.as_ref();
                place.map(|it| (it.file.clone(), it.line, it.column))
            };
            key(a).cmp(&key(b))
        });
    }

    /// Tells each finding once, and leaves out what only follows from another: what is missing
    /// beside a field that nobody knows, and what else there is to say of a value that is none.
    pub(crate) fn settle(&mut self) {
        let mut told = HashSet::new();
        let (mut unknown, mut invalid) = (HashSet::new(), HashSet::new());
        for it in &self.0 {
            match it.code {
                Code::UnknownField => {
                    unknown.insert((it.resource.as_ref(), it.path.parent()));
                }
                Code::InvalidValue => {
                    invalid.insert((it.resource.as_ref(), &it.path));
                }
                _ => {}
            }
        }
        let follows = |it: &Diagnostic| match it.code {
            Code::MissingField | Code::NeverFires => {
                unknown.contains(&(it.resource.as_ref(), it.path.parent()))
            }
            // A port chosen by anything but its number.
            Code::InvalidValue if it.path.steps().last() == Some(&Step::Field("number".into())) => {
                unknown.contains(&(it.resource.as_ref(), it.path.parent()))
            }
            Code::UnknownGateway
            | Code::UnknownHost
            | Code::UnknownSubset
            | Code::UnknownDelegate
            | Code::NeverMatches => invalid.contains(&(it.resource.as_ref(), &it.path)),
            _ => false,
        };
        let mut keep = Vec::with_capacity(self.0.len());
        for it in &self.0 {
            let what = (it.code, &it.path, &it.message);
            let new = told.insert((it.resource.as_ref(), it.place.as_ref(), what));
            keep.push(new && !follows(it));
        }
        let mut keep = keep.into_iter();
        self.0.retain(|_| keep.next().unwrap_or(true));
        self.sort();
    }

    /// Turns what may be overlooked on request into warnings.
    pub(crate) fn lenient(mut self) -> Self {
        for diagnostic in &mut self.0 {
            let overlooked = diagnostic.code.may_be_overlooked() && !diagnostic.firm;
            if overlooked && diagnostic.severity == Severity::Error {
                diagnostic.severity = Severity::Warning;
            }
        }
        self
    }

    /// Whether anything was refused.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|it| it.severity == Severity::Error)
    }

    /// How many findings there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was found.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The findings, by file, line and column.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, diagnostic) in self.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

/// As it is displayed: a program whose `main` returns it prints it so.
impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Diagnostics {}
