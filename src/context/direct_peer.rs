//! Who a request comes from, where that is not who connected.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, Request};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// In the extensions of a request whose [`Connection`](super::Connection) tells its client, as an
/// edge has settled it: the address of who connected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DirectPeer(pub(crate) SocketAddr);

/// Who a request is from, where that is not who connected: the last address of `x-forwarded-for`,
/// unless an edge has settled already who it is.
pub(crate) fn source_of<B>(request: &Request<B>) -> Option<IpAddr> {
    match request.extensions().get::<DirectPeer>() {
        Some(_) => None,
        None => forwarded_for(request.headers()),
    }
}

/// Who sent a request first, as far as the hop before says so: the last address of
/// `x-forwarded-for`.
pub(crate) fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let mut lines = headers.get_all(FORWARDED_FOR).iter();
    let last = lines.next_back()?.to_str().ok()?.rsplit(',').next()?;
    last.trim().parse().ok()
}
