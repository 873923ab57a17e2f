//! Counts errors in a row, ejects, and lets back.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::outcome::Outcome;
use super::policy::OutlierDetectionPolicy;
use super::rates::{RateStatus, Volume, judge};
use super::row::{clear, end_rows, one_more};
use crate::endpoint::{Ejections, Endpoint, Tally};
use crate::rt::{Rng, later};

/// The outlier detection of one destination.
///
/// Deciding is [`report`](Self::report) and [`settle`](Self::settle), plain calls; there is no task
/// and no timer. A success that follows a success reads two counters and
/// writes nothing, or one number where shares of good answers are looked at.
///
/// ```
/// use std::sync::Arc;
/// use tokio::time::Instant;
/// use tower_mesh::endpoint::{Address, Endpoint};
/// use tower_mesh::outlier_detection::{OutlierDetection, OutlierDetectionPolicy, Outcome};
///
/// let endpoint = |port| Endpoint::new(Address::new("127.0.0.1", port), Arc::default());
/// let endpoints = [endpoint(1), endpoint(2)];
/// let mut policy = OutlierDetectionPolicy::default();
/// policy.max_ejection_percent = 50;
/// let outliers = OutlierDetection::new(policy, &endpoints, Instant::now());
/// for _ in 0..5 {
///     outliers.report(&endpoints, 0, Outcome::Response(503));
/// }
/// assert!(endpoints[0].is_ejected());
/// ```
#[derive(Debug)]
pub struct OutlierDetection {
    policy: OutlierDetectionPolicy,
    /// Whether an answer below 500 ends rows of failures and means nothing else.
    is_plain: bool,
    /// Endpoints are let back at whole intervals from here.
    began: Instant,
    /// When the next is let back, in nanoseconds since `began`.
    next: AtomicU64,
    /// When the interval ends whose answers are counted, in the same way; never where none are.
    sweep: AtomicU64,
    shared: Arc<Shared>,
    /// How many of them the last [`settle`](Self::settle) had seen.
    seen: AtomicU32,
    /// Which of those that share this it is.
    number: u32,
    dice: Rng,
}

/// What the same destination in plans before and after shares.
#[derive(Debug, Default)]
struct Shared {
    /// Held by whoever ejects or lets back, so that two never eject one too many.
    deciding: Mutex<[Option<RateStatus>; 2]>,
    /// Counts changes to who is out that a pick has to learn of.
    changes: AtomicU32,
    /// How many were made after the first, whether or not they came into force.
    made: AtomicU32,
    /// The newest of those that were ever asked, which alone judges intervals.
    newest: AtomicU32,
}

const NEVER: u64 = u64::MAX;

impl OutlierDetection {
    /// A detection that begins now; endpoints that are out already stay out for as long as they
    /// were to be.
    #[must_use]
    pub fn new(policy: OutlierDetectionPolicy, endpoints: &[Endpoint], now: Instant) -> Self {
        let interval = policy.interval.as_nanos();
        let sweep = match policy.looks_at_rates() {
            true => u64::try_from(interval).unwrap_or(NEVER).max(1),
            false => NEVER,
        };
        let made = Self {
            is_plain: !policy.looks_at_rates()
                && !policy.split_external_local_origin_errors
                && policy.http_error_codes.is_empty(),
            policy,
            began: now,
            next: AtomicU64::new(NEVER),
            sweep: AtomicU64::new(sweep),
            shared: Arc::default(),
            seen: AtomicU32::new(0),
            number: 0,
            dice: Rng::default(),
        };
        made.plan_next(endpoints);
        made
    }

    /// The same with these dice, for the jitter.
    #[must_use]
    pub fn with_dice(mut self, dice: Rng) -> Self {
        self.dice = dice;
        self
    }

    /// The same for a destination that another was for, where so many [changes](Self::changes) had
    /// been by then: ejections by either are seen by both.
    ///
    /// It takes nothing over before it is first asked: rules that are refused never are.
    pub(crate) fn after(mut self, before: &Self, changes: u32) -> Self {
        self.shared = before.shared.clone();
        *self.seen.get_mut() = changes;
        self.number = self.shared.made.fetch_add(1, Ordering::Relaxed) + 1;
        // The first pick looks for itself who is let back next.
        *self.next.get_mut() = 0;
        self
    }

    /// How many changes there were to who is out.
    pub(crate) fn changes(&self) -> u32 {
        self.shared.changes.load(Ordering::Acquire)
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &OutlierDetectionPolicy {
        &self.policy
    }

    /// Whether a [good](Outcome::is_good) answer ends rows of failures and means nothing else.
    pub(crate) const fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// How well endpoints did in the last whole interval, and the same of failures on this side
    /// where those are counted by themselves; nothing where nobody looks, or there was not enough.
    #[must_use]
    pub fn rates(&self) -> [Option<RateStatus>; 2] {
        match self.policy.looks_at_rates() {
            true => *self.decide(),
            false => [None; 2],
        }
    }

    /// Whether [`settle`](Self::settle) may have something to do: nearly always not.
    #[must_use]
    pub fn is_stirred(&self) -> bool {
        self.next.load(Ordering::Relaxed) != NEVER
            || self.shared.changes.load(Ordering::Relaxed) != self.seen.load(Ordering::Relaxed)
            || self.sweep.load(Ordering::Relaxed) != NEVER
    }

    /// Lets back those whose time is over, and judges the answers of an interval that has ended;
    /// whether the set of those left out has changed since it was last asked.
    pub fn settle(&self, endpoints: &[Endpoint], now: Instant) -> bool {
        let newest = &self.shared.newest;
        if newest.load(Ordering::Relaxed) < self.number {
            newest.fetch_max(self.number, Ordering::Relaxed);
        }
        self.sweep(endpoints, now);
        let is_new = self.changes() != self.seen.load(Ordering::Relaxed);
        if !is_new && self.since_began(now) < self.next.load(Ordering::Relaxed) {
            return false;
        }
        let _deciding = self.decide();
        self.let_back_by(endpoints, now);
        self.plan_next(endpoints);
        // All changes are made by whoever decides, so there are none meanwhile.
        let changes = self.changes();
        self.seen.swap(changes, Ordering::Relaxed) != changes
    }

    fn decide(&self) -> MutexGuard<'_, [Option<RateStatus>; 2]> {
        self.shared
            .deciding
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges the answers of an interval, once it has ended.
    fn sweep(&self, endpoints: &[Endpoint], now: Instant) {
        let since = self.since_began(now);
        if since < self.sweep.load(Ordering::Relaxed) {
            return;
        }
        let mut statuses = self.decide();
        let due = self.sweep.load(Ordering::Relaxed);
        if since < due {
            return;
        }
        if self.number != self.shared.newest.load(Ordering::Relaxed) {
            self.sweep.store(NEVER, Ordering::Relaxed);
            return;
        }
        // What has been counted was counted up to then, however late somebody looks.
        let then = later(self.began, Duration::from_nanos(due));
        let interval = self.policy.interval.as_nanos().max(1);
        let whole = (u128::from(since) / interval + 1).saturating_mul(interval);
        let next = u64::try_from(whole).unwrap_or(NEVER - 1);
        self.sweep.store(next, Ordering::Relaxed);
        self.let_back_by(endpoints, then);
        let tallies: [fn(&Endpoint) -> &Tally; 2] =
            [|it| &it.seldom().answers, |it| &it.seldom().local];
        for (n, (tally, status)) in tallies.into_iter().zip(&mut *statuses).enumerate() {
            let volume = |(place, endpoint): (usize, &Endpoint)| {
                let (all, good) = tally(endpoint).take();
                endpoint.note_success_rate(n, None);
                (!endpoint.is_ejected()).then_some(Volume { place, all, good })
            };
            let seen: Vec<Volume> = endpoints.iter().enumerate().filter_map(volume).collect();
            let judgement = judge(&self.policy, &seen);
            *status = judgement.status;
            for (place, rate) in judgement.rates {
                if let Some(endpoint) = endpoints.get(place) {
                    endpoint.note_success_rate(n, Some(rate));
                }
            }
            for endpoint in judgement.out.iter().filter_map(|it| endpoints.get(*it)) {
                self.leave_out(endpoints, endpoint, then);
            }
        }
    }

    /// Lets back those whose time was over by then.
    fn let_back_by(&self, endpoints: &[Endpoint], then: Instant) {
        let mut returned = false;
        for endpoint in endpoints.iter().filter(|it| it.is_ejected()) {
            let mut record = endpoint.ejections();
            if record.back.is_some_and(|back| back <= then) {
                self.let_back(endpoint, &mut record);
                returned = true;
            }
        }
        if returned {
            self.shared.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// Notes what became of a request to the endpoint of this place, which may eject it.
    #[inline]
    pub fn report(&self, endpoints: &[Endpoint], place: usize, outcome: Outcome) {
        match (endpoints.get(place), outcome) {
            (Some(endpoint), outcome) if self.is_plain && outcome.is_good() => {
                end_rows(endpoint.failures());
            }
            _ => self.weigh(endpoints, place, outcome),
        }
    }

    /// Apart, so that what it needs is not set up for every answer.
    #[inline(never)]
    fn weigh(&self, endpoints: &[Endpoint], place: usize, outcome: Outcome) {
        let Some(endpoint) = endpoints.get(place) else {
            return;
        };
        let policy = &self.policy;
        let tallies = match self.sweep.load(Ordering::Relaxed) {
            NEVER => None,
            _ => {
                self.sweep(endpoints, Instant::now());
                Some(endpoint.seldom())
            }
        };
        let count_local = |good| tallies.inspect(|it| it.local.count(good));
        let [errors, gateway, local] = endpoint.failures();
        let status = match outcome {
            Outcome::Response(status) => {
                if policy.split_external_local_origin_errors {
                    count_local(true);
                    clear(local);
                }
                match policy.http_error_codes.as_slice() {
                    [] => status,
                    // Which of the statuses it is plays no part then.
                    codes if codes.contains(&status) => 500,
                    _ => 200,
                }
            }
            failed if policy.split_external_local_origin_errors => {
                // But for one that could not be made, there was a connection first.
                if failed != Outcome::ConnectFailure {
                    count_local(true);
                    clear(local);
                }
                count_local(false);
                if one_more(local, policy.consecutive_local_origin_failures) {
                    self.eject(endpoints, endpoint, local);
                }
                return;
            }
            Outcome::Timeout => 504,
            Outcome::ConnectFailure | Outcome::Reset => 503,
        };
        tallies.inspect(|it| it.answers.count(status < 500));
        if status < 500 {
            end_rows(endpoint.failures());
            return;
        }
        let by_gateway = matches!(status, 502..=504);
        if !by_gateway {
            clear(gateway);
        }
        if by_gateway && one_more(gateway, policy.consecutive_gateway_errors) {
            self.eject(endpoints, endpoint, gateway);
        }
        if one_more(errors, policy.consecutive_5xx_errors) {
            self.eject(endpoints, endpoint, errors);
        }
    }

    fn eject(&self, endpoints: &[Endpoint], endpoint: &Endpoint, counter: &AtomicU32) {
        // Failures go on where nobody is let out, and are no reason to wait for the lock.
        if endpoint.is_ejected() {
            return;
        }
        // Only here is the time of day asked for: a row of failures is rare.
        let now = Instant::now();
        let _deciding = self.decide();
        if endpoint.is_ejected() {
            return;
        }
        counter.store(0, Ordering::Relaxed);
        self.leave_out(endpoints, endpoint, now);
    }

    /// Ejects, as far as may be; whoever calls is the one who decides.
    fn leave_out(&self, endpoints: &[Endpoint], endpoint: &Endpoint, now: Instant) {
        if endpoint.is_ejected() {
            return;
        }
        let out = endpoints.iter().filter(|it| it.is_ejected()).count();
        if !self.policy.allows(out, endpoints.len()) {
            return;
        }
        let mut record = endpoint.ejections();
        record.times = self.policy.times(self.decayed(&record, now));
        let time = self.policy.ejection_time(record.times);
        let back = later(now, time.saturating_add(self.jitter()));
        let back = self.sweep_from(back);
        record.back = Some(back);
        record.in_all += 1;
        endpoint.set_ejected(true);
        self.next
            .fetch_min(self.since_began(back), Ordering::Relaxed);
        self.shared.changes.fetch_add(1, Ordering::Release);
    }

    /// In whole milliseconds, as Envoy rolls it.
    fn jitter(&self) -> Duration {
        let most = self.policy.max_ejection_time_jitter.as_millis();
        match u64::try_from(most) {
            Ok(0) => Duration::ZERO,
            Ok(most) => Duration::from_millis(self.dice.next_u64() % most.saturating_add(1)),
            Err(_) => Duration::from_millis(self.dice.next_u64()),
        }
    }

    fn let_back(&self, endpoint: &Endpoint, record: &mut Ejections) {
        for counter in endpoint.failures() {
            counter.store(0, Ordering::Relaxed);
        }
        record.returned = record.back.take();
        endpoint.set_ejected(false);
    }

    /// How many ejections still count: one fewer for each whole interval the endpoint has been back.
    fn decayed(&self, record: &Ejections, now: Instant) -> u32 {
        let Some(returned) = record.returned else {
            return record.times;
        };
        let quiet = now.saturating_duration_since(returned).as_nanos();
        let intervals = quiet / self.policy.interval.as_nanos().max(1);
        let intervals = u32::try_from(intervals).unwrap_or(u32::MAX);
        record.times.saturating_sub(intervals)
    }

    /// The first whole interval at or after a time.
    fn sweep_from(&self, time: Instant) -> Instant {
        let interval = self.policy.interval.as_nanos().max(1);
        let since = time.saturating_duration_since(self.began).as_nanos();
        let whole = since.div_ceil(interval).saturating_mul(interval);
        let whole = Duration::from_nanos(u64::try_from(whole).unwrap_or(u64::MAX));
        self.began.checked_add(whole).unwrap_or(time)
    }

    fn plan_next(&self, endpoints: &[Endpoint]) {
        let out = endpoints.iter().filter(|it| it.is_ejected());
        let next = out.filter_map(|it| it.ejections().back).min();
        let next = next.map_or(NEVER, |it| self.since_began(it));
        self.next.store(next, Ordering::Relaxed);
    }

    fn since_began(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.began).as_nanos();
        u64::try_from(since).unwrap_or(NEVER - 1)
    }
}
