//! The event of one request through a mesh, where somebody wants it.

#[cfg(feature = "tracing")]
use std::sync::Arc;
#[cfg(feature = "tracing")]
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

#[cfg(feature = "tracing")]
use super::event::Events;
#[cfg(feature = "tracing")]
use super::{AccessLog as _, CountedBody, Pending};
use crate::mesh::{MeshError, ResponseBody};
#[cfg(feature = "tracing")]
use crate::plan::Watch;
#[cfg(feature = "tracing")]
use crate::reply::LocalReply;

/// A request's body as the mesh sends it on.
#[cfg(feature = "tracing")]
pub(in crate::mesh) type Sent<B> = CountedBody<B>;
/// A request's body as the mesh sends it on.
#[cfg(not(feature = "tracing"))]
pub(in crate::mesh) type Sent<B> = B;

/// What is noted for the event of a request; nothing as long as no subscriber wants such events.
#[derive(Debug, Default)]
pub(in crate::mesh) struct Seen {
    #[cfg(feature = "tracing")]
    pending: Option<Box<Pending<Events>>>,
}

#[cfg(feature = "tracing")]
impl Seen {
    /// Begins to note a request.
    #[inline]
    pub(in crate::mesh) fn begin<B>(request: &Request<B>) -> Self {
        let pending = Events.is_enabled().then(|| noted(request));
        Self { pending }
    }

    /// The body as it is sent on.
    #[inline]
    pub(in crate::mesh) fn count<B>(&self, body: B) -> Sent<B> {
        let received = self.pending.as_ref().map(|it| it.received());
        CountedBody::new(body, received)
    }

    /// Notes the response, whose end ends the event.
    #[inline]
    pub(in crate::mesh) fn answered<B>(&mut self, response: &mut Response<ResponseBody<B>>)
    where
        ResponseBody<B>: Body<Data = Bytes>,
    {
        if let Some(pending) = self.pending.take() {
            watch(pending, response);
        }
    }

    /// Ends the event with the error that came in the place of a response.
    pub(in crate::mesh) fn failed(&mut self, error: &MeshError) {
        if let Some(pending) = self.pending.take() {
            pending.failed(Some(error));
        }
    }
}

#[cfg(feature = "tracing")]
#[cold]
fn noted<B>(request: &Request<B>) -> Box<Pending<Events>> {
    let received: Arc<AtomicU64> = Arc::default();
    Box::new(Pending::begin(Events, request, received))
}

#[cfg(feature = "tracing")]
#[cold]
fn watch<B>(mut pending: Box<Pending<Events>>, response: &mut Response<ResponseBody<B>>)
where
    ResponseBody<B>: Body<Data = Bytes>,
{
    pending.answered(response);
    if let Some(pending) = pending.unless_tunnel(response) {
        response.body_mut().watch(pending);
    }
}

#[cfg(feature = "tracing")]
impl Watch for Pending<Events> {
    fn sent(&mut self, bytes: usize, is_last: bool) {
        Self::sent(self, bytes, is_last);
    }

    fn broken(&mut self, reply: Option<&LocalReply>) {
        Self::broken(self, reply);
    }
}

#[cfg(not(feature = "tracing"))]
impl Seen {
    pub(in crate::mesh) const fn begin<B>(_: &Request<B>) -> Self {
        Self {}
    }

    pub(in crate::mesh) fn count<B>(&self, body: B) -> Sent<B> {
        body
    }

    pub(in crate::mesh) fn answered<B>(&mut self, _: &mut Response<ResponseBody<B>>)
    where
        ResponseBody<B>: Body<Data = Bytes>,
    {
    }

    pub(in crate::mesh) fn failed(&mut self, _: &MeshError) {}
}
