//! A diagnostic as an object for other programs: flat, with every key always there.

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::Diagnostic;

/// As the object `file`, `line`, `column`, `kind`, `namespace`, `name`, `path`, `severity`, `code`,
/// `message`, `hint`; what is not known is null.
impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let place = self.place();
        let resource = self.resource();
        let mut object = serializer.serialize_struct("Diagnostic", 11)?;
        object.serialize_field("file", &place.map(|it| &*it.file))?;
        object.serialize_field("line", &place.map(|it| it.line))?;
        object.serialize_field("column", &place.map(|it| it.column))?;
        object.serialize_field("kind", &resource.map(|it| &it.kind))?;
        object.serialize_field("namespace", &resource.map(|it| &it.namespace))?;
        object.serialize_field("name", &resource.map(|it| &it.name))?;
        object.serialize_field("path", &self.path().to_string())?;
        object.serialize_field("severity", self.severity().as_str())?;
        object.serialize_field("code", self.code().as_str())?;
        object.serialize_field("message", self.message())?;
        object.serialize_field("hint", &self.help())?;
        object.end()
    }
}
