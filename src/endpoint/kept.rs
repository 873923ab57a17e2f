//! What a transport keeps with an endpoint.

use std::any::Any;
use std::fmt::Debug;

/// Connections and the like, and what is to be told of them.
pub(crate) trait Kept: Any + Debug + Send + Sync {
    /// How many connections there are.
    fn connections(&self) -> usize;

    /// How many requests wait for one.
    fn waiting(&self) -> usize;
}
