//! The names of rules, asked for from time to time; what is found becomes a new plan.

use std::collections::{HashMap, HashSet};
use std::future::{Future as _, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Shared;
use crate::resolver::{PATIENCE, SharedResolver};
use crate::rt::{Rng, later};

/// How many names are asked for at a time.
const MAX_LOOKUPS: usize = 8;
/// How long a name that never had an address waits to be asked for again, at first.
const FIRST_PATIENCE: Duration = Duration::from_secs(1);

/// What the mesh asks names with, and the task that does.
#[derive(Debug)]
pub(super) struct Names {
    resolver: Option<SharedResolver>,
    refresh: Duration,
    dice: Rng,
    /// Names are wanted and nobody asks for them.
    idle: AtomicBool,
    /// Somebody does, or is about to.
    asked_for: AtomicBool,
    /// Tells the task that other names are wanted, or none any more.
    changed: Arc<Notify>,
    /// Tells who waits that something was learned.
    learned: Notify,
}

impl Names {
    pub(super) fn new(resolver: Option<SharedResolver>, refresh: Duration, dice: &Rng) -> Self {
        Self {
            resolver,
            refresh,
            dice: dice.beside(),
            idle: AtomicBool::new(false),
            asked_for: AtomicBool::new(false),
            changed: Arc::default(),
            learned: Notify::new(),
        }
    }

    /// Whether names are wanted and nobody asks for them.
    pub(super) fn are_idle(&self) -> bool {
        self.idle.load(Ordering::Relaxed)
    }

    /// Tells the task to look what is wanted.
    pub(super) fn reconsider(&self) {
        self.changed.notify_one();
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        // The task finds the mesh gone.
        self.changed.notify_one();
    }
}

impl Shared {
    /// Has the names of a new plan asked for: by the task that does already, else by a new one as
    /// soon as there is a runtime to run it.
    pub(super) fn attend_to_names(self: &Arc<Self>) {
        let names = &self.names;
        names.reconsider();
        let running = names.asked_for.load(Ordering::Acquire);
        if !running && names.resolver.is_some() && !self.plan.get().names().is_empty() {
            names.idle.store(true, Ordering::Relaxed);
            self.ask_for_names();
        }
    }

    /// Begins to ask for names, where there is a runtime and nobody else has begun.
    #[cold]
    pub(super) fn ask_for_names(self: &Arc<Self>) {
        let (Ok(runtime), Some(resolver)) = (Handle::try_current(), &self.names.resolver) else {
            return;
        };
        // The second of two that came at once finds the first one's task.
        let idle = self.names.idle.swap(false, Ordering::Relaxed);
        if idle && !self.names.asked_for.swap(true, Ordering::AcqRel) {
            let task = Refresh {
                mesh: Restart(Arc::downgrade(self)),
                changed: self.names.changed.clone(),
                resolver: resolver.clone(),
                refresh: self.names.refresh,
                dice: self.names.dice.clone(),
                schedule: HashMap::new(),
            };
            runtime.spawn(task.run());
        }
    }

    /// Waits until every name that rules have now has been asked for.
    pub(super) async fn names_known(&self) {
        if self.names.resolver.is_none() {
            return;
        }
        loop {
            let mut learned = std::pin::pin!(self.names.learned.notified());
            learned.as_mut().enable();
            let known = {
                let plan = self.plan.get();
                plan.names().iter().all(|name| plan.answer(name).is_some())
            };
            if known {
                return;
            }
            learned.await;
        }
    }

    /// Puts answers in force; what was good stays where there is nothing better.
    fn learn(&self, answers: &[(Arc<str>, Vec<IpAddr>)]) {
        let _one_at_a_time = self.one_at_a_time();
        let plan = self.plan.get();
        let news = answers.iter().filter_map(|(name, addresses)| {
            let changed = match plan.answer(name) {
                Some(known) => !addresses.is_empty() && **known != **addresses,
                None => true,
            };
            changed.then(|| (name.clone(), addresses.as_slice().into()))
        });
        let news: Vec<_> = news.collect();
        if !news.is_empty() {
            self.plan.replace(&plan.learn(news));
        }
        self.names.learned.notify_waiters();
    }
}

/// The task: it keeps neither the mesh nor a plan alive while it waits.
struct Refresh {
    mesh: Restart,
    changed: Arc<Notify>,
    resolver: SharedResolver,
    refresh: Duration,
    dice: Rng,
    schedule: HashMap<Arc<str>, Entry>,
}

struct Entry {
    due: Instant,
    /// How often it was asked for in vain, where there never was an answer.
    failures: u32,
}

type LookUps = JoinSet<(Arc<str>, Vec<IpAddr>)>;
type LookedUp = Result<(Arc<str>, Vec<IpAddr>), JoinError>;

impl Refresh {
    async fn run(mut self) {
        let mut lookups = LookUps::new();
        while self.note_wanted() {
            let next = self.begin(&mut lookups);
            let first = self.wait(&mut lookups, next).await;
            // A look-up that panicked is one that found nothing.
            let others = std::iter::from_fn(|| lookups.try_join_next());
            let answers = first.into_iter().chain(others).filter_map(Result::ok);
            self.note_answers(&answers.collect::<Vec<_>>());
        }
    }

    /// Waits for an answer, for the time the next name is due, or for other rules.
    async fn wait(&self, lookups: &mut LookUps, next: Option<Instant>) -> Option<LookedUp> {
        let mut changed = pin!(self.changed.notified());
        let mut until_next = pin!(async {
            match next {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        });
        poll_fn(|cx| {
            if let Poll::Ready(Some(answer)) = lookups.poll_join_next(cx) {
                return Poll::Ready(Some(answer));
            }
            let changed = changed.as_mut().poll(cx).is_ready();
            match changed || until_next.as_mut().poll(cx).is_ready() {
                true => Poll::Ready(None),
                false => Poll::Pending,
            }
        })
        .await
    }

    /// Keeps the schedule to what rules want; false when the mesh is gone.
    fn note_wanted(&mut self) -> bool {
        let Some(mesh) = self.mesh.0.upgrade() else {
            return false;
        };
        let wanted: HashSet<Arc<str>> = mesh.plan.get().names();
        drop(mesh);
        self.schedule.retain(|name, _| wanted.contains(name));
        let now = Instant::now();
        for name in wanted {
            self.schedule.entry(name).or_insert(Entry {
                due: now,
                failures: 0,
            });
        }
        true
    }

    /// Asks for what is due, as far as there are turns; gives when the next is.
    fn begin(&mut self, lookups: &mut LookUps) -> Option<Instant> {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        for (name, entry) in &mut self.schedule {
            if entry.due > now {
                next = Some(next.map_or(entry.due, |next| next.min(entry.due)));
            } else if lookups.len() < MAX_LOOKUPS {
                // Until its answer says when; a look-up that panics never says.
                entry.due = later(now, self.refresh.max(PATIENCE * 2));
                let (resolver, name) = (self.resolver.clone(), name.clone());
                lookups.spawn(async move {
                    let answer = resolver.ask(&name).await;
                    (name, answer)
                });
            }
        }
        next
    }

    fn note_answers(&mut self, answers: &[(Arc<str>, Vec<IpAddr>)]) {
        let Some(mesh) = self.mesh.0.upgrade() else {
            return;
        };
        mesh.learn(answers);
        let plan = mesh.plan.get();
        let now = Instant::now();
        for (name, _) in answers {
            let Some(entry) = self.schedule.get_mut(name) else {
                continue;
            };
            let good = plan.answer(name).is_some_and(|known| !known.is_empty());
            let wait = match good {
                true => self.refresh,
                false => {
                    let longer = 1 << entry.failures.min(16);
                    (FIRST_PATIENCE * longer).min(self.refresh)
                }
            };
            entry.failures = if good { 0 } else { entry.failures + 1 };
            // Up to a tenth more: the upper bits of a roll as a share of it.
            let more =
                (wait / 10).mul_f64((self.dice.next_u64() >> 32) as f64 / f64::from(u32::MAX));
            entry.due = later(now, wait.saturating_add(more));
        }
    }
}

/// Where the task ends and the mesh goes on, as when its runtime shuts down, another may begin.
struct Restart(Weak<Shared>);

impl Drop for Restart {
    fn drop(&mut self) {
        if let Some(mesh) = self.0.upgrade() {
            mesh.names.asked_for.store(false, Ordering::Release);
            mesh.names.idle.store(true, Ordering::Relaxed);
        }
    }
}
