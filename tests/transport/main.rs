//! The built-in transport over real sockets: HTTP/1.1, HTTP/2, gRPC, and what goes wrong.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

mod failures;
mod grpc;
mod http2;
mod limits;
mod pool;
mod proxy;
mod support;
