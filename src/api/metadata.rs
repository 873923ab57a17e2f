//! A document's envelope: `apiVersion`, `kind`, `metadata`, and which message `spec` holds.

use indexmap::IndexMap;

use super::decode::{Decode, Decoder};
use super::names::{did_you_mean, nearest};
#[cfg(feature = "yaml")]
use super::node::Value;
use super::node::{Entry, Node, shortened};
use super::{Spec, mark_of};
#[cfg(feature = "yaml")]
use crate::diagnostic::ResourceName;
use crate::diagnostic::{At, Code, Diagnostic};

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
const OTHER_KINDS: [&str; 5] = [
    "Sidecar",
    "WorkloadEntry",
    "WorkloadGroup",
    "EnvoyFilter",
    "ProxyConfig",
];

/// The documents inside a Kubernetes `List`.
#[cfg(feature = "yaml")]
pub(super) fn items_of_list(document: &mut Node) -> Option<Vec<Node>> {
    if !document.text_of("kind")?.ends_with("List") {
        return None;
    }
    let Value::Map(entries) = &mut document.value else {
        return None;
    };
    let items = entries.iter_mut().find(|entry| &*entry.key == "items")?;
    match &mut items.value.value {
        Value::List(items) => Some(std::mem::take(items)),
        Value::Null | Value::Scalar { .. } | Value::Map(_) => None,
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
        let mut diagnostic = Diagnostic::new(Code::MissingField, At::Top.field(missing), message);
        let misspelt = |entry: &&Entry| nearest(&entry.key, [missing].into_iter()).is_some();
        let entry = document.entry(missing).or(entries.iter().find(misspelt));
        if let Some(entry) = entry.filter(|entry| &*entry.key != missing) {
            diagnostic = diagnostic.hint(format!("{:?} is spelt {missing}", entry.key));
        }
        let mark = entry.map_or(document.mark, |entry| entry.mark);
        decoder.report(mark, diagnostic);
        return None;
    };
    if !is_ours(document, version, kind, decoder) {
        return None;
    }

    let mut metadata = Metadata::default();
    let mut spec = None;
    // What was reported already is not reported again as missing.
    let mut told = Vec::new();
    for entry in entries {
        let at = At::Top.field(&entry.key);
        match &*entry.key {
            "apiVersion" | "kind" | "status" => {}
            "metadata" => match read_metadata(&entry.value, at, decoder) {
                Some(read) => metadata = read,
                None => told.push("metadata".to_owned()),
            },
            "spec" => {
                spec = decode_spec(kind, &entry.value, at, decoder);
                told.push("spec".to_owned());
            }
            key => {
                decoder.unknown_field(entry, entries, At::Top, &TOP);
                told.extend(did_you_mean(key, &TOP));
            }
        }
    }
    let is_told = |field: &str| told.iter().any(|it| it == field);
    if metadata.name.is_empty() && !is_told("metadata") {
        let message = "the resource has no name";
        let at = At::Top.field("metadata");
        let diagnostic = Diagnostic::new(Code::MissingField, at.field("name"), message);
        decoder.report(mark_of(document, "metadata"), diagnostic);
    }
    if !is_told("spec") {
        let message = "the resource has no spec";
        let diagnostic = Diagnostic::new(Code::MissingField, At::Top.field("spec"), message);
        decoder.report(document.mark, diagnostic);
    }
    Some((metadata, spec?))
}

/// The fields of every document.
const TOP: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

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
        let message = format!("{ISTIO} has no version {}", shortened(number));
        let diagnostic = Diagnostic::new(Code::WrongApiVersion, at, message);
        let hint = "the versions are v1, v1beta1 and v1alpha3";
        decoder.report(mark, diagnostic.hint(hint));
        return false;
    }
    // Gateway API has a Gateway of its own.
    let foreign = !KINDS.contains(&kind) || group == "gateway.networking.k8s.io";
    if !foreign || (group != ISTIO && version.starts_with(ISTIO)) {
        let message = format!(
            "a {} cannot have the apiVersion {}",
            kind,
            shortened(version)
        );
        let diagnostic = Diagnostic::new(Code::WrongApiVersion, at, message);
        let number = VERSIONS.iter().find(|number| version.ends_with(**number));
        let number = number.unwrap_or(&VERSIONS[0]);
        decoder.report(mark, diagnostic.hint(format!("write {ISTIO}/{number}")));
        return false;
    }
    let at = At::Top.field("kind");
    let mark = mark_of(document, "kind");
    if group == ISTIO && OTHER_KINDS.contains(&kind) {
        let message = format!("nothing here acts on a {kind}");
        let instead = match kind {
            "Sidecar" => "exportTo and MeshBuilder say what a client sees",
            "WorkloadEntry" | "WorkloadGroup" => "list endpoints in a ServiceEntry",
            _ => "leave it to the proxies it is written for",
        };
        let hint = format!("on purpose: {instead}; keep it from this mesh, or read leniently");
        decoder.report(
            mark,
            Diagnostic::new(Code::NotBuilt, at, message).hint(hint),
        );
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
            format!("{ISTIO} has no kind {}", shortened(kind)),
        );
        if let Some(meant) = nearest(kind, KINDS.into_iter()) {
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
    let entries = decoder.mapping(node, at)?;
    for entry in entries {
        match &*entry.key {
            "name" => decoder.field(&mut metadata.name, false, entry, at),
            "namespace" => decoder.field(&mut metadata.namespace, false, entry, at),
            "labels" => decoder.field(&mut metadata.labels, false, entry, at),
            "creationTimestamp" => {
                decoder.field(&mut metadata.creation_timestamp, false, entry, at);
            }
            other if OTHERS.contains(&other) => {}
            _ => decoder.unknown_field(entry, entries, at, &OURS),
        }
    }
    Some(metadata)
}
