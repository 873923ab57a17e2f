//! What is wrong with a resource: which file, which line, which field, and what to do about it.
//!
//! Reading and compiling never stop at the first fault. Everything found is
//! collected in [`Diagnostics`]; an error among them means that nothing of the
//! configuration is used and the last good one stays in force. A diagnostic prints
//! in one line, is drawn under the line it speaks of by `Renderer` (feature
//! `snippets`), and serialises as an object for other programs.
//!
//! # Codes
//!
//! They are stable: a script may rely on them. Read leniently, some errors become
//! warnings, and the field they stand at has no effect; but a misspelt percentage
//! of a fault stays an error, for without it the fault would never fire.
//!
//! | Code | Severity | Meaning |
//! |---|---|---|
//! | `syntax` | error | The text is not YAML (or JSON). |
//! | `too-large` | error | The text is larger, deeper or fuller of aliases than any honest configuration. |
//! | `duplicate-key` | error | The same key stands twice in one mapping. |
//! | `unknown-field` | error; lenient: warning | A field the resource does not have. |
//! | `wrong-type` | error | A value of another type than the field's. |
//! | `invalid-value` | error | A value of the right type that the field cannot mean. |
//! | `missing-field` | error | A field that must be there is not. |
//! | `exclusive` | error | Two fields of which only one may be set. |
//! | `wrong-api-version` | error | A known kind under another API group or version than its own. |
//! | `foreign-kind` | note | A document that is not one of Istio's traffic resources; skipped. |
//! | `duplicate-resource` | error | Two resources of one kind with the same namespace and name. |
//! | `unquoted-text` | warning | An unquoted YAML number, boolean or null where text belongs: Kubernetes refuses it. |
//! | `deprecated` | warning | A field that Istio has replaced; it still works. |
//! | `not-built` | error; lenient: warning | Nothing here acts on the field or the kind, on purpose or for want of a feature; to go on without its effect, read leniently. |
//! | `duplicate-host` | warning | A second VirtualService, or traffic policy, for a host that another one owns. |
//! | `unknown-subset` | warning | A destination subset that no DestinationRule defines: requests to it get 503 NC. |
//! | `unknown-host` | warning | A destination host nothing declares. |
//! | `unknown-port` | warning | A destination port the host does not have: requests to it get 503 NC. |
//! | `unknown-gateway` | warning | A gateway that no resource declares. |
//! | `unknown-delegate` | warning | A delegate that is not there, or is none: the rule is left out. |
//! | `delegate-conflict` | warning | A delegate's rule that takes what the rule naming it does not: it is left out. |
//! | `unreachable` | warning | A rule that can never be reached. |
//! | `never-matches` | warning | A value that nothing ever equals. |
//! | `slow-match` | warning | More than a hundred regular expressions that are tried one after the other. |
//! | `large-body` | warning | A body so large that every copy of the configuration suffers. |
//! | `missing-file` | warning | A file that a rule names and this process cannot open. |
//! | `invalid-file` | error | A file that a rule names and that does not hold what it should. |
//! | `expired` | warning | A certificate that a rule names and that is out of its time. |
//! | `empty` | note | A file or document that holds no resource. |
//! | `never-fires` | warning | A setting that is written down and, as written, never takes effect. |

use std::fmt;
use std::sync::Arc;

mod code;
mod list;
mod path;
#[cfg(feature = "snippets")]
mod render;
mod serialize;

pub use code::Code;
pub use list::Diagnostics;
pub(crate) use path::At;
pub use path::{FieldPath, Step};
#[cfg(feature = "snippets")]
pub use render::Renderer;

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing; changes nothing.
    Note,
    /// Accepted, and probably not what was meant.
    Warning,
    /// Refused: the configuration it stands in is not used.
    Error,
}

impl Severity {
    /// The word used in text and JSON output: `note`, `warning` or `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place in a file, counted from one as editors do.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Place {
    /// The file's name as it was given to the reader.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Place {
    pub(crate) const fn new(file: Arc<str>, line: u32, column: u32) -> Self {
        Self { file, line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The resource a diagnostic speaks of.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct ResourceName {
    /// The resource's `kind`, such as `VirtualService`.
    pub kind: String,
    /// `metadata.namespace`; `default` where the file says nothing.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// One finding about one field of one resource.
///
/// Prints as `mesh.yaml:12:7: error[unknown-field]: …`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    code: Code,
    severity: Severity,
    path: FieldPath,
    message: String,
    hint: Option<String>,
    resource: Option<ResourceName>,
    place: Option<Place>,
    /// An error even when read leniently.
    firm: bool,
}

impl Diagnostic {
    pub(crate) fn new(code: Code, at: At<'_>, message: impl Into<String>) -> Self {
        Self::at_path(code, at.to_path(), message)
    }

    pub(crate) fn at_path(code: Code, path: FieldPath, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            path,
            message: message.into(),
            hint: None,
            resource: None,
            place: None,
            firm: false,
        }
    }

    /// Keeps it an error even when read leniently.
    pub(crate) const fn firm(mut self) -> Self {
        self.firm = true;
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Names the resource, and the place, where the finder could not know them.
    pub(crate) fn of(mut self, resource: &ResourceName, place: Option<Place>) -> Self {
        self.resource.get_or_insert_with(|| resource.clone());
        if self.place.is_none() {
            self.place = place;
        }
        self
    }

    /// What kind of finding this is; stable between versions.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Whether it is an error, a warning or a note.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// The field, from the top of the document: `spec.http[0].route[1].weight`.
    #[must_use]
    pub const fn path(&self) -> &FieldPath {
        &self.path
    }

    /// What is wrong, in one sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The way out, where there is an obvious one.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The resource it stands in, once that much of the document was readable.
    #[must_use]
    pub const fn resource(&self) -> Option<&ResourceName> {
        self.resource.as_ref()
    }

    /// Where it stands; absent for resources that were not read from text.
    #[must_use]
    pub const fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}[{}]: ", self.severity, self.code)?;
        if let Some(resource) = &self.resource {
            write!(f, "{resource}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}
