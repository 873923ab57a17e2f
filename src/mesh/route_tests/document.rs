//! The document around route tests.

#![allow(
    unreachable_pub,
    reason = "messages are public, and this one is read here only"
)]

use indexmap::IndexMap;

use super::RouteTest;
use crate::api::message::message;

message! {
    /// A document of tests.
    pub struct RouteTestFile {
        /// What the form of the document is called.
        api_version: String,
        /// `RouteTests`.
        kind: String,
        /// For people.
        metadata: IndexMap<String, String>,
        /// The tests.
        tests: Vec<RouteTest>,
    }
}
