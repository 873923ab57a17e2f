//! What retries, timeouts and outlier detection learn from the responses of this plan, and do to them.

use std::convert::Infallible;
use std::time::Duration;

use http::{HeaderMap, Response};
use tokio::time::Instant;

use super::cluster::Watch;
use super::response_body::ResponseBody;
use super::routed::{FromRoute, Routed};
use super::stream_info::StreamInfo;
use crate::context::ResponseFlags;
use crate::endpoint::InFlight;
use crate::failure::Failure;
use crate::headers::SentRequest;
use crate::limits::Limits;
use crate::outlier_detection::{Outcome, end_rows};
use crate::reply::LocalReply;
use crate::retries::{Attempts, RetryPolicy};
use crate::rt::{Left, leave};
use crate::timeout::LimitBody;

type Tried<B> = Result<Response<ResponseBody<B>>, Infallible>;

impl<B> Attempts<ResponseBody<B>, Infallible, Routed> for FromRoute {
    fn policy<'a>(&'a self, routed: &'a Routed) -> Option<&'a RetryPolicy> {
        routed.policy()
    }

    fn failure(&self, result: &Tried<B>) -> Option<Failure> {
        LocalReply::of(result.as_ref().ok()?)?.failure.clone()
    }

    fn again(&self, routed: &mut Routed, last: &Tried<B>, sent: Option<Instant>) {
        let last = last.as_ref().ok();
        let info = last.map(|it| it.body().info());
        routed.try_again(info.and_then(|it| it.endpoint), sent);
        routed.keep_cookies(info.map_or(&[], StreamInfo::cookies));
        if let Some(told) = last.and_then(SentRequest::of) {
            routed.note_sent(told);
        }
    }

    fn time(&self, routed: &Routed, headers: &HeaderMap) -> Option<Duration> {
        routed.time(headers)
    }

    fn tells_time(&self, routed: &Routed) -> bool {
        routed.proxy || routed.grpc
    }

    fn late(&self, routed: &Routed, left: Left, reply: &mut Response<ResponseBody<B>>) {
        tell(
            left.or_else(|| Some(Box::new(between_tries(routed)))),
            reply,
        );
    }

    fn leave(routed: &Routed) {
        leave(|| between_tries(routed));
    }

    fn limits<'a>(&self, routed: &'a Routed) -> Option<&'a Limits> {
        routed.cluster()?.limits()
    }

    fn last(&self, result: &mut Tried<B>, retries: u32, flags: ResponseFlags) {
        let Ok(response) = result else { return };
        let failure = LocalReply::of(response).and_then(|reply| reply.failure.clone());
        if let Some(failure) = failure
            && retries > 0
        {
            let grpc = response.headers().contains_key("grpc-status");
            let sent = SentRequest::take(response);
            let (info, cause) = response.body_mut().take_apart();
            let reply: Response<ResponseBody<B>> =
                LocalReply::for_failure(failure, true).into_response(grpc);
            *response = reply.map(|body| body.about(info).caused_by(cause));
            if let Some(sent) = sent {
                sent.note(response.extensions_mut());
            }
        }
        if !flags.is_empty() {
            flags.note(response);
        }
    }
}

impl<B> LimitBody<ResponseBody<B>> for FromRoute {
    fn limit(&self, body: &mut ResponseBody<B>, deadline: Instant) {
        body.end_by(deadline);
    }

    fn late(&self, left: Left, reply: &mut Response<ResponseBody<B>>) {
        tell(left, reply);
    }
}

/// What is known of a request whose next try is awaited: what is known of its last.
fn between_tries(routed: &Routed) -> StreamInfo {
    let (routed, endpoint) = routed.before();
    let mut info = StreamInfo::of(routed);
    info.endpoint = endpoint;
    info
}

/// Notes on a reply what a try left that was given up.
fn tell<B>(left: Left, reply: &mut Response<ResponseBody<B>>) {
    let info = left.and_then(|it| it.downcast::<StreamInfo>().ok());
    if let Some(mut info) = info {
        info.tell_sent(reply.extensions_mut());
        *reply.body_mut().info_mut() = *info;
    }
}

/// Tells outlier detection of an answer; for most there is no more to do than to end rows.
#[inline]
pub(super) fn report_answer(
    watch: Watch,
    in_flight: &Option<InFlight>,
    info: Option<&StreamInfo>,
    outcome: Outcome,
) {
    match in_flight {
        Some(it) if watch == Watch::Failures && outcome.is_good() => end_rows(it.failures()),
        _ => report(info, outcome),
    }
}

/// Tells outlier detection what became of a try.
pub(super) fn report(info: Option<&StreamInfo>, outcome: Outcome) {
    let tried = info.and_then(|info| Some((info.routed().cluster()?, info.endpoint?)));
    if let Some((cluster, place)) = tried {
        cluster.report(place, outcome);
    }
}
