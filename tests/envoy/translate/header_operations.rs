//! Header operations as Envoy's lists of headers to add and to remove.

use indexmap::IndexMap;
use serde_json::{Value, json};
use tower_mesh::api::{HeaderOperations, Headers};

/// The operations of one level, and the host they ask for.
#[derive(Debug, Default)]
pub(super) struct Operations {
    request: Lists,
    response: Lists,
    /// `Host` or `:authority` among the request's headers is no header operation but a
    /// rewrite of the host; what is set is preferred to what is added.
    pub(super) authority: Option<String>,
}

#[derive(Debug, Default)]
struct Lists {
    add: Vec<Value>,
    remove: Vec<String>,
}

impl Operations {
    /// Nothing where nothing is written.
    ///
    /// Source: `route.go TranslateHeadersOperations`, `isAuthorityHeader`; Headers.request and
    /// .response.
    pub(super) fn of(written: Option<&Headers>) -> Self {
        let Some(written) = written else {
            return Self::default();
        };
        let authority = |list: &IndexMap<String, String>| {
            // An empty one is none.
            let mut found = list
                .iter()
                .filter(|(name, value)| is_authority(name) && !value.is_empty());
            found.next().map(|(_, value)| value.clone())
        };
        let request = written.request.as_ref();
        let set = request.and_then(|it| authority(&it.set));
        Self {
            request: Lists::of(request),
            response: Lists::of(written.response.as_ref()),
            authority: set.or_else(|| request.and_then(|it| authority(&it.add))),
        }
    }

    /// The operations of a single destination come behind those of its rule.
    ///
    /// Source: `route.go processDestination`.
    pub(super) fn join(&mut self, other: Self) {
        self.request.join(other.request);
        self.response.join(other.response);
    }

    /// Writes the lists into a route or a weighted cluster.
    pub(super) fn write(self, to: &mut Value) {
        for (kind, lists) in [("request", self.request), ("response", self.response)] {
            if !lists.add.is_empty() {
                to[format!("{kind}_headers_to_add")] = json!(lists.add);
            }
            if !lists.remove.is_empty() {
                to[format!("{kind}_headers_to_remove")] = json!(lists.remove);
            }
        }
    }
}

impl Lists {
    /// What is set overwrites and comes first, what is added is appended; each sorted by name.
    /// Names that begin with a colon, and `Host`, are dropped from every list.
    ///
    /// Source: `route.go translateAppendHeaders`, `dropInternal`, `isInternalHeader`;
    /// Headers.HeaderOperations.set, .add, .remove; HeaderValueOption.append_action.
    fn of(written: Option<&HeaderOperations>) -> Self {
        let Some(written) = written else {
            return Self::default();
        };
        let mut add = Vec::new();
        for (list, how) in [
            (&written.set, "OVERWRITE_IF_EXISTS_OR_ADD"),
            (&written.add, "APPEND_IF_EXISTS_OR_ADD"),
        ] {
            let mut pairs: Vec<_> = list.iter().filter(|(name, _)| !is_special(name)).collect();
            pairs.sort();
            let entry = |(name, value): (&String, &String)| {
                json!({
                    "header": {"key": name, "value": value},
                    "append_action": how,
                })
            };
            add.extend(pairs.into_iter().map(entry));
        }
        let remove = written.remove.iter().filter(|name| !is_special(name));
        Self {
            add,
            remove: remove.cloned().collect(),
        }
    }

    fn join(&mut self, other: Self) {
        self.add.extend(other.add);
        self.remove.extend(other.remove);
    }
}

/// Source: `route.go isAuthorityHeader`.
fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}

/// Source: `route.go isInternalHeader`.
fn is_special(name: &str) -> bool {
    name.starts_with(':') || name.eq_ignore_ascii_case("host")
}
