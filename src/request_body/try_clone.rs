//! Bodies that can be there twice.

use http::Request;

use super::RequestBody;
use super::content::{Content, Kind};

/// Bodies that can be sent more than once at a time.
///
/// All that are `Clone`, and a [`RequestBody`] around one as long as nobody keeps or copies what is
/// read of it.
pub trait TryClone: Sized {
    /// The same body once more, from its beginning; nothing where that cannot be had.
    fn try_clone(&self) -> Option<Self>;

    /// A request with such a body once more.
    fn try_clone_request(request: &Request<Self>) -> Option<Request<Self>> {
        let mut again = Request::new(request.body().try_clone()?);
        *again.method_mut() = request.method().clone();
        *again.uri_mut() = request.uri().clone();
        *again.version_mut() = request.version();
        *again.headers_mut() = request.headers().clone();
        *again.extensions_mut() = request.extensions().clone();
        Some(again)
    }
}

impl<B: Clone> TryClone for B {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn try_clone_request(request: &Request<Self>) -> Option<Request<Self>> {
        Some(request.clone())
    }
}

impl<B: Clone, N: Clone> TryClone for RequestBody<B, N> {
    /// It is the first that tells when the request has gone out.
    fn try_clone(&self) -> Option<Self> {
        let content = match &self.content {
            None => None,
            Some(content) => match &content.kind {
                Kind::Direct(body) => Some(Content::of(Kind::Direct(body.clone()), None)),
                Kind::Copied { .. } | Kind::Replay { .. } => return None,
            },
        };
        let note = self.note.clone();
        Some(Self { content, note })
    }
}
