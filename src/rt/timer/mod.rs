//! A timer that costs little when it is disarmed in time, as nearly all timeouts are.
//!
//! Every thread keeps the timers armed on it in one list, and one task of its
//! runtime sleeps until the earliest. Arming and disarming touch that list alone;
//! the runtime's own timer wheel is touched only when a deadline comes that is
//! earlier than all before, or when one is reached. Deadlines are exact: they
//! are those of [`tokio::time::Sleep`], under a paused clock too. With nothing
//! armed the task sleeps without a deadline; it ends with its runtime.
//!
//! A list is as long as the most timers that were armed on its thread at once.
//! Reaching a deadline looks through the whole list.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::time::{Instant, Sleep, sleep_until};

use super::later;

/// Ready at a deadline; dropping it disarms it.
pub struct Timer {
    deadline: Instant,
    armed: Option<Armed>,
}

struct Armed {
    list: Arc<List>,
    place: usize,
}

/// The timers of one thread under one runtime.
struct List {
    runtime: Id,
    /// The runtime is gone, and nobody watches the list.
    ended: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    /// The first free entry.
    free: Option<usize>,
    /// What the task sleeps until.
    target: Option<Instant>,
    /// Wakes the task; nothing where it has yet to look at the list.
    task: Option<Waker>,
    /// The thread has ended, so nobody arms a timer here again.
    abandoned: bool,
}

enum Entry {
    Free { next: Option<usize> },
    Armed { deadline: Instant, waker: Waker },
    Reached,
}

thread_local! {
    /// Nearly always one: a thread seldom drives several runtimes in turn.
    static LISTS: RefCell<Lists> = const { RefCell::new(Lists(Vec::new())) };
}

struct Lists(Vec<Arc<List>>);

impl Drop for Lists {
    fn drop(&mut self) {
        // Else their tasks would stay for as long as their runtimes.
        for list in &self.0 {
            let mut state = list.lock();
            state.abandoned = true;
            let task = state.task.take();
            drop(state);
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}

impl Timer {
    /// A timer for this instant; nothing is armed before it is polled.
    #[must_use]
    pub const fn at(deadline: Instant) -> Self {
        Self {
            deadline,
            armed: None,
        }
    }

    /// A timer for the end of a span that begins now; one that is out of reach ends in 30 years.
    #[must_use]
    pub fn after(span: Duration) -> Self {
        Self::at(later(Instant::now(), span))
    }

    /// When it is due.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Ready once the deadline is reached; until then the caller is woken when it is.
    ///
    /// The first poll arms it and is never ready, even where the deadline has passed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with its timer enabled, as [`tokio::time::sleep_until`] does.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if let Some(armed) = &self.armed {
            match armed.poll(cx) {
                Some(polled) => return polled,
                None => self.armed = None,
            }
        }
        self.armed = Some(List::current(self.deadline).arm(self.deadline, cx));
        Poll::Pending
    }
}

impl Armed {
    /// Nothing where nobody watches the list any more.
    fn poll(&self, cx: &Context<'_>) -> Option<Poll<()>> {
        if self.list.has_ended() {
            return None;
        }
        let mut state = self.list.lock();
        match state.entries.get_mut(self.place)? {
            Entry::Armed { waker, .. } => {
                if !waker.will_wake(cx.waker()) {
                    waker.clone_from(cx.waker());
                }
                Some(Poll::Pending)
            }
            Entry::Reached | Entry::Free { .. } => Some(Poll::Ready(())),
        }
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        let mut state = self.list.lock();
        let next = state.free;
        let Some(entry) = state.entries.get_mut(self.place) else {
            return;
        };
        let disarmed = std::mem::replace(entry, Entry::Free { next });
        state.free = Some(self.place);
        drop(state);
        // A waker's own code runs outside of the lock.
        drop(disarmed);
    }
}

impl List {
    /// The list of this thread under the runtime it is in; made anew when there is none, with a
    /// task that sleeps until `deadline` first.
    fn current(deadline: Instant) -> Arc<Self> {
        // Without a runtime this panics, as every timer of tokio does.
        let handle = Handle::current();
        let known = LISTS.with_borrow(|lists| {
            let here = |it: &&Arc<Self>| it.runtime == handle.id() && !it.has_ended();
            lists.0.iter().find(here).cloned()
        });
        known.unwrap_or_else(|| {
            let list = Arc::new(Self {
                runtime: handle.id(),
                ended: AtomicBool::new(false),
                state: Mutex::default(),
            });
            handle.spawn(Watch {
                list: list.clone(),
                sleep: Box::pin(sleep_until(deadline)),
            });
            LISTS.with_borrow_mut(|lists| {
                lists.0.retain(|it| !it.has_ended());
                lists.0.push(list.clone());
            });
            list
        })
    }

    fn arm(self: Arc<Self>, deadline: Instant, cx: &Context<'_>) -> Armed {
        let waker = cx.waker().clone();
        let mut state = self.lock();
        let place = state.add(Entry::Armed { deadline, waker });
        let mut task = None;
        if state.target.is_none_or(|target| deadline < target) {
            state.target = Some(deadline);
            task = state.task.take();
        }
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
        if self.has_ended() {
            // The runtime went away meanwhile; look again wherever this is polled next.
            cx.waker().wake_by_ref();
        }
        Armed { list: self, place }
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; entries are replaced whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Puts an entry where one is free; gives its place.
    #[inline]
    fn add(&mut self, entry: Entry) -> usize {
        if let Some(place) = self.free
            && let Some(free) = self.entries.get_mut(place)
            && let Entry::Free { next } = *free
        {
            self.free = next;
            *free = entry;
            return place;
        }
        self.entries.push(entry);
        self.entries.len() - 1
    }

    /// Marks what is due by `now` and finds the next deadline.
    fn advance(&mut self, now: Instant) -> Vec<Waker> {
        let mut due = Vec::new();
        let mut next: Option<Instant> = None;
        for entry in &mut self.entries {
            let Entry::Armed { deadline, .. } = entry else {
                continue;
            };
            if *deadline > now {
                next = Some(next.map_or(*deadline, |it| it.min(*deadline)));
            } else if let Entry::Armed { waker, .. } = std::mem::replace(entry, Entry::Reached) {
                due.push(waker);
            }
        }
        self.target = next;
        due
    }
}

/// The task that sleeps until the earliest deadline of a list.
struct Watch {
    list: Arc<List>,
    sleep: Pin<Box<Sleep>>,
}

impl Future for Watch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut state = self.list.lock();
            if state.abandoned {
                return Poll::Ready(());
            }
            state.task = Some(cx.waker().clone());
            let Some(target) = state.target else {
                return Poll::Pending;
            };
            drop(state);
            if self.sleep.deadline() != target {
                self.sleep.as_mut().reset(target);
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let due = self.list.lock().advance(Instant::now().max(target));
            for waker in due {
                waker.wake();
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.list.ended.store(true, Ordering::Release);
        let mut state = self.list.lock();
        let entries = std::mem::take(&mut state.entries);
        let task = state.task.take();
        state.free = None;
        drop(state);
        // Whoever still waits is asked to look, and arms again where it is by then.
        for entry in entries {
            if let Entry::Armed { waker, .. } = entry {
                waker.wake();
            }
        }
        drop(task);
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("deadline", &self.deadline)
            .field("armed", &self.armed.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests;
