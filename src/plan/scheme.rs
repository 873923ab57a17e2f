//! What becomes of a request for `https` on its way out.

use http::uri::Scheme;
use http::{StatusCode, Uri};

use crate::context::ResponseFlags;
use crate::reply::LocalReply;

/// The same with the scheme `http`.
pub(super) fn in_clear_form(uri: Uri) -> Uri {
    let mut parts = uri.into_parts();
    parts.scheme = Some(Scheme::HTTP);
    Uri::from_parts(parts).unwrap_or_default()
}

/// The answer to a request for `https` where nothing speaks TLS.
pub(super) fn in_clear() -> LocalReply {
    let flags = ResponseFlags::UPSTREAM_CONNECTION_FAILURE;
    LocalReply::new(StatusCode::SERVICE_UNAVAILABLE, flags)
        .body("the built-in transport does not speak TLS without the feature `tls`")
        .details("https_not_supported")
}
