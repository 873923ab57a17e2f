//! A request's authority and path, found, checked and brought into one form.

use std::borrow::Cow;

use http::header::HOST;
use http::uri::{Authority, PathAndQuery};
use http::{Request, StatusCode};

use crate::context::ResponseFlags;
use crate::path::{InvalidPath, PathNormalization};
use crate::plan::no_route;
use crate::reply::LocalReply;

/// The authority a request is routed by: its `Host` header, else the URI's own.
///
/// A proxy lets the URI of an absolute target win, as HTTP asks of it; a client's URI only says
/// where to connect, and a `Host` header the caller set stands.
pub(super) fn authority<B>(request: &Request<B>) -> Option<Named<'_>> {
    let uri = request.uri().authority().map(Authority::as_str);
    let host = request.headers().get(HOST);
    let authority = match host {
        // Most say the same twice, and one of the two is known to be text.
        Some(host) if uri.is_some_and(|it| it.as_bytes() == host.as_bytes()) => uri,
        Some(host) => host.to_str().ok(),
        None => uri,
    };
    Some(Named {
        authority: authority?,
        by_header: host.is_some(),
    })
}

/// An authority, and whether the `Host` header names it.
pub(super) struct Named<'r> {
    pub(super) authority: &'r str,
    pub(super) by_header: bool,
}

/// Whether [`authority`] would find one.
pub(super) fn has_authority<B>(request: &Request<B>) -> bool {
    request.uri().authority().is_some() || request.headers().contains_key(HOST)
}

/// Brings the path into its normal form, in place; `proxy` at the proxy border.
pub(super) fn normalize<B>(
    request: &mut Request<B>,
    normalization: PathNormalization,
    proxy: bool,
) -> Result<(), LocalReply> {
    let Some(target) = request.uri().path_and_query() else {
        // CONNECT has no path, and a VirtualService has no rule for it.
        return Err(match *request.method() {
            http::Method::CONNECT => no_route(),
            _ => bad_request(),
        });
    };
    if target.as_str() == "*" && request.method() == http::Method::OPTIONS {
        return Ok(());
    }
    let normal = match normalization.normalize(target.as_str()) {
        Ok(Cow::Borrowed(same)) if same.len() == target.as_str().len() => {
            return Ok(());
        }
        Ok(normal) => normal,
        Err(InvalidPath::EscapedNul) => {
            let reply = LocalReply::new(StatusCode::BAD_REQUEST, ResponseFlags::NONE);
            return Err(reply.details("path_normalization_failed"));
        }
        Err(_) if target.as_str().starts_with('?') => {
            // `http://host?query`: to a client that is the root, and Envoy refuses it.
            if proxy {
                let reply = LocalReply::new(StatusCode::NOT_FOUND, ResponseFlags::NONE);
                return Err(reply.details("absolute_path_rejected"));
            }
            Cow::Owned(format!("/{target}"))
        }
        Err(_) => return Err(bad_request()),
    };
    let Ok(normal) = PathAndQuery::try_from(&*normal) else {
        return Err(bad_request());
    };
    let mut uri = std::mem::take(request.uri_mut()).into_parts();
    uri.path_and_query = Some(normal);
    match http::Uri::from_parts(uri) {
        Ok(uri) => {
            *request.uri_mut() = uri;
            Ok(())
        }
        Err(_) => Err(bad_request()),
    }
}

/// The answer to what is not proper HTTP.
pub(super) fn bad_request() -> LocalReply {
    let flags = ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR;
    LocalReply::new(StatusCode::BAD_REQUEST, flags)
        .body("Bad Request")
        .details("http1.invalid_url")
}

/// The answer to a request that names no host; a client is told in words, where a sidecar says
/// nothing.
pub(super) fn no_host(client: bool) -> LocalReply {
    let reply = LocalReply::new(StatusCode::BAD_REQUEST, ResponseFlags::NONE);
    let reply = reply.details("missing_host_header");
    match client {
        true => reply.body("the request names no host, neither in its URI nor in a Host header"),
        false => reply,
    }
}
