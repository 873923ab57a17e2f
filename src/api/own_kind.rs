//! Documents of a kind of this crate's own, read as resources are: with the place of every fault.

use std::sync::Arc;

use super::decode::{Decode, Decoder};
use super::node::Node;
use super::yaml;
use crate::diagnostic::{At, Diagnostics, Place};

/// Where a document was read from.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    file: Arc<str>,
    document: Arc<Node>,
}

impl Written {
    /// Where a field of it stands.
    pub(crate) fn place(&self, at: At<'_>) -> Place {
        let (mark, _) = self.document.locate(&at.to_path());
        Place::new(self.file.clone(), mark.line, mark.column)
    }
}

/// Reads the documents of this kind, and passes over all others.
pub(crate) fn read<T: Decode>(
    file: &str,
    text: &str,
    kind: &str,
) -> (Vec<(T, Written)>, Diagnostics) {
    let file: Arc<str> = file.into();
    let (documents, mut found) = yaml::read(&file, text);
    let mut read = Vec::new();
    let ours = |it: &Node| it.text_of("kind") == Some(kind);
    for document in documents.into_iter().filter(ours) {
        let mut decoder = Decoder::new(Some(file.clone()));
        if let Some(message) = T::decode(&document, At::Top, &mut decoder) {
            let document = Arc::new(document);
            let file = file.clone();
            read.push((message, Written { file, document }));
        }
        found.append(decoder.found);
    }
    (read, found)
}
