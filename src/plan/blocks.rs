//! A rule as it is written, and its match blocks.

use std::ops::Deref;
use std::sync::{Arc, LazyLock};

use crate::api;
use crate::diagnostic::{At, Diagnostics};
use crate::match_request::MatchRequest;

/// A rule's text. A merged one is large and rare, so it stands elsewhere.
#[derive(Debug)]
pub(super) enum Written<'r> {
    Here(&'r api::HttpRoute),
    Merged(Box<api::HttpRoute>),
}

impl Deref for Written<'_> {
    type Target = api::HttpRoute;

    fn deref(&self) -> &api::HttpRoute {
        match self {
            Self::Here(written) => written,
            Self::Merged(written) => written,
        }
    }
}

#[derive(Debug)]
pub(super) struct Block {
    /// Its place among the blocks written; nothing for a rule without match blocks.
    pub(super) place: Option<usize>,
    pub(super) rule: Arc<MatchRequest>,
    pub(super) name: Arc<str>,
}

/// The block of rules without any: all of them share one.
static EVERYTHING: LazyLock<Arc<MatchRequest>> = LazyLock::new(Arc::default);

/// A name; most rules have none, and that takes no memory of its own.
fn shared(name: &str) -> Arc<str> {
    match name {
        "" => Arc::default(),
        name => name.into(),
    }
}

/// The match blocks of a rule, one for all requests where it has none.
pub(super) fn read_blocks(
    written: &api::HttpRoute,
    at: At<'_>,
    found: &mut Diagnostics,
) -> Vec<Block> {
    if written.r#match.is_empty() {
        return vec![Block {
            place: None,
            rule: EVERYTHING.clone(),
            name: shared(&written.name),
        }];
    }
    let mut blocks = Vec::with_capacity(written.r#match.len());
    for (n, block) in written.r#match.iter().enumerate() {
        let Some(rule) = MatchRequest::compile(block, at.item(n), found) else {
            continue;
        };
        let name = match block.name.as_str() {
            "" => shared(&written.name),
            name => format!("{}.{name}", written.name).into(),
        };
        blocks.push(Block {
            place: Some(n),
            rule: rule.into(),
            name,
        });
    }
    blocks
}
