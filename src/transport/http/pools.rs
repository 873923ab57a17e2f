//! All connections to one endpoint: in the clear, and by TLS settings and server name.

use std::sync::{Arc, Mutex, PoisonError};

use super::pool::Pool;
use super::secured::Secured;
use crate::endpoint::Kept;
use crate::tls::Tls;

/// For how many settings and names connections to an endpoint are kept.
const MAX_SECURED: usize = 64;

#[derive(Debug)]
pub(super) struct Pools {
    clear: Pair,
    /// Those asked for last are last.
    secured: Mutex<Vec<(Secured, Pair)>>,
}

/// One for each version of HTTP.
#[derive(Debug)]
struct Pair {
    http1: Arc<Pool>,
    http2: Arc<Pool>,
}

impl Pair {
    fn new() -> Self {
        Self {
            http1: Arc::new(Pool::new(false)),
            http2: Arc::new(Pool::new(true)),
        }
    }

    const fn get(&self, http2: bool) -> &Arc<Pool> {
        match http2 {
            false => &self.http1,
            true => &self.http2,
        }
    }
}

impl Kept for Pools {
    fn connections(&self) -> usize {
        self.sum(Pool::open)
    }

    fn waiting(&self) -> usize {
        self.sum(Pool::waiting)
    }
}

impl Pools {
    fn sum(&self, of: impl Fn(&Pool) -> usize) -> usize {
        let known = self.secured.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = known.iter().map(|(_, pair)| pair).chain([&self.clear]);
        pairs.map(|it| of(&it.http1) + of(&it.http2)).sum()
    }

    pub(super) fn new() -> Self {
        Self {
            clear: Pair::new(),
            secured: Mutex::default(),
        }
    }

    /// Connections in the clear.
    pub(super) const fn get(&self, http2: bool) -> &Arc<Pool> {
        self.clear.get(http2)
    }

    /// Connections that are encrypted by these settings, to a server of this name. Those by other
    /// settings are closed once idle, if these are the `only` ones the endpoint can have.
    pub(super) fn secured(
        &self,
        tls: &Arc<Tls>,
        name: &str,
        only: bool,
        http2: bool,
    ) -> (Secured, Arc<Pool>) {
        let mut known = self.secured.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match known.iter().rposition(|(it, _)| it.is(tls, name)) {
            Some(at) => known.remove(at),
            None => {
                if only {
                    known.retain(|(it, _)| Arc::ptr_eq(&it.tls, tls));
                }
                if known.len() >= MAX_SECURED {
                    known.remove(0);
                }
                let (tls, name) = (tls.clone(), name.into());
                (Secured { tls, name }, Pair::new())
            }
        };
        let found = (entry.0.clone(), entry.1.get(http2).clone());
        known.push(entry);
        found
    }
}
