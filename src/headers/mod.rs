//! Header operations: Istio's `http[].headers` and `http[].route[].headers`.
//!
//! A pass removes headers, then sets some, then adds some: [`HeaderOperations`]. To *set* replaces
//! all lines of a header by one; to *add* appends a line and leaves the others alone. There is one
//! policy for requests, [`RequestHeaders`], applied before a request is sent, and one for
//! responses, [`ResponseHeaders`], applied to what the upstream answers and to the answers of this
//! side alike. The answer to a CORS preflight is left alone
//! ([`Preflight`](crate::context::Preflight)).
//!
//! # Route and destination
//!
//! With a single destination the operations of route and destination are one pass, in which the
//! destination's come last and win. With several the destination's pass comes first and the
//! route's second, so that the route wins. Within a level, headers are set and added in the order
//! of their names.
//!
//! # Values
//!
//! Values may hold Envoy's formatters; `%%` is a percent sign. They see what is left after the pass
//! has removed headers, and nothing that it sets or adds. Where a value comes out empty nothing is
//! set or added. What is known when rules are read is put in then; a value without formatters
//! costs nothing more.
//!
//! | Formatter | In requests | In responses |
//! |---|---|---|
//! | `%REQ(name)%`, with an alternative `%REQ(x-user?x-guest)%`; `:method`, `:path`, `:authority`, `:scheme` | the request | the request as it was sent, its own operations and rewrite included |
//! | `%RESP(name)%`, `:status` | nothing | the response |
//! | `%PROTOCOL%` | of the request | of the request |
//! | `%PATH(WQ\|NQ:ORIG\|PATH\|ORIG_OR_PATH)%`, `%QUERY_PARAM(name)%`, `%QUERY_PARAMS%` | the request | the request as it was sent |
//! | `%ROUTE_NAME%`, `%UPSTREAM_CLUSTER%`, `%HOSTNAME%`, `%ENVIRONMENT(name)%` | known from the rules and the process | the same |
//! | `%START_TIME(format)%`, `%EMIT_TIME(format)%` | now | when the request came; now |
//! | `%DOWNSTREAM_REMOTE_ADDRESS%`, `%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%`, `%DOWNSTREAM_LOCAL_ADDRESS%`, each also `…_WITHOUT_PORT`; `%DOWNSTREAM_REMOTE_PORT%`, `%DOWNSTREAM_LOCAL_PORT%` | of the [`Connection`](crate::context::Connection) that the server tells; the remote one by `x-forwarded-for` first | the same |
//! | `%UPSTREAM_HOST%`, `%UPSTREAM_REMOTE_ADDRESS%`, also `…_WITHOUT_PORT`; `%UPSTREAM_REMOTE_PORT%` | nothing | the endpoint, in a mesh |
//! | `%UPSTREAM_REQUEST_ATTEMPT_COUNT%` | `1` | the tries, in a mesh |
//! | `%RESPONSE_CODE%`, `%RESPONSE_FLAGS%`, `%RESPONSE_CODE_DETAILS%` | `0`, `-`, nothing | of the response; a local reply's code is `0`, as in Envoy |
//! | `%DURATION%` | left out | milliseconds since the request came |
//!
//! Envoy's other formatters speak of what a library does not have (a proxy's metadata, bytes on the
//! wire, TLS, a tracer); they are refused when rules are read, with what to write instead. A length
//! (`%REQ(x):8%`) is refused by Istio. `%HOSTNAME%` is what Linux says, or the variable `HOSTNAME`.
//!
//! # At the edges
//!
//! - What is added to a header that Envoy keeps in one line (`user-agent`, `accept`, `cache-control`
//!   and some more) is appended to that line with a comma.
//! - `Host` and `:authority` in `request.set` or `request.add` are a rewrite of the authority, and
//!   as such a part of [`rewrite`](crate::rewrite) when rules are read.
//! - What a rule sets of `x-envoy-retry-on`, `x-envoy-retry-grpc-on`, `x-envoy-max-retries`,
//!   `x-envoy-retriable-status-codes` and `x-envoy-retriable-header-names` changes its
//!   [`retries`](crate::retries) and is not sent, as in Envoy; it is written out, without formatters,
//!   and with several destinations it stands at the rule. A time for each try and hedging
//!   that a rule sets this way have no effect in Envoy either. `x-envoy-upstream-rq-timeout-alt-response`
//!   and `x-envoy-upstream-stream-duration-ms` are refused.
//!
//! # Differences from the sidecar
//!
//! - `%START_TIME%` is when the request came to the rule's headers, behind a fault's delay.
//! - `%DOWNSTREAM_…_ADDRESS%` is empty where no [`Connection`](crate::context::Connection) tells it.
//! - A rule that changes `x-forwarded-for` changes who later values take for the client.
//!
//! # Dropping
//!
//! The request's layer has no future of its own. Dropping the future of the response's layer drops
//! the inner one.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//!
//! use http::header::{HeaderName, HeaderValue, SERVER, USER_AGENT};
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt as _, service_fn};
//! use tower_mesh::headers::{
//!     HeaderOperations, RequestHeaders, RequestHeadersLayer, ResponseHeaders,
//!     ResponseHeadersLayer,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Infallible> {
//! const TIER: HeaderName = HeaderName::from_static("x-tier");
//! let upstream = service_fn(|request: Request<()>| async move {
//!     assert_eq!(request.headers()[TIER], "gold");
//!     Ok::<_, Infallible>(Response::builder().header(SERVER, "apache").body(()).unwrap())
//! });
//! let request = HeaderOperations::new()
//!     .remove(USER_AGENT)
//!     .set(TIER, HeaderValue::from_static("gold"));
//! let response = HeaderOperations::new().remove(SERVER);
//! let service = ServiceBuilder::new()
//!     .layer(ResponseHeadersLayer::new(ResponseHeaders::new(response)))
//!     .layer(RequestHeadersLayer::new(RequestHeaders::new(request)))
//!     .service(upstream);
//!
//! let response = service.oneshot(Request::new(())).await?;
//!
//! assert!(!response.headers().contains_key(SERVER));
//! # Ok(())
//! # }
//! ```
//!
//! Source: Istio's [`Headers`], which becomes Envoy's `request_headers_to_add`,
//! `request_headers_to_remove` and their counterparts for responses.
//!
//! [`Headers`]: https://istio.io/latest/docs/reference/config/networking/virtual-service/#Headers

mod config;
mod control;
mod facts;
mod format;
mod left_out;
mod moment;
mod one_line;
mod policy;
mod read;
mod service;
#[cfg(test)]
mod tests;
mod variables;

pub(crate) use config::{authority_of, check, compile};
pub(crate) use control::{controls_retries, value_of};
pub(crate) use facts::{NotedRequest, SentRequest};
pub(crate) use moment::time_of_day;
pub(crate) use one_line::{join, join_request_lines, join_response_lines};
pub use policy::{HeaderOperations, RequestHeaders, ResponseHeaders};
pub(crate) use read::Names;
pub use service::{
    RequestHeadersLayer, ResponseFuture, ResponseHeadersLayer, SetRequestHeaders,
    SetResponseHeaders,
};
