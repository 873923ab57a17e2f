//! What is known of a request: the rule it fell under, and where it went.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Extensions, HeaderValue};

use super::routed::Routed;
use crate::endpoint::Address;
use crate::headers::SentRequest;
use crate::reply::LocalReply;
use crate::rewrite::RewritePolicy;

/// Which rule a request fell under and where it went: what an access log writes.
///
/// Source: the operators of Envoy's access log format named beside each method.
/// Flags and details stand in the response's extensions, as
/// [`ResponseFlags`](crate::context::ResponseFlags) and
/// [`LocalReply`](crate::reply::LocalReply).
#[derive(Clone, Debug, Default)]
pub struct StreamInfo {
    routed: Option<Routed>,
    /// The endpoint's place in its destination.
    pub(super) endpoint: Option<u32>,
    /// In a box, for few have any of it and responses are moved often.
    noted: Option<Box<Noted>>,
}

#[derive(Clone, Debug, Default)]
struct Noted {
    /// Noted at the proxy border only.
    path: Option<PathAndQuery>,
    /// Noted at the proxy border only.
    request_id: Option<HeaderValue>,
    /// What broke the response off.
    broken: Option<LocalReply>,
}

/// What is known of a request, apart from the plan it was matched under.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) route_name: Option<String>,
    pub(crate) upstream_cluster: Option<String>,
    pub(crate) upstream_host: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) authority: Option<String>,
    /// Whether its path was rewritten, which the endpoint is told by a header.
    pub(crate) path_rewritten: bool,
    pub(crate) attempts: u32,
}

impl StreamInfo {
    /// What is known of a request that is routed.
    #[inline]
    pub(crate) const fn of(routed: Routed) -> Self {
        Self {
            routed: Some(routed),
            endpoint: None,
            noted: None,
        }
    }

    /// The same request has this route.
    #[inline]
    pub(crate) fn set_route(&mut self, routed: Routed) {
        self.routed = Some(routed);
    }

    /// The route, to be [set](Self::set_route) again.
    #[inline]
    pub(super) const fn take_route(&mut self) -> Option<Routed> {
        self.routed.take()
    }

    /// Notes what a proxy's log tells of the request.
    pub(crate) fn note_request(
        &mut self,
        path: Option<PathAndQuery>,
        request_id: Option<HeaderValue>,
    ) {
        let noted = self.noted.get_or_insert_default();
        noted.path = path;
        noted.request_id = request_id;
    }

    /// Notes what broke the response off.
    pub(super) fn break_off(&mut self, reply: LocalReply) {
        self.noted.get_or_insert_default().broken = Some(reply);
    }

    /// Takes over what was known before the request was sent, where nothing later is known.
    #[inline]
    pub(crate) fn complete(&mut self, before: &mut Self) {
        if self.routed.is_none() {
            self.routed = before.routed.take();
        }
        if before.noted.is_some() {
            self.noted = before.noted.take();
        }
    }

    /// What was routed; made with it, so it is there.
    #[inline]
    pub(super) fn routed(&self) -> &Routed {
        match &self.routed {
            Some(routed) => routed,
            None => unreachable!("asked only where it was made with a route"),
        }
    }

    /// Notes at which endpoint a try is, the cookies made for it, and what was sent if that is told.
    #[inline]
    pub(super) fn note_try(
        &mut self,
        endpoint: Option<u32>,
        cookies: Vec<HeaderValue>,
        sent: Option<Arc<SentRequest>>,
    ) {
        self.endpoint = endpoint;
        self.note_cookies(cookies);
        if let Some(sent) = sent {
            self.note_sent(sent);
        }
    }

    /// Notes cookies the client is to keep.
    #[inline]
    fn note_cookies(&mut self, cookies: Vec<HeaderValue>) {
        if !cookies.is_empty()
            && let Some(routed) = &mut self.routed
        {
            routed.note_cookies(cookies);
        }
    }

    /// Cookies the client is to keep.
    #[inline]
    pub(super) fn cookies(&self) -> &[HeaderValue] {
        self.routed.as_ref().map_or(&[], Routed::cookies)
    }

    /// Notes the request as it is sent, where headers of its response tell of it.
    pub(super) fn note_sent(&mut self, sent: Arc<SentRequest>) {
        if let Some(routed) = &mut self.routed {
            routed.note_sent(sent);
        }
    }

    /// Hands a response the request it answers, where its headers tell of it.
    #[inline]
    pub(super) fn tell_sent(&mut self, extensions: &mut Extensions) {
        if let Some(sent) = self.routed.as_mut().and_then(Routed::take_sent) {
            sent.note(extensions);
        }
    }

    /// The request was answered before any try.
    pub(crate) const fn note_unsent(&mut self) {
        if let Some(routed) = &mut self.routed {
            routed.attempt = 0;
        }
    }

    /// `%ROUTE_NAME%`: the rule's name; nothing where it has none or no rule matched.
    #[must_use]
    pub fn route_name(&self) -> Option<&str> {
        let name = &*self.routed.as_ref()?.route().name;
        (!name.is_empty()).then_some(name)
    }

    /// `%UPSTREAM_CLUSTER%`: `outbound|port|subset|host`.
    #[must_use]
    pub fn upstream_cluster(&self) -> Option<&str> {
        let routed = self.routed.as_ref()?;
        match routed.cluster() {
            Some(cluster) => Some(cluster.name()),
            None => routed.passthrough().map(|_| "PassthroughCluster"),
        }
    }

    /// `%UPSTREAM_HOST%`: the endpoint the request was sent to.
    #[must_use]
    pub fn upstream_host(&self) -> Option<&Address> {
        let (routed, place) = (self.routed.as_ref()?, self.endpoint?);
        let endpoint = match routed.passthrough() {
            Some(endpoint) => endpoint,
            None => routed.cluster()?.endpoints().get(place as usize)?,
        };
        Some(endpoint.address())
    }

    /// `%REQ(:PATH)%` as it was matched; noted by [`Forward`](crate::mesh::Forward) only.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.noted.as_ref()?.path.as_ref().map(PathAndQuery::as_str)
    }

    /// `%REQ(X-REQUEST-ID)%`; noted by [`Forward`](crate::mesh::Forward) only.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.noted.as_ref()?.request_id.as_ref()?.to_str().ok()
    }

    /// `%REQ(:AUTHORITY)%` of a request that was sent on, where its rule has rewritten it.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        if self.attempts() == 0 {
            return None;
        }
        let rewrite = self.routed.as_ref()?.choice()?.rewrite.as_deref()?;
        rewrite.new_authority()
    }

    fn is_path_rewritten(&self) -> bool {
        let choice = self.routed.as_ref().and_then(Routed::choice);
        let rewrite = choice.and_then(|it| it.rewrite.as_deref());
        self.attempts() > 0 && rewrite.is_some_and(RewritePolicy::has_path)
    }

    /// The same without the plan, to keep.
    pub(crate) fn told(&self) -> Told {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Told {
            route_name: owned(self.route_name()),
            upstream_cluster: owned(self.upstream_cluster()),
            upstream_host: self.upstream_host().map(ToString::to_string),
            path: owned(self.path()),
            request_id: owned(self.request_id()),
            authority: owned(self.authority()),
            path_rewritten: self.is_path_rewritten(),
            attempts: self.attempts(),
        }
    }

    /// What broke the response off after it had begun: with its flags, and as details
    /// `%RESPONSE_CODE_DETAILS%`. Nothing as long as it has not.
    #[must_use]
    pub fn broken_off(&self) -> Option<&LocalReply> {
        self.noted.as_ref()?.broken.as_ref()
    }

    /// `%UPSTREAM_REQUEST_ATTEMPT_COUNT%`: 0 where the request met no destination.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        let routed = self.routed.as_ref();
        let met = routed.filter(|it| it.passthrough().is_some() || it.cluster().is_some());
        met.map_or(0, |it| it.attempt)
    }
}
