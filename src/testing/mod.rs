//! Tests for layers of your own: what tower's contract asks of a service, at every place.
//!
//! Layers around a mesh, or between two of its own, break in ways that the usual test does not
//! see: a clone is called in place of the service that was readied, a permit is kept by a future
//! that was dropped, a count is not taken back when a response's body is given up half way. A
//! [`Contract`] sends one kind of request through a service again and again, cut off after every
//! number of polls, of its future and of its response's body, and wants nothing to be left behind
//! and the next request to succeed. At the centre stands a [`Mock`], which waits where a service
//! may wait, panics when it is called without having been readied, and counts what of it is alive.
//!
//! This crate's own layers and the mesh are held to it.
//!
//! Everything here panics to fail a test, as `assert!` does; nothing else in the crate uses it, and
//! it is there with the feature `testing` alone:
//!
//! ```toml
//! [dev-dependencies]
//! tower-mesh = { version = "0.1", features = ["testing"] }
//! ```
//!
//! Run the test with tokio's clock paused (`start_paused`, which the feature brings along): between
//! two polls 10 milliseconds go by.
//!
//! ```
//! use tower::{Layer as _, limit::ConcurrencyLimitLayer};
//! use tower_mesh::testing::Contract;
//!
//! # fn main() {
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! // #[tokio::test(start_paused = true)]
//! let layer = ConcurrencyLimitLayer::new(2);
//! Contract::new("a limit").holds(|mock| layer.layer(mock)).await;
//! # });
//! # }
//! ```
//!
//! A layer that answers for itself, or asks more than once, says so:
//!
//! ```
//! use std::time::Duration;
//! use tower::Layer as _;
//! use tower_mesh::retries::{RetryLayer, RetryOn, RetryPolicy};
//! use tower_mesh::testing::{Contract, Mock};
//!
//! # fn main() {
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let layer = RetryLayer::new(RetryPolicy::new(2, RetryOn::parse("5xx").unwrap()));
//! let contract = Contract::new("third try").mock(Mock::new().failing(2)).calls(3);
//! contract.holds(|mock| layer.layer(mock)).await;
//! # });
//! # }
//! ```

mod contract;
mod mock;

pub use contract::{Contract, Polls};
pub use mock::{Mock, MockBody, MockFuture};
