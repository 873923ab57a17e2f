//! Rules by what their path must hold: a beginning, an end, or something within.

use std::collections::HashMap;
use std::sync::Arc;

use super::SHORT;
use super::groups::{Asked, Groups};
use super::sketch::{Entry, Sketch};
use super::trie::{Backward, Folded, Forward, NONE, Node, Text, Trie};
use crate::match_request::head::RequestHead;
use crate::match_request::matcher::{MatchRequest, PathMatch};
use crate::string_match::{Literals, Re2};

/// Looking for text inside a path starts at each of its bytes, so what is looked for is short.
const LONGEST_INNER: usize = 16;

/// The rules of an index, each under one kind of key.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    /// By what the path begins with, or is.
    starts: Trie,
    /// The same in lower case.
    folded: Trie,
    /// By what the path ends with, read backwards.
    ends: Trie,
    /// By what stands somewhere in the path.
    inner: Trie,
    /// All rules of `inner`.
    all_inner: Option<Rest>,
    /// Regular expressions of which nothing is known beforehand.
    rest: Option<Rest>,
    groups: Groups,
}

/// A group that is asked whole.
#[derive(Clone, Copy, Debug)]
struct Rest {
    group: u32,
    least: u32,
}

impl Tree {
    /// Nothing if there are more rules than numbers for them.
    pub(super) fn new(rules: &[Arc<MatchRequest>]) -> Option<Self> {
        let regexes = Regexes::read(rules);
        let (mut starts, mut folded) = (Sketch::new(), Sketch::new());
        let (mut ends, mut inner) = (Sketch::new(), Sketch::new());
        let (mut all_inner, mut rest) = (Vec::new(), Vec::new());
        for (n, rule) in rules.iter().enumerate() {
            let n = u32::try_from(n).ok().filter(|it| *it != NONE)?;
            let (key, folds, whole) = match &rule.path {
                PathMatch::Exact(path) => (path, false, true),
                PathMatch::ExactFold(path) => (path, true, true),
                PathMatch::Prefix(path) => (path, false, false),
                PathMatch::PrefixFold(path) => (path, true, false),
                PathMatch::Regex(regex) => {
                    let entry = Entry {
                        rule: n,
                        sure: false,
                        whole: false,
                    };
                    match regexes.key(regex) {
                        Key::Starts(keys) => {
                            for key in keys {
                                starts.add(key.iter().copied(), entry)?;
                            }
                        }
                        Key::Folded(key) => folded.add(key.iter().copied(), entry)?,
                        Key::Ends(keys) => {
                            for key in keys {
                                ends.add(key.iter().rev().copied(), entry)?;
                            }
                        }
                        Key::Inner(key) => {
                            inner.add(key.iter().copied(), entry)?;
                            all_inner.push(n);
                        }
                        Key::None => rest.push(n),
                    }
                    continue;
                }
            };
            let entry = Entry {
                rule: n,
                sure: rule.headers.is_empty() && rule.query.is_empty(),
                whole,
            };
            match folds {
                true => folded.add(key.iter().map(u8::to_ascii_lowercase), entry)?,
                false => starts.add(key.iter().copied(), entry)?,
            }
        }
        let mut groups = Groups::default();
        let mut finish = |sketch: Sketch| match sketch.is_empty() {
            true => Some(Trie::none()),
            false => sketch.finish(|list| groups.add(list, rules)),
        };
        let (starts, folded) = (finish(starts)?, finish(folded)?);
        let (ends, inner) = (finish(ends)?, finish(inner)?);
        let mut whole = |list: Vec<u32>| {
            let least = *list.first()?;
            let group = groups.add(&list, rules);
            Some(Rest { group, least })
        };
        Some(Self {
            starts,
            folded,
            ends,
            inner,
            all_inner: whole(all_inner),
            rest: whole(rest),
            groups,
        })
    }

    /// The first rule the request meets.
    pub(super) fn find(
        &self,
        rules: &[Arc<MatchRequest>],
        request: &RequestHead<'_>,
    ) -> Option<u32> {
        let asked = Asked { rules, request };
        let path = request.path.as_bytes();
        let mut best = NONE;
        self.along(&self.starts, Forward(path), asked, &mut best);
        if self.folded.least < best {
            self.along(&self.folded, Folded(path), asked, &mut best);
        }
        if self.ends.least < best {
            self.along(&self.ends, Backward(path), asked, &mut best);
        }
        if self.inner.least < best {
            self.within(path, asked, &mut best);
        }
        if let Some(rest) = self.rest
            && rest.least < best
        {
            self.groups.ask(rest.group, asked, &mut best);
        }
        (best != NONE).then_some(best)
    }

    /// Asks the rules whose keys the text begins with.
    #[inline]
    fn along(&self, trie: &Trie, text: impl Text, asked: Asked<'_>, best: &mut u32) {
        let Some((node, whole)) = trie.walk(text) else {
            return;
        };
        *best = node.sure.min(*best);
        if whole && let Some(end) = trie.ends.get(node.end as usize) {
            *best = end.sure.min(*best);
            if end.least < *best {
                self.groups.ask(end.group, asked, best);
            }
        }
        self.ask_links(trie, node, asked, best);
    }

    #[inline]
    fn ask_links(&self, trie: &Trie, node: &Node, asked: Asked<'_>, best: &mut u32) {
        for link in trie.links(node.link) {
            if link.least < *best {
                self.groups.ask(link.group, asked, best);
            }
        }
    }

    /// Asks the rules whose keys stand somewhere in the path.
    fn within(&self, path: &[u8], asked: Asked<'_>, best: &mut u32) {
        let mut asked_of = 0_u32;
        for start in 0..path.len() {
            let text = Forward(path.get(start..).unwrap_or_default());
            let Some((node, _)) = self.inner.walk(text) else {
                return;
            };
            let Some(link) = self.inner.links.get(node.link as usize) else {
                continue;
            };
            // A path may hold the same text many times. Before that costs more than asking every
            // rule once, every rule is asked once.
            asked_of = asked_of.saturating_add(link.weight);
            if asked_of > self.inner.weight {
                if let Some(all) = self.all_inner {
                    self.groups.ask(all.group, asked, best);
                }
                return;
            }
            self.ask_links(&self.inner, node, asked, best);
        }
    }
}

impl Trie {
    fn none() -> Self {
        Self {
            least: NONE,
            ..Self::default()
        }
    }
}

/// What the regular expressions of an index have in common, by which their keys are chosen.
struct Regexes {
    known: HashMap<Box<str>, Literals>,
    starts: HashMap<Vec<u8>, usize>,
    folded: HashMap<Vec<u8>, usize>,
    ends: HashMap<Vec<u8>, usize>,
    inner: HashMap<Vec<u8>, usize>,
}

/// The kind of key a regular expression stands under.
enum Key<'l> {
    Starts(&'l [Vec<u8>]),
    Folded(&'l [u8]),
    Ends(&'l [Vec<u8>]),
    Inner(&'l [u8]),
    None,
}

impl Regexes {
    fn read(rules: &[Arc<MatchRequest>]) -> Self {
        let mut all = Self {
            known: HashMap::new(),
            starts: HashMap::new(),
            folded: HashMap::new(),
            ends: HashMap::new(),
            inner: HashMap::new(),
        };
        for rule in rules {
            let PathMatch::Regex(regex) = &rule.path else {
                continue;
            };
            let known = all.known.entry(regex.as_str().into()).or_insert_with(|| {
                let mut literals = regex.literals();
                for inner in &mut literals.inner {
                    inner.truncate(LONGEST_INNER);
                }
                literals
            });
            let count = |counts: &mut HashMap<Vec<u8>, usize>, key: &[u8]| {
                *counts.entry(key.to_vec()).or_default() += 1;
            };
            known
                .prefixes
                .iter()
                .for_each(|it| count(&mut all.starts, it));
            known
                .suffixes
                .iter()
                .for_each(|it| count(&mut all.ends, it));
            known.inner.iter().for_each(|it| count(&mut all.inner, it));
            if !known.folded_prefix.is_empty() {
                count(&mut all.folded, &known.folded_prefix);
            }
        }
        all
    }

    /// A key that few paths hold; of those the one that the fewest expressions share, then the one
    /// that is looked up soonest.
    fn key(&self, regex: &Re2) -> Key<'_> {
        let Some(known) = self.known.get(regex.as_str()) else {
            return Key::None;
        };
        let shared = |counts: &HashMap<Vec<u8>, usize>, key: &[u8]| {
            counts.get(key).copied().unwrap_or_default()
        };
        let cost = |counts: &HashMap<Vec<u8>, usize>, keys: &[Vec<u8>]| {
            let most = keys.iter().map(|it| shared(counts, it)).max()?;
            let shortest = keys.iter().map(Vec::len).min()?;
            Some((shortest < SHORT, most.max(2)))
        };
        let mut choices = Vec::new();
        choices.extend(
            cost(&self.starts, &known.prefixes).map(|it| (it, 0, Key::Starts(&known.prefixes))),
        );
        choices.extend(
            cost(&self.ends, &known.suffixes).map(|it| (it, 1, Key::Ends(&known.suffixes))),
        );
        if !known.folded_prefix.is_empty() {
            let key = &known.folded_prefix;
            let cost = (key.len() < SHORT, shared(&self.folded, key).max(2));
            choices.push((cost, 2, Key::Folded(key)));
        }
        for key in &known.inner {
            let cost = (key.len() < SHORT, shared(&self.inner, key).max(2));
            choices.push((cost, 3, Key::Inner(key)));
        }
        let best = choices
            .into_iter()
            .min_by_key(|(cost, kind, _)| (*cost, *kind));
        best.map_or(Key::None, |(.., key)| key)
    }
}
