//! The connections to one endpoint, and the requests that wait for one.
//!
//! HTTP/1.1 connections serve one request at a time and lie in the pool between two; HTTP/2
//! connections stay in it and serve many. A request that finds no connection waits in line, and
//! as many connections are begun as are waited for. Who waits for a connection that cannot be
//! made fails with it, as in Envoy.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::connection::{About, Attempt, Kept, Sender, Way, connect};
use super::waiting::{Waiting, counted};
use crate::failure::{Failure, HttpError};
use crate::limits::{Limits, RequestPermit};

/// The connections to one endpoint that speak one version of HTTP.
#[derive(Debug)]
pub(super) struct Pool {
    http2: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Connections that can take a request, the longest idle first.
    ready: Vec<Kept>,
    /// Who waits, by the number they drew.
    waiting: BTreeMap<u64, oneshot::Sender<Result<Lease, HttpError>>>,
    drawn: u64,
    connecting: usize,
    open: usize,
    /// As the last one who had to wait was told.
    way: Option<Way>,
}

const OVERFLOW: HttpError = HttpError::new(Failure::Overflow);

/// A connection for a request, now or later.
pub(super) enum Leased {
    Now(Lease),
    Later(Waiting),
}

impl Pool {
    pub(super) fn new(http2: bool) -> Self {
        let state = Mutex::default();
        Self { http2, state }
    }

    /// A lock that is poisoned guards no broken data.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections there are.
    pub(super) fn open(&self) -> usize {
        self.lock().open
    }

    /// Whoever drew this number waits no more.
    pub(super) fn leave(&self, number: u64) {
        self.lock().waiting.remove(&number);
    }

    /// How many requests wait for one.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// A connection that is there, or a place in the line for one.
    ///
    /// A request counts as under way once it has a connection; until then as waiting. One that
    /// counted before and goes on elsewhere has the permit it `held`.
    pub(super) fn lease(
        self: &Arc<Self>,
        limits: Option<&Limits>,
        held: Option<RequestPermit>,
        way: impl FnOnce() -> Way,
    ) -> Result<Leased, HttpError> {
        let mut state = self.lock();
        if let Some(mut lease) = state.take() {
            drop(state);
            lease.permit = counted(held, limits)?;
            return Ok(Leased::Now(lease));
        }
        let pending = match limits {
            Some(limits) => Some(limits.pending().ok_or(OVERFLOW)?),
            None => None,
        };
        let runtime = Handle::try_current().map_err(|error| {
            let why = "connecting needs a tokio runtime".to_owned();
            HttpError::caused_by(Failure::Connect(why), error)
        })?;
        let (sender, receiver) = oneshot::channel();
        let number = state.drawn;
        state.drawn = number.wrapping_add(1);
        state.waiting.insert(number, sender);
        state.way = Some(way());
        self.go_on(state, Some(runtime));
        let pool = self.clone();
        Ok(Leased::Later(Waiting {
            receiver,
            number,
            pool,
            pending,
            held,
            limits: limits.cloned(),
        }))
    }

    /// Begins connections until there are enough for all who wait, or as many as may be.
    fn go_on(self: &Arc<Self>, mut state: MutexGuard<'_, State>, runtime: Option<Handle>) {
        let Some(way) = state.way.clone().filter(|_| !state.waiting.is_empty()) else {
            return;
        };
        let Some(runtime) = runtime.or_else(|| Handle::try_current().ok()) else {
            return;
        };
        let each = match self.http2 {
            false => 1,
            true => way.settings().max_concurrent_streams.unwrap_or(u32::MAX) as usize,
        };
        let limits = way.settings().limits.as_ref();
        let mut permits = Vec::new();
        while state.connecting.saturating_mul(each) < state.waiting.len() {
            let first = state.connecting + state.open == 0;
            permits.push(match limits.map(|limits| limits.connection(first)) {
                None => None,
                Some(Some(permit)) => Some(permit),
                // Whoever waits gets a connection that others are done with.
                Some(None) => break,
            });
            state.connecting += 1;
        }
        // A runtime that ends drops what is spawned on it at once, and that asks for the lock.
        drop(state);
        for permit in permits {
            let attempt = Attempt::new(self.clone());
            runtime.spawn(connect(attempt, way.clone(), self.http2, permit));
        }
    }

    /// A connection has been made, or could not be.
    pub(super) fn connected(self: &Arc<Self>, opened: Result<Kept, HttpError>) {
        let mut state = self.lock();
        state.connecting -= 1;
        match opened {
            Ok(kept) => {
                state.open += 1;
                state.put(kept);
                self.go_on(state, None);
            }
            Err(error) => {
                let waiting = std::mem::take(&mut state.waiting);
                drop(state);
                for sender in waiting.into_values() {
                    // Whoever has left meanwhile need not know.
                    let _ = sender.send(Err(error.clone()));
                }
            }
        }
    }

    /// A connection can take a request again.
    pub(super) fn put(&self, kept: Kept) {
        self.lock().put(kept);
    }

    /// A request on a shared connection has ended.
    fn stream_ended(self: &Arc<Self>, about: &Arc<About>) {
        let mut state = self.lock();
        if about.streams.fetch_sub(1, Ordering::Relaxed) == 1 {
            about.note_idle();
        }
        state.serve();
        self.go_on(state, None);
    }

    /// A connection has ended.
    pub(super) fn closed(self: &Arc<Self>, about: &Arc<About>) {
        let mut state = self.lock();
        state.open = state.open.saturating_sub(1);
        state.ready.retain(|kept| !Arc::ptr_eq(&kept.about, about));
        self.go_on(state, None);
    }

    /// Takes a connection out of use; only an idle one, if `idle`. Whether it did.
    pub(super) fn retire(&self, about: &Arc<About>, idle: bool) -> bool {
        let mut state = self.lock();
        if idle && about.streams.load(Ordering::Relaxed) > 0 {
            return false;
        }
        let before = state.ready.len();
        state.ready.retain(|kept| !Arc::ptr_eq(&kept.about, about));
        state.ready.len() < before
    }
}

impl State {
    /// A connection that can take a request.
    fn take(&mut self) -> Option<Lease> {
        let mut at = self.ready.len();
        while at > 0 {
            at -= 1;
            let kept = self.ready.get(at)?;
            let about = &kept.about;
            match &kept.sender {
                Sender::Http1(sender) => {
                    // A new connection has not asked for its first request yet.
                    let fresh = about.served.load(Ordering::Relaxed) == 0;
                    let fit = sender.is_ready() || fresh && !sender.is_closed();
                    let fit = fit && !about.is_spent();
                    let kept = self.ready.swap_remove(at);
                    if fit {
                        kept.about.served.fetch_add(1, Ordering::Relaxed);
                        return Some(Lease::new(kept));
                    }
                }
                Sender::Http2(sender) => {
                    if sender.is_closed() || about.is_spent() {
                        self.ready.swap_remove(at);
                        continue;
                    }
                    let under_way = about.streams.load(Ordering::Relaxed);
                    let most = about.most_streams.load(Ordering::Relaxed);
                    if under_way > 0 && under_way >= most {
                        continue;
                    }
                    let kept = Kept {
                        sender: Sender::Http2(sender.clone()),
                        about: about.clone(),
                    };
                    about.streams.fetch_add(1, Ordering::Relaxed);
                    about.served.fetch_add(1, Ordering::Relaxed);
                    return Some(Lease::new(kept));
                }
            }
        }
        None
    }

    fn put(&mut self, kept: Kept) {
        self.ready.push(kept);
        self.serve();
    }

    /// Gives what is ready to those who wait.
    fn serve(&mut self) {
        while !self.waiting.is_empty() {
            let Some(lease) = self.take() else { return };
            let Some((_, sender)) = self.waiting.pop_first() else {
                return;
            };
            if let Err(Ok(lease)) = sender.send(Ok(lease)) {
                self.ready.extend(lease.unused());
            }
        }
    }
}

/// The right to send one request through a connection.
///
/// Dropped unused it goes back to the pool; dropped in the midst of a response it ends the
/// request.
#[derive(Debug)]
pub(super) struct Lease {
    kept: Option<Kept>,
    used: bool,
    /// The response has taken the connection away from HTTP.
    pub(super) switched: bool,
    /// The request's own, where the destination has limits.
    pub(super) permit: Option<RequestPermit>,
}

impl Lease {
    const fn new(kept: Kept) -> Self {
        Self {
            kept: Some(kept),
            used: false,
            switched: false,
            permit: None,
        }
    }

    /// What requests are sent through, from now on counted as used.
    pub(super) fn sender(&mut self) -> Option<&mut Sender> {
        self.used = true;
        let kept = self.kept.as_mut()?;
        if matches!(kept.sender, Sender::Http1(_)) {
            kept.about.first.forget();
        }
        Some(&mut kept.sender)
    }

    /// Whether an HTTP/1.1 connection has brought anything since its request was sent.
    pub(super) fn has_answered(&self) -> bool {
        let http1 = |it: &&Kept| matches!(it.sender, Sender::Http1(_));
        let kept = self.kept.as_ref().filter(http1);
        kept.is_some_and(|it| !it.about.first.is_missing())
    }

    /// A response has come through the connection.
    pub(super) fn note_response(&mut self, status: StatusCode) {
        self.switched = status == StatusCode::SWITCHING_PROTOCOLS;
        if let Some(kept) = &self.kept {
            kept.about.proven.store(true, Ordering::Relaxed);
        }
    }

    /// Another connection in place of this one, if this one has served before.
    pub(super) fn replace(&mut self) -> Option<Result<Leased, HttpError>> {
        let held = self.permit.take();
        let about = &self.kept.as_ref()?.about;
        let proven = about.proven.load(Ordering::Relaxed);
        let pool = about.pool.upgrade().filter(|_| proven)?;
        let way = pool.lock().way.clone()?;
        let limits = way.settings().limits.clone();
        Some(pool.lease(limits.as_ref(), held, || way))
    }

    /// Why a new connection has not taken its request.
    pub(super) fn why_unused(&self) -> Failure {
        let Some(kept) = &self.kept else {
            return Failure::LocalReset;
        };
        match &kept.sender {
            Sender::Http1(_) => Failure::Terminated,
            Sender::Http2(_) if kept.about.first.is_missing() => Failure::Terminated,
            // It has greeted and left, without a look at the request.
            Sender::Http2(_) if kept.about.first.is_http2() => Failure::RefusedStream,
            Sender::Http2(_) => Failure::Protocol,
        }
    }

    /// The response has ended well.
    pub(super) fn finish(mut self) {
        let Some(Kept { sender, about }) = self.kept.take() else {
            return;
        };
        match sender {
            Sender::Http1(sender) if !about.is_spent() => about.give_back(sender),
            Sender::Http1(_) => {}
            Sender::Http2(sender) => {
                drop(sender);
                if let Some(pool) = about.pool.upgrade() {
                    pool.stream_ended(&about);
                }
            }
        }
    }

    /// Takes back what was never used, with the counts as they were; a shared connection never
    /// left the pool.
    fn unused(mut self) -> Option<Kept> {
        let kept = self.kept.take()?;
        kept.about.served.fetch_sub(1, Ordering::Relaxed);
        match kept.sender {
            Sender::Http1(_) => Some(kept),
            Sender::Http2(_) => {
                kept.about.streams.fetch_sub(1, Ordering::Relaxed);
                None
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(kept) = self.kept.take() else { return };
        let Some(pool) = kept.about.pool.upgrade() else {
            return;
        };
        match &kept.sender {
            Sender::Http1(_) if !self.used => {
                kept.about.served.fetch_sub(1, Ordering::Relaxed);
                pool.put(kept);
            }
            Sender::Http1(_) => {}
            Sender::Http2(_) => pool.stream_ended(&kept.about),
        }
    }
}
