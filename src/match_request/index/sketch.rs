//! A trie while keys are added, and how it becomes one that is walked.
//!
//! Nothing here calls itself: a table of prefixes of each other is as deep as it
//! is long.

use super::trie::{End, Link, NONE, Node, Trie};

/// The widest table of children that is a row for few of them.
const NARROW: usize = 16;

/// Keys with their rules, in the order of the rules.
#[derive(Debug)]
pub(super) struct Sketch {
    places: Vec<Place>,
    labels: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Place {
    /// The bytes between the parent and here, as a part of `labels`.
    start: usize,
    end: usize,
    kids: Vec<usize>,
    /// The rules of the key that ends here, for texts that go on or not.
    open: Vec<Entry>,
    /// The same for texts that end here.
    closed: Vec<Entry>,
}

/// A rule under its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) rule: u32,
    /// It has no condition but its key.
    pub(super) sure: bool,
    /// Its key is the whole text.
    pub(super) whole: bool,
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self {
            places: vec![Place::default()],
            labels: Vec::new(),
        }
    }

    /// Adds a rule; rules come in their order.
    pub(super) fn add(&mut self, key: impl IntoIterator<Item = u8>, entry: Entry) {
        let key: Vec<u8> = key.into_iter().collect();
        let place = self.place_of(&key);
        let place = &mut self.places[place];
        match entry.whole {
            true => place.closed.push(entry),
            false => place.open.push(entry),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let root = &self.places[0];
        self.places.len() == 1 && root.open.is_empty() && root.closed.is_empty()
    }

    /// The place of a key, made where it is missing.
    fn place_of(&mut self, key: &[u8]) -> usize {
        let (mut at, mut rest) = (0, key);
        while let Some(first) = rest.first() {
            let kids = &self.places[at].kids;
            let kid = kids.iter().copied().find(|kid| {
                let start = self.places[*kid].start;
                self.labels[start] == *first
            });
            let Some(kid) = kid else {
                let start = self.labels.len();
                self.labels.extend(rest);
                let leaf = self.push(start, self.labels.len());
                self.places[at].kids.push(leaf);
                return leaf;
            };
            let label = &self.labels[self.places[kid].start..self.places[kid].end];
            let common = label.iter().zip(rest).take_while(|(a, b)| a == b).count();
            if common < label.len() {
                self.split(kid, common);
            }
            (at, rest) = (kid, &rest[common..]);
        }
        at
    }

    /// Puts a place between this one and its parent, after some of its bytes. The new one takes
    /// the number, so that the parent need not know.
    fn split(&mut self, place: usize, after: usize) {
        let middle = self.places[place].start + after;
        let lower = self.push(middle, self.places[place].end);
        let upper = Place {
            start: self.places[place].start,
            end: middle,
            kids: vec![lower],
            ..Place::default()
        };
        let old = std::mem::replace(&mut self.places[place], upper);
        self.places[lower] = Place {
            start: middle,
            ..old
        };
    }

    fn push(&mut self, start: usize, end: usize) -> usize {
        self.places.push(Place {
            start,
            end,
            ..Place::default()
        });
        self.places.len() - 1
    }

    /// The trie as it is walked; `group` keeps a list of rules, in order, and gives it a number.
    ///
    /// What an earlier rule hides is left out. Nothing if there are too many keys to number.
    pub(super) fn finish(mut self, mut group: impl FnMut(&[u32]) -> u32) -> Option<Trie> {
        let number = |n: usize| u32::try_from(n).ok().filter(|it| *it != NONE);
        let mut nodes = vec![Node {
            label: 0,
            length: 0,
            kids: 0,
            span: 0,
            first: 0,
            sparse: false,
            sure: NONE,
            link: NONE,
            end: NONE,
        }];
        let (mut kids, mut links, mut ends) = (Vec::new(), Vec::<Link>::new(), Vec::new());
        let (mut least, mut weight) = (NONE, 0_u32);
        // Breadth first; a node inherits from its parent, whose turn came before.
        let mut waiting = vec![0];
        let mut turn = 0;
        while let Some(place) = waiting.get(turn).copied() {
            let place = std::mem::take(&mut self.places[place]);
            let mut node = nodes[turn];
            let mut unsure = |entries: &[Entry], sure: &mut u32| {
                let mut list = Vec::new();
                for entry in entries.iter().take_while(|it| it.rule < *sure) {
                    least = least.min(entry.rule);
                    if entry.sure {
                        *sure = entry.rule;
                        break;
                    }
                    list.push(entry.rule);
                }
                let first = *list.first()?;
                let length = u32::try_from(list.len()).unwrap_or(NONE);
                weight = weight.saturating_add(length);
                Some((group(&list), first, length))
            };
            if let Some((group, least, weight)) = unsure(&place.open, &mut node.sure) {
                let before = links.get(node.link as usize).map_or(0, |it| it.weight);
                links.push(Link {
                    group,
                    least,
                    next: node.link,
                    weight: weight.saturating_add(before),
                });
                node.link = number(links.len() - 1)?;
            }
            let mut sure = node.sure;
            let closed = unsure(&place.closed, &mut sure);
            if closed.is_some() || sure < node.sure {
                let (group, least, _) = closed.unwrap_or((NONE, NONE, 0));
                ends.push(End { sure, group, least });
                node.end = number(ends.len() - 1)?;
            }
            let mut below: Vec<(u8, usize)> = place
                .kids
                .iter()
                .map(|kid| (self.labels[self.places[*kid].start], *kid))
                .collect();
            below.sort_unstable();
            if let (Some((first, _)), Some((last, _))) = (below.first(), below.last()) {
                let width = usize::from(last - first) + 1;
                node.kids = number(kids.len())?;
                node.first = *first;
                node.sparse = width > NARROW && width > 8 * below.len();
                let row = kids.len();
                let span = match node.sparse {
                    true => 2 * below.len(),
                    false => width,
                };
                // At most 256 children, and a list is taken for fewer than 32.
                node.span = u16::try_from(span).ok()?;
                kids.resize(row + span, NONE);
                for (n, (byte, kid)) in below.iter().enumerate() {
                    let number = number(nodes.len())?;
                    if node.sparse {
                        kids[row + 2 * n] = u32::from(*byte);
                        kids[row + 2 * n + 1] = number;
                    } else {
                        kids[row + usize::from(byte - first)] = number;
                    }
                    let kid_place = &self.places[*kid];
                    nodes.push(Node {
                        label: u32::try_from(kid_place.start + 1).ok()?,
                        length: u32::try_from(kid_place.end - kid_place.start - 1).ok()?,
                        kids: 0,
                        span: 0,
                        first: 0,
                        sparse: false,
                        end: NONE,
                        ..node
                    });
                    waiting.push(*kid);
                }
            }
            nodes[turn] = node;
            turn += 1;
        }
        Some(Trie {
            nodes: nodes.into(),
            labels: self.labels.into(),
            kids: kids.into(),
            links: links.into(),
            ends: ends.into(),
            least,
            weight,
        })
    }
}
