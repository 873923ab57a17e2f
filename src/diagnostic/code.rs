//! The names of what can be found, stable between versions.

use std::fmt;

use super::Severity;

macro_rules! codes {
    ($( $(#[$doc:meta])* $name:ident = $text:literal, $severity:ident $(, $overlook:ident)?; )*) => {
        /// What kind of finding a [`Diagnostic`](super::Diagnostic) is.
        ///
        /// The printed form (`unknown-field`) is stable; new codes may appear in any release.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Code { $( $(#[$doc])* $name, )* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$( Self::$name, )*];

            /// The printed form, such as `unknown-field`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text, )* }
            }

            pub(crate) const fn severity(self) -> Severity {
                match self { $( Self::$name => Severity::$severity, )* }
            }

            /// Whether lenient reading turns the error into a warning.
            pub(crate) const fn may_be_overlooked(self) -> bool {
                match self { $( Self::$name => codes!(@ $($overlook)?), )* }
            }
        }
    };
    (@ lenient) => { true };
    (@) => { false };
}

codes! {
    /// The text is not YAML (or JSON).
    Syntax = "syntax", Error;
    /// The text is larger, deeper or fuller of aliases than any honest configuration.
    TooLarge = "too-large", Error;
    /// The same key stands twice in one mapping.
    DuplicateKey = "duplicate-key", Error;
    /// A field the resource does not have.
    UnknownField = "unknown-field", Error, lenient;
    /// A value of another type than the field's.
    WrongType = "wrong-type", Error;
    /// A value of the right type that the field cannot mean.
    InvalidValue = "invalid-value", Error;
    /// A field that must be there is not.
    MissingField = "missing-field", Error;
    /// Two fields of which only one may be set.
    Exclusive = "exclusive", Error;
    /// A known kind under another API group or version than its own.
    WrongApiVersion = "wrong-api-version", Error;
    /// A document that is not one of Istio's traffic resources; skipped.
    ForeignKind = "foreign-kind", Note;
    /// Two resources of one kind with the same namespace and name.
    DuplicateResource = "duplicate-resource", Error;
    /// An unquoted YAML number, boolean or null where text belongs: Kubernetes refuses it.
    UnquotedText = "unquoted-text", Warning;
    /// A field that Istio has replaced; it still works.
    Deprecated = "deprecated", Warning;
    /// This version does not act on the field yet; to go on without its effect, read leniently.
    NotBuilt = "not-built", Error, lenient;
    /// A second VirtualService for a host that another one owns.
    DuplicateHost = "duplicate-host", Warning;
    /// A destination subset that no DestinationRule defines: requests to it get 503 NC.
    UnknownSubset = "unknown-subset", Warning;
    /// A destination host nothing declares.
    UnknownHost = "unknown-host", Warning;
    /// A destination port the host does not have: requests to it get 503 NC.
    UnknownPort = "unknown-port", Warning;
    /// The client is to be a gateway that no resource declares: everything is 404.
    UnknownGateway = "unknown-gateway", Warning;
    /// A rule that can never be reached.
    Unreachable = "unreachable", Warning;
    /// A value that nothing ever equals.
    NeverMatches = "never-matches", Warning;
    /// A body so large that every copy of the configuration suffers.
    LargeBody = "large-body", Warning;
    /// A setting that is written down and, as written, never takes effect.
    NeverFires = "never-fires", Warning;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
