//! Which virtual host a request's authority belongs to.

use rustc_hash::FxHashMap;

use crate::host;

/// Host names, each with what belongs to it; a lookup finds the most specific.
///
/// An exact name wins, then the longest wildcard suffix (`*.foo.com`), then `*`.
/// Case and port of what is looked up do not count; a trailing dot does.
#[derive(Clone, Debug)]
pub struct Hosts<T> {
    // Only names of the configuration are in the table, so a fast hash is a safe one.
    exact: FxHashMap<Box<str>, T>,
    /// Wildcards by their suffix, longest first.
    suffixes: Vec<(Box<str>, T)>,
    any: Option<T>,
}

/// The name is already taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the host is already taken")]
pub struct SameHost;

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self {
            exact: FxHashMap::default(),
            suffixes: Vec::new(),
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
    pub fn insert(&mut self, name: &str, value: T) -> Result<(), SameHost> {
        let name = name.to_ascii_lowercase();
        match host::wildcard_suffix(&name) {
            Some("") if self.any.is_some() => return Err(SameHost),
            Some("") => self.any = Some(value),
            Some(suffix) => {
                let place = self.suffixes.partition_point(|(known, _)| {
                    (std::cmp::Reverse(known.len()), &**known)
                        < (std::cmp::Reverse(suffix.len()), suffix)
                });
                if let Some((known, _)) = self.suffixes.get(place)
                    && **known == *suffix
                {
                    return Err(SameHost);
                }
                self.suffixes.insert(place, (suffix.into(), value));
            }
            None if self.exact.contains_key(&*name) => return Err(SameHost),
            None => {
                self.exact.insert(name.into(), value);
            }
        }
        Ok(())
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
        let covers = |suffix: &str| host.len() > suffix.len() && host.ends_with(suffix);
        let longest = self.suffixes.iter().find(|(suffix, _)| covers(suffix));
        longest.map(|(_, found)| found).or(self.any.as_ref())
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
