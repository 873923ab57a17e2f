//! From the bytes of a rewritten path to something `http::Uri` can hold.

use http::uri::PathAndQuery;

/// Joins a path and the query that was there before; nothing for what cannot be a target at all.
pub(super) fn compose(path: &[u8], query: Option<&str>) -> Option<PathAndQuery> {
    let mut target = Vec::with_capacity(path.len() + query.map_or(1, |it| it.len() + 2));
    if !path.starts_with(b"/") && (path != b"*" || query.is_some()) {
        target.push(b'/');
    }
    target.extend_from_slice(path);
    if let Some(query) = query {
        target.push(b'?');
        target.extend_from_slice(query.as_bytes());
    }
    parse(&target).or_else(|| parse(&encode(&target)))
}

/// The target, unless something in it would be lost.
fn parse(target: &[u8]) -> Option<PathAndQuery> {
    let parsed = PathAndQuery::try_from(target).ok()?;
    (parsed.as_str().as_bytes() == target).then_some(parsed)
}

/// Percent-encodes what may stand neither in a path nor in a query.
fn encode(target: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = Vec::with_capacity(2 * target.len());
    for byte in target {
        if matches!(byte, 0..=b' ' | 0x7f.. | b'"' | b'#' | b'<' | b'>' | b'`') {
            let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
            encoded.extend([b'%', digit(byte >> 4), digit(byte & 0xf)]);
        } else {
            encoded.push(*byte);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::compose;

    #[track_caller]
    fn check(path: &[u8], query: Option<&str>, want: &str) {
        let got = compose(path, query).map(|it| it.to_string());
        assert_eq!(got.unwrap_or_default(), want, "{}", path.escape_ascii());
    }

    #[test]
    fn what_a_uri_cannot_hold_is_encoded() {
        check(b"/a", None, "/a");
        check(b"/a", Some(""), "/a?");
        check(b"//a", Some("b=/?c"), "//a?b=/?c");
        check(b"a", None, "/a");
        check(b"*", None, "*");
        check(b"*a", None, "/*a");
        check(b"?a", Some("b"), "/?a?b");
        check(b"http://x/y", None, "/http://x/y");
        check("/\u{e9}".as_bytes(), None, "/\u{e9}");
        check(b"/\xe9", None, "/%E9");
        check(b"/a b\t#c", Some("d"), "/a%20b%09%23c?d");
        check(b"/<\"{}|\\^`>", None, "/%3C%22{}|\\^%60%3E");
        check(b"/%20%zz", None, "/%20%zz");
        check(&[b'/'; 70_000], None, "");
    }

    #[test]
    fn every_byte_finds_a_way() {
        for byte in 0..=u8::MAX {
            for path in [&[b'/', byte][..], &[b'/', b'?', byte], &[byte]] {
                assert!(
                    compose(path, Some("q")).is_some(),
                    "{}",
                    path.escape_ascii()
                );
            }
        }
    }
}
