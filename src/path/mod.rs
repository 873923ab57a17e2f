//! Path normalisation: the one spelling of a request path that routes are matched on.
//!
//! `/admin`, `/./admin`, `/x/%2e%2e/admin`, `\admin` after a slash and `/%61dmin` reach the same
//! resource on many servers. A rule written for the first must see the others too, so the path is
//! brought into one form before any route looks at it, and that form is also what is forwarded.
//!
//! [`PathNormalization`] is Istio's `MeshConfig.pathNormalization.normalization`. Each level does
//! what an Envoy 1.40 sidecar does with the connection manager fields Istio derives from it:
//!
//! | Level | Istio | `normalize_path` | `merge_slashes` | `path_with_escaped_slashes_action` |
//! |---|---|---|---|---|
//! | [`None`](PathNormalization::None) | `NONE` | false | false | `KEEP_UNCHANGED` |
//! | [`Base`](PathNormalization::Base) | `BASE`, `DEFAULT` | true | false | `KEEP_UNCHANGED` |
//! | [`MergeSlashes`](PathNormalization::MergeSlashes) | `MERGE_SLASHES` | true | true | `KEEP_UNCHANGED` |
//! | [`DecodeAndMergeSlashes`](PathNormalization::DecodeAndMergeSlashes) | `DECODE_AND_MERGE_SLASHES` | true | true | `UNESCAPE_AND_FORWARD` |
//!
//! Every level, `None` included, refuses a target that does not start with `/` or that contains
//! anything but visible ASCII, and cuts a `#fragment` off (Istio turns Envoy's
//! `http_reject_path_with_fragment` off). The query is never changed. The steps on the path are, in
//! this order:
//!
//! 1. `%2f` and `%5c` become `/` and `\` (`DecodeAndMergeSlashes` only);
//! 2. the parameters of a dot segment are dropped: `/..;x/` is `/../`;
//! 3. `\` becomes `/`, `.` and `..` segments (also written `%2e`) are resolved, escaped letters,
//!    digits, `-`, `.`, `_` and `~` are decoded, and ``" < > ^ ` { | }`` are escaped;
//! 4. runs of slashes become one slash (the two merging levels).
//!
//! ```
//! use tower_mesh::path::PathNormalization;
//!
//! let base = PathNormalization::default();
//! assert_eq!(base.normalize("/shop/../%61dmin?next=/..#top")?, "/admin?next=/..");
//! assert_eq!(base.normalize("/shop//cart%2Fitems")?, "/shop//cart%2Fitems");
//! assert!(base.normalize("/shop%00").is_err());
//!
//! let strictest = PathNormalization::DecodeAndMergeSlashes;
//! assert_eq!(strictest.normalize("/shop//cart%2Fitems")?, "/shop/cart/items");
//! # Ok::<(), tower_mesh::path::InvalidPath>(())
//! ```
//!
//! Normalise a target once, and match and forward that result. As in Envoy, a second pass can go
//! further than the first: `/shop/%2e%2e;x/admin` becomes `/shop/..;x/admin`, whose dot segment
//! would only then be recognised. Likewise, a merging level turns a path of nothing but slashes
//! into `//`, not `/`.

use std::borrow::Cow;

/// How much of a request path is rewritten before routes are matched.
///
/// The [module documentation](self) says what each level does; each includes the one before it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum PathNormalization {
    /// Leaves the path as it is; dot segments and escapes reach the routes unresolved.
    None,
    /// Resolves dot segments, turns `\` into `/` and decodes unreserved characters.
    #[default]
    Base,
    /// Also merges runs of slashes.
    MergeSlashes,
    /// Also decodes `%2f` and `%5c`, before everything else.
    DecodeAndMergeSlashes,
}

/// The request target cannot be normalised; a sidecar answers it with 400.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPath {
    /// The target is empty or in another form than `/path`.
    #[error("the request target does not start with `/`")]
    NotAbsolute,
    /// The target contains a space, a control character or a byte outside ASCII.
    #[error("the request target contains a byte that is not visible ASCII")]
    ForbiddenByte,
    /// The path contains `%00`.
    #[error("the request path contains an escaped NUL")]
    EscapedNul,
}

impl PathNormalization {
    /// Normalises a request target in origin form: a path, then maybe `?query` and `#fragment`.
    ///
    /// Borrows from `target` when only a fragment has to go, or nothing at all.
    ///
    /// # Errors
    ///
    /// If the target does not start with `/`, contains anything but visible ASCII or, except with
    /// [`None`](Self::None), has `%00` in its path.
    pub fn normalize(self, target: &str) -> Result<Cow<'_, str>, InvalidPath> {
        if self.is_surely_normal(target.as_bytes()) {
            return Ok(Cow::Borrowed(target));
        }
        let parts = self.split(target)?;
        if parts.is_normal {
            return Ok(Cow::Borrowed(parts.path_and_query));
        }
        let mut rewritten = self.rewrite(parts.path)?;
        if rewritten == parts.path {
            return Ok(Cow::Borrowed(parts.path_and_query));
        }
        rewritten.push_str(parts.query);
        Ok(Cow::Owned(rewritten))
    }

    /// Whether nothing in the target needs a second look, which is so for most.
    fn is_surely_normal(self, target: &[u8]) -> bool {
        let merges = matches!(self, Self::MergeSlashes | Self::DecodeAndMergeSlashes);
        !merges
            && target.first() == Some(&b'/')
            && target
                .iter()
                .fold(true, |safe, it| safe & SAFE[usize::from(*it)])
    }

    /// Checks and divides the target in one pass over its bytes.
    fn split(self, target: &str) -> Result<Parts<'_>, InvalidPath> {
        if !target.starts_with('/') {
            return Err(InvalidPath::NotAbsolute);
        }
        let mut query = None;
        let mut fragment = None;
        let mut is_normal = true;
        let mut previous = b'\0';
        for (position, byte) in target.bytes().enumerate() {
            match CLASSES[usize::from(byte)] {
                Class::Plain => {}
                Class::Forbidden => return Err(InvalidPath::ForbiddenByte),
                Class::Question => {
                    if fragment.is_none() {
                        query = query.or(Some(position));
                    }
                }
                Class::Hash => fragment = fragment.or(Some(position)),
                Class::Special => {
                    if is_normal && query.is_none() && fragment.is_none() {
                        let rest = target.as_bytes().get(position..).unwrap_or_default();
                        is_normal = self.keeps(previous, rest);
                    }
                }
            }
            previous = byte;
        }
        let end = fragment.unwrap_or(target.len());
        let (path_and_query, _) = target.split_at_checked(end).unwrap_or((target, ""));
        let (path, query) = query
            .and_then(|position| path_and_query.split_at_checked(position))
            .unwrap_or((path_and_query, ""));
        Ok(Parts {
            path_and_query,
            path,
            query,
            is_normal,
        })
    }

    /// Whether the special byte that `rest` starts with, coming after `previous`, may stay.
    fn keeps(self, previous: u8, rest: &[u8]) -> bool {
        match (self, rest) {
            (Self::None, _) => true,
            (Self::Base, [b'/', ..]) => true,
            (_, [b'/', ..]) => previous != b'/',
            (_, [b'.', after @ ..]) => {
                let after = after.strip_prefix(b".").unwrap_or(after);
                previous != b'/' || !matches!(after, [] | [b'/' | b';' | b'?' | b'#', ..])
            }
            (_, [b'%', after @ ..]) => match decode_escape(after) {
                Some(b'/' | b'\\') => self != Self::DecodeAndMergeSlashes,
                Some(decoded) => decoded != b'\0' && !is_unreserved(decoded),
                None => true,
            },
            _ => false,
        }
    }

    fn rewrite(self, path: &str) -> Result<String, InvalidPath> {
        let mut normal = if self == Self::DecodeAndMergeSlashes {
            canonicalize(&decode_slashes(path))?
        } else {
            canonicalize(path)?
        };
        if matches!(self, Self::MergeSlashes | Self::DecodeAndMergeSlashes) {
            merge_slashes(&mut normal);
        }
        Ok(normal)
    }
}

struct Parts<'a> {
    path_and_query: &'a str,
    path: &'a str,
    query: &'a str,
    is_normal: bool,
}

#[derive(Clone, Copy)]
enum Class {
    Plain,
    Special,
    Question,
    Hash,
    Forbidden,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Forbidden; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        classes[byte as usize] = match byte {
            b'?' => Class::Question,
            b'#' => Class::Hash,
            b'/' | b'.' | b'%' | b'\\' => Class::Special,
            _ if escape_of(byte).is_some() => Class::Special,
            _ => Class::Plain,
        };
        byte += 1;
    }
    classes
};

/// Bytes that stay as they are wherever they stand, where slashes are not merged.
const SAFE: [bool; 256] = {
    let mut safe = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        let class = CLASSES[byte as usize];
        safe[byte as usize] = matches!(class, Class::Plain | Class::Question) || byte == b'/';
        byte += 1;
    }
    safe
};

/// The escape that replaces a byte which may not stand in a path as it is.
const fn escape_of(byte: u8) -> Option<&'static str> {
    Some(match byte {
        b'"' => "%22",
        b'<' => "%3C",
        b'>' => "%3E",
        b'^' => "%5E",
        b'`' => "%60",
        b'{' => "%7B",
        b'|' => "%7C",
        b'}' => "%7D",
        _ => return None,
    })
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Reads the two hexadecimal digits after a `%`.
fn decode_escape(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = digits else { return None };
    let high = char::from(*high).to_digit(16)?;
    let low = char::from(*low).to_digit(16)?;
    u8::try_from(high << 4 | low).ok()
}

fn decode_slashes(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut decoded = String::with_capacity(path.len());
    decoded.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (replacement, kept) = match decode_escape(piece.as_bytes()) {
            Some(b'/') => ('/', piece.get(2..).unwrap_or_default()),
            Some(b'\\') => ('\\', piece.get(2..).unwrap_or_default()),
            _ => ('%', piece),
        };
        decoded.push(replacement);
        decoded.push_str(kept);
    }
    decoded
}

fn canonicalize(path: &str) -> Result<String, InvalidPath> {
    let mut normal = String::with_capacity(path.len() + 1);
    normal.push('/');
    let mut ends_with_name = false;
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        // Envoy drops these parameters before it knows that `\` separates segments and that `%2e`
        // is a dot, so neither counts here.
        let segment = match segment.split_once(';') {
            Some((dots @ ("." | ".."), _parameters)) => dots,
            _ => segment,
        };
        for segment in segment.split('\\') {
            let dots = DotSegment::parse(segment);
            ends_with_name = dots.is_none();
            match dots {
                Some(DotSegment::Current) => {}
                Some(DotSegment::Parent) => {
                    normal.pop();
                    normal.truncate(normal.rfind('/').unwrap_or(0));
                    normal.push('/');
                }
                None => {
                    push_name(&mut normal, segment)?;
                    normal.push('/');
                }
            }
        }
    }
    if ends_with_name {
        normal.pop();
    }
    Ok(normal)
}

#[derive(Clone, Copy)]
enum DotSegment {
    Current,
    Parent,
}

impl DotSegment {
    fn parse(segment: &str) -> Option<Self> {
        match strip_dot(segment)? {
            "" => Some(Self::Current),
            rest => strip_dot(rest)
                .filter(|rest| rest.is_empty())
                .map(|_| Self::Parent),
        }
    }
}

fn strip_dot(text: &str) -> Option<&str> {
    [".", "%2e", "%2E"]
        .iter()
        .find_map(|dot| text.strip_prefix(dot))
}

/// Appends a segment that is no dot segment, decoding and escaping where needed.
fn push_name(normal: &mut String, name: &str) -> Result<(), InvalidPath> {
    let mut stray_percent = None;
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            match escape_of(byte) {
                Some(escape) => normal.push_str(escape),
                None => normal.push(char::from(byte)),
            }
        } else {
            match decode_escape(after) {
                Some(b'\0') => return Err(InvalidPath::EscapedNul),
                Some(decoded) if is_unreserved(decoded) => {
                    normal.push(char::from(decoded));
                    rest = after.get(2..).unwrap_or_default();
                }
                // The digits follow as ordinary characters, which keeps their case.
                Some(_) => normal.push('%'),
                None => {
                    stray_percent = Some(normal.len());
                    normal.push('%');
                }
            }
        }
        // `%2%66` must not turn into the escape `%2f`, which the sender never wrote.
        if let Some(position) = stray_percent
            && normal.len() == position + 3
            && normal
                .get(position + 1..)
                .and_then(|digits| decode_escape(digits.as_bytes()))
                .is_some()
        {
            normal.insert_str(position + 1, "25");
        }
    }
    Ok(())
}

/// Keeps both ends of the path, so a path of nothing but slashes ends up with two of them.
fn merge_slashes(path: &mut String) {
    if path.bytes().all(|byte| byte == b'/') {
        path.truncate(2);
        return;
    }
    let mut previous = '\0';
    path.retain(|character| {
        let repeated = character == '/' && previous == '/';
        previous = character;
        !repeated
    });
}

#[cfg(test)]
mod tests;
