//! What retries and timeouts learn from the responses of this plan, and do to them.

use std::convert::Infallible;

use http::Response;
use tokio::time::Instant;

use super::response_body::ResponseBody;
use super::routed::{FromRoute, Routed};
use crate::context::ResponseFlags;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::reply::LocalReply;
use crate::retries::Attempts;
use crate::timeout::LimitBody;

type Tried<B> = Result<Response<ResponseBody<B>>, Infallible>;

impl<B> Attempts<ResponseBody<B>, Infallible, Routed> for FromRoute {
    fn failure(&self, result: &Tried<B>) -> Option<Failure> {
        LocalReply::of(result.as_ref().ok()?)?.failure.clone()
    }

    fn again(&self, routed: &mut Routed, last: &Tried<B>) {
        let endpoint = |it: &Response<ResponseBody<B>>| it.body().info().endpoint;
        routed.try_again(last.as_ref().ok().and_then(endpoint));
    }

    fn late(&self, routed: &Routed, reply: &mut Response<ResponseBody<B>>) {
        reply.body_mut().info_mut().set_route(routed.clone());
    }

    fn limits<'a>(&self, routed: &'a Routed) -> Option<&'a Limits> {
        routed.cluster()?.limits()
    }

    fn last(&self, result: Tried<B>, retries: u32) -> Tried<B> {
        let Ok(mut response) = result;
        let failure = LocalReply::of(&response).and_then(|reply| reply.failure.clone());
        if let Some(failure) = failure
            && retries > 0
        {
            let grpc = response.headers().contains_key("grpc-status");
            let (info, cause) = response.into_body().take_apart();
            let reply: Response<ResponseBody<B>> =
                LocalReply::for_failure(failure, true).into_response(grpc);
            response = reply.map(|body| body.about(info).caused_by(cause));
        }
        ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED.note(&mut response);
        Ok(response)
    }
}

impl<B> LimitBody<ResponseBody<B>> for FromRoute {
    fn limit(&self, body: &mut ResponseBody<B>, deadline: Instant) {
        body.end_by(deadline);
    }
}
