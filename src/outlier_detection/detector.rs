//! Counts errors in a row, ejects, and lets back.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::policy::OutlierDetectionPolicy;
use crate::endpoint::{Ejections, Endpoint};

/// What became of a request, as far as its endpoint is concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It answered with this status; that of a gRPC call's refusal in the response's head counts as
    /// [`grpc_status`] says.
    Response(u16),
    /// It could not be connected to.
    ConnectFailure,
    /// The connection broke before the response.
    Reset,
    /// It did not answer in time.
    Timeout,
}

/// The outlier detection of one destination.
///
/// Deciding is [`report`](Self::report) and [`settle`](Self::settle), plain calls; there is no task
/// and no timer. A success that follows a success reads two counters and
/// writes nothing.
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
    /// Endpoints are let back at whole intervals from here.
    began: Instant,
    /// Held by whoever ejects or lets back, so that two never eject one too many.
    deciding: Mutex<()>,
    /// When the next is let back, in nanoseconds since `began`.
    next: AtomicU64,
    /// Counts ejections; shared with the same destination in plans before and after.
    ejections: Arc<AtomicU32>,
    /// How many of them the last [`settle`](Self::settle) had seen.
    seen: AtomicU32,
}

const NEVER: u64 = u64::MAX;

impl OutlierDetection {
    /// A detection that begins now; endpoints that are out already stay out for as long as they
    /// were to be.
    #[must_use]
    pub fn new(policy: OutlierDetectionPolicy, endpoints: &[Endpoint], now: Instant) -> Self {
        let made = Self {
            policy,
            began: now,
            deciding: Mutex::new(()),
            next: AtomicU64::new(NEVER),
            ejections: Arc::default(),
            seen: AtomicU32::new(0),
        };
        made.plan_next(endpoints);
        made
    }

    /// The same for a destination that another was for: ejections by either are seen by both.
    pub(crate) fn after(mut self, before: &Self) -> Self {
        self.ejections = before.ejections.clone();
        *self.seen.get_mut() = self.ejections.load(Ordering::Acquire);
        self
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &OutlierDetectionPolicy {
        &self.policy
    }

    /// Whether [`settle`](Self::settle) may have something to do: nearly always not.
    #[must_use]
    pub fn is_stirred(&self) -> bool {
        self.next.load(Ordering::Relaxed) != NEVER
            || self.ejections.load(Ordering::Relaxed) != self.seen.load(Ordering::Relaxed)
    }

    /// Lets back those whose time is over; whether the set of those left out has changed since it
    /// was last asked.
    pub fn settle(&self, endpoints: &[Endpoint], now: Instant) -> bool {
        let ejections = self.ejections.load(Ordering::Acquire);
        let news = ejections != self.seen.load(Ordering::Relaxed);
        if !news && self.since_began(now) < self.next.load(Ordering::Relaxed) {
            return false;
        }
        let _deciding = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        self.seen.store(ejections, Ordering::Relaxed);
        let mut returned = false;
        for endpoint in endpoints.iter().filter(|it| it.is_ejected()) {
            let mut record = endpoint.ejections();
            if record.back.is_some_and(|back| back <= now) {
                self.let_back(endpoint, &mut record);
                returned = true;
            }
        }
        self.plan_next(endpoints);
        news || returned
    }

    /// Notes what became of a request to the endpoint of this place, which may eject it.
    pub fn report(&self, endpoints: &[Endpoint], place: usize, outcome: Outcome) {
        let Some(endpoint) = endpoints.get(place) else {
            return;
        };
        let policy = &self.policy;
        let [errors, gateway, local] = endpoint.failures();
        let status = match outcome {
            Outcome::Response(status) => {
                if policy.split_external_local_origin_errors {
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
                    clear(local);
                }
                if one_more(local, policy.consecutive_local_origin_failures) {
                    self.eject(endpoints, endpoint, local);
                }
                return;
            }
            Outcome::Timeout => 504,
            Outcome::ConnectFailure | Outcome::Reset => 503,
        };
        if status < 500 {
            clear(errors);
            clear(gateway);
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
        // Only here is the time of day asked for: a row of failures is rare.
        let now = Instant::now();
        let _deciding = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        if endpoint.is_ejected() {
            return;
        }
        counter.store(0, Ordering::Relaxed);
        let out = endpoints.iter().filter(|it| it.is_ejected()).count();
        if !self.policy.allows(out, endpoints.len()) {
            return;
        }
        let mut record = endpoint.ejections();
        record.times = self.policy.times(self.decayed(&record, now));
        let back = now + self.policy.ejection_time(record.times);
        let back = self.sweep_from(back);
        record.back = Some(back);
        record.in_all += 1;
        endpoint.set_ejected(true);
        self.next
            .fetch_min(self.since_began(back), Ordering::Relaxed);
        self.ejections.fetch_add(1, Ordering::Release);
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

/// Counts one failure; whether it is the one that ejects. Exactly one of many at once is.
fn one_more(counter: &AtomicU32, threshold: u32) -> bool {
    let count = counter.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
    threshold > 0 && count == threshold
}

/// Ends a row of failures; where there is none nothing is written.
fn clear(counter: &AtomicU32) {
    if counter.load(Ordering::Relaxed) != 0 {
        counter.store(0, Ordering::Relaxed);
    }
}

/// The status that a gRPC status in a response's head counts as, as Envoy has it.
#[must_use]
pub const fn grpc_status(code: u32) -> u16 {
    match code {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}
