//! A document as it was written: scalars still text, every value with its place.
//!
//! All input ends up here, YAML text with positions as well as values that come
//! through serde without any; the messages are decoded from it in one way.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::diagnostic::{FieldPath, Step};

/// A line and a column, from 1; zero where the value was not read from text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mark {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    /// `quoted` is false for a plain YAML scalar and for JSON's numbers and booleans.
    Scalar {
        text: Box<str>,
        quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) mark: Mark,
    pub(crate) key: Box<str>,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) const fn new(mark: Mark, value: Value) -> Self {
        Self { mark, value }
    }

    /// What kind of value this is, in a reader's words.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Scalar { text, .. } => shortened(text),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// Whether this is YAML's merge key, which must not be quoted.
    #[cfg(feature = "yaml")]
    pub(super) fn is_merge_key(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, quoted: false } if &**text == "<<")
    }

    /// The entry of a mapping; nothing where this is no mapping or has no such key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| &*entry.key == key),
            Value::Null | Value::Scalar { .. } | Value::List(_) => None,
        }
    }

    /// The text of the scalar under `key`.
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        match &self.entry(key)?.value.value {
            Value::Scalar { text, .. } => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Where the field at `path` stands, or the nearest thing above it that exists; and where its
    /// value does, if that is a scalar.
    pub(crate) fn locate(&self, path: &FieldPath) -> (Mark, Option<Mark>) {
        let (mut node, mut mark) = (self, self.mark);
        for step in path.steps() {
            let next = match (step, &node.value) {
                (Step::Field(name), Value::Map(entries)) => entries
                    .iter()
                    .find(|entry| super::names::same_name(&entry.key, name))
                    .map(|entry| (&entry.value, entry.mark)),
                (Step::Key(key), Value::Map(entries)) => entries
                    .iter()
                    .find(|entry| &*entry.key == key.as_str())
                    .map(|entry| (&entry.value, entry.mark)),
                (Step::Item(index), Value::List(items)) => {
                    items.get(*index).map(|item| (item, item.mark))
                }
                _ => None,
            };
            let Some((below, at)) = next else {
                return (mark, None);
            };
            (node, mark) = (below, at);
        }
        let scalar = matches!(node.value, Value::Scalar { .. });
        (mark, scalar.then_some(node.mark))
    }
}

/// A text in quotes, cut where it would fill the message.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some(_) => {
            let start: String = text.chars().take(37).collect();
            format!("{start:?}…")
        }
        None => format!("{text:?}"),
    }
}

/// How deep values may nest that come through serde, whose formats set limits of their own or none.
const MAX_DEPTH: usize = 64;

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NodeVisitor { depth: 0 }.deserialize(deserializer)
    }
}

#[derive(Clone, Copy)]
struct NodeVisitor {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for NodeVisitor {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl NodeVisitor {
    /// The visitor of what stands inside.
    fn below<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format!("values nest deeper than {MAX_DEPTH}")));
        }
        let depth = self.depth + 1;
        Ok(Self { depth })
    }

    fn scalar(text: impl Into<Box<str>>, quoted: bool) -> Node {
        let text = text.into();
        Node::new(Mark::default(), Value::Scalar { text, quoted })
    }

    fn null() -> Node {
        Node::new(Mark::default(), Value::Null)
    }
}

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a mapping, a list or a scalar")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Self::scalar(value.to_string(), false))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Self::scalar(value.to_string(), false))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Self::scalar(value.to_string(), false))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(Self::scalar(value.to_string(), false))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Self::scalar(value, true))
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Self::null())
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        Ok(Self::null())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.below()?.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.below()?.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let below = self.below()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(below)? {
            items.push(item);
        }
        Ok(Node::new(Mark::default(), Value::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let below = self.below()?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = access.next_key::<Box<str>>()? {
            if !seen.insert(key.clone()) {
                let key = shortened(&key);
                return Err(A::Error::custom(format!("the key {key} stands twice")));
            }
            let value = access.next_value_seed(below)?;
            let mark = Mark::default();
            entries.push(Entry { mark, key, value });
        }
        Ok(Node::new(Mark::default(), Value::Map(entries)))
    }
}
