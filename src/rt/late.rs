//! Whether a future is dropped because its time is up, and what it knew.
//!
//! A timeout reaches the services below it by dropping their futures, and so does
//! a caller that has lost interest. The endpoint is to blame for the first only,
//! so whoever drops for lateness says so while it drops. What is dropped so may
//! leave what it knows for the answer that is given in its place.

use std::any::Any;
use std::cell::{Cell, RefCell};

/// What a future knew that was dropped for being late.
pub(crate) type Left = Option<Box<dyn Any>>;

thread_local! {
    static LATE: Cell<bool> = const { Cell::new(false) };
    static LEFT: RefCell<Left> = const { RefCell::new(None) };
}

/// Runs `drop`, which drops what took too long; gives what that left.
pub(crate) fn drop_late(drop: impl FnOnce()) -> Left {
    struct Restore(bool, Left);
    impl Drop for Restore {
        fn drop(&mut self) {
            LATE.set(self.0);
            LEFT.set(self.1.take());
        }
    }
    let _restore = Restore(LATE.replace(true), LEFT.take());
    drop();
    LEFT.take()
}

/// Whether what is being dropped took too long.
pub(crate) fn is_late() -> bool {
    LATE.get()
}

/// Leaves what is known, where what is being dropped took too long; whoever is dropped first has
/// the word.
pub(crate) fn leave<T: Any>(known: impl FnOnce() -> T) {
    if is_late() && LEFT.with_borrow(Option::is_none) {
        LEFT.set(Some(Box::new(known())));
    }
}

#[cfg(test)]
mod tests {
    use super::{drop_late, is_late, leave};

    #[test]
    fn lateness_ends_with_the_drop() {
        assert!(!is_late());
        drop_late(|| {
            drop_late(|| assert!(is_late()));
            assert!(is_late());
        });
        assert!(!is_late());
    }

    #[test]
    fn what_is_left_is_for_whoever_drops() {
        leave(|| "to nobody");
        let left = drop_late(|| {
            let inner = drop_late(|| leave(|| "inside"));
            assert!(inner.is_some_and(|it| it.is::<&str>()));
            leave(|| 1);
            leave(|| 2);
        });
        assert_eq!(
            left.and_then(|it| it.downcast::<i32>().ok()),
            Some(Box::new(1))
        );
        assert!(drop_late(|| {}).is_none());
    }
}
