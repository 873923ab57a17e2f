//! Names that only requests bring: asked for when one comes, and kept for a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::SharedResolver;

/// How many names are kept, as in Envoy's cache; one more takes the place of the one that has not
/// been used for longest.
const MAX_NAMES: usize = 1024;
/// How many names are asked for at a time.
const MAX_LOOKUPS: usize = 32;

/// The addresses of the hosts requests have named.
#[derive(Debug)]
pub(crate) struct NameCache {
    resolver: SharedResolver,
    refresh: Duration,
    lookups: Semaphore,
    names: Mutex<HashMap<Arc<str>, Kept>>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    /// Nothing for a name that was asked for in vain.
    address: Option<IpAddr>,
    asked: Instant,
    used: Instant,
}

/// How long a name that has no address is not asked for again.
const FAILURE: Duration = Duration::from_secs(1);

impl NameCache {
    pub(crate) fn new(resolver: SharedResolver, refresh: Duration) -> Self {
        Self {
            resolver,
            refresh,
            lookups: Semaphore::new(MAX_LOOKUPS),
            names: Mutex::default(),
        }
    }

    /// The address of a name as it is known, where that is not too long ago: the outer nothing
    /// means that it has to be asked for.
    pub(crate) fn known(&self, name: &str) -> Option<Option<IpAddr>> {
        let now = Instant::now();
        let mut names = self.names();
        let kept = names.get_mut(name)?;
        let fresh = match kept.address {
            Some(_) => self.refresh,
            None => FAILURE,
        };
        if now.duration_since(kept.asked) >= fresh {
            return None;
        }
        kept.used = now;
        Some(kept.address)
    }

    /// The address of a name; an answer that was good stands until there is a better one.
    pub(crate) async fn ask(&self, name: &str) -> Option<IpAddr> {
        let _turn = self.lookups.acquire().await.ok()?;
        // Another request may have asked meanwhile.
        if let Some(known) = self.known(name) {
            return known;
        }
        let answer = self.resolver.ask(name).await.first().copied();
        let now = Instant::now();
        let mut names = self.names();
        if names.len() >= MAX_NAMES && !names.contains_key(name) {
            let oldest = names.iter().min_by_key(|(_, kept)| kept.used);
            let oldest = oldest.map(|(name, _)| name.clone());
            oldest.and_then(|oldest| names.remove(&oldest));
        }
        let before = names.get(name).and_then(|kept| kept.address);
        let address = answer.or(before);
        let kept = Kept {
            address,
            asked: now,
            used: now,
        };
        names.insert(name.into(), kept);
        address
    }

    fn names(&self) -> MutexGuard<'_, HashMap<Arc<str>, Kept>> {
        // A poisoned lock guards whole entries, so it is as good as a sound one.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
    use std::time::Duration;

    use super::{MAX_LOOKUPS, MAX_NAMES, NameCache};
    use crate::resolver::SharedResolver;

    /// Answers `10.0.0.N` while N is not 0, and counts.
    fn cache(answer: &Arc<AtomicU8>, asked: &Arc<AtomicUsize>) -> NameCache {
        let (answer, asked) = (answer.clone(), asked.clone());
        let resolver = move |_: String| {
            asked.fetch_add(1, Ordering::Relaxed);
            let answer = answer.load(Ordering::Relaxed);
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                match answer {
                    0 => Err(io::Error::other("no such host")),
                    n => Ok(vec![
                        IpAddr::from([10, 0, 0, n]),
                        IpAddr::from([10, 9, 9, 9]),
                    ]),
                }
            }
        };
        NameCache::new(SharedResolver::new(resolver), Duration::from_secs(60))
    }

    fn address(n: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, n]))
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_holds_for_a_while_and_outlives_failures() {
        let (answer, asked) = (Arc::new(AtomicU8::new(1)), Arc::default());
        let cache = cache(&answer, &asked);
        assert_eq!(cache.known("a"), None);
        assert_eq!(cache.ask("a").await, address(1));
        answer.store(2, Ordering::Relaxed);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(cache.known("a"), Some(address(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.known("a"), None);
        assert_eq!(cache.ask("a").await, address(2));
        answer.store(0, Ordering::Relaxed);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(cache.ask("a").await, address(2));
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_remembered_for_a_second() {
        let (answer, asked) = (Arc::new(AtomicU8::new(0)), Arc::default());
        let cache = cache(&answer, &asked);
        assert_eq!(cache.ask("a").await, None);
        answer.store(1, Ordering::Relaxed);
        assert_eq!(cache.known("a"), Some(None));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.known("a"), None);
        assert_eq!(cache.ask("a").await, address(1));
    }

    #[tokio::test(start_paused = true)]
    async fn many_requests_for_one_name_ask_no_more_than_their_turns() {
        let (answer, asked) = (Arc::new(AtomicU8::new(1)), Arc::default());
        let cache = Arc::new(cache(&answer, &asked));
        let mut requests = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            let cache = cache.clone();
            requests.spawn(async move { cache.ask("a").await });
        }
        while let Some(answer) = requests.join_next().await {
            assert_eq!(answer.expect("it ends"), address(1));
        }
        assert!(asked.load(Ordering::Relaxed) <= MAX_LOOKUPS);
    }

    #[tokio::test(start_paused = true)]
    async fn the_name_not_used_for_longest_goes_first() {
        let (answer, asked) = (Arc::new(AtomicU8::new(1)), Arc::default());
        let cache = cache(&answer, &asked);
        for n in 0..MAX_NAMES {
            cache.ask(&format!("n{n}")).await;
        }
        assert_eq!(cache.known("n0"), Some(address(1)));
        cache.ask("one-more").await;
        assert_eq!(cache.names().len(), MAX_NAMES);
        assert_eq!(cache.known("n0"), Some(address(1)));
        assert_eq!(cache.known("n1"), None);
    }
}
