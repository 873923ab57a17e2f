//! What values of headers are made of: the message, the request before it, the way it took.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{HOST, HeaderMap, HeaderValue};
use http::uri::Authority;
use http::{Extensions, Method, Request, Response, StatusCode, Uri, Version};
use tokio::time::Instant;

use crate::context::{Connection, DirectPeer, ResponseFlags, forwarded_for};
use crate::reply::LocalReply;
use crate::rt::WallClock;

/// What a request says, with its headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestFacts<'r> {
    pub(super) method: &'r Method,
    pub(super) uri: &'r Uri,
    pub(super) version: Version,
    pub(super) headers: &'r HeaderMap,
    pub(super) connection: Option<Connection>,
    /// Who connected, where an edge has settled who the client is.
    pub(super) direct: Option<DirectPeer>,
    /// When it came.
    pub(super) start: SystemTime,
}

/// What a response says, without its headers, and what it answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseFacts<'r> {
    pub(super) status: StatusCode,
    pub(super) flags: ResponseFlags,
    /// Nothing for an upstream's own.
    pub(super) details: Option<&'r str>,
    pub(super) headers: &'r HeaderMap,
    /// Nothing where a policy is applied by hand.
    pub(super) request: Option<RequestFacts<'r>>,
    pub(super) began: Option<Instant>,
    pub(super) upstream: Option<&'r SentRequest>,
}

/// The message whose headers are written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Facts<'r> {
    Request(RequestFacts<'r>),
    Response(ResponseFacts<'r>),
}

impl<'r> Facts<'r> {
    /// The request, or the one a response answers.
    pub(super) const fn request(&self) -> Option<&RequestFacts<'r>> {
        match self {
            Self::Request(request) => Some(request),
            Self::Response(response) => response.request.as_ref(),
        }
    }

    pub(super) const fn response(&self) -> Option<&ResponseFacts<'r>> {
        match self {
            Self::Request(_) => None,
            Self::Response(response) => Some(response),
        }
    }
}

impl RequestFacts<'_> {
    /// The host it is for.
    pub(super) fn authority(&self) -> Option<&[u8]> {
        let host = self.headers.get(HOST).map(HeaderValue::as_bytes);
        host.or_else(|| {
            let authority = self.uri.authority();
            authority.map(Authority::as_str).map(str::as_bytes)
        })
    }

    /// Who sent it first, as far as the hop before says so: without a port of its own.
    pub(super) fn forwarded(&self) -> Option<SocketAddr> {
        forwarded_for(self.headers).map(|address| SocketAddr::new(address, 0))
    }
}

#[derive(Clone, Debug)]
struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
}

/// A request as it came, kept for the headers of its response.
#[derive(Clone, Debug)]
pub(crate) struct NotedRequest {
    head: Head,
    connection: Option<Connection>,
    direct: Option<DirectPeer>,
    start: SystemTime,
    began: Instant,
}

impl NotedRequest {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self {
            head: Head {
                method: request.method().clone(),
                uri: request.uri().clone(),
                version: request.version(),
                headers: request.headers().clone(),
            },
            connection: request.extensions().get().copied(),
            direct: request.extensions().get().copied(),
            start: WallClock::now(),
            began: Instant::now(),
        }
    }
}

/// A request as it was sent to an endpoint: in the extensions of a response whose route asks.
#[derive(Clone, Debug)]
pub(crate) struct SentRequest {
    head: Head,
    pub(super) host: Option<Box<str>>,
    pub(super) attempts: u32,
}

impl SentRequest {
    /// The request as it is on its way to this endpoint, as its nth try.
    pub(crate) fn new<B>(request: &Request<B>, host: Option<String>, attempts: u32) -> Self {
        let head = Head {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
        };
        let host = host.map(Into::into);
        Self {
            head,
            host,
            attempts,
        }
    }

    /// The same, before an endpoint was found; a proxy has counted the try by then.
    pub(crate) fn unsent<B>(request: &Request<B>, attempts: u32, proxy: bool) -> Self {
        let mut it = Self::new(request, None, attempts);
        if proxy {
            let headers = &mut it.head.headers;
            headers.insert("x-envoy-attempt-count", attempts.into());
        }
        it
    }

    /// The one in a response.
    pub(crate) fn of<B>(response: &Response<B>) -> Option<Arc<Self>> {
        response.extensions().get().cloned()
    }

    /// Takes it off a response.
    pub(crate) fn take<B>(response: &mut Response<B>) -> Option<Arc<Self>> {
        response.extensions_mut().remove()
    }

    /// Notes it in the extensions of a response.
    pub(crate) fn note(self: Arc<Self>, extensions: &mut Extensions) {
        extensions.insert(self);
    }
}

/// What is known of a response before its headers are changed.
#[derive(Default)]
pub(super) struct Known {
    status: StatusCode,
    flags: ResponseFlags,
    details: Option<String>,
    sent: Option<Arc<SentRequest>>,
}

impl Known {
    /// `asks` where a value is made of more than the response's own headers.
    pub(super) fn of<B>(response: &mut Response<B>, asks: bool) -> Self {
        if !asks {
            return Self {
                status: response.status(),
                ..Self::default()
            };
        }
        Self {
            status: response.status(),
            flags: ResponseFlags::of(response),
            details: LocalReply::of(response).map(|reply| reply.details.to_string()),
            sent: SentRequest::take(response),
        }
    }

    pub(super) fn facts<'r>(
        &'r self,
        noted: Option<&'r NotedRequest>,
        headers: &'r HeaderMap,
    ) -> ResponseFacts<'r> {
        let sent = self.sent.as_deref();
        let request = noted.map(|noted| {
            let head = sent.map_or(&noted.head, |sent| &sent.head);
            RequestFacts {
                method: &head.method,
                uri: &head.uri,
                version: noted.head.version,
                headers: &head.headers,
                connection: noted.connection,
                direct: noted.direct,
                start: noted.start,
            }
        });
        ResponseFacts {
            status: self.status,
            flags: self.flags,
            details: self.details.as_deref(),
            headers,
            request,
            began: noted.map(|it| it.began),
            upstream: sent,
        }
    }
}
