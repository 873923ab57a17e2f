//! One connection: made, spoken over, watched until it ends.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{Instant, sleep_until};

use super::dial::dial;
use super::io::{FirstWord, Io};
use super::pool::Pool;
use super::secured::Secured;
use crate::body::Body;
use crate::connection::ConnectionSettings;
use crate::endpoint::Address;
use crate::failure::{Failure, HttpError};
use crate::limits::Permit;
use crate::rt::{FAR, later};

/// The most bytes of response headers taken, as Envoy's default says.
const MAX_HEADERS: usize = 60 << 10;

/// Where a connection leads and how it is made.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) address: Address,
    pub(super) settings: Option<Arc<ConnectionSettings>>,
    /// How it is encrypted; nothing for not at all.
    pub(super) secured: Option<Secured>,
}

impl Way {
    pub(super) fn settings(&self) -> &ConnectionSettings {
        const DEFAULT: &ConnectionSettings = &ConnectionSettings::DEFAULT;
        self.settings.as_deref().unwrap_or(DEFAULT)
    }
}

/// What requests are sent through.
#[derive(Debug)]
pub(super) enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// A connection, and the right to send through it.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) sender: Sender,
    pub(super) about: Arc<About>,
}

/// What is known of a connection.
#[derive(Debug)]
pub(super) struct About {
    pub(super) pool: Weak<Pool>,
    /// Requests sent through it so far.
    pub(super) served: AtomicU32,
    /// Requests under way, where it takes several.
    pub(super) streams: AtomicUsize,
    /// How many of them the endpoint takes.
    pub(super) most_streams: AtomicUsize,
    max_requests: u32,
    /// A response has come through it.
    pub(super) proven: AtomicBool,
    pub(super) first: Arc<FirstWord>,
    /// Its time is up: nothing new begins on it.
    retired: AtomicBool,
    back: Mutex<Back>,
}

/// Where a sender waits until its connection can take the next request.
#[derive(Debug)]
struct Back {
    sender: Option<http1::SendRequest<Body>>,
    /// Wakes the task that watches the connection.
    watcher: Option<Waker>,
    idle_since: Instant,
}

impl About {
    fn new(pool: Weak<Pool>, settings: &ConnectionSettings) -> Arc<Self> {
        Arc::new(Self {
            pool,
            served: AtomicU32::new(0),
            streams: AtomicUsize::new(0),
            most_streams: AtomicUsize::new(usize::MAX),
            max_requests: settings.max_requests_per_connection.unwrap_or(u32::MAX),
            proven: AtomicBool::new(false),
            first: Arc::default(),
            retired: AtomicBool::new(false),
            back: Mutex::new(Back {
                sender: None,
                watcher: None,
                idle_since: Instant::now(),
            }),
        })
    }

    /// A lock that is poisoned guards no broken data.
    fn back(&self) -> MutexGuard<'_, Back> {
        self.back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection takes no more requests.
    pub(super) fn is_spent(&self) -> bool {
        let served = self.served.load(Ordering::Relaxed);
        served >= self.max_requests || self.retired.load(Ordering::Relaxed)
    }

    pub(super) fn note_idle(&self) {
        self.back().idle_since = Instant::now();
    }

    /// The response has ended; the sender is free once the connection has noticed it.
    pub(super) fn give_back(&self, sender: http1::SendRequest<Body>) {
        let watcher = {
            let mut back = self.back();
            back.sender = Some(sender);
            back.watcher.take()
        };
        if let Some(watcher) = watcher {
            watcher.wake();
        }
    }

    /// Returns a sender that was given back to the pool, if its connection is ready for more.
    fn poll_back(self: &Arc<Self>, cx: &mut Context<'_>) {
        let mut back = self.back();
        let Some(mut sender) = back.sender.take() else {
            match &back.watcher {
                Some(watcher) if watcher.will_wake(cx.waker()) => {}
                _ => back.watcher = Some(cx.waker().clone()),
            }
            return;
        };
        match sender.poll_ready(cx) {
            Poll::Pending => {
                back.sender = Some(sender);
                return;
            }
            Poll::Ready(Err(_)) => return,
            Poll::Ready(Ok(())) => {}
        }
        back.watcher = Some(cx.waker().clone());
        back.idle_since = Instant::now();
        drop(back);
        if let Some(pool) = self.pool.upgrade() {
            let about = self.clone();
            let sender = Sender::Http1(sender);
            pool.put(Kept { sender, about });
        }
    }
}

/// A connection under way; however that ends, the pool is told.
pub(super) struct Attempt(Option<Arc<Pool>>);

impl Attempt {
    pub(super) const fn new(pool: Arc<Pool>) -> Self {
        Self(Some(pool))
    }

    fn end(mut self, opened: Result<Kept, HttpError>) {
        if let Some(pool) = self.0.take() {
            pool.connected(opened);
        }
    }

    fn pool(&self) -> Weak<Pool> {
        self.0.as_ref().map(Arc::downgrade).unwrap_or_default()
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(pool) = self.0.take() {
            // Its runtime has ended.
            pool.connected(Err(HttpError::new(Failure::LocalReset)));
        }
    }
}

/// Makes a connection; the pool learns of it, and of its end.
pub(super) async fn connect(attempt: Attempt, way: Way, http2: bool, permit: Option<Permit>) {
    let settings = way.settings();
    let connecting = open(attempt.pool(), &way, http2, permit);
    let opened = match tokio::time::timeout(settings.connect_timeout, connecting).await {
        Ok(opened) => opened,
        Err(_late) => Err(HttpError::new(Failure::ConnectTimeout)),
    };
    attempt.end(opened);
}

async fn open(
    pool: Weak<Pool>,
    way: &Way,
    http2: bool,
    permit: Option<Permit>,
) -> Result<Kept, HttpError> {
    let settings = way.settings();
    let about = About::new(pool, settings);
    let stream = dial(way, http2).await?;
    let living = Living {
        permit,
        about: about.clone(),
    };
    let io = TokioIo::new(Io::new(stream, about.first.clone(), living));
    let watched = (about.clone(), settings.clone());
    let handshake = HttpError::before_response;
    let sender = if http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEADERS as u32);
        if let Some(pings) = settings.http2_keep_alive {
            // Hyper adds them to the time of day, and panics where that has no such time.
            builder
                .keep_alive_interval(pings.interval.min(FAR))
                .keep_alive_timeout(pings.timeout.min(FAR))
                .keep_alive_while_idle(true);
        }
        let most = settings.max_concurrent_streams.unwrap_or(u32::MAX) as usize;
        let (sender, mut connection) = builder.handshake(io).await.map_err(handshake)?;
        tokio::spawn(async move {
            let (about, settings) = watched;
            let connection = poll_fn(|cx| {
                let most = connection.current_max_send_streams().min(most);
                about.most_streams.store(most, Ordering::Relaxed);
                Pin::new(&mut connection).poll(cx).map(drop)
            });
            watch(pin!(connection), about.clone(), settings).await;
        });
        Sender::Http2(sender)
    } else {
        let mut builder = http1::Builder::new();
        builder.max_buf_size(MAX_HEADERS);
        let (sender, connection) = builder.handshake(io).await.map_err(handshake)?;
        tokio::spawn(async move {
            let (about, settings) = watched;
            let mut connection = pin!(connection.with_upgrades());
            let connection = poll_fn(|cx| {
                let ended = connection.as_mut().poll(cx).map(drop);
                if ended.is_pending() {
                    about.poll_back(cx);
                }
                ended
            });
            watch(pin!(connection), about.clone(), settings).await;
        });
        Sender::Http1(sender)
    };
    Ok(Kept { sender, about })
}

/// Sees a connection through to its end, and takes it out of use when its time is up.
async fn watch(
    mut connection: Pin<&mut impl Future<Output = ()>>,
    about: Arc<About>,
    settings: ConnectionSettings,
) {
    let about = &about;
    let mut last = settings
        .max_connection_duration
        .map(|it| later(Instant::now(), it));
    let mut idle = settings.idle_timeout.map(|it| later(Instant::now(), it));
    loop {
        let up = [last, idle].into_iter().flatten().min();
        let mut time = pin!(async {
            match up {
                Some(up) => sleep_until(up).await,
                None => std::future::pending().await,
            }
        });
        let ended = poll_fn(|cx| match connection.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => time.as_mut().poll(cx).map(|()| false),
        });
        if ended.await {
            return;
        }
        let pool = about.pool.upgrade();
        let now = Instant::now();
        if last.is_some_and(|last| last <= now) {
            // What is under way ends in peace; nothing new begins.
            about.retired.store(true, Ordering::Relaxed);
            if let Some(pool) = &pool {
                pool.retire(about, false);
            }
            last = None;
        }
        if let (Some(period), true) = (settings.idle_timeout, idle.is_some_and(|it| it <= now)) {
            let due = later(about.back().idle_since, period);
            let gone = due <= now && pool.is_some_and(|pool| pool.retire(about, true));
            idle = (!gone).then(|| due.max(later(now, period / 8)));
        }
    }
}

/// A connection that lives; its pool is told of the end, whatever ends it.
#[derive(Debug)]
pub(super) struct Living {
    permit: Option<Permit>,
    about: Arc<About>,
}

impl Drop for Living {
    fn drop(&mut self) {
        // First, for another may be made in its place.
        self.permit = None;
        if let Some(pool) = self.about.pool.upgrade() {
            pool.closed(&self.about);
        }
    }
}
