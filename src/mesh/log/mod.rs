//! What is told of each request: the entry, how it is gathered, and the event a mesh makes of it.
//!
//! [`access_log`](crate::access_log) makes a layer of it, for logs of one's own.

mod counted;
mod entry;
#[cfg(feature = "tracing")]
mod event;
mod pending;
mod seen;

pub use counted::CountedBody;
pub use entry::AccessLogEntry;
pub(crate) use pending::Pending;
pub(super) use seen::{Seen, Sent};

/// Where entries of an access log go; any function of an entry is one.
pub trait AccessLog {
    /// Whether anybody reads entries now; where nobody does, none are made.
    fn is_enabled(&self) -> bool {
        true
    }

    /// Takes an entry. It is called where the response's last frame is polled or its body is
    /// dropped, so it must not block for long.
    fn write(&self, entry: &AccessLogEntry);
}

impl<F: Fn(&AccessLogEntry)> AccessLog for F {
    fn write(&self, entry: &AccessLogEntry) {
        self(entry);
    }
}
