//! What a response can tell about how it came to be, in Envoy's words.

mod absolute_target;
mod claims;
mod connection;
mod direct_peer;
mod flags;
mod matched_path;
mod preflight;

pub(crate) use absolute_target::AbsoluteTarget;
pub use claims::Claims;
pub use connection::Connection;
pub(crate) use direct_peer::{DirectPeer, forwarded_for, source_of};
pub use flags::ResponseFlags;
pub use matched_path::MatchedPath;
pub use preflight::Preflight;
