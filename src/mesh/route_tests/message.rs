//! What a file of route tests can say.

use std::time::Duration;

use indexmap::IndexMap;

use crate::api::message::message;

message! {
    /// A request, and what is to be done with it.
    pub struct RouteTest {
        /// What a failure is called.
        name: String,
        /// The request.
        request: RouteTestRequest,
        /// What is to be done with it.
        expect: RouteTestExpectation,
    }
}

message! {
    /// The request of a [`RouteTest`].
    pub struct RouteTestRequest {
        /// The method; `GET` when empty.
        method: String,
        /// The URL.
        url: String,
        /// The headers.
        headers: IndexMap<String, String>,
        /// The port it is addressed to, where that is not the URL's.
        port: Option<u16>,
    }
}

message! {
    /// What is expected; what is not set is not looked at.
    pub struct RouteTestExpectation {
        /// What is done: `forward`, `redirect`, `direct_response`, `not_found`, `passthrough`.
        action: Option<String>,
        /// The owner, as `namespace/name`.
        virtual_service: Option<String>,
        /// The rule's place in `http`.
        route: Option<u32>,
        /// The match block's place in the rule.
        r#match: Option<u32>,
        /// The rule's name.
        route_name: Option<String>,
        /// The status of an answer given without an endpoint.
        status: Option<u32>,
        /// Where a redirect leads.
        location: Option<String>,
        /// Every destination.
        destinations: Option<Vec<RouteTestDestination>>,
        /// The path and query an endpoint gets.
        path: Option<String>,
        /// The `Host` an endpoint gets.
        authority: Option<String>,
        /// The time for all tries; zero where there is no limit.
        timeout: Option<Duration>,
    }
}

message! {
    /// A destination; what is not set is not looked at.
    pub struct RouteTestDestination {
        /// The host, full or as short as the client may write it.
        host: Option<String>,
        /// The subset; empty for none.
        subset: Option<String>,
        /// The port.
        port: Option<u16>,
        /// The weight.
        weight: Option<u32>,
    }
}
