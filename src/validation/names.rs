//! Names as Istio and Kubernetes allow them: labels, domains, gateways, label maps.

use std::borrow::Cow;

use indexmap::IndexMap;

use super::invalid;
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::host;

/// Whether this is a label of RFC 1123, in either case.
pub(super) fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    text.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|it| it.is_ascii_alphanumeric() || *it == b'-')
}

/// What is wrong with a domain; its first label may be, or begin with, a star if `wild`.
pub(super) fn domain_fault(domain: &str, wild: bool) -> Option<String> {
    if domain.is_empty() {
        return Some("empty domain name not allowed".to_owned());
    }
    if is_plain_domain(domain) {
        return None;
    }
    let shown = || shortened(domain);
    if domain.len() > 255 {
        return Some(format!("domain name {:?} too long (max 255)", shown()));
    }
    let whole = domain.strip_suffix('.').unwrap_or(domain);
    let mut last = "";
    for (n, label) in whole.split('.').enumerate() {
        let plain = match (n, wild) {
            (0, true) if label == "*" => continue,
            (0, true) => label
                .strip_prefix("*-")
                .or_else(|| label.strip_prefix('*'))
                .unwrap_or(label),
            _ => label,
        };
        if !is_dns_label(plain) {
            return Some(format!(
                "domain name {:?} invalid (label {label:?} invalid)",
                shown()
            ));
        }
        last = label;
    }
    let number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    number.then(|| {
        format!(
            "domain name {:?} invalid (top level domain {last:?} cannot be all-numeric)",
            shown()
        )
    })
}

/// Whether a domain is, at a glance, what nearly every one is: labels of letters, digits and
/// hyphens in their places, the last of them no number. Of others the glance tells nothing.
fn is_plain_domain(domain: &str) -> bool {
    // So short that no label is too long.
    domain.len() <= 63 && domain.bytes().fold(BEGIN, step) == LETTERS
}

/// What has been read of a label: nothing, letters among it or none, a hyphen last or not; or it
/// is not plain.
const BEGIN: u8 = 0;
const LETTERS: u8 = 1;
const DIGITS: u8 = 2;
const LETTERS_HYPHEN: u8 = 3;
const DIGITS_HYPHEN: u8 = 4;
const OTHER: u8 = 5;

/// What a label is after one more byte; looked up, for every name of every rule is read so.
fn step(label: u8, byte: u8) -> u8 {
    /// By what is before, and by what a byte is: anything, a letter, a digit, a hyphen, a dot.
    const STEPS: [u8; 64] = {
        let mut steps = [OTHER; 64];
        let mut label = BEGIN;
        while label < OTHER {
            let at = (label as usize) << 3;
            let letters = label == LETTERS || label == LETTERS_HYPHEN;
            steps[at + 1] = LETTERS;
            steps[at + 2] = if letters { LETTERS } else { DIGITS };
            if label != BEGIN {
                steps[at + 3] = if letters {
                    LETTERS_HYPHEN
                } else {
                    DIGITS_HYPHEN
                };
            }
            if label == LETTERS || label == DIGITS {
                steps[at + 4] = BEGIN;
            }
            label += 1;
        }
        steps
    };
    const KINDS: [u8; 256] = {
        let mut kinds = [0; 256];
        let mut byte = 0;
        while byte < 128 {
            kinds[byte as usize] = match byte {
                b'a'..=b'z' | b'A'..=b'Z' => 1,
                b'0'..=b'9' => 2,
                b'-' => 3,
                b'.' => 4,
                _ => 0,
            };
            byte += 1;
        }
        kinds
    };
    let kind = KINDS.get(usize::from(byte)).copied().unwrap_or_default();
    let at = usize::from(label << 3 | kind) & 63;
    STEPS.get(at).copied().unwrap_or(OTHER)
}

/// A name as it can stand in a message.
pub(super) fn shortened(name: &str) -> Cow<'_, str> {
    if name.len() <= 80 {
        return name.into();
    }
    match name.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()).into(),
        None => name.into(),
    }
}

/// Refuses a host that is neither an address nor a domain, which may be a wildcard.
pub(super) fn check_host(name: &str, at: At<'_>, found: &mut Diagnostics) {
    if host::is_address(name) {
        return;
    }
    if let Some(fault) = domain_fault(name, true) {
        let mut diagnostic = Diagnostic::new(Code::InvalidValue, at, fault);
        if let Some((host, port)) = name.rsplit_once(':')
            && port.parse::<u16>().is_ok()
        {
            let hint = format!("a host has no port here; write {}", shortened(host));
            diagnostic = diagnostic.hint(hint);
        } else if let Some((_, rest)) = name.split_once("://") {
            let host = rest.split(['/', ':']).next().unwrap_or(rest);
            let hint = format!("a host has no scheme here; write {}", shortened(host));
            diagnostic = diagnostic.hint(hint);
        } else if name.contains('*') && !name.starts_with('*') {
            diagnostic = diagnostic.hint("a star may only stand first");
        }
        found.push(diagnostic);
    }
}

/// Refuses labels that Kubernetes could not hold.
pub(super) fn check_labels(labels: &IndexMap<String, String>, at: At<'_>, found: &mut Diagnostics) {
    for (key, value) in labels {
        if !is_label_key(key) {
            let message = format!("invalid tag key: {:?}", shortened(key));
            invalid(found, at.key(key), message);
        }
        if !value.is_empty() && !is_label_word(value) {
            let message = format!("invalid tag value: {:?}", shortened(value));
            invalid(found, at.key(key), message);
        }
    }
}

fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => domain_fault(prefix, false).is_none() && is_label_word(name),
        None => is_label_word(key),
    }
}

fn is_label_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    text.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)
}

/// Refuses what cannot be a gateway's name: `mesh`, `name`, `namespace/name`, `./name`.
pub(super) fn check_gateways(names: &[String], at: At<'_>, found: &mut Diagnostics) {
    for (n, name) in names.iter().enumerate() {
        let at = at.item(n);
        let (namespace, gateway) = match name.split_once('/') {
            Some((namespace, gateway)) => (Some(namespace), gateway),
            None => (None, name.as_str()),
        };
        if namespace == Some("") || gateway.is_empty() {
            invalid(
                found,
                at,
                "config namespace and gateway name cannot be empty",
            );
            continue;
        }
        if let Some(namespace) = namespace
            && namespace != "."
            && !is_dns_label(namespace)
        {
            let namespace = shortened(namespace);
            invalid(
                found,
                at,
                format!("invalid value for namespace: {namespace:?}"),
            );
        }
        if is_dns_label(gateway) {
            continue;
        }
        if namespace.is_none() && domain_fault(gateway, false).is_none() {
            let mut parts = gateway.split('.');
            let (name, namespace) = (parts.next(), parts.next());
            let better = format!(
                "{}/{}",
                namespace.unwrap_or_default(),
                name.unwrap_or_default()
            );
            let message = format!(
                "using legacy gatewayName format {gateway:?}; prefer the <namespace>/<name> \
                 format: {better:?}"
            );
            super::tell(found, Code::Deprecated, at, message);
            continue;
        }
        let gateway = shortened(gateway);
        invalid(
            found,
            at,
            format!("invalid value for gateway name: {gateway:?}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{domain_fault, is_dns_label, is_label_key};

    #[test]
    fn domains_are_judged_label_by_label() {
        let good = |name, wild| assert_eq!(domain_fault(name, wild), None, "{name}");
        good("a", false);
        good("A-b.c1.", false);
        good("*", true);
        good("*.foo.com", true);
        good("*foo.com", true);
        good("*-foo.com", true);
        let bad = |name: &str, wild| assert!(domain_fault(name, wild).is_some(), "{name}");
        bad("", true);
        bad("*.foo.com", false);
        bad("a.*.com", true);
        bad("a_b", true);
        bad("-a.com", true);
        bad("a..b", true);
        bad("1.2.3", true);
        bad(&"a".repeat(64), true);
        bad(&"a.".repeat(130), true);
    }

    #[test]
    fn labels_are_judged_as_kubernetes_does() {
        assert!(is_dns_label("a-1") && !is_dns_label("a-") && !is_dns_label(""));
        assert!(is_label_key("app.kubernetes.io/name_1") && is_label_key("a"));
        assert!(!is_label_key("a b") && !is_label_key("/a") && !is_label_key("a/b/c"));
    }
}
