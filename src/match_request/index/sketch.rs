//! A trie while keys are added, and how it becomes one that is walked.
//!
//! Nothing here calls itself: a table of prefixes of each other is as deep as it
//! is long. And nothing panics: what is not found where it must be leaves rules without
//! an index, to be asked one after the other.

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
    #[must_use]
    pub(super) fn add(&mut self, key: impl IntoIterator<Item = u8>, entry: Entry) -> Option<()> {
        let key: Vec<u8> = key.into_iter().collect();
        let place = self.place_of(&key)?;
        let place = self.places.get_mut(place)?;
        match entry.whole {
            true => place.closed.push(entry),
            false => place.open.push(entry),
        }
        Some(())
    }

    pub(super) fn is_empty(&self) -> bool {
        match self.places.as_slice() {
            [root] => root.open.is_empty() && root.closed.is_empty(),
            _ => false,
        }
    }

    /// The place of a key, made where it is missing.
    fn place_of(&mut self, key: &[u8]) -> Option<usize> {
        let (mut at, mut rest) = (0, key);
        while let Some(first) = rest.first() {
            let kids = &self.places.get(at)?.kids;
            let begins = |kid: &usize| self.label(*kid)?.first();
            let kid = kids.iter().copied().find(|it| begins(it) == Some(first));
            let Some(kid) = kid else {
                let start = self.labels.len();
                self.labels.extend(rest);
                let leaf = self.push(start, self.labels.len());
                self.places.get_mut(at)?.kids.push(leaf);
                return Some(leaf);
            };
            let label = self.label(kid)?;
            let common = label.iter().zip(rest).take_while(|(a, b)| a == b).count();
            if common < label.len() {
                self.split(kid, common)?;
            }
            (at, rest) = (kid, rest.get(common..)?);
        }
        Some(at)
    }

    /// The bytes between a place and its parent.
    fn label(&self, place: usize) -> Option<&[u8]> {
        let place = self.places.get(place)?;
        self.labels.get(place.start..place.end)
    }

    /// Puts a place between this one and its parent, after some of its bytes. The new one takes
    /// the number, so that the parent need not know.
    fn split(&mut self, place: usize, after: usize) -> Option<()> {
        let lower = self.places.len();
        let upper = self.places.get_mut(place)?;
        let middle = upper.start + after;
        let whole = Place {
            start: upper.start,
            end: middle,
            kids: vec![lower],
            ..Place::default()
        };
        let old = std::mem::replace(upper, whole);
        self.places.push(Place {
            start: middle,
            ..old
        });
        Some(())
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
    pub(super) fn finish(mut self, group: impl FnMut(&[u32]) -> u32) -> Option<Trie> {
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
        let mut kids = Vec::new();
        let mut filed = Filed::new(group);
        // Breadth first; a node inherits from its parent, whose turn came before.
        let mut waiting = vec![0];
        let mut turn = 0;
        while let Some(place) = waiting.get(turn).copied() {
            let place = std::mem::take(self.places.get_mut(place)?);
            let mut node: Node = *nodes.get(turn)?;
            filed.file(&place, &mut node)?;
            let below = self.in_order(&place.kids)?;
            list(&below, nodes.len(), &mut node, &mut kids)?;
            for (_, kid) in &below {
                let kid_place = self.places.get(*kid)?;
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
            *nodes.get_mut(turn)? = node;
            turn += 1;
        }
        Some(Trie {
            nodes: nodes.into(),
            labels: self.labels.into(),
            kids: kids.into(),
            links: filed.links.into(),
            ends: filed.ends.into(),
            least: filed.least,
            weight: filed.weight,
        })
    }

    /// Places with the bytes they begin with, by these.
    fn in_order(&self, places: &[usize]) -> Option<Vec<(u8, usize)>> {
        let begins = |place: &usize| Some((*self.label(*place)?.first()?, *place));
        let begins: Option<Vec<_>> = places.iter().map(begins).collect();
        let mut begins = begins?;
        begins.sort_unstable();
        Some(begins)
    }
}

/// A number for what is the `n`th of its kind, unless there are too many.
fn number(n: usize) -> Option<u32> {
    u32::try_from(n).ok().filter(|it| *it != NONE)
}

/// Lists the children of a node, which are numbered from `next`.
fn list(below: &[(u8, usize)], next: usize, node: &mut Node, kids: &mut Vec<u32>) -> Option<()> {
    let (Some((first, _)), Some((last, _))) = (below.first(), below.last()) else {
        return Some(());
    };
    let width = usize::from(last - first) + 1;
    let row = kids.len();
    node.kids = number(row)?;
    node.first = *first;
    node.sparse = width > NARROW && width > 8 * below.len();
    let span = match node.sparse {
        true => 2 * below.len(),
        false => width,
    };
    // At most 256 children, and a list is taken for fewer than 32.
    node.span = u16::try_from(span).ok()?;
    kids.resize(row + span, NONE);
    for (n, (byte, _)) in below.iter().enumerate() {
        let number = number(next + n)?;
        if node.sparse {
            *kids.get_mut(row + 2 * n)? = u32::from(*byte);
            *kids.get_mut(row + 2 * n + 1)? = number;
        } else {
            *kids.get_mut(row + usize::from(byte - first))? = number;
        }
    }
    Some(())
}

/// What the nodes of a trie refer to, as they are made.
struct Filed<G> {
    group: G,
    links: Vec<Link>,
    ends: Vec<End>,
    /// The first of all rules.
    least: u32,
    /// How many rules have conditions beyond their key.
    weight: u32,
}

impl<G: FnMut(&[u32]) -> u32> Filed<G> {
    const fn new(group: G) -> Self {
        Self {
            group,
            links: Vec::new(),
            ends: Vec::new(),
            least: NONE,
            weight: 0,
        }
    }

    /// Files the rules of the key that ends at a place, whose node is told.
    fn file(&mut self, place: &Place, node: &mut Node) -> Option<()> {
        if let Some((group, least, weight)) = self.unsure(&place.open, &mut node.sure) {
            let before = self.links.get(node.link as usize);
            self.links.push(Link {
                group,
                least,
                next: node.link,
                weight: weight.saturating_add(before.map_or(0, |it| it.weight)),
            });
            node.link = number(self.links.len() - 1)?;
        }
        let mut sure = node.sure;
        let closed = self.unsure(&place.closed, &mut sure);
        if closed.is_some() || sure < node.sure {
            let (group, least, _) = closed.unwrap_or((NONE, NONE, 0));
            self.ends.push(End { sure, group, least });
            node.end = number(self.ends.len() - 1)?;
        }
        Some(())
    }

    /// Those with conditions beyond their key that come before a sure one: their group, the first
    /// of them, and how many they are.
    fn unsure(&mut self, entries: &[Entry], sure: &mut u32) -> Option<(u32, u32, u32)> {
        let mut list = Vec::new();
        for entry in entries.iter().take_while(|it| it.rule < *sure) {
            self.least = self.least.min(entry.rule);
            if entry.sure {
                *sure = entry.rule;
                break;
            }
            list.push(entry.rule);
        }
        let first = *list.first()?;
        let length = u32::try_from(list.len()).unwrap_or(NONE);
        self.weight = self.weight.saturating_add(length);
        Some(((self.group)(&list), first, length))
    }
}
