//! The names of what can be found, stable between versions.

use std::fmt;

use super::Severity;

macro_rules! codes {
    ($( $(#[doc = $doc:literal])* $name:ident = $text:literal, $severity:ident $(, $overlook:ident)?; )*) => {
        /// What kind of finding a [`Diagnostic`](super::Diagnostic) is.
        ///
        /// The printed form (`unknown-field`) is stable; new codes may appear in any release.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Code { $( $(#[doc = $doc])* $name, )* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$( Self::$name, )*];

            /// The printed form, such as `unknown-field`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$name => $text, )* }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $( Self::$name => concat!($($doc),*).trim_ascii(), )* }
            }

            /// How much it matters, unless read leniently.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $( Self::$name => Severity::$severity, )* }
            }

            /// Whether a value is at fault rather than that, or where, it is written.
            pub(crate) const fn is_about_value(self) -> bool {
                matches!(
                    self,
                    Self::InvalidValue
                        | Self::DuplicateHost
                        | Self::UnknownSubset
                        | Self::UnknownHost
                        | Self::UnknownPort
                        | Self::UnknownGateway
                        | Self::UnknownDelegate
                        | Self::NeverMatches
                        | Self::MissingFile
                        | Self::InvalidFile
                        | Self::Expired
                )
            }

            /// Whether lenient reading turns the error into a warning.
            #[must_use]
            pub const fn may_be_overlooked(self) -> bool {
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
    /// Nothing here acts on the field or the kind, on purpose or for want of a feature; to go on without its effect, read leniently.
    NotBuilt = "not-built", Error, lenient;
    /// A second VirtualService, or traffic policy, for a host that another one owns.
    DuplicateHost = "duplicate-host", Warning;
    /// A destination subset that no DestinationRule defines: requests to it get 503 NC.
    UnknownSubset = "unknown-subset", Warning;
    /// A destination host nothing declares.
    UnknownHost = "unknown-host", Warning;
    /// A destination port the host does not have: requests to it get 503 NC.
    UnknownPort = "unknown-port", Warning;
    /// A gateway that no resource declares.
    UnknownGateway = "unknown-gateway", Warning;
    /// A delegate that is not there, or is none: the rule is left out.
    UnknownDelegate = "unknown-delegate", Warning;
    /// A delegate's rule that takes what the rule naming it does not: it is left out.
    DelegateConflict = "delegate-conflict", Warning;
    /// A rule that can never be reached.
    Unreachable = "unreachable", Warning;
    /// A value that nothing ever equals.
    NeverMatches = "never-matches", Warning;
    /// More than a hundred regular expressions that are tried one after the other.
    SlowMatch = "slow-match", Warning;
    /// A body so large that every copy of the configuration suffers.
    LargeBody = "large-body", Warning;
    /// A file that a rule names and this process cannot open.
    MissingFile = "missing-file", Warning;
    /// A file that a rule names and that does not hold what it should.
    InvalidFile = "invalid-file", Error;
    /// A certificate that a rule names and that is out of its time.
    Expired = "expired", Warning;
    /// A file or document that holds no resource.
    Empty = "empty", Note;
    /// A setting that is written down and, as written, never takes effect.
    NeverFires = "never-fires", Warning;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fmt::Write as _;

    use super::Code;

    /// The table in this module's documentation, as it must be.
    fn table() -> String {
        let mut table = "//! | Code | Severity | Meaning |\n//! |---|---|---|\n".to_owned();
        for code in Code::ALL {
            let severity = match code.may_be_overlooked() {
                true => format!("{}; lenient: warning", code.severity()),
                false => code.severity().to_string(),
            };
            let _ = writeln!(table, "//! | `{code}` | {severity} | {} |", code.meaning());
        }
        table
    }

    #[test]
    fn the_documented_table_is_the_list_of_codes() {
        let documented = include_str!("mod.rs");
        assert!(
            documented.contains(&table()),
            "it should hold:\n{}",
            table()
        );
    }

    #[test]
    fn no_two_codes_print_alike() {
        let printed: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(printed.len(), Code::ALL.len());
        let spelt = |text: &str| text.bytes().all(|it| it.is_ascii_lowercase() || it == b'-');
        assert!(printed.iter().all(|text| spelt(text)), "{printed:?}");
    }
}
