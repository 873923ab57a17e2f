//! What would be done with a request, and why: the same compiled code as traffic, without sending.
//!
//! The answer comes from [`decide`](super::decide) and from the policies of the
//! route it gives. The reasons are found by walking the rules of the host once
//! more, one after the other, and asking each which condition fails.

mod build;
mod json;
mod owner;
mod reject;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

pub(crate) use build::{Asked, explain, refused};

use crate::fault::Abort;
use crate::percent::Percent;

/// What would be done with one request, and why.
///
/// Made by [`Mesh::explain`](crate::mesh::Mesh::explain). Nothing is sent and no
/// dice are rolled: where a rule splits traffic, all destinations are given with
/// their weights. It prints as a tree for people, and serialises for programs
/// with the keys `virtual_service`, `route`, `route_name`, `match`, `action`,
/// `status`, `location`, `destinations`, `path`, `authority`, `timeout`,
/// `retries`, `fault`, `mirrors`, `rejected` and `policy`, durations as text.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The request: method and URL, its path in the form it is matched in.
    pub request: String,
    /// The port it is addressed to.
    pub port: u16,
    /// Its path and query in the form in which they are matched, and sent unless rewritten.
    pub matched_path: String,
    /// Its authority, sent as `Host` unless rewritten.
    pub matched_authority: String,
    /// The VirtualService whose rule was taken, or at least asked, as `namespace/name`; nothing
    /// where no VirtualService owns the host.
    pub virtual_service: Option<String>,
    /// Why that one owns the host, or why none does.
    pub owned_because: String,
    /// VirtualServices that name the host too and do not own it.
    pub shadowed: Vec<Shadowed>,
    /// The place in `http` of the rule taken, delegates merged in.
    pub route: Option<usize>,
    /// The place in the rule's `match` of the block that matched; nothing for a rule without.
    pub match_block: Option<usize>,
    /// The rule's name, as the access log has it.
    pub route_name: Option<String>,
    /// What is done.
    pub action: Action,
    /// The status, where the request is answered without an endpoint.
    pub status: Option<StatusCode>,
    /// Where a redirect leads; for a direct response what its `Location` header says.
    pub location: Option<String>,
    /// What a direct response says; nothing where it says nothing.
    pub body: Bytes,
    /// Where the request may go; the dice choose by weight, once a request.
    pub destinations: Vec<Destination>,
    /// The path and query sent, where a rewrite changes them.
    pub path: Option<String>,
    /// The `Host` sent, where a rewrite changes it, whichever destination is chosen.
    pub authority: Option<String>,
    /// The time for the request with all its tries; nothing where there is no limit.
    pub timeout: Option<Duration>,
    /// When the request is tried again; nothing where it never is.
    pub retries: Option<Retries>,
    /// Faults injected before anything else.
    pub fault: Option<Fault>,
    /// Where copies of the request go, and which share of requests is copied.
    pub mirrors: Vec<Mirrored>,
    /// What CORS does with the request; nothing where the rule has no `corsPolicy`.
    pub cors: Option<String>,
    /// The match blocks that come before the one taken, with the condition each fails.
    pub rejected: Vec<Rejected>,
    /// Where settings come from: field to `DestinationRule namespace/name level`.
    pub policy: BTreeMap<String, String>,
    /// What is done, in a sentence.
    pub because: String,
}

/// What is done with a request.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// It is sent to one of the destinations.
    Forward,
    /// It is answered with another address.
    Redirect,
    /// It is answered as the rule says, or as CORS answers a preflight.
    DirectResponse,
    /// No rule is for it: 404, 502 where unknown hosts are refused, 400 for what is no request.
    NotFound,
    /// Nothing declares its host: it goes where DNS says.
    Passthrough,
}

impl Action {
    /// The word used in JSON: `forward`, `redirect`, `direct_response`, `not_found` or
    /// `passthrough`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Redirect => "redirect",
            Self::DirectResponse => "direct_response",
            Self::NotFound => "not_found",
            Self::Passthrough => "passthrough",
        }
    }
}

/// A destination that gets copies of requests.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Mirrored {
    /// Where they go; its weight is 0, for it takes no request away from another.
    pub destination: Destination,
    /// The share of requests that are copied.
    pub share: Percent,
}

/// One of the destinations a request may go to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Destination {
    /// The full host name.
    pub host: String,
    /// The subset; nothing for the whole host.
    pub subset: Option<String>,
    /// The port.
    pub port: u16,
    /// Its share, against the sum of all; a destination alone has 100.
    pub weight: u32,
    /// How many endpoints are known; those behind names that were not looked up yet are not.
    pub endpoints: usize,
    /// What requests get instead of an answer, where they cannot be sent: `503 NC: …`.
    pub refusal: Option<String>,
    /// The `Host` sent to this destination, where a rewrite changes it.
    pub authority: Option<String>,
}

/// When and how a request is tried again.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Retries {
    /// Tries after the first.
    pub attempts: u32,
    /// The conditions, as `retryOn` is written.
    pub retry_on: String,
    /// The time for the response head of each try; nothing where only the route's timeout counts.
    pub per_try_timeout: Option<Duration>,
    /// The base of the waits between tries.
    pub backoff: Duration,
    /// Whether this is what Istio does where nothing is written.
    pub is_default: bool,
}

/// Which faults are injected, and into how many requests.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Fault {
    /// The wait, for this share of the requests.
    pub delay: Option<(Percent, Duration)>,
    /// The failure, for this share of the requests.
    pub abort: Option<(Percent, Abort)>,
}

/// A match block that was asked and does not match.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rejected {
    /// Its VirtualService, as `namespace/name`.
    pub virtual_service: Option<String>,
    /// Its rule's place in `http`.
    pub route: Option<usize>,
    /// Its own place in the rule's `match`.
    pub match_block: Option<usize>,
    /// The first condition that fails, and what the request has instead.
    pub because: String,
}

/// A VirtualService that names the host of a request and does not own it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Shadowed {
    /// `namespace/name`.
    pub virtual_service: String,
    /// Why it does not own the host.
    pub because: String,
}
