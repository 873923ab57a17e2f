//! YAML text (and JSON, which is YAML) into documents, within limits no honest file reaches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::node::{Entry, Mark, Node, Value};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics, Place};

/// The most text one file may hold: 64 MiB.
const MAX_BYTES: usize = 64 << 20;
/// The longest scalar: Istio refuses direct responses over 1 MB, and nothing else is as long.
const MAX_SCALAR_BYTES: usize = 2 << 20;
/// The most values one file may hold, counted after aliases are expanded.
const MAX_NODES: usize = 4_000_000;
/// The most values that aliases and anchors may copy.
const MAX_COPIES: usize = 100_000;
/// How deep values may nest; Istio's resources stay below twenty.
const MAX_DEPTH: usize = 64;

/// Reads all documents of a file; a broken one does not hide the others.
pub(super) fn read(file: &Arc<str>, text: &str) -> (Vec<Node>, Diagnostics) {
    let mut reader = Reader {
        file,
        nodes: 0,
        copies: 0,
        found: Diagnostics::default(),
    };
    let mut documents = Vec::new();
    if text.len() > MAX_BYTES {
        let message = format!("the file is over {} MiB", MAX_BYTES >> 20);
        reader.complain(Code::TooLarge, Mark { line: 1, column: 1 }, message);
        return (documents, reader.found);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
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
                let mark = Mark {
                    line: count(error.marker().line()),
                    column: count(error.marker().col() + 1),
                };
                reader.complain(Code::Syntax, mark, error.info().to_string());
                if !parser.proceed_next_document().unwrap_or(false) {
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

struct Reader<'f> {
    file: &'f Arc<str>,
    nodes: usize,
    copies: usize,
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
    fn complain(&mut self, code: Code, mark: Mark, message: impl Into<String>) {
        let place = Place::new(self.file.clone(), mark.line, mark.column);
        self.found
            .push(Diagnostic::new(code, At::Top, message).at(place));
    }

    fn stop(&mut self, mark: Mark, message: impl Into<String>) -> Stop {
        self.complain(Code::TooLarge, mark, message);
        Stop::Reported
    }

    fn document(&mut self, events: &mut Events<'_>) -> Result<Option<Node>, Stop> {
        let mut anchors = HashMap::new();
        let node = self.node(events, &mut anchors, 0)?;
        Ok(node.filter(|node| node.value != Value::Null))
    }

    /// The next value; nothing where a collection or the document ends instead.
    fn node(
        &mut self,
        events: &mut Events<'_>,
        anchors: &mut HashMap<usize, Node>,
        depth: usize,
    ) -> Result<Option<Node>, Stop> {
        let Some(next) = events.next_event() else {
            return Ok(None);
        };
        let (event, span) = next.map_err(Stop::Scan)?;
        let at = mark(&span);
        self.spend(1, at)?;
        if depth > MAX_DEPTH {
            return Err(self.stop(at, format!("values nest deeper than {MAX_DEPTH}")));
        }
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some_and(|tag| !tag.is_yaml_core_schema()), at);
                if text.len() > MAX_SCALAR_BYTES {
                    return Err(self.stop(at, "a value is longer than 2 MiB"));
                }
                let plain = style == ScalarStyle::Plain;
                let value = match (&*text, plain) {
                    ("" | "~" | "null" | "Null" | "NULL", true) => Value::Null,
                    _ => Value::Scalar {
                        text: text.as_ref().into(),
                        quoted: !plain,
                    },
                };
                (anchor, Node::new(at, value))
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some_and(|tag| !tag.is_yaml_core_schema()), at);
                let mut items = Vec::new();
                while let Some(item) = self.node(events, anchors, depth + 1)? {
                    items.push(item);
                }
                (anchor, Node::new(at, Value::List(items)))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some_and(|tag| !tag.is_yaml_core_schema()), at);
                let entries = self.entries(events, anchors, depth)?;
                (anchor, Node::new(at, Value::Map(entries)))
            }
            Event::Alias(anchor) => {
                let Some(node) = anchors.get(&anchor) else {
                    self.complain(Code::Syntax, at, "an alias stands inside its own anchor");
                    return Ok(Some(Node::new(at, Value::Null)));
                };
                self.copy(size_of(node), at)?;
                let value = node.value.clone();
                return Ok(Some(Node::new(at, value)));
            }
            _ => return Ok(None),
        };
        if anchor > 0 {
            self.copy(size_of(&node), at)?;
            anchors.insert(anchor, node.clone());
        }
        Ok(Some(node))
    }

    fn entries(
        &mut self,
        events: &mut Events<'_>,
        anchors: &mut HashMap<usize, Node>,
        depth: usize,
    ) -> Result<Vec<Entry>, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        let mut seen: HashSet<Box<str>> = HashSet::new();
        while let Some(key) = self.node(events, anchors, depth + 1)? {
            let Some(value) = self.node(events, anchors, depth + 1)? else {
                break;
            };
            let (key, at) = match key.value {
                Value::Scalar {
                    text,
                    quoted: false,
                } if &*text == "<<" => {
                    merge(value, &mut merged);
                    continue;
                }
                Value::Scalar { text, .. } => (text, key.mark),
                Value::Null => ("null".into(), key.mark),
                Value::List(_) | Value::Map(_) => {
                    self.complain(Code::Syntax, key.mark, "a key must be text");
                    continue;
                }
            };
            if !seen.insert(key.clone()) {
                let message = format!("the key {key:?} stands twice in this mapping");
                self.complain(Code::DuplicateKey, at, message);
                continue;
            }
            entries.push(Entry {
                mark: at,
                key,
                value,
            });
        }
        for entry in merged {
            if seen.insert(entry.key.clone()) {
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    fn spend(&mut self, nodes: usize, at: Mark) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(self.stop(at, format!("the file holds over {MAX_NODES} values")));
        }
        Ok(())
    }

    fn copy(&mut self, nodes: usize, at: Mark) -> Result<(), Stop> {
        self.copies = self.copies.saturating_add(nodes);
        if self.copies > MAX_COPIES {
            return Err(self.stop(at, format!("aliases copy over {MAX_COPIES} values")));
        }
        self.spend(nodes, at)
    }

    fn refuse_tag(&mut self, foreign: bool, at: Mark) {
        if foreign {
            self.complain(
                Code::Syntax,
                at,
                "a value carries a tag that is not YAML's own",
            );
        }
    }
}

/// What a merge key `<<` brings in: a mapping, or several of which the first has the say.
fn merge(value: Node, into: &mut Vec<Entry>) {
    match value.value {
        Value::Map(entries) => into.extend(entries),
        Value::List(items) => items.into_iter().for_each(|item| merge(item, into)),
        Value::Null | Value::Scalar { .. } => {}
    }
}

fn size_of(node: &Node) -> usize {
    match &node.value {
        Value::Null | Value::Scalar { .. } => 1,
        Value::List(items) => 1 + items.iter().map(size_of).sum::<usize>(),
        Value::Map(entries) => {
            1 + entries
                .iter()
                .map(|entry| 1 + size_of(&entry.value))
                .sum::<usize>()
        }
    }
}
