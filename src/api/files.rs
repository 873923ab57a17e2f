//! Resources from a file's text or bytes: every document, and every fault of every document.

use std::sync::Arc;

use super::decode::Decoder;
use super::node::{Mark, Node};
use super::{MAX_FAULTS, Origin, Resource, Resources, metadata, yaml};
use crate::diagnostic::{At, Code, Diagnostic, Place, Severity};

impl Resources {
    /// Reads every document of a YAML or JSON text; `file` is what diagnostics call it.
    ///
    /// A document that cannot be read becomes a diagnostic and does not hide the
    /// others. Documents that are not traffic resources (a Deployment, say) are
    /// skipped with a note; Kubernetes `List`s are opened.
    ///
    /// What no honest file reaches is refused as `too-large`: more than 32 MiB of text, 4 million
    /// values, 30 000 items of one list or mapping, 64 levels, 2 MiB in one scalar or 1 KiB in one
    /// key, or aliases that copy more than 100 000 values. At most 1 000 faults are told of a file.
    ///
    /// ```
    /// use tower_mesh::api::Resources;
    ///
    /// let resources = Resources::from_yaml("reviews.yaml", r"
    /// apiVersion: networking.istio.io/v1
    /// kind: VirtualService
    /// metadata: {name: reviews}
    /// spec:
    ///   hosts: [reviews]
    ///   http:
    ///   - route:
    ///     - destination: {host: reviews}
    ///       wieght: 1
    /// ");
    /// let slip = resources.diagnostics().iter().next().expect("one slip of the hand");
    /// assert_eq!(slip.path().to_string(), "spec.http[0].route[0].wieght");
    /// assert_eq!(slip.place().map(|place| place.line), Some(10));
    /// assert_eq!(slip.help(), Some("did you mean \"weight\"?"));
    /// ```
    #[must_use]
    pub fn from_yaml(file: &str, text: &str) -> Self {
        let file: Arc<str> = file.into();
        let (documents, mut found) = yaml::read(&file, text);
        if documents.is_empty() && found.is_empty() {
            let message = "there is no resource in this file";
            let place = Place::new(file.clone(), 1, 1);
            found.push(Diagnostic::new(Code::Empty, At::Top, message).at(place));
        }
        let mut resources = Self {
            list: Vec::new(),
            found,
        };
        let mut room = MAX_FAULTS;
        for document in documents {
            resources.read(&file, document, &mut room);
        }
        resources.found.sort();
        resources
    }

    /// Reads a file's bytes as [`from_yaml`](Self::from_yaml) reads text.
    ///
    /// Bytes that are not UTF-8 are an error of their own; the rest of the file is read all the
    /// same, so that it does not hide what else is wrong.
    #[must_use]
    pub fn from_bytes(file: &str, bytes: &[u8]) -> Self {
        let Err(error) = std::str::from_utf8(bytes) else {
            return Self::from_yaml(file, &String::from_utf8_lossy(bytes));
        };
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let line = before.rsplit('\n').next().unwrap_or_default();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let place = Place::new(
            file.into(),
            count(before.matches('\n').count() + 1),
            count(line.chars().count() + 1),
        );
        let fault = Diagnostic::new(Code::Syntax, At::Top, "the file is not UTF-8").at(place);
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            let mut resources = Self::new();
            let hint = "it looks like UTF-16; save it as UTF-8";
            resources.found.push(fault.hint(hint));
            return resources;
        }
        let mut resources = Self::from_yaml(file, &String::from_utf8_lossy(bytes));
        resources.found.push(fault.hint("save it as UTF-8"));
        resources.found.sort();
        resources
    }

    /// Reads one document, as long as there is `room` for faults.
    fn read(&mut self, file: &Arc<str>, mut document: Node, room: &mut usize) {
        if *room == 0 {
            return;
        }
        if let Some(items) = metadata::items_of_list(&mut document) {
            for item in items {
                self.read(file, item, room);
            }
            return;
        }
        let mut decoder = Decoder::new(Some(file.clone()));
        let read = metadata::read(&document, &mut decoder);
        let faults = decoder
            .found
            .iter()
            .filter(|it| it.severity() != Severity::Note);
        *room = room.saturating_sub(faults.count());
        let id = metadata::name_of(&document);
        let found = decoder.found.into_iter().map(|it| it.of(&id, None));
        found.for_each(|it| self.found.push(it));
        if *room == 0 {
            let message = format!("{MAX_FAULTS} faults were found; what follows is not told");
            let diagnostic = Diagnostic::new(Code::TooLarge, At::Top, message);
            let Mark { line, column } = document.mark;
            let place = Place::new(file.clone(), line, column);
            self.found.push(diagnostic.at(place));
        }
        if let Some((metadata, spec)) = read {
            let origin = Some(Origin {
                file: file.clone(),
                document: Arc::new(document),
            });
            self.list.push(Resource {
                metadata,
                spec,
                origin,
            });
        }
    }
}
