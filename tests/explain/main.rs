//! Explanations: the same answer as traffic, and reasons a reader can use.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

mod agree;
mod draw;
mod program;
mod route_tests;
mod tree;
