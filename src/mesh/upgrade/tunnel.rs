//! Bytes both ways between a client and an endpoint that have left HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::sync::watch;

/// How much is read at a time, each way.
const PIECE: usize = 16 << 10;

/// A tunnel between a client and an endpoint, as an access log follows it.
///
/// It stands in the extensions of a [`Forward`](crate::mesh::Forward)'s 101 response. The tunnel
/// goes on whether it is kept or not, and however long nobody says anything: Istio turns off the
/// five minutes that Envoy gives an idle stream by itself (`stream_idle_timeout`).
#[derive(Clone, Debug)]
pub struct Tunnel {
    counts: Arc<Counts>,
    end: watch::Receiver<Option<TunnelEnd>>,
}

/// What ended a tunnel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TunnelEnd {
    /// The client left first.
    Client,
    /// The endpoint left first.
    Endpoint,
}

#[derive(Debug, Default)]
struct Counts {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Tunnel {
    /// Bytes from the client so far.
    #[must_use]
    pub fn bytes_received(&self) -> u64 {
        self.counts.received.load(Ordering::Relaxed)
    }

    /// Bytes to the client so far.
    #[must_use]
    pub fn bytes_sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    /// Waits for the end of the tunnel.
    pub async fn closed(&mut self) -> TunnelEnd {
        let end = self.end.wait_for(Option::is_some).await;
        // Without a word it was given up with its runtime.
        end.ok().and_then(|end| *end).unwrap_or(TunnelEnd::Client)
    }
}

/// Begins a tunnel, which holds `held` until it has ended.
pub(super) fn begin(
    downstream: OnUpgrade,
    upstream: OnUpgrade,
    held: impl Send + 'static,
) -> Tunnel {
    let counts = Arc::new(Counts::default());
    let (tell, end) = watch::channel(None);
    let tunnel = Tunnel {
        counts: counts.clone(),
        end,
    };
    tokio::spawn(async move {
        let first = match (downstream.await, upstream.await) {
            (Ok(client), Ok(endpoint)) => {
                pass(TokioIo::new(client), TokioIo::new(endpoint), &counts).await
            }
            (Err(_), _) => TunnelEnd::Client,
            (_, Err(_)) => TunnelEnd::Endpoint,
        };
        drop(held);
        let _ = tell.send(Some(first));
    });
    tunnel
}

/// Passes bytes on until both sides have nothing more to say, or one is gone.
async fn pass(
    client: impl AsyncRead + AsyncWrite,
    endpoint: impl AsyncRead + AsyncWrite,
    counts: &Counts,
) -> TunnelEnd {
    let (mut from_client, mut to_client) = split(client);
    let (mut from_endpoint, mut to_endpoint) = split(endpoint);
    let first = std::sync::OnceLock::new();
    let up = async {
        let ended = copy(&mut from_client, &mut to_endpoint, &counts.received).await;
        first.get_or_init(|| TunnelEnd::Client);
        ended
    };
    let down = async {
        let ended = copy(&mut from_endpoint, &mut to_client, &counts.sent).await;
        first.get_or_init(|| TunnelEnd::Endpoint);
        ended
    };
    // A side that has failed takes the other along; one that has ended lets it finish.
    let _ = both(up, down).await;
    first.get().copied().unwrap_or(TunnelEnd::Client)
}

/// Waits for both, or for the first that fails.
async fn both(
    one: impl Future<Output = std::io::Result<()>>,
    other: impl Future<Output = std::io::Result<()>>,
) -> std::io::Result<()> {
    let (mut one, mut other) = (std::pin::pin!(one), std::pin::pin!(other));
    let (mut done, mut other_done) = (false, false);
    std::future::poll_fn(|cx| {
        use std::task::Poll;
        if !done && let Poll::Ready(ended) = one.as_mut().poll(cx) {
            ended?;
            done = true;
        }
        if !other_done && let Poll::Ready(ended) = other.as_mut().poll(cx) {
            ended?;
            other_done = true;
        }
        match done && other_done {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    })
    .await
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    count: &AtomicU64,
) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        let Some(read @ [_, ..]) = piece.get(..read) else {
            return to.shutdown().await;
        };
        to.write_all(read).await?;
        to.flush().await?;
        count.fetch_add(read.len() as u64, Ordering::Relaxed);
    }
}
