//! All connections to one endpoint: plain ones, and by what comes before HTTP on the others.

use std::sync::{Arc, Mutex, PoisonError};

use super::pool::Pool;
use super::secured::Secured;
use crate::connection::ProxyProtocol;
use crate::endpoint::Kept;
use crate::tls::Tls;

/// For how many settings and names connections to an endpoint are kept.
const MAX_OTHERS: usize = 64;

#[derive(Debug)]
pub(super) struct Pools {
    /// Those that are HTTP in the clear from the first byte on.
    plain: Pair,
    /// Those asked for last are last.
    others: Mutex<Vec<Other>>,
}

/// Connections that begin with a PROXY header, TLS or both.
#[derive(Debug)]
struct Other {
    proxy_protocol: Option<ProxyProtocol>,
    secured: Option<Secured>,
    pair: Pair,
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
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = others.iter().map(|it| &it.pair).chain([&self.plain]);
        pairs.map(|it| of(&it.http1) + of(&it.http2)).sum()
    }

    pub(super) fn new() -> Self {
        Self {
            plain: Pair::new(),
            others: Mutex::default(),
        }
    }

    /// Connections that are HTTP in the clear from the first byte on.
    pub(super) const fn plain(&self, http2: bool) -> &Arc<Pool> {
        self.plain.get(http2)
    }

    /// Connections that begin with this PROXY header, and are encrypted by these settings, to a
    /// server of this name. Those by other settings are closed once idle, if these are the `only`
    /// ones the endpoint can have.
    pub(super) fn other(
        &self,
        proxy_protocol: Option<ProxyProtocol>,
        secured: Option<(&Arc<Tls>, &str)>,
        only: bool,
        http2: bool,
    ) -> (Option<Secured>, Arc<Pool>) {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let is = |it: &Other| {
            let same = match (&it.secured, secured) {
                (None, None) => true,
                (Some(it), Some((tls, name))) => it.is(tls, name),
                _ => false,
            };
            same && it.proxy_protocol == proxy_protocol
        };
        let other = match others.iter().rposition(is) {
            Some(at) => others.remove(at),
            None => {
                if only {
                    others.retain(|it| {
                        let same = match (&it.secured, secured) {
                            (Some(it), Some((tls, _))) => Arc::ptr_eq(&it.tls, tls),
                            (it, secured) => it.is_none() && secured.is_none(),
                        };
                        same && it.proxy_protocol == proxy_protocol
                    });
                }
                if others.len() >= MAX_OTHERS {
                    others.remove(0);
                }
                let secured = secured.map(|(tls, name)| Secured {
                    tls: tls.clone(),
                    name: name.into(),
                });
                let pair = Pair::new();
                Other {
                    proxy_protocol,
                    secured,
                    pair,
                }
            }
        };
        let found = (other.secured.clone(), other.pair.get(http2).clone());
        others.push(other);
        found
    }
}
