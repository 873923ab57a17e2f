//! From HTTP to another protocol: the two connections become one tunnel.
//!
//! As under Istio, WebSocket alone is let through. A tunnel counts as a request under way at its
//! endpoint for as long as it lasts; the route's timeout ends with the switch, and none for lying idle
//! takes its place.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode};

use super::hop;
use crate::context::ResponseFlags;
use crate::failure::Failure;
use crate::plan::ResponseBody;
use crate::reply::{FromLocalReply as _, LocalReply};

#[cfg(feature = "client")]
mod tunnel;
#[cfg(feature = "client")]
pub use tunnel::{Tunnel, TunnelEnd};

/// The answer to a request for a protocol that is not let through.
pub(super) fn upgrade_failed() -> LocalReply {
    LocalReply::new(StatusCode::FORBIDDEN, ResponseFlags::NONE).details("upgrade_failed")
}

/// The answer where an endpoint switches protocols that nobody asked to be switched.
pub(super) fn switched_unasked<B>(
    response: &Response<ResponseBody<B>>,
) -> Response<ResponseBody<B>> {
    let info = response.body().info().clone();
    let reply = LocalReply::for_failure(Failure::Protocol, false);
    let response: Response<ResponseBody<B>> = reply.into_response(false);
    let mut response = response.map(|body| body.about(info));
    hop::dress_response(response.headers_mut(), true);
    response
}

/// The client's side of a switch that it has asked for.
pub(super) struct Downstream {
    #[cfg(feature = "client")]
    upgrade: Option<hyper::upgrade::OnUpgrade>,
}

impl Downstream {
    /// Takes it from a request, where hyper has put it.
    #[cfg_attr(
        not(feature = "client"),
        expect(unused_variables, reason = "only hyper puts it there")
    )]
    pub(super) fn of<B>(request: &mut Request<B>) -> Self {
        Self {
            #[cfg(feature = "client")]
            upgrade: request.extensions_mut().remove(),
        }
    }

    /// What becomes of an endpoint's answer.
    ///
    /// Where both sides are hyper's, a switch begins the tunnel. Where the client's is not,
    /// whoever serves it finds the endpoint's in the response's extensions.
    pub(super) fn answered<B>(
        self,
        mut response: Response<ResponseBody<B>>,
    ) -> Response<ResponseBody<B>>
    where
        B: Send + 'static,
    {
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        hop::dress_upgrade_response(response.headers_mut(), switches);
        if response.status() == StatusCode::OK {
            // A handshake that did not succeed: what it says in its body is no answer to it.
            let headers = response.headers_mut();
            headers.remove(TRANSFER_ENCODING);
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            return without_body(response);
        }
        #[cfg(feature = "client")]
        if let (true, Some(downstream)) = (switches, self.upgrade)
            && let Some(upstream) = response.extensions_mut().remove()
        {
            let (mut head, body) = response.into_parts();
            let (held, info) = body.keep_counting();
            let tunnel = tunnel::begin(downstream, upstream, held);
            head.extensions.insert(tunnel);
            let body = ResponseBody::from_local_reply(Bytes::new()).about(info);
            return Response::from_parts(head, body);
        }
        response
    }
}

/// The response with an empty body, which knows what its own knows.
fn without_body<B>(response: Response<ResponseBody<B>>) -> Response<ResponseBody<B>> {
    response.map(|body| {
        let info = body.info().clone();
        ResponseBody::from_local_reply(Bytes::new()).about(info)
    })
}
