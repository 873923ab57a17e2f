//! Which virtual host a request's authority belongs to.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use crate::host;

/// Host names, each with what belongs to it; a lookup finds the most specific.
///
/// An exact name wins, then the longest wildcard suffix (`*.foo.com`), then `*`.
/// Case and port of what is looked up do not count; a trailing dot does. What a
/// lookup costs does not depend on how many names there are: exact names and
/// wildcards are hashed, the latter once for each dot of the name looked up.
#[derive(Clone, Debug)]
pub struct Hosts<T> {
    // Only names of the configuration are in the tables, so a fast hash is a safe one.
    exact: FxHashMap<Box<str>, T>,
    /// Wildcards by their suffix.
    suffixes: FxHashMap<Box<str>, T>,
    /// The lengths of suffixes that begin with a dot.
    dotted: Lengths,
    /// The lengths of the others.
    undotted: Lengths,
    any: Option<T>,
}

/// Which lengths suffixes have; those past what DNS allows are one.
#[derive(Clone, Copy, Debug, Default)]
struct Lengths([u64; 4]);

impl Lengths {
    fn add(&mut self, length: usize) {
        let length = length.min(255);
        if let Some(bits) = self.0.get_mut(length / 64) {
            *bits |= 1 << (length % 64);
        }
    }

    fn may_have(&self, length: usize) -> bool {
        let length = length.min(255);
        let bits = self.0.get(length / 64).copied().unwrap_or_default();
        bits >> (length % 64) & 1 == 1
    }
}

/// The name is already taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the host is already taken")]
pub struct SameHost;

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self {
            exact: FxHashMap::default(),
            suffixes: FxHashMap::default(),
            dotted: Lengths::default(),
            undotted: Lengths::default(),
            any: None,
        }
    }
}

impl<T> Hosts<T> {
    /// No hosts yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a name: exact, `*` alone, or `*` and a suffix.
    ///
    /// # Errors
    ///
    /// When the name, in any case, is there already; what it has stays.
    pub fn insert(&mut self, name: &str, value: T) -> Result<(), SameHost> {
        let name = name.to_ascii_lowercase();
        match host::wildcard_suffix(&name) {
            Some("") if self.any.is_some() => return Err(SameHost),
            Some("") => self.any = Some(value),
            Some(suffix) if self.suffixes.contains_key(suffix) => return Err(SameHost),
            Some(suffix) => {
                match suffix.starts_with('.') {
                    true => self.dotted.add(suffix.len()),
                    false => self.undotted.add(suffix.len()),
                }
                self.suffixes.insert(suffix.into(), value);
            }
            None => match self.exact.entry(name.into()) {
                Entry::Occupied(_) => return Err(SameHost),
                Entry::Vacant(free) => {
                    free.insert(value);
                }
            },
        }
        Ok(())
    }

    /// Makes room for so many more names.
    pub(crate) fn reserve(&mut self, names: usize) {
        self.exact.reserve(names);
    }

    /// What belongs to the host of `authority`.
    #[must_use]
    pub fn find(&self, authority: &str) -> Option<&T> {
        // Most come in lower case and without a port, and need no second look.
        if let Some(found) = self.exact.get(authority) {
            return Some(found);
        }
        let host = host::without_port(authority);
        if let Some(found) = self.exact.get(&*host) {
            return Some(found);
        }
        self.longest_suffix(&host).or(self.any.as_ref())
    }

    /// What belongs to the longest suffix with at least one byte before it.
    fn longest_suffix(&self, host: &str) -> Option<&T> {
        if self.suffixes.is_empty() {
            return None;
        }
        let bytes = host.bytes().enumerate().skip(1);
        bytes
            .filter(|(start, byte)| match byte {
                b'.' => self.dotted.may_have(host.len() - start),
                _ => self.undotted.may_have(host.len() - start),
            })
            .find_map(|(start, _)| self.suffixes.get(host.get(start..)?))
    }

    /// The name by which [`find`](Self::find) finds what belongs to `authority`.
    #[must_use]
    pub fn name_of(&self, authority: &str) -> Option<String> {
        let host = host::without_port(authority);
        if let Some((name, _)) = self
            .exact
            .get_key_value(authority)
            .or_else(|| self.exact.get_key_value(&*host))
        {
            return Some(name.to_string());
        }
        let covers = |suffix: &str| host.len() > suffix.len() && host.ends_with(suffix);
        match self.suffixes.iter().find(|(suffix, _)| covers(suffix)) {
            Some((suffix, _)) => Some(format!("*{suffix}")),
            None => self.any.as_ref().map(|_| "*".to_owned()),
        }
    }
}
