//! The connection a request came on.

use std::net::SocketAddr;

/// Where a request came from and where it came in: a server tells it in the request's extensions.
///
/// An [`EdgeLayer`](crate::mesh::EdgeLayer) goes by it. `consistentHash` by `useSourceIp` reads it
/// where a request has no `x-forwarded-for`, whose last address stands for the client, and a cookie
/// made for `httpCookie` is made of it.
/// Without it a request through a [`MeshClient`](crate::mesh::MeshClient) counts as coming from
/// `127.0.0.1`, since all of an application's requests come from one place; one through a
/// [`Forward`](crate::mesh::Forward) comes from nowhere in particular.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Connection {
    /// The client's address.
    pub remote: SocketAddr,
    /// The server's own.
    pub local: SocketAddr,
}
