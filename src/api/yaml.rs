//! YAML text (and JSON, which is YAML) into documents, within limits no honest file reaches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use granit_parser::{
    ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, StrInput, Tag,
};

use super::node::{Entry, Mark, Node, Value, shortened};
use super::{MAX_FAULTS, metadata};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics, Place};

/// The most text one file may hold: 32 MiB, some fifty thousand VirtualServices.
const MAX_BYTES: usize = 32 << 20;
/// The longest scalar: Istio refuses direct responses over 1 MB, and nothing else is as long.
const MAX_SCALAR_BYTES: usize = 2 << 20;
/// The longest key; Kubernetes' longest, an annotation's name, has 317 bytes.
const MAX_KEY_BYTES: usize = 1024;
/// The most values one file may hold, counted after aliases are expanded.
const MAX_NODES: usize = 4_000_000;
/// The most items of one list or mapping; a `List` of a large cluster's resources is the longest.
const MAX_ITEMS: usize = 30_000;
/// How much aliases and anchors may copy: one for a value and one for every 64 bytes of text.
const MAX_COPIES: usize = 100_000;
/// How deep values may nest, through aliases too; Istio's resources stay below twenty.
const MAX_DEPTH: usize = 64;

/// Reads all documents of a file; a broken one does not hide the others.
pub(super) fn read(file: &Arc<str>, text: &str) -> (Vec<Node>, Diagnostics) {
    let mut reader = Reader {
        file,
        nodes: 0,
        copies: 0,
        anchors: HashMap::new(),
        found: Diagnostics::default(),
    };
    let mut documents = Vec::new();
    if text.len() > MAX_BYTES {
        let message = format!("the file is over {} MiB", MAX_BYTES >> 20);
        reader.stop(At::Top, Mark { line: 1, column: 1 }, message);
        return (documents, reader.found);
    }
    let mut options = Options::default();
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut parser = Parser::new_from_str_with_options(text, options);
    while let Some(next) = parser.next_event() {
        let step = match next {
            Ok((Event::DocumentStart(..), _)) => reader.document(&mut parser),
            Ok(_) => continue,
            Err(error) => Err(Stop::Scan(error)),
        };
        match step {
            Ok(Some(document)) => documents.push(document),
            Ok(None) => {}
            Err(Stop::Reported) => break,
            Err(Stop::Scan(error)) => {
                let broken = reader.broken(&error, text);
                if broken.is_err() || !parser.proceed_next_document().unwrap_or(false) {
                    break;
                }
            }
        }
    }
    (documents, reader.found)
}

enum Stop {
    Scan(ScanError),
    /// A limit was passed; nothing after it is read.
    Reported,
}

type Events<'t> = Parser<'t, StrInput<'t>>;

/// A value that an alias may stand for.
struct Anchored {
    node: Node,
    size: Size,
}

struct Reader<'f> {
    file: &'f Arc<str>,
    nodes: usize,
    copies: usize,
    /// The anchors of the document being read.
    anchors: HashMap<usize, Anchored>,
    found: Diagnostics,
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn mark(span: &Span) -> Mark {
    Mark {
        line: count(span.start.line()),
        column: count(span.start.col() + 1),
    }
}

impl Reader<'_> {
    fn push(&mut self, mark: Mark, diagnostic: Diagnostic) {
        let place = Place::new(self.file.clone(), mark.line, mark.column);
        self.found.push(diagnostic.at(place));
    }

    /// Reports a fault of form after which reading goes on.
    fn complain(&mut self, mark: Mark, diagnostic: Diagnostic) -> Result<(), Stop> {
        self.push(mark, diagnostic);
        if self.found.len() >= MAX_FAULTS {
            let message = format!("{MAX_FAULTS} faults were found; the rest is not read");
            return Err(self.stop(At::Top, mark, message));
        }
        Ok(())
    }

    fn stop(&mut self, at: At<'_>, mark: Mark, message: impl Into<String>) -> Stop {
        self.push(mark, Diagnostic::new(Code::TooLarge, at, message));
        Stop::Reported
    }

    /// Reports that a document is not YAML.
    fn broken(&mut self, error: &ScanError, text: &str) -> Result<(), Stop> {
        let mark = Mark {
            line: count(error.marker().line()),
            column: count(error.marker().col() + 1),
        };
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            let message = format!("values nest deeper than {MAX_DEPTH}");
            return self.complain(mark, Diagnostic::new(Code::TooLarge, At::Top, message));
        }
        if let Some((mark, key, word)) = key_without_blank(text, error.marker()) {
            let message = format!("{} is one word to YAML", shortened(word));
            let diagnostic = Diagnostic::new(Code::Syntax, At::Top, message);
            let hint = format!("a blank is missing after \"{key}:\"");
            return self.complain(mark, diagnostic.hint(hint));
        }
        self.complain(mark, Diagnostic::new(Code::Syntax, At::Top, error.info()))
    }

    fn document(&mut self, events: &mut Events<'_>) -> Result<Option<Node>, Stop> {
        self.anchors.clear();
        let before = self.found.len();
        let node = self.node(events, At::Top, 0)?;
        // A document that is broken at its very end is not read either.
        if let Some(Err(error)) = events.next_event() {
            return Err(Stop::Scan(error));
        }
        let document = node.filter(|node| node.value != Value::Null);
        if let Some(document) = &document {
            self.found.name(before, &metadata::name_of(document));
        }
        Ok(document)
    }

    /// The next value; nothing where a collection or the document ends instead.
    fn node(
        &mut self,
        events: &mut Events<'_>,
        at: At<'_>,
        depth: usize,
    ) -> Result<Option<Node>, Stop> {
        let Some(next) = events.next_event() else {
            return Ok(None);
        };
        let (event, span) = next.map_err(Stop::Scan)?;
        let mark = mark(&span);
        self.spend(1, at, mark)?;
        self.check_depth(depth, at, mark)?;
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at, mark)?;
                if text.len() > MAX_SCALAR_BYTES {
                    return Err(self.stop(at, mark, "a value is longer than 2 MiB"));
                }
                let text_by_tag = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let plain = style == ScalarStyle::Plain && !text_by_tag;
                let value = match (&*text, plain) {
                    ("" | "~" | "null" | "Null" | "NULL", true) => Value::Null,
                    _ => Value::Scalar {
                        text: text.as_ref().into(),
                        quoted: !plain,
                    },
                };
                (anchor, Node::new(mark, value))
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at, mark)?;
                let mut items = Vec::new();
                while let Some(item) = self.node(events, at.item(items.len()), depth + 1)? {
                    self.check_items(items.len(), at, item.mark)?;
                    items.push(item);
                }
                (anchor, Node::new(mark, Value::List(items)))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at, mark)?;
                let entries = self.entries(events, at, depth)?;
                (anchor, Node::new(mark, Value::Map(entries)))
            }
            Event::Alias(anchor) => return self.alias(anchor, at, mark, depth).map(Some),
            _ => return Ok(None),
        };
        if anchor > 0 {
            let size = Size::of(&node);
            self.copy(size, at, mark)?;
            let node = node.clone();
            self.anchors.insert(anchor, Anchored { node, size });
        }
        Ok(Some(node))
    }

    fn alias(&mut self, anchor: usize, at: At<'_>, mark: Mark, depth: usize) -> Result<Node, Stop> {
        let Some(size) = self.anchors.get(&anchor).map(|anchored| anchored.size) else {
            let message = "an alias stands inside its own anchor";
            self.complain(mark, Diagnostic::new(Code::Syntax, at, message))?;
            return Ok(Node::new(mark, Value::Null));
        };
        self.check_depth(depth + size.depth, at, mark)?;
        self.copy(size, at, mark)?;
        let value = self.anchors.get(&anchor).map(|it| it.node.value.clone());
        Ok(Node::new(mark, value.unwrap_or(Value::Null)))
    }

    fn entries(
        &mut self,
        events: &mut Events<'_>,
        at: At<'_>,
        depth: usize,
    ) -> Result<Vec<Entry>, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        let mut seen: HashSet<Box<str>> = HashSet::new();
        while let Some(key) = self.node(events, at, depth + 1)? {
            let (mark, merge_key) = (key.mark, key.is_merge_key());
            let key = match key.value {
                Value::Scalar { text, .. } => Some(text),
                Value::Null => Some("null".into()),
                Value::List(_) | Value::Map(_) => {
                    self.complain(
                        mark,
                        Diagnostic::new(Code::Syntax, at, "a key must be text"),
                    )?;
                    None
                }
            };
            if key.as_ref().is_some_and(|key| key.len() > MAX_KEY_BYTES) {
                let message = format!("a key is longer than {MAX_KEY_BYTES} bytes");
                return Err(self.stop(at, mark, message));
            }
            let here = key.as_ref().map_or(at, |key| at.field(key));
            let Some(value) = self.node(events, here, depth + 1)? else {
                break;
            };
            self.check_items(entries.len() + merged.len(), at, mark)?;
            if merge_key {
                self.merge(value, &mut merged, here)?;
                continue;
            }
            let Some(key) = &key else { continue };
            if !seen.insert(key.clone()) {
                let message = format!("the key {key:?} stands twice in this mapping");
                self.complain(mark, Diagnostic::new(Code::DuplicateKey, here, message))?;
                continue;
            }
            let key = key.clone();
            entries.push(Entry { mark, key, value });
        }
        for entry in merged {
            if seen.insert(entry.key.clone()) {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// What a merge key `<<` brings in: a mapping, or several of which the first has the say.
    fn merge(&mut self, value: Node, into: &mut Vec<Entry>, at: At<'_>) -> Result<(), Stop> {
        let mark = value.mark;
        let mappings = match value.value {
            Value::List(items) => items,
            other => vec![Node::new(mark, other)],
        };
        for mapping in mappings {
            if let Value::Map(entries) = mapping.value {
                into.extend(entries);
            } else {
                let message = format!("expected a mapping to merge, found {}", mapping.describe());
                self.complain(mapping.mark, Diagnostic::new(Code::WrongType, at, message))?;
            }
        }
        Ok(())
    }

    fn check_depth(&mut self, depth: usize, at: At<'_>, mark: Mark) -> Result<(), Stop> {
        if depth > MAX_DEPTH {
            return Err(self.stop(at, mark, format!("values nest deeper than {MAX_DEPTH}")));
        }
        Ok(())
    }

    fn check_items(&mut self, items: usize, at: At<'_>, mark: Mark) -> Result<(), Stop> {
        if items >= MAX_ITEMS {
            let message = format!("a list or mapping holds over {MAX_ITEMS} values");
            return Err(self.stop(at, mark, message));
        }
        Ok(())
    }

    fn spend(&mut self, nodes: usize, at: At<'_>, mark: Mark) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let message = format!("the file holds over {MAX_NODES} values");
            return Err(self.stop(at, mark, message));
        }
        Ok(())
    }

    fn copy(&mut self, size: Size, at: At<'_>, mark: Mark) -> Result<(), Stop> {
        self.copies = self.copies.saturating_add(size.cost);
        if self.copies > MAX_COPIES {
            let message = "anchors and aliases copy more than any honest file";
            return Err(self.stop(at, mark, message));
        }
        self.spend(size.cost, at, mark)
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, at: At<'_>, mark: Mark) -> Result<(), Stop> {
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            let message = "a value carries a tag that is not YAML's own";
            self.complain(mark, Diagnostic::new(Code::Syntax, at, message))?;
        }
        Ok(())
    }
}

/// What it costs to copy a value, and how deep it is.
#[derive(Clone, Copy)]
struct Size {
    cost: usize,
    depth: usize,
}

impl Size {
    fn of(node: &Node) -> Self {
        let (cost, below) = match &node.value {
            Value::Null => (1, 0),
            Value::Scalar { text, .. } => (1 + text.len() / 64, 0),
            Value::List(items) => Self::all(items.iter()),
            Value::Map(entries) => Self::all(entries.iter().map(|entry| &entry.value)),
        };
        Self { cost, depth: below }
    }

    /// The sum of the costs and the depth with the collection itself.
    fn all<'n>(nodes: impl Iterator<Item = &'n Node>) -> (usize, usize) {
        nodes.map(Self::of).fold((1, 1), |(cost, depth), size| {
            (cost + 1 + size.cost, depth.max(1 + size.depth))
        })
    }
}

/// The key of a `key:value` on the line of the fault or the one before, which YAML reads as one
/// word; where it stands, and the word.
fn key_without_blank<'t>(text: &'t str, fault: &Marker) -> Option<(Mark, &'t str, &'t str)> {
    let before = text.get(..fault.byte_offset()?)?;
    let line = before.rfind('\n');
    let above = line.map(|line| before[..line].rfind('\n').map_or(0, |end| end + 1));
    let first = fault.line() - usize::from(line.is_some() && fault.line() > 1);
    let lines = text[above.unwrap_or(0)..]
        .lines()
        .take(1 + usize::from(line.is_some()));
    lines.zip(first..).find_map(|(line, number)| {
        let word = line.trim_start_matches([' ', '-']);
        let column = line.len() - word.len() + 1;
        let (key, value) = word.split_once(':')?;
        let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let joined = plain && value.starts_with(|c: char| c.is_ascii_alphanumeric());
        let (line, column) = (count(number), count(column));
        joined.then_some((Mark { line, column }, key, word.trim_end()))
    })
}
