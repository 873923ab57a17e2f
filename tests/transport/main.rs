//! The built-in transport over real sockets: HTTP/1.1, HTTP/2, gRPC, and what goes wrong.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

mod counted;
mod failures;
mod frames;
mod grpc;
mod http2;
mod limits;
mod once;
mod pool;
mod proxy;
mod retries;
mod retry_on;
mod support;
#[path = "../../examples/support/text.rs"]
mod text;
