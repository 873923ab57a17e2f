//! Who connected, where that is not who a request comes from.

use std::net::SocketAddr;

/// In the extensions of a request whose [`Connection`](super::Connection) tells its client, as an
/// edge has settled it: the address of who connected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DirectPeer(pub(crate) SocketAddr);
