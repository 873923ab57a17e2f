//! Whether a future is dropped because its time is up.
//!
//! A timeout reaches the services below it by dropping their futures, and so does
//! a caller that has lost interest. The endpoint is to blame for the first only,
//! so whoever drops for lateness says so while it drops.

use std::cell::Cell;

thread_local! {
    static LATE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `drop`, which drops what took too long.
pub(crate) fn drop_late(drop: impl FnOnce()) {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            LATE.set(self.0);
        }
    }
    let _restore = Restore(LATE.replace(true));
    drop();
}

/// Whether what is being dropped took too long.
pub(crate) fn is_late() -> bool {
    LATE.get()
}

#[cfg(test)]
mod tests {
    use super::{drop_late, is_late};

    #[test]
    fn lateness_ends_with_the_drop() {
        assert!(!is_late());
        drop_late(|| {
            drop_late(|| assert!(is_late()));
            assert!(is_late());
        });
        assert!(!is_late());
    }
}
