//! A document's envelope: `apiVersion`, `kind`, `metadata`, and which message `spec` holds.

use indexmap::IndexMap;

use super::decode::{Decode, Decoder, did_you_mean};
use super::node::{Node, Value};
use super::{Spec, mark_of};
use crate::diagnostic::{At, Code, Diagnostic, ResourceName};

/// Name, namespace and labels of a resource; the rest of Kubernetes' metadata has no effect.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Metadata {
    /// The resource's name.
    pub name: String,
    /// Its namespace; `default` when empty.
    pub namespace: String,
    /// Its labels.
    pub labels: IndexMap<String, String>,
    /// When Kubernetes created it (RFC 3339); settles which of two resources is the older.
    pub creation_timestamp: Option<String>,
}

impl Metadata {
    /// A resource's name in a namespace.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            namespace: namespace.into(),
            ..Self::default()
        }
    }

    /// The namespace, `default` where nothing is written.
    #[must_use]
    pub fn namespace_or_default(&self) -> &str {
        match self.namespace.as_str() {
            "" => "default",
            namespace => namespace,
        }
    }
}

const ISTIO: &str = "networking.istio.io";
const VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha3"];
/// Istio networking kinds this crate reads.
const KINDS: [&str; 4] = [
    "VirtualService",
    "DestinationRule",
    "ServiceEntry",
    "Gateway",
];
/// Istio networking kinds that would change what traffic does and are not acted on.
const OTHER_KINDS: [&str; 4] = ["Sidecar", "WorkloadEntry", "WorkloadGroup", "EnvoyFilter"];

/// The documents inside a Kubernetes `List`.
#[cfg(feature = "yaml")]
pub(super) fn items_of_list(document: &Node) -> Option<&[Node]> {
    let kind = document.text_of("kind")?;
    match &document.entry("items")?.value.value {
        Value::List(items) if kind.ends_with("List") => Some(items),
        _ => None,
    }
}

/// What the document calls itself, as far as it can be read.
#[cfg(feature = "yaml")]
pub(super) fn name_of(document: &Node) -> ResourceName {
    let metadata = document.entry("metadata").map(|entry| &entry.value);
    let text = |key| metadata.and_then(|it| it.text_of(key)).unwrap_or_default();
    ResourceName {
        kind: document.text_of("kind").unwrap_or_default().to_owned(),
        namespace: match text("namespace") {
            "" => "default".to_owned(),
            namespace => namespace.to_owned(),
        },
        name: text("name").to_owned(),
    }
}

/// Reads the envelope and the message inside; nothing for a foreign document.
pub(super) fn read(document: &Node, decoder: &mut Decoder) -> Option<(Metadata, Spec)> {
    let entries = decoder.mapping(document, At::Top)?;
    let (Some(version), Some(kind)) = (document.text_of("apiVersion"), document.text_of("kind"))
    else {
        let missing = match document.text_of("kind") {
            Some(_) => "apiVersion",
            None => "kind",
        };
        let message = format!("the document has no {missing}");
        let diagnostic = Diagnostic::new(Code::MissingField, At::Top.field(missing), message);
        decoder.report(document.mark, diagnostic);
        return None;
    };
    if !is_ours(document, version, kind, decoder) {
        return None;
    }

    let mut metadata = Metadata::default();
    let mut spec = None;
    for entry in entries {
        let at = At::Top.field(&entry.key);
        match &*entry.key {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => metadata = read_metadata(&entry.value, at, decoder)?,
            "spec" => spec = decode_spec(kind, &entry.value, at, decoder),
            _ => decoder.unknown_field(entry, At::Top, &["metadata", "spec", "status"]),
        }
    }
    if metadata.name.is_empty() {
        let message = "the resource has no name";
        let metadata = At::Top.field("metadata");
        let diagnostic = Diagnostic::new(Code::MissingField, metadata.field("name"), message);
        decoder.report(mark_of(document, "metadata"), diagnostic);
    }
    if document.entry("spec").is_none() {
        let diagnostic = Diagnostic::new(
            Code::MissingField,
            At::Top.field("spec"),
            "the resource has no spec",
        );
        decoder.report(document.mark, diagnostic);
    }
    Some((metadata, spec?))
}

/// Whether group, version and kind name a resource to read; says why where they do not.
fn is_ours(document: &Node, version: &str, kind: &str, decoder: &mut Decoder) -> bool {
    let (group, number) = version.split_once('/').unwrap_or(("", version));
    let at = At::Top.field("apiVersion");
    let mark = mark_of(document, "apiVersion");
    if kind == "Service" && version == "v1" {
        return true;
    }
    if group == ISTIO && KINDS.contains(&kind) {
        if VERSIONS.contains(&number) {
            return true;
        }
        let message = format!("{ISTIO} has no version {number:?}");
        let diagnostic = Diagnostic::new(Code::WrongApiVersion, at, message);
        let hint = "the versions are v1, v1beta1 and v1alpha3";
        decoder.report(mark, diagnostic.hint(hint));
        return false;
    }
    // Gateway API has a Gateway of its own.
    let gateway_api = group == "gateway.networking.k8s.io";
    if KINDS.contains(&kind) && !gateway_api && group != "serving.knative.dev" {
        let message = format!("a {kind} cannot have the apiVersion {version:?}");
        let diagnostic = Diagnostic::new(Code::WrongApiVersion, at, message);
        decoder.report(mark, diagnostic.hint(format!("write {ISTIO}/v1")));
        return false;
    }
    let at = At::Top.field("kind");
    let mark = mark_of(document, "kind");
    if group == ISTIO && OTHER_KINDS.contains(&kind) {
        let message = format!("this version does not act on {kind} resources yet");
        decoder.report(mark, Diagnostic::new(Code::NotBuilt, at, message));
        return false;
    }
    let mut diagnostic = Diagnostic::new(
        Code::ForeignKind,
        at,
        format!("{version} {kind} is not a traffic resource; skipped"),
    );
    if group == ISTIO {
        diagnostic = Diagnostic::new(
            Code::InvalidValue,
            at,
            format!("{ISTIO} has no kind {kind:?}"),
        );
        if let Some(meant) = did_you_mean(kind, &KINDS) {
            diagnostic = diagnostic.hint(format!("did you mean {meant:?}?"));
        }
    }
    decoder.report(mark, diagnostic);
    false
}

fn decode_spec(kind: &str, node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Spec> {
    fn one<T: Decode + Into<Spec>>(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Spec> {
        T::decode(node, at, decoder).map(Into::into)
    }
    match kind {
        "VirtualService" => one::<super::VirtualService>(node, at, decoder),
        "DestinationRule" => one::<super::DestinationRule>(node, at, decoder),
        "ServiceEntry" => one::<super::ServiceEntry>(node, at, decoder),
        "Gateway" => one::<super::Gateway>(node, at, decoder),
        _ => one::<super::Service>(node, at, decoder),
    }
}

/// Reads what has an effect; the rest of a Kubernetes object's metadata is somebody else's.
fn read_metadata(node: &Node, at: At<'_>, decoder: &mut Decoder) -> Option<Metadata> {
    const OTHERS: [&str; 13] = [
        "annotations",
        "clusterName",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "initializers",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    ];
    const OURS: [&str; 4] = ["name", "namespace", "labels", "creationTimestamp"];
    let mut metadata = Metadata::default();
    for entry in decoder.mapping(node, at)? {
        match &*entry.key {
            "name" => decoder.field(&mut metadata.name, false, entry, at),
            "namespace" => decoder.field(&mut metadata.namespace, false, entry, at),
            "labels" => decoder.field(&mut metadata.labels, false, entry, at),
            "creationTimestamp" => {
                decoder.field(&mut metadata.creation_timestamp, false, entry, at);
            }
            other if OTHERS.contains(&other) => {}
            _ => decoder.unknown_field(entry, at, &OURS),
        }
    }
    Some(metadata)
}
