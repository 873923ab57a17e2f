//! Rules that share a key: told apart by the value of a header where many ask for one.

use std::collections::HashSet;
use std::hash::Hasher as _;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};

use super::trie::NONE;
use crate::match_request::head::RequestHead;
use crate::match_request::matcher::{HeaderSource, MatchRequest};
use crate::string_match::TextMatch;

/// As many rules are asked one by one.
const FEW: usize = 8;

/// How many values deep rules are told apart, and in how many ways at each depth.
const DEEP: usize = 4;
const WAYS: usize = 4;

/// All groups of an index.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    rules: Vec<u32>,
    splits: Vec<Split>,
}

/// Rules in order, and rules told apart by a value; both as places among those of all groups.
#[derive(Clone, Copy, Debug)]
struct Group {
    rules: (u32, u32),
    splits: (u32, u32),
}

/// Rules that ask for an exact value at one place.
#[derive(Clone, Debug)]
struct Split {
    by: By,
    /// Groups by the hash of the value. Rules whose values share a hash share a group: a rule is
    /// asked for all its conditions before it is taken.
    values: FxHashMap<u64, u32>,
    least: u32,
}

/// Where a value stands.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum By {
    Header(HeaderSource),
    Query(Box<str>),
}

/// What a group is asked: all rules, and the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) rules: &'a [Arc<MatchRequest>],
    pub(super) request: &'a RequestHead<'a>,
}

fn hash(value: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(value);
    hasher.finish()
}

/// The exact values a rule asks for, and where.
fn wanted(rule: &MatchRequest) -> impl Iterator<Item = (By, u64)> {
    let headers = rule.headers.iter().filter_map(|it| match &it.text {
        // A claim has several values, few rules ask for one, and they are asked in full.
        TextMatch::Exact(_) if matches!(it.source, HeaderSource::Claim(_)) => None,
        TextMatch::Exact(value) if !it.inverted => {
            Some((By::Header(it.source.clone()), hash(value)))
        }
        _ => None,
    });
    let query = rule.query.iter().filter_map(|it| match &it.text {
        TextMatch::Exact(value) => Some((By::Query(it.name.clone()), hash(value))),
        _ => None,
    });
    headers.chain(query)
}

impl Groups {
    /// Keeps a list of rules, in order, and gives it a number.
    pub(super) fn add(&mut self, list: &[u32], rules: &[Arc<MatchRequest>]) -> u32 {
        self.keep(list.to_vec(), rules, &mut Vec::new())
    }

    fn keep(&mut self, mut rest: Vec<u32>, rules: &[Arc<MatchRequest>], used: &mut Vec<By>) -> u32 {
        let mut splits = Vec::new();
        while rest.len() > FEW && used.len() < DEEP && splits.len() < WAYS {
            let Some((by, values)) = best_split(&mut rest, rules, used) else {
                break;
            };
            used.push(by.clone());
            let least = values.values().filter_map(|it| it.first()).min();
            let least = least.copied().unwrap_or(NONE);
            let values = values
                .into_iter()
                .map(|(value, list)| (value, self.keep(list, rules, used)))
                .collect();
            used.pop();
            splits.push(Split { by, values, least });
        }
        let place = |n: usize| u32::try_from(n).unwrap_or(NONE);
        let start = place(self.rules.len());
        self.rules.extend(rest);
        let first = place(self.splits.len());
        self.splits.extend(splits);
        self.groups.push(Group {
            rules: (start, place(self.rules.len())),
            splits: (first, place(self.splits.len())),
        });
        place(self.groups.len() - 1)
    }

    /// Lowers `best` to the first rule of a group that the request meets, if that comes before.
    pub(super) fn ask(&self, group: u32, asked: Asked<'_>, best: &mut u32) {
        let Some(group) = self.groups.get(group as usize) else {
            return;
        };
        let (start, end) = group.rules;
        let rules = self.rules.get(start as usize..end as usize);
        for rule in rules.unwrap_or_default() {
            if rule >= best {
                break;
            }
            let it = asked.rules.get(*rule as usize);
            if it.is_some_and(|it| it.matches(asked.request)) {
                *best = *rule;
                break;
            }
        }
        let (start, end) = group.splits;
        if start == end {
            return;
        }
        let splits = self.splits.get(start as usize..end as usize);
        for split in splits.unwrap_or_default() {
            if split.least < *best {
                self.ask_split(split, asked, best);
            }
        }
    }

    fn ask_split(&self, split: &Split, asked: Asked<'_>, best: &mut u32) {
        let request = asked.request;
        let mut look = |value: &[u8]| {
            if let Some(group) = split.values.get(&hash(value)) {
                self.ask(*group, asked, best);
            }
        };
        let source = match &split.by {
            By::Header(source) => source,
            By::Query(name) => {
                if let Some(value) = request.query_parameter(name) {
                    look(value.as_bytes());
                }
                return;
            }
        };
        if let Some(value) = source.pseudo(request) {
            return look(value.as_bytes());
        }
        let HeaderSource::Name(name) = source else {
            return;
        };
        let lines = request.headers.get_all(name);
        for (n, line) in lines.iter().enumerate() {
            // A line that is there twice is not worth a second look.
            if n == 0 || !lines.iter().take(n).any(|it| it == line) {
                look(line.as_bytes());
            }
        }
    }
}

/// Takes out the rules that ask for a value at the place where most values are asked for.
fn best_split(
    rest: &mut Vec<u32>,
    rules: &[Arc<MatchRequest>],
    used: &[By],
) -> Option<(By, FxHashMap<u64, Vec<u32>>)> {
    let rule = |n: u32| rules.get(n as usize).map(Arc::as_ref);
    let mut known: FxHashMap<By, HashSet<u64>> = FxHashMap::default();
    for (by, value) in rest.iter().filter_map(|n| rule(*n)).flat_map(wanted) {
        if !used.contains(&by) {
            known.entry(by).or_default().insert(value);
        }
    }
    // Of two with as many values, whichever the table gives: the answer is the same.
    let (by, _) = known
        .into_iter()
        .filter(|(_, values)| values.len() > 1)
        .max_by_key(|(_, values)| values.len())?;
    let mut values: FxHashMap<u64, Vec<u32>> = FxHashMap::default();
    rest.retain(|n| {
        let found = rule(*n).and_then(|it| wanted(it).find(|(at, _)| *at == by));
        match found {
            Some((_, value)) => {
                values.entry(value).or_default().push(*n);
                false
            }
            None => true,
        }
    });
    Some((by, values))
}
