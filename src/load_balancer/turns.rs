//! Turns that several threads take: together while they hardly ever meet, so that the order is
//! strict; once they keep meeting each thread by itself, as each of Envoy's workers does, so that
//! none waits for what another writes.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use super::schedule::Schedule;
use crate::rt::{SHARDS, shard};

/// So often threads meet before each takes turns of its own.
const MEETINGS: u32 = 64;

/// One for all threads, later one for each.
#[derive(Debug)]
struct Shared<T> {
    one: Apart<T>,
    meetings: AtomicU32,
    own: OnceLock<Box<[Own<T>]>>,
}

/// What the threads of a shard have, once one of them has asked for it.
type Own<T> = OnceLock<Box<Apart<T>>>;

/// Away from everything else that is written.
#[derive(Debug)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T> Shared<T> {
    fn new(one: T) -> Box<Self> {
        Box::new(Self {
            one: Apart(one),
            meetings: AtomicU32::new(0),
            own: OnceLock::new(),
        })
    }

    /// This thread's own, once threads have met; `make` makes it of the one of all.
    #[inline]
    fn own(&self, make: impl FnOnce(&T) -> T) -> Option<&T> {
        let own = self.own.get()?.get(shard())?;
        let own = own.get_or_init(|| Box::new(Apart(make(&self.one.0))));
        Some(&own.0)
    }

    #[cold]
    fn note_meeting(&self) {
        if self.meetings.fetch_add(1, Ordering::Relaxed) >= MEETINGS {
            self.own
                .get_or_init(|| (0..SHARDS).map(|_| OnceLock::new()).collect());
        }
    }
}

/// One after the other.
#[derive(Debug)]
pub(super) struct Rotation(Box<Shared<AtomicUsize>>);

impl Rotation {
    pub(super) fn new(start: usize) -> Self {
        Self(Shared::new(AtomicUsize::new(start)))
    }

    fn own(&self) -> Option<&AtomicUsize> {
        // Not all at the same place.
        let begin = |one: &AtomicUsize| one.load(Ordering::Relaxed).wrapping_add(shard());
        self.0.own(|one| AtomicUsize::new(begin(one)))
    }

    /// The turn that is next.
    pub(super) fn now(&self) -> usize {
        let turn = self.own().unwrap_or(&self.0.one.0);
        turn.load(Ordering::Relaxed)
    }

    /// Whose turn it is among so many; nobody's, if there is nobody.
    #[inline]
    pub(super) fn next(&self, among: usize) -> Option<usize> {
        match self.undisturbed() {
            Some(turn) => turn.checked_rem(among),
            None => self.next_of_own(among),
        }
    }

    /// Whose turn it is in a round that is written out.
    #[inline]
    pub(super) fn next_in(&self, round: &[u32]) -> Option<usize> {
        match self.undisturbed() {
            Some(turn) => round
                .get(turn.checked_rem(round.len())?)
                .map(|it| *it as usize),
            None => self.next_in_of_own(round),
        }
    }

    /// The turn, where threads have not met and do not now.
    #[inline]
    fn undisturbed(&self) -> Option<usize> {
        if self.0.own.get().is_some() {
            return None;
        }
        let (one, order) = (&self.0.one.0, Ordering::Relaxed);
        let turn = one.load(order);
        one.compare_exchange(turn, turn.wrapping_add(1), order, order)
            .ok()
    }

    // Whole, so that a pick in which nobody meets keeps nothing for the other.

    #[inline(never)]
    fn next_of_own(&self, among: usize) -> Option<usize> {
        self.disturbed().checked_rem(among)
    }

    #[inline(never)]
    fn next_in_of_own(&self, round: &[u32]) -> Option<usize> {
        let place = round.get(self.disturbed().checked_rem(round.len())?);
        place.map(|it| *it as usize)
    }

    fn disturbed(&self) -> usize {
        let turn = self.own().unwrap_or_else(|| {
            self.0.note_meeting();
            &self.0.one.0
        });
        turn.fetch_add(1, Ordering::Relaxed)
    }
}

/// By weight.
#[derive(Debug)]
pub(super) struct Turns(Box<Shared<Mutex<Schedule>>>);

impl Turns {
    /// The turns of endpoints of these weights.
    pub(super) fn new(weights: impl Iterator<Item = f64>) -> Self {
        Self::of(Schedule::new(weights))
    }

    pub(super) fn of(schedule: Schedule) -> Self {
        Self(Shared::new(Mutex::new(schedule)))
    }

    /// Whose turn it is; `weight` says with which weight it waits for its next.
    #[inline(never)]
    pub(super) fn next(&self, weight: impl FnOnce(u32) -> f64) -> Option<usize> {
        let own = self.0.own(|one| Mutex::new(lock(one).clone()));
        let turns = own.unwrap_or(&self.0.one.0);
        let mut turns = match turns.try_lock() {
            Ok(turns) => turns,
            Err(TryLockError::Poisoned(turns)) => turns.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.0.note_meeting();
                lock(turns)
            }
        };
        turns.next(weight).map(|place| place as usize)
    }
}

/// A turn is taken whole or not at all, so there is nothing a panic could leave broken.
fn lock(turns: &Mutex<Schedule>) -> MutexGuard<'_, Schedule> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{MEETINGS, Rotation, Turns};

    #[test]
    fn threads_that_do_not_meet_take_one_turn_after_the_other() {
        let rotation = Rotation::new(5);
        let turns = (0..12).map(|_| {
            let next = || rotation.next(3);
            std::thread::scope(|scope| scope.spawn(next).join().expect("no panic"))
        });
        let turns: Vec<_> = turns.flatten().collect();
        assert_eq!(turns, [2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1]);
    }

    #[test]
    fn threads_that_keep_meeting_take_turns_of_their_own() {
        let rotation = Rotation::new(0);
        for _ in 0..MEETINGS {
            rotation.disturbed();
        }
        let shared = rotation.now();
        rotation.disturbed();
        // From here on nothing is written that another thread reads.
        let each = || -> Vec<_> { (0..6).filter_map(|_| rotation.next(3)).collect() };
        let all = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(each)).collect();
            threads
                .into_iter()
                .map(|it| it.join().expect("no panic"))
                .collect::<Vec<_>>()
        });
        for turns in all {
            let first = turns[0];
            let want: Vec<_> = (0..6).map(|n| (first + n) % 3).collect();
            assert_eq!(turns, want);
        }
        let one = &rotation.0.one.0;
        assert_eq!(one.load(std::sync::atomic::Ordering::Relaxed), shared + 1);
    }

    #[test]
    fn turns_by_weight_of_threads_that_have_met_go_on_by_weight() {
        let weights = [1.0, 2.0, 3.0];
        let turns = Turns::new(weights.into_iter());
        let next = || turns.next(|it| weights[it as usize]);
        assert_eq!(next(), Some(2));
        for _ in 0..=MEETINGS {
            turns.0.note_meeting();
        }
        let each = || -> Vec<_> { (0..6).filter_map(|_| next()).collect() };
        let all = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(each)).collect();
            threads
                .into_iter()
                .map(|it| it.join().expect("no panic"))
                .collect::<Vec<_>>()
        });
        // Each goes on where all were, after the first of `2 1 2 0 1 2`.
        for turns in all {
            assert_eq!(turns, [1, 2, 0, 1, 2, 2]);
        }
    }

    /// Many threads at once: whatever they meet, everybody has its share.
    #[test]
    fn shares_are_kept_while_threads_meet() {
        const EACH: usize = 30_000;
        let (rotation, weights) = (Rotation::new(0), [1.0, 2.0, 3.0]);
        let turns = Turns::new(weights.into_iter());
        let each = || {
            let mut had = ([0; 3], [0; 3]);
            for _ in 0..EACH {
                had.0[rotation.next(3).expect("somebody")] += 1;
                let next = turns.next(|it| weights[it as usize]);
                had.1[next.expect("somebody")] += 1;
            }
            had
        };
        let all = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(each)).collect();
            threads
                .into_iter()
                .map(|it| it.join().expect("no panic"))
                .collect::<Vec<_>>()
        });
        let (mut rotated, mut weighed) = ([0_usize; 3], [0_usize; 3]);
        for (a, b) in all {
            for place in 0..3 {
                rotated[place] += a[place];
                weighed[place] += b[place];
            }
        }
        // Each thread's own turns begin and end anywhere in a round.
        for had in rotated {
            assert!(had.abs_diff(4 * EACH / 3) <= 8, "{had}");
        }
        for (place, had) in weighed.into_iter().enumerate() {
            assert!(
                had.abs_diff(4 * EACH * (place + 1) / 6) <= 16,
                "{place} {had}"
            );
        }
    }
}
