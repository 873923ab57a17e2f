//! Keys in a compressed trie: one walk along a text finds every key it begins with.

/// No rule, node or group.
pub(super) const NONE: u32 = u32::MAX;

/// A trie as it is walked. Made by [`Sketch::finish`](super::sketch::Sketch::finish).
#[derive(Clone, Debug, Default)]
pub(super) struct Trie {
    pub(super) nodes: Box<[Node]>,
    pub(super) labels: Box<[u8]>,
    /// Tables of children, each node's in one piece.
    pub(super) kids: Box<[u32]>,
    pub(super) links: Box<[Link]>,
    pub(super) ends: Box<[End]>,
    /// The first rule of all.
    pub(super) least: u32,
    /// How many rules have conditions beyond their key.
    pub(super) weight: u32,
}

/// A place in the trie, with what is known of all keys on the way to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The bytes between the parent and here, but the first, which chose this node.
    pub(super) label: u32,
    pub(super) length: u32,
    pub(super) kids: u32,
    pub(super) span: u16,
    pub(super) first: u8,
    /// Whether the table of children is a list of pairs instead of a row indexed by byte.
    pub(super) sparse: bool,
    /// The first rule on the way here that holds by its key alone.
    pub(super) sure: u32,
    /// Rules on the way here that have further conditions.
    pub(super) link: u32,
    /// Rules for texts that end here.
    pub(super) end: u32,
}

/// Rules with conditions beyond their key, and the link of the next shorter key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) group: u32,
    pub(super) least: u32,
    pub(super) next: u32,
    /// How many rules stand in the group and behind it.
    pub(super) weight: u32,
}

/// The rules for texts that are their key to the last byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) sure: u32,
    pub(super) group: u32,
    pub(super) least: u32,
}

/// A text as a trie reads it.
pub(super) trait Text: Copy {
    /// The byte at a place.
    fn at(self, place: usize) -> Option<u8>;
    /// Whether the label stands at a place.
    fn has(self, place: usize, label: &[u8]) -> bool;
}

/// From its beginning.
#[derive(Clone, Copy)]
pub(super) struct Forward<'t>(pub(super) &'t [u8]);

/// From its beginning, in lower case.
#[derive(Clone, Copy)]
pub(super) struct Folded<'t>(pub(super) &'t [u8]);

/// From its end.
#[derive(Clone, Copy)]
pub(super) struct Backward<'t>(pub(super) &'t [u8]);

impl Text for Forward<'_> {
    fn at(self, place: usize) -> Option<u8> {
        self.0.get(place).copied()
    }

    fn has(self, place: usize, label: &[u8]) -> bool {
        let rest = self.0.get(place..).unwrap_or_default();
        rest.starts_with(label)
    }
}

impl Text for Folded<'_> {
    fn at(self, place: usize) -> Option<u8> {
        self.0.get(place).map(u8::to_ascii_lowercase)
    }

    fn has(self, place: usize, label: &[u8]) -> bool {
        let part = self.0.get(place..place + label.len());
        part.is_some_and(|it| it.eq_ignore_ascii_case(label))
    }
}

impl Text for Backward<'_> {
    fn at(self, place: usize) -> Option<u8> {
        self.0.iter().rev().nth(place).copied()
    }

    fn has(self, place: usize, label: &[u8]) -> bool {
        let mut rest = self.0.iter().rev().skip(place);
        label.iter().all(|it| rest.next() == Some(it))
    }
}

impl Trie {
    /// The last node on the way along a text, and whether the text ends there.
    #[inline]
    pub(super) fn walk(&self, text: impl Text) -> Option<(&Node, bool)> {
        let mut node = self.nodes.first()?;
        let mut place = 0;
        while let Some(byte) = text.at(place) {
            let Some(kid) = self.kid(node, byte) else {
                return Some((node, false));
            };
            place += 1;
            if kid.length > 0 {
                let start = kid.label as usize;
                let label = self.labels.get(start..start + kid.length as usize)?;
                if !text.has(place, label) {
                    return Some((node, false));
                }
                place += label.len();
            }
            node = kid;
        }
        Some((node, true))
    }

    #[inline]
    fn kid(&self, node: &Node, byte: u8) -> Option<&Node> {
        if node.sparse {
            return self.sparse_kid(node, byte);
        }
        let place = byte.wrapping_sub(node.first);
        if u16::from(place) >= node.span {
            return None;
        }
        let kid = *self.kids.get(node.kids as usize + usize::from(place))?;
        self.nodes.get(kid as usize)
    }

    #[cold]
    fn sparse_kid(&self, node: &Node, byte: u8) -> Option<&Node> {
        let start = node.kids as usize;
        let pairs = self.kids.get(start..start + usize::from(node.span))?;
        let mut pairs = pairs.as_chunks::<2>().0.iter();
        let [_, kid] = pairs.find(|[first, _]| *first == u32::from(byte))?;
        self.nodes.get(*kid as usize)
    }

    /// The links from one to that of the shortest key.
    pub(super) fn links(&self, first: u32) -> impl Iterator<Item = &Link> {
        std::iter::successors(self.links.get(first as usize), |it| {
            self.links.get(it.next as usize)
        })
    }
}
