//! What retries must know of results, and may note from one try to the next.

use std::any::Any;
use std::time::Duration;

use http::{HeaderMap, Response};
use tokio::time::Instant;

use super::policy::RetryPolicy;
use crate::context::ResponseFlags;
use crate::failure::{ClassifyFailure, Failure};
use crate::limits::Limits;
use crate::reply::LocalReply;
use crate::select::Own;

/// What retries must know of results and may note for the next try.
///
/// Used alone ([`Own`]), errors say themselves what they are and nothing is noted.
pub trait Attempts<R, E, N> {
    /// The policy, where there is one for the request.
    fn policy<'a>(&'a self, note: &'a N) -> Option<&'a RetryPolicy>;

    /// What kept the upstream from answering; nothing for an upstream's response.
    fn failure(&self, result: &Result<Response<R>, E>) -> Option<Failure>;

    /// Notes for the next try what became of the last, and when the request had gone out whole,
    /// where that is known.
    fn again(&self, note: &mut N, last: &Result<Response<R>, E>, sent: Option<Instant>);

    /// The time for the request with all its tries; nothing where there is no limit.
    fn time(&self, note: &N, headers: &HeaderMap) -> Option<Duration>;

    /// Whether endpoints are told how much of it is left.
    fn tells_time(&self, note: &N) -> bool;

    /// Notes on a reply made by retries themselves which try it was: one that `left` what it knew
    /// when it was given up, or the last before the wait for the next.
    fn late(&self, note: &N, left: Option<Box<dyn Any>>, reply: &mut Response<R>);

    /// Leaves what is known to whoever gives the request up while the next try is awaited.
    fn leave(_: &N) {}

    /// What limits how many retries are under way.
    fn limits<'a>(&self, note: &'a N) -> Option<&'a Limits>;

    /// Makes the last result of this one, when no further try is made, after `retries` of them; `flags` say why, where
    /// another was wanted.
    fn last(&self, result: &mut Result<Response<R>, E>, retries: u32, flags: ResponseFlags);
}

impl<R, E: ClassifyFailure> Attempts<R, E, ()> for Own<RetryPolicy> {
    fn policy<'a>(&'a self, (): &'a ()) -> Option<&'a RetryPolicy> {
        Some(self.policy())
    }

    fn failure(&self, result: &Result<Response<R>, E>) -> Option<Failure> {
        match result {
            Ok(response) => LocalReply::of(response)?.failure.clone(),
            Err(error) => Some(error.classify()),
        }
    }

    fn again(&self, (): &mut (), _: &Result<Response<R>, E>, _: Option<Instant>) {}

    fn time(&self, (): &(), _: &HeaderMap) -> Option<Duration> {
        None
    }

    fn tells_time(&self, (): &()) -> bool {
        false
    }

    fn late(&self, (): &(), _: Option<Box<dyn Any>>, _: &mut Response<R>) {}

    fn limits<'a>(&self, (): &'a ()) -> Option<&'a Limits> {
        None
    }

    fn last(&self, result: &mut Result<Response<R>, E>, _: u32, flags: ResponseFlags) {
        if let Ok(response) = result
            && !flags.is_empty()
        {
            flags.note(response);
        }
    }
}
