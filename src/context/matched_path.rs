//! How a request's path was matched, which redirects and rewrites of a prefix go by.

/// How the path of a request was matched, which decides what a prefix rewrite replaces.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum MatchedPath {
    /// By its beginning, this many bytes long.
    Prefix(usize),
    /// Wholly.
    Exact,
    /// By a regular expression.
    Regex,
    /// Not by its path: to Envoy that is the prefix `/`.
    #[default]
    None,
}
