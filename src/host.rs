//! Host names as Istio compares them: short names, wildcards, and which of two is more specific.
//!
//! Source: Istio's host algebra. A name is a wildcard if it begins with `*`; what
//! follows the star is a plain suffix, so `*.foo.com` covers `a.b.foo.com` and not
//! `foo.com`. Names are compared in lower case.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

/// A short name grown to its full form; a name with a dot, a wildcard or an address stays.
///
/// ```
/// # use tower_mesh::host::resolve_short_name;
/// let full = resolve_short_name("reviews", "prod", "cluster.local");
/// assert_eq!(full, "reviews.prod.svc.cluster.local");
/// assert_eq!(resolve_short_name("a.b", "prod", "cluster.local"), "a.b");
/// ```
#[must_use]
pub fn resolve_short_name(name: &str, namespace: &str, cluster_domain: &str) -> String {
    full_name(name, namespace, cluster_domain).into_owned()
}

/// The same, borrowed where the name is full already and in lower case.
pub(crate) fn full_name<'n>(name: &'n str, namespace: &str, cluster_domain: &str) -> Cow<'n, str> {
    /// What a byte tells of the name that it is in.
    const TELLS: [u8; 256] = {
        let mut tells = [0; 256];
        let mut byte = 0;
        while byte < 128 {
            tells[byte as usize] = match byte {
                b'.' | b'*' | b':' | b'[' => WHOLE,
                b'A'..=b'Z' => UPPER,
                _ => 0,
            };
            byte += 1;
        }
        tells
    };
    const WHOLE: u8 = 1;
    const UPPER: u8 = 2;
    let told = name.bytes().fold(0, |told, byte| {
        told | TELLS.get(usize::from(byte)).copied().unwrap_or_default()
    });
    let short = !name.is_empty() && told & WHOLE == 0;
    let mut name = match told & UPPER != 0 {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    };
    if short {
        name = [&*name, ".", namespace, ".svc.", cluster_domain]
            .concat()
            .into();
    }
    name
}

/// What follows the star of a wildcard name.
#[must_use]
pub fn wildcard_suffix(name: &str) -> Option<&str> {
    name.strip_prefix('*')
}

/// Whether every name `inner` stands for, `outer` stands for too.
#[must_use]
pub fn is_subset_of(inner: &str, outer: &str) -> bool {
    match (wildcard_suffix(inner), wildcard_suffix(outer)) {
        (Some(inner), Some(outer)) => inner.ends_with(outer),
        (None, Some(outer)) => inner.len() > outer.len() && inner.ends_with(outer),
        (Some(_), None) => false,
        (None, None) => inner == outer,
    }
}

/// Whether some name is covered by both.
#[must_use]
pub fn overlap(a: &str, b: &str) -> bool {
    is_subset_of(a, b) || is_subset_of(b, a)
}

/// Orders the more specific name first: exact before wildcard, then the longer, then by letter.
#[must_use]
pub fn more_specific(a: &str, b: &str) -> Ordering {
    let wild = |name: &str| name.starts_with('*');
    wild(a)
        .cmp(&wild(b))
        .then(b.len().cmp(&a.len()))
        .then_with(|| a.cmp(b))
}

/// The host of an authority in lower case, its port cut off.
///
/// What follows the last colon is the port, whatever it is: Envoy ignores it
/// when it looks for a virtual host. Brackets keep an IPv6 address together.
#[must_use]
pub fn without_port(authority: &str) -> Cow<'_, str> {
    let bytes = authority.as_bytes();
    let end = match bytes.first() {
        Some(b'[') => bytes
            .iter()
            .position(|byte| *byte == b']')
            .map(|end| end + 1),
        _ => bytes.iter().rposition(|byte| *byte == b':'),
    };
    let host = end
        .and_then(|end| authority.get(..end))
        .unwrap_or(authority);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// Whether the name is an IP address.
#[must_use]
pub fn is_address(name: &str) -> bool {
    let first = name.bytes().next();
    let may_be = first.is_some_and(|it| it.is_ascii_hexdigit() || it == b':');
    may_be && name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::{is_subset_of, more_specific, overlap, resolve_short_name, without_port};

    #[test]
    fn wildcards_cover_at_least_one_character() {
        assert!(is_subset_of("a.b.foo.com", "*.foo.com"));
        assert!(is_subset_of("barfoo.com", "*foo.com"));
        assert!(!is_subset_of("foo.com", "*.foo.com"));
        assert!(!is_subset_of("foo.com", "*foo.com"));
        assert!(is_subset_of("*.a.foo.com", "*.foo.com"));
        assert!(!is_subset_of("*.foo.com", "a.foo.com"));
        assert!(overlap("*.foo.com", "a.foo.com"));
        assert!(is_subset_of("foo.com", "*"));
    }

    #[test]
    fn specific_names_come_first() {
        assert_eq!(more_specific("b", "*.looooong"), Ordering::Less);
        assert_eq!(more_specific("*.a.b", "*.b"), Ordering::Less);
        assert_eq!(more_specific("a", "b"), Ordering::Less);
    }

    #[test]
    fn only_names_without_a_dot_are_short() {
        let grow = |name| resolve_short_name(name, "ns", "cluster.local");
        assert_eq!(grow("Reviews"), "reviews.ns.svc.cluster.local");
        assert_eq!(grow("reviews.prod"), "reviews.prod");
        assert_eq!(grow("*"), "*");
        assert_eq!(grow("::1"), "::1");
    }

    #[test]
    fn the_port_is_cut_whatever_it_is() {
        let check = |authority, host: &str| assert_eq!(without_port(authority), host);
        check("Reviews:9080", "reviews");
        check("reviews:", "reviews");
        check("reviews:abc", "reviews");
        check("[::1]:80", "[::1]");
        check("[::1]", "[::1]");
        check("[::1", "[::1");
        check("", "");
        check("reviews.", "reviews.");
    }
}
