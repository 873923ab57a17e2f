//! Finding the first rule a request meets without asking every rule.

use std::sync::Arc;

use super::head::RequestHead;
use super::matcher::MatchRequest;

mod groups;
mod sketch;
mod tree;
mod trie;

#[cfg(test)]
mod tests;

/// So few rules are asked one by one, which is as fast.
const FEW: usize = 8;

/// A regular expression counts for as many, being dearer to ask.
const REGEX: usize = 4;

/// Text of so few bytes is on nearly every path.
pub(super) const SHORT: usize = 3;

/// The rules of one virtual host, in order; finds the first that a request meets.
///
/// The answer is that of asking one rule after the other with
/// [`MatchRequest::matches`], as Envoy does. What it costs is nearly the same for
/// 10 rules and for 10 000:
///
/// - `uri` exact and prefix, with `ignoreUriCase` or without, are found in one walk
///   along the path.
/// - `uri` regex is tried only on paths that hold a text every match must hold: its
///   beginning, its end, or something in between, whichever fewer expressions share.
/// - Rules with one and the same `uri`, of which many ask for an exact value of a
///   header, a pseudo-header or a query parameter, are found by that value.
///
/// What remains linear: rules that share a `uri` and differ in anything else, such as
/// prefixes, regular expressions or absence of headers, and regular expressions
/// without any text that every match must hold (`/[a-z]+`). These are asked in order,
/// as far as the best rule found otherwise; a mesh warns of more than a hundred such expressions
/// (`slow-match`).
///
/// A look-up allocates nothing. Rules are shared, not copied; the index itself takes
/// about 100 bytes a rule, and none for a few rules, which are asked one by one.
///
/// ```
/// use std::sync::Arc;
///
/// use http::HeaderMap;
/// use tower_mesh::api::{HttpMatchRequest, StringMatch};
/// use tower_mesh::match_request::{MatchRequest, RequestHead, RouteIndex};
///
/// let rule = |uri| {
///     let mut written = HttpMatchRequest::default();
///     written.uri = Some(uri);
///     MatchRequest::new(&written).map(Arc::new)
/// };
/// let index: RouteIndex = [
///     rule(StringMatch::Exact("/shop".into()))?,
///     rule(StringMatch::Regex("/shop/v[0-9]+/.*".into()))?,
///     rule(StringMatch::Prefix("/shop".into()))?,
/// ]
/// .into_iter()
/// .collect();
///
/// let headers = HeaderMap::new();
/// let find = |path| index.find(&RequestHead::new("GET", "http", "a.com", path, &headers));
/// assert_eq!(find("/shop?page=1"), Some(0));
/// assert_eq!(find("/shop/v2/cart"), Some(1));
/// assert_eq!(find("/shopping"), Some(2));
/// assert_eq!(find("/"), None);
/// # Ok::<(), tower_mesh::diagnostic::Diagnostics>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RouteIndex {
    rules: Box<[Arc<MatchRequest>]>,
    tree: Option<Box<tree::Tree>>,
}

impl RouteIndex {
    /// The place of the first rule whose conditions the request meets.
    #[must_use]
    pub fn find(&self, request: &RequestHead<'_>) -> Option<usize> {
        match &self.tree {
            None => self.rules.iter().position(|it| it.matches(request)),
            Some(tree) => tree.find(&self.rules, request).map(|it| it as usize),
        }
    }

    /// The rules, in order.
    #[must_use]
    pub fn rules(&self) -> &[Arc<MatchRequest>] {
        &self.rules
    }
}

impl FromIterator<Arc<MatchRequest>> for RouteIndex {
    fn from_iter<I: IntoIterator<Item = Arc<MatchRequest>>>(rules: I) -> Self {
        let rules: Box<[Arc<MatchRequest>]> = rules.into_iter().collect();
        let regexes = rules.iter().filter(|it| it.path.is_regex()).count();
        let tree = match rules.len() + regexes * (REGEX - 1) > FEW {
            true => tree::Tree::new(&rules).map(Box::new),
            false => None,
        };
        Self { rules, tree }
    }
}
