//! Equal values of many endpoints, held once.

use std::collections::VecDeque;
use std::sync::Arc;

/// How many different values are remembered; endpoints that are alike stand near each other.
const REMEMBERED: usize = 16;

/// The values seen last.
#[derive(Debug)]
pub(super) struct Shared<T>(VecDeque<Arc<T>>);

impl<T: PartialEq> Shared<T> {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// The value, as one that was seen lately where it equals one.
    pub(super) fn of(&mut self, value: T) -> Arc<T> {
        if let Some(known) = self.0.iter().find(|it| ***it == value) {
            return known.clone();
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_back();
        }
        let value = Arc::new(value);
        self.0.push_front(value.clone());
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Shared;

    #[test]
    fn equal_values_are_one_and_few_are_remembered() {
        let mut shared = Shared::new();
        let first = shared.of(0);
        assert!(Arc::ptr_eq(&first, &shared.of(0)));
        for n in 1..100 {
            shared.of(n);
        }
        assert!(shared.0.len() <= super::REMEMBERED);
        assert!(!Arc::ptr_eq(&first, &shared.of(0)));
    }
}
