//! A request's place in the line for a connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use super::pool::{Lease, Pool};
use crate::failure::{Failure, HttpError};
use crate::limits::{Limits, Permit, RequestPermit};

/// The permit of a request that has a connection: the one it held, or one it gets now.
pub(super) fn counted(
    held: Option<RequestPermit>,
    limits: Option<&Limits>,
) -> Result<Option<RequestPermit>, HttpError> {
    match (held, limits) {
        (None, Some(limits)) => limits
            .request()
            .map(Some)
            .ok_or(HttpError::new(Failure::Overflow)),
        (held, _) => Ok(held),
    }
}

/// A place in the line; dropping it leaves the line.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) receiver: oneshot::Receiver<Result<Lease, HttpError>>,
    pub(super) number: u64,
    pub(super) pool: Arc<Pool>,
    pub(super) pending: Option<Permit>,
    /// The request's own, where it counted before.
    pub(super) held: Option<RequestPermit>,
    pub(super) limits: Option<Limits>,
}

impl Waiting {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Lease, HttpError>> {
        let answer = ready!(Pin::new(&mut self.receiver).poll(cx));
        self.pending = None;
        let answer = answer.unwrap_or_else(|_| Err(HttpError::new(Failure::LocalReset)));
        Poll::Ready(answer.and_then(|mut lease| {
            lease.permit = counted(self.held.take(), self.limits.as_ref())?;
            Ok(lease)
        }))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.pool.leave(self.number);
    }
}
