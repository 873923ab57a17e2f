//! Regular expressions that an index cannot tell apart, told of where there are many.

use std::collections::HashMap;

use super::index::SHORT;
use crate::api::{StringMatch, VirtualService};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};
use crate::string_match::Literals;

/// So many are tried one after the other without a word.
const MANY: usize = 100;

/// Tells of expressions that share all the text their matches must hold, or have none: each of them
/// is tried on every path that holds it and that no earlier rule takes.
pub(crate) fn check_alike(written: &VirtualService, at: At<'_>, found: &mut Diagnostics) {
    let blocks = written.http.iter().flat_map(|it| &it.r#match);
    let expressions = blocks.filter_map(|it| match &it.uri {
        Some(StringMatch::Regex(text)) => Some(text.as_str()),
        _ => None,
    });
    let expressions: Vec<&str> = expressions.collect();
    if expressions.len() <= MANY {
        return;
    }
    let keys: Vec<Vec<Vec<u8>>> = expressions.into_iter().map(keys).collect();
    let mut shared: HashMap<&[u8], usize> = HashMap::new();
    for key in keys.iter().flatten() {
        *shared.entry(key).or_default() += 1;
    }
    let least = |keys: &&Vec<Vec<u8>>| {
        let shared = keys.iter().filter_map(|it| shared.get(&**it));
        shared.min().is_none_or(|it| *it > MANY)
    };
    let alike = keys.iter().filter(least).count();
    if alike > MANY {
        let message = format!(
            "{alike} regular expressions hold no text that tells them apart: they are tried one after the other"
        );
        let hint = "begin or end each with text of its own, as in /orders/[0-9]+";
        let at = at.field("http");
        found.push(Diagnostic::new(Code::SlowMatch, at, message).hint(hint));
    }
}

/// What every match of an expression holds, as far as it says something.
fn keys(expression: &str) -> Vec<Vec<u8>> {
    let known = Literals::of(expression);
    let alternatives = |mut list: Vec<Vec<u8>>| {
        let says_something = list.iter().all(|it| it.len() >= SHORT);
        list.sort();
        (says_something && !list.is_empty()).then(|| list.join(&b'|'))
    };
    let mut keys: Vec<_> = known.inner;
    keys.push(known.folded_prefix);
    keys.retain(|it| it.len() >= SHORT);
    keys.extend(alternatives(known.prefixes));
    keys.extend(alternatives(known.suffixes));
    keys.sort();
    keys.dedup();
    keys
}
