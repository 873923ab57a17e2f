//! Where in a resource one stands: a cursor that costs nothing until something is wrong.

use std::fmt;

/// One step from a message into a field of it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// A field of a message, spelt as in the file.
    Field(String),
    /// An item of a list, from zero.
    Item(usize),
    /// An entry of a map.
    Key(String),
}

/// The path of a field from the top of its document.
///
/// Prints as `spec.http[0].match[1].headers["x-user"].exact`.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct FieldPath(Vec<Step>);

impl FieldPath {
    /// The steps, outermost first.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The steps to what holds the field.
    pub(crate) fn parent(&self) -> &[Step] {
        self.0.split_last().map_or(&[], |(_, above)| above)
    }

    /// Whether this is the document itself.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if !is_word(name) => write!(f, "[{name:?}]")?,
                Step::Field(name) if n == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}

/// Whether a name can stand behind a dot.
fn is_word(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(word)
}

/// A cursor into a resource, kept on the stack while the resource is walked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At<'a> {
    /// The document.
    Top,
    /// A field of what stands above.
    Field(&'a Self, &'a str),
    /// An item of the list above.
    Item(&'a Self, usize),
    /// An entry of the map above.
    Key(&'a Self, &'a str),
}

impl<'a> At<'a> {
    pub(crate) const fn field(&'a self, name: &'a str) -> Self {
        At::Field(self, name)
    }

    pub(crate) const fn item(&'a self, index: usize) -> Self {
        At::Item(self, index)
    }

    pub(crate) const fn key(&'a self, key: &'a str) -> Self {
        At::Key(self, key)
    }

    /// The message that holds the field one stands in, or in whose list or map one stands.
    pub(crate) fn above(self) -> Self {
        let mut at = self;
        loop {
            at = match at {
                At::Top => return at,
                At::Field(above, _) => return *above,
                At::Item(above, _) | At::Key(above, _) => *above,
            };
        }
    }

    pub(crate) fn to_path(self) -> FieldPath {
        let mut steps = Vec::new();
        let mut at = self;
        loop {
            at = match at {
                At::Top => break,
                At::Field(above, name) => {
                    steps.push(Step::Field(name.to_owned()));
                    *above
                }
                At::Item(above, index) => {
                    steps.push(Step::Item(index));
                    *above
                }
                At::Key(above, key) => {
                    steps.push(Step::Key(key.to_owned()));
                    *above
                }
            };
        }
        steps.reverse();
        FieldPath(steps)
    }
}

#[cfg(test)]
mod tests {
    use super::At;

    #[test]
    fn prints_as_one_would_write_it() {
        let spec = At::Top.field("spec");
        let http = spec.field("http");
        let first = http.item(0);
        let headers = first.field("headers");
        let path = headers.key("x-user").to_path();
        assert_eq!(path.to_string(), "spec.http[0].headers[\"x-user\"]");
        let path = headers.field("x user").to_path();
        assert_eq!(path.to_string(), "spec.http[0].headers[\"x user\"]");
    }
}
