//! Whether a try that is polled waits for a connection still, told from the innermost service
//! to the layer that counts the try's time.

use std::cell::Cell;

thread_local! {
    static CONNECTING: Cell<bool> = const { Cell::new(false) };
}

/// Forgets what was said, before a poll.
pub(crate) fn expect_connected() {
    CONNECTING.set(false);
}

/// Says, while being polled, that there is no connection yet.
pub(crate) fn say_connecting() {
    CONNECTING.set(true);
}

/// Whether that was said.
pub(crate) fn is_connecting() -> bool {
    CONNECTING.get()
}
