//! How much may be under way at a destination at a time, counted.
//!
//! A [`Permit`] counts until it is dropped, so whatever ends what it stands for, cancellation
//! included, gives it back. The counts outlive a change of the limits.

mod recent;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use recent::Recent;

/// The most that may be under way at a time; nothing is no limit.
///
/// Source: `trafficPolicy.connectionPool` and `retryBudget`, which Istio turns into the circuit
/// breakers of Envoy's cluster. They hold for a host, port and subset together, not for an
/// endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MostAtATime {
    /// Connections: `tcp.maxConnections`. One to each endpoint is always allowed.
    pub connections: Option<u32>,
    /// Requests that wait for a connection: `http.http1MaxPendingRequests`, whatever the protocol.
    pub pending: Option<u32>,
    /// Requests: `http.http2MaxRequests`, whatever the protocol.
    pub requests: Option<u32>,
    /// Retries: `http.maxRetries`.
    pub retries: Option<u32>,
    /// Retries as a share of the requests, instead of `retries`: `retryBudget`.
    pub retry_budget: Option<RetryBudget>,
}

/// How many retries may be under way, relative to the requests.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryBudget {
    /// Their share of the requests, in percent.
    pub percent: f64,
    /// How many are always allowed.
    pub min_retry_concurrency: u32,
    /// `budgetInterval`: count the requests that began in so much time up to now, instead of those
    /// under way and waiting; zero for those.
    pub interval: Duration,
}

impl Default for RetryBudget {
    /// 20 percent of those under way, and 3 always.
    fn default() -> Self {
        Self {
            percent: 20.0,
            min_retry_concurrency: 3,
            interval: Duration::ZERO,
        }
    }
}

/// The limits of a destination, and what is under way there; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    most: MostAtATime,
    counts: Arc<Counts>,
    /// There where the retry budget has an interval.
    recent: Option<Recent>,
}

/// Equal limits may count apart.
impl PartialEq for Limits {
    fn eq(&self, other: &Self) -> bool {
        self.most == other.most
    }
}

#[derive(Debug, Default)]
struct Counts([AtomicU32; 4]);

/// What is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Connection,
    Pending,
    Request,
    Retry,
}

impl Counts {
    const fn get(&self, kind: Kind) -> &AtomicU32 {
        let [connections, pending, requests, retries] = &self.0;
        match kind {
            Kind::Connection => connections,
            Kind::Pending => pending,
            Kind::Request => requests,
            Kind::Retry => retries,
        }
    }
}

/// One of what is counted; dropping it is its end.
#[derive(Debug)]
#[must_use = "what it stands for counts as ended when this is dropped"]
pub struct Permit {
    counts: Arc<Counts>,
    kind: Kind,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.counts.get(self.kind).fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that is under way; dropping it is its end.
///
/// One word, so that whoever carries it for each request needs no box for it.
#[derive(Debug)]
#[must_use = "the request counts as ended when this is dropped"]
pub struct RequestPermit(Arc<Counts>);

impl Drop for RequestPermit {
    fn drop(&mut self) {
        let requests = self.0.get(Kind::Request);
        requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limits {
    /// Limits with nothing under way.
    #[must_use]
    pub fn new(most: MostAtATime) -> Self {
        let interval = most.retry_budget.map(|it| it.interval);
        let interval = interval.filter(|it| !it.is_zero());
        Self {
            most,
            counts: Arc::default(),
            recent: interval.map(Recent::new),
        }
    }

    /// The same limits, counting on where `known` counts.
    #[must_use]
    pub fn counting_with(mut self, known: &Self) -> Self {
        let interval = |it: &Self| it.most.retry_budget.map(|it| it.interval);
        if interval(&self) == interval(known) {
            self.recent = known.recent.clone();
        }
        self.counts = known.counts.clone();
        self
    }

    /// The limits.
    #[must_use]
    pub const fn most(&self) -> &MostAtATime {
        &self.most
    }

    /// A request begins; nothing where too many are under way.
    #[must_use]
    pub fn request(&self) -> Option<RequestPermit> {
        self.count(Kind::Request, self.most.requests)?;
        if let Some(recent) = &self.recent {
            recent.note();
        }
        Some(RequestPermit(self.counts.clone()))
    }

    /// A request begins to wait for a connection; nothing where too many wait.
    #[must_use]
    pub fn pending(&self) -> Option<Permit> {
        self.take(Kind::Pending, self.most.pending)
    }

    /// A connection is made; nothing where there are too many, unless it is the endpoint's first.
    #[must_use]
    pub fn connection(&self, first: bool) -> Option<Permit> {
        let most = match first {
            true => None,
            false => self.most.connections,
        };
        self.take(Kind::Connection, most)
    }

    /// A request is to be tried again; nothing where too many are.
    #[must_use]
    pub fn retry(&self) -> Option<Permit> {
        self.take(Kind::Retry, self.most_retries())
    }

    /// How many retries may be under way just now: with a budget it hangs on the requests.
    #[must_use]
    pub fn most_retries(&self) -> Option<u32> {
        let Some(budget) = self.most.retry_budget else {
            return self.most.retries;
        };
        let requests = match &self.recent {
            Some(recent) => recent.count(),
            None => u64::from(self.requests()) + u64::from(self.waiting()),
        };
        let share = budget.percent / 100.0 * requests as f64;
        Some((share as u32).max(budget.min_retry_concurrency))
    }

    /// Requests under way.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.counts.get(Kind::Request).load(Ordering::Relaxed)
    }

    /// Requests that wait for a connection.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.counts.get(Kind::Pending).load(Ordering::Relaxed)
    }

    /// Connections that are there or being made.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.counts.get(Kind::Connection).load(Ordering::Relaxed)
    }

    /// Retries scheduled or under way.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.counts.get(Kind::Retry).load(Ordering::Relaxed)
    }

    fn take(&self, kind: Kind, most: Option<u32>) -> Option<Permit> {
        self.count(kind, most)?;
        let counts = self.counts.clone();
        Some(Permit { counts, kind })
    }

    /// Counts one more, unless there are too many.
    fn count(&self, kind: Kind, most: Option<u32>) -> Option<()> {
        let count = self.counts.get(kind);
        let most = most.unwrap_or(u32::MAX);
        let more = |now: u32| (now < most).then(|| now.saturating_add(1));
        count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Limits, MostAtATime, RetryBudget};

    #[test]
    fn permits_are_given_up_to_the_limit_and_given_back_when_dropped() {
        let limits = Limits::new(MostAtATime {
            requests: Some(2),
            ..MostAtATime::default()
        });
        let (first, second) = (limits.request(), limits.request());
        assert!(first.is_some() && second.is_some() && limits.request().is_none());
        drop(first);
        assert_eq!(limits.requests(), 1);
        assert!(limits.request().is_some(), "and dropped at once");
        // Other limits over the same counts.
        let tighter = Limits::new(MostAtATime {
            requests: Some(1),
            ..MostAtATime::default()
        });
        let tighter = tighter.counting_with(&limits);
        assert!(tighter.request().is_none());
        drop(second);
        assert!(tighter.request().is_some());
    }

    #[test]
    fn an_endpoints_first_connection_is_always_allowed() {
        let limits = Limits::new(MostAtATime {
            connections: Some(1),
            ..MostAtATime::default()
        });
        let _first = limits.connection(true).expect("allowed");
        assert!(limits.connection(false).is_none());
        let _of_another = limits.connection(true).expect("allowed");
        assert_eq!(limits.connections(), 2);
    }

    #[test]
    fn a_budget_is_a_share_of_what_is_under_way() {
        let limits = Limits::new(MostAtATime {
            retries: Some(0),
            retry_budget: Some(RetryBudget {
                percent: 20.0,
                min_retry_concurrency: 1,
                interval: Duration::ZERO,
            }),
            ..MostAtATime::default()
        });
        let _one = limits.retry().expect("one is always allowed");
        assert!(limits.retry().is_none());
        let requests: Vec<_> = (0..9).map(|_| limits.request()).collect();
        let waiting = limits.pending();
        let _two = limits.retry().expect("20 percent of ten");
        assert!(limits.retry().is_none());
        drop((requests, waiting));
    }

    /// Asked of Envoy 1.40 with these settings: nine good requests and the one that fails allow one
    /// retry, eight do not; what is older than the interval does not count, though it is under way.
    #[tokio::test(start_paused = true)]
    async fn a_budget_may_be_a_share_of_what_began_lately() {
        let budget = RetryBudget {
            percent: 10.0,
            min_retry_concurrency: 0,
            interval: Duration::from_secs(4),
        };
        let limits = Limits::new(MostAtATime {
            retry_budget: Some(budget),
            ..MostAtATime::default()
        });
        let requests = |count: usize| (0..count).map(|_| limits.request()).collect::<Vec<_>>();
        drop(requests(9));
        assert!(limits.retry().is_none());
        drop(requests(1));
        assert!(limits.retry().is_some());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(limits.retry().is_some());
        // Other rules with the same budget go on counting.
        let other = Limits::new(*limits.most()).counting_with(&limits);
        assert!(other.retry().is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(limits.retry().is_none());
        let under_way = requests(10);
        tokio::time::advance(Duration::from_millis(500)).await;
        drop(requests(10));
        assert_eq!(limits.most_retries(), Some(2));
        tokio::time::advance(Duration::from_millis(3_600)).await;
        assert_eq!(limits.most_retries(), Some(1));
        drop(under_way);
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(limits.most_retries(), Some(0));
    }
}
