//! Rules that earlier rules of the same VirtualService leave nothing to.

use rustc_hash::FxHashMap;

use crate::api::{HttpMatchRequest, StringMatch, VirtualService};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

/// Blocks with further conditions are compared in pairs only up to so many.
const MAX_PAIRS: usize = 64;

/// What earlier rules take, and which of them does. It is used for one VirtualService after the
/// other, so that its tables are made once.
#[derive(Default)]
pub(super) struct Taken<'v> {
    everything: Option<usize>,
    prefixes: FxHashMap<&'v str, usize>,
    /// How long the prefixes are, each length once.
    lengths: Vec<usize>,
    exacts: FxHashMap<&'v str, usize>,
    others: Vec<(&'v HttpMatchRequest, usize)>,
}

/// Tells which rules, or match blocks of them, no request can reach.
pub(super) fn check<'v>(
    written: &'v VirtualService,
    taken: &mut Taken<'v>,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    if written.http.len() < 2 && written.http.iter().all(|it| it.r#match.len() < 2) {
        return;
    }
    let at_http = at.field("http");
    taken.clear();
    for (n, rule) in written.http.iter().enumerate() {
        let at = at_http.item(n);
        let by = |block| taken.by(block);
        let (one, many): ([_; 1], Vec<_>);
        let covered: &[Option<usize>] = match rule.r#match.as_slice() {
            [] => {
                one = [taken.everything];
                &one
            }
            [only] => {
                one = [by(only)];
                &one
            }
            blocks => {
                many = blocks.iter().map(by).collect();
                &many
            }
        };
        if let Some(first) = covered.first().copied().flatten()
            && covered.iter().all(Option::is_some)
        {
            let message = format!("http[{first}] takes every request that this rule is for");
            let hint = "the first rule that matches is taken; move this one up";
            found.push(Diagnostic::new(Code::Unreachable, at, message).hint(hint));
        } else {
            let at = at.field("match");
            for (n, first) in covered.iter().enumerate() {
                if let Some(first) = first {
                    let message = format!("http[{first}] takes every request that this is for");
                    found.push(Diagnostic::new(Code::Unreachable, at.item(n), message));
                }
            }
        }
        if rule.r#match.is_empty() {
            taken.everything.get_or_insert(n);
        }
        for block in &rule.r#match {
            taken.note(block, n);
        }
    }
}

impl<'v> Taken<'v> {
    fn clear(&mut self) {
        self.everything = None;
        self.prefixes.clear();
        self.lengths.clear();
        self.exacts.clear();
        self.others.clear();
    }

    /// The rule that takes whatever the block is for.
    fn by(&self, block: &HttpMatchRequest) -> Option<usize> {
        let prefix = |text: &str| {
            let lengths = self.lengths.iter().filter(|it| **it <= text.len());
            lengths
                .filter_map(|it| self.prefixes.get(text.get(..*it)?))
                .min()
                .copied()
        };
        let by_path = match &block.uri {
            _ if block.ignore_uri_case => None,
            Some(StringMatch::Exact(text)) => self
                .exacts
                .get(text.as_str())
                .copied()
                .or_else(|| prefix(text)),
            Some(StringMatch::Prefix(text)) => prefix(text),
            Some(StringMatch::Regex(_) | StringMatch::Present) | None => None,
        };
        let alike = || {
            let same = |(it, _): &&(&HttpMatchRequest, usize)| same_conditions(it, block);
            self.others.iter().find(same).map(|(_, n)| *n)
        };
        self.everything.or(by_path).or_else(alike)
    }

    fn note(&mut self, block: &'v HttpMatchRequest, rule: usize) {
        if !only_path(block) {
            if self.others.len() < MAX_PAIRS {
                self.others.push((block, rule));
            }
            return;
        }
        match &block.uri {
            None | Some(StringMatch::Present) => {
                self.everything.get_or_insert(rule);
            }
            Some(StringMatch::Prefix(text)) if text.is_empty() || text == "/" => {
                self.everything.get_or_insert(rule);
            }
            Some(StringMatch::Regex(text)) if text == ".*" => {
                self.everything.get_or_insert(rule);
            }
            Some(StringMatch::Prefix(text)) => {
                if !self.lengths.contains(&text.len()) {
                    self.lengths.push(text.len());
                }
                self.prefixes.entry(text).or_insert(rule);
            }
            Some(StringMatch::Exact(text)) => {
                self.exacts.entry(text).or_insert(rule);
            }
            Some(StringMatch::Regex(_)) => {
                if self.others.len() < MAX_PAIRS {
                    self.others.push((block, rule));
                }
            }
        }
    }
}

/// Whether nothing but the path is looked at, as it is written.
fn only_path(block: &HttpMatchRequest) -> bool {
    let HttpMatchRequest {
        name: _,
        uri: _,
        scheme,
        method,
        authority,
        headers,
        without_headers,
        query_params,
        ignore_uri_case,
        port,
        source_labels,
        source_namespace,
        gateways,
        stat_prefix: _,
    } = block;
    [scheme, method, authority].iter().all(|it| it.is_none())
        && [headers, without_headers, query_params]
            .iter()
            .all(|it| it.is_empty())
        && source_labels.is_empty()
        && source_namespace.is_empty()
        && gateways.is_empty()
        && port.is_none()
        && !ignore_uri_case
}

fn same_conditions(a: &HttpMatchRequest, b: &HttpMatchRequest) -> bool {
    let HttpMatchRequest {
        name: _,
        uri,
        scheme,
        method,
        authority,
        headers,
        without_headers,
        query_params,
        ignore_uri_case,
        port,
        source_labels,
        source_namespace,
        gateways,
        stat_prefix: _,
    } = a;
    *uri == b.uri
        && [scheme, method, authority] == [&b.scheme, &b.method, &b.authority]
        && [headers, without_headers, query_params]
            == [&b.headers, &b.without_headers, &b.query_params]
        && *ignore_uri_case == b.ignore_uri_case
        && *port == b.port
        && *source_labels == b.source_labels
        && *source_namespace == b.source_namespace
        && *gateways == b.gateways
}
