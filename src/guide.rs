//! The guide: from the first request to rules of your own, with each concept as YAML and as a layer.
//!
//! Nothing is in here but text; its examples are compiled by the crate's tests, and run where they
//! need no network.
//!
//! - [Quick start](#quick-start)
//! - [The order of things](#the-order-of-things)
//! - [Each concept, in a rule and by itself](#each-concept-in-a-rule-and-by-itself)
//! - [Deliberate differences](#deliberate-differences)
//! - [What it costs](#what-it-costs)
//! - [Testing your own routes](#testing-your-own-routes)
//! - [Every field, and what comes of it](fields)
//!
//! # Quick start
//!
//! Rules become a [`Mesh`](crate::mesh::Mesh), which gives services. What is wrong with rules is
//! told all at once, with file, line and field; what is only doubtful stands in the report.
//!
//! **A client** sends a request where the rules say. What a sidecar would answer itself (no
//! endpoint, connection refused, too late) is an error that says its kind:
//!
//! ```
//! # #[cfg(all(feature = "yaml", feature = "client"))]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_mesh::mesh::{ErrorKind, Mesh};
//!
//! let rules = std::fs::read_to_string("mesh.yaml")?;
//! let (mesh, report) = Mesh::builder().yaml(&rules).build()?;
//! println!("{}", report.diagnostics());
//!
//! let client = mesh.client();
//! match client.get("http://reviews:9080/reviews/1").send().await {
//!     Ok(response) => println!("{} {}", response.status(), response.text().await?),
//!     Err(error) if error.kind() == ErrorKind::Timeout => println!("too late"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The port of a URL decides which rules a request meets, its `Host` header (or else the URL's
//! host) the rest; short names are completed with the namespace said in the builder.
//!
//! **axum.** The rules stand around the whole router, so that a rewrite decides which handler is
//! asked; what no handler is for goes on to other services. Bind what comes in to a gateway and
//! what goes out to the mesh, as in Istio, so that no rule applies twice:
//!
//! ```
//! # #[cfg(all(feature = "yaml", feature = "client"))]
//! # fn example(rules: &str) -> Result<axum::Router, Box<dyn std::error::Error>> {
//! use axum::{Router, routing::get};
//! use tower::Layer as _;
//! use tower_mesh::mesh::Mesh;
//!
//! let (edge, _) = Mesh::builder().yaml(rules).gateway("default/edge").build()?;
//! let (mesh, _) = Mesh::builder().yaml(rules).build()?;
//! let routes = Router::new()
//!     .route("/cart", get(|| async { "cart" }))
//!     .fallback_service(mesh.forward());
//! let app = Router::new().fallback_service(edge.inbound_layer().layer(routes));
//! # Ok(app)
//! # }
//! ```
//!
//! Rules stand around whatever else is around the router (state, middleware, layers of tower-http),
//! and a [`MeshClient`](crate::mesh::MeshClient) is at home in a handler's state: it is `Clone`,
//! `Send` and `Sync`. It takes the requests of axum as they are, and its responses are axum's with
//! `into_response()`.
//!
//! **tonic.** A generated client takes the mesh's in place of a channel, with an origin, for tonic's
//! calls say a path alone. Each call is balanced by itself, and what the mesh answers comes as a gRPC
//! status. Say `protocol: GRPC` at the service's port, or begin its name with `grpc`.
//!
//! ```
//! # #[cfg(feature = "client")]
//! # async fn example(mesh: tower_mesh::mesh::Mesh) -> Result<(), Box<dyn std::error::Error>> {
//! # fn token(request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> { Ok(request) }
//! use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
//!
//! let mut health = HealthClient::with_origin(mesh.client(), "http://greeter".parse()?);
//! let answer = health.check(HealthCheckRequest::default()).await?;
//! // Beside an interceptor the client itself is told the origin.
//! let channel = mesh.client().with_origin("http://greeter".parse()?);
//! let health = HealthClient::with_interceptor(channel, token);
//! # Ok(())
//! # }
//! ```
//!
//! Around a server of tonic's stand rules as around a router:
//! `Server::builder().layer(mesh.inbound_layer())`.
//!
//! **reqwest** goes on either side: as what carries requests to endpoints, with
//! [`client_with`](crate::mesh::Mesh::client_with), as any tower service of your own does, and as the
//! types that requests are written in. Its own retries and redirects are to be off, for those are
//! the rules' to say. The second of the two is this; `examples/reqwest.rs` has both:
//!
//! ```
//! # #[cfg(feature = "client")]
//! # async fn example(mesh: tower_mesh::mesh::Mesh) -> Result<(), Box<dyn std::error::Error>> {
//! let http = reqwest::Client::builder()
//!     .retry(reqwest::retry::never())
//!     .redirect(reqwest::redirect::Policy::none())
//!     .build()?;
//! let request = http.post("http://reviews/1").body("five stars").build()?;
//! let request: http::Request<reqwest::Body> = request.try_into()?;
//! let response = mesh.client().send(request).await?;
//! let response = reqwest::Response::from(response.map(reqwest::Body::wrap));
//! println!("{}", response.text().await?);
//! # Ok(())
//! # }
//! ```
//!
//! Whole programs lie in the folder `examples`.
//!
//! **Other rules** take the place of those in force with [`apply`](crate::mesh::Mesh::apply), while
//! requests are under way and without losing one. Rules need no YAML: see [`api`](crate::api).
//!
//! # The order of things
//!
//! One order, Envoy's under Istio. A step that answers ends it:
//!
//! | Step | Answers with |
//! |---|---|
//! | the proxy's border checks and cleans headers ([`forward`](crate::mesh::Mesh::forward); a layer around a service checks only, and is as [`strict`](crate::mesh::InboundLayer::strict) as told) | 400, 426, 431, 501 |
//! | the path is brought into its [normal form](crate::path); what is matched is what goes on | 400 |
//! | the [first rule](crate::match_request) of the host that matches, and one roll for its [destination](crate::route) | 404 `NR`, 502 |
//! | response [headers](crate::headers) of rule and destination dress whatever is answered below | |
//! | [fault](crate::fault): delay, then abort | `DI`, `FI` |
//! | [redirect](crate::redirect) or [direct response](crate::direct_response) | past CORS |
//! | [CORS](crate::cors_policy) | preflights |
//! | request headers, then the [rewrite](crate::rewrite) of path and authority | |
//! | [mirrors](crate::mirror) copy what has been taken up: not after `UH`, `NC`, `UO` | |
//! | the [timeout](crate::timeout) runs from the end of the request to the end of the response | 504 `UT` |
//! | [retries](crate::retries); each try picks an endpoint anew | 503 `UH` `UO` `UF` `UC`, 502 `UPE` |
//!
//! The letters are Envoy's [response flags](crate::context::ResponseFlags); a response bears them
//! in its extensions, an error says them. A response's body says by which rule and endpoint it came
//! ([`info`](crate::mesh::ResponseBody::info)), and [`explain`](crate::mesh::Mesh::explain) tells
//! what would be done with a request without sending it.
//!
//! # Each concept, in a rule and by itself
//!
//! The mesh is made of the very layers that can be used alone.
//!
//! | In a rule (`http[]`) | By itself |
//! |---|---|
//! | `timeout: 2s` | `TimeoutLayer::new(TimeoutPolicy::new(Duration::from_secs(2)))` |
//! | `retries: {attempts: 2, retryOn: "5xx,reset"}` | `RetryLayer::new(RetryPolicy::new(2, RetryOn::parse("5xx,reset")?))` |
//! | `fault: {abort: {httpStatus: 503, percentage: {value: 100}}}` | `FaultLayer::new(FaultPolicy::default().abort(Percent::from_whole(100), Abort::http_status(StatusCode::SERVICE_UNAVAILABLE)?))` |
//! | `fault: {delay: {fixedDelay: 5s, percentage: {value: 100}}}` | `FaultLayer::new(FaultPolicy::default().delay(Percent::from_whole(100), Duration::from_secs(5)))` |
//! | `directResponse: {status: 410, body: {string: gone}}` | `DirectResponseLayer::new(DirectResponsePolicy::new(StatusCode::GONE, "gone")?)` |
//! | `redirect: {uri: /new}` | `RedirectLayer::new(RedirectPolicy::new().uri("/new")?)` |
//! | `match: [{uri: {exact: /cart}}], rewrite: {uri: /new}` | `RewriteLayer::new(RewritePolicy::new().uri("/new").matched(MatchedPath::Exact))` |
//! | `corsPolicy: {allowOrigins: [{exact: "https://shop"}]}` | `CorsLayer::new(CorsPolicy::new().allow_origin("https://shop"))` |
//! | `headers: {request: {set: {x-tier: gold}}}` | `RequestHeadersLayer::new(RequestHeaders::new(HeaderOperations::new().set(HeaderName::from_static("x-tier"), HeaderValue::from_static("gold"))))` |
//! | `headers: {response: {set: {x-tier: gold}}}` | `ResponseHeadersLayer::new(ResponseHeaders::new(HeaderOperations::new().set(HeaderName::from_static("x-tier"), HeaderValue::from_static("gold"))))` |
//! | `mirrors: [{destination: {host: shadow}, percentage: {value: 100}}]` | `MirrorLayer::new(MirrorPolicy::new(Percent::from_whole(100)), shadow)` |
//!
//! and of a DestinationRule's `trafficPolicy`
//!
//! | In a policy | By itself |
//! |---|---|
//! | `loadBalancer: {simple: ROUND_ROBIN}` | `BalanceLayer::new(LoadBalancerPolicy::new(Algorithm::RoundRobin), endpoints)` |
//! | `loadBalancer: {consistentHash: {httpHeaderName: origin}}` | `BalanceLayer::new(policy, endpoints).hash_policies([HashPolicy::Header(name)])` |
//! | `outlierDetection: {consecutive5xxErrors: 2, maxEjectionPercent: 50}` | `balance.outlier_detection(policy)` |
//! | `connectionPool: {http: {http2MaxRequests: 1}}` | `ConnectionPoolLayer::new(Limits::new(most))` |
//!
//! Each row of both is compiled by a test and seen to do the same both ways. `match`, weights in
//! `route`, `delegate`, `subsets`, `tls` and localities choose between services, or how they are
//! connected to, so they are the mesh's alone. The other way about, some layers have no rule:
//! [`EdgeLayer`](crate::mesh::EdgeLayer) (what a gateway makes of who connected),
//! [`AccessLogLayer`](crate::access_log::AccessLogLayer), [`HedgeLayer`](crate::retries::HedgeLayer)
//! and [`ReplyBodyLayer`](crate::reply::ReplyBodyLayer).
//!
//! The same answer both ways:
//!
//! ```
//! # #[cfg(feature = "yaml")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::convert::Infallible;
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer as _, ServiceExt as _, service_fn};
//! use tower_mesh::body::Body;
//! use tower_mesh::context::ResponseFlags;
//! use tower_mesh::fault::{Abort, FaultLayer, FaultPolicy};
//! use tower_mesh::mesh::Mesh;
//! use tower_mesh::percent::Percent;
//!
//! let rules = "
//! apiVersion: networking.istio.io/v1
//! kind: VirtualService
//! metadata: {name: shop}
//! spec:
//!   hosts: [shop.example.com]
//!   http:
//!   - fault: {abort: {httpStatus: 503, percentage: {value: 100}}}
//!     route: [{destination: {host: shop.example.com}}]
//! ";
//! let (mesh, _) = Mesh::builder().yaml(rules).build()?;
//! let always = Percent::from_percentage(100.0)?;
//! let abort = Abort::http_status(StatusCode::SERVICE_UNAVAILABLE)?;
//! let alone = FaultLayer::new(FaultPolicy::default().abort(always, abort));
//!
//! let service = service_fn(|_: Request<Body>| async {
//!     Ok::<_, Infallible>(Response::new(Body::from("never asked")))
//! });
//! let request = || Request::get("/").header("host", "shop.example.com").body(Body::empty());
//! let by_rule = mesh.inbound_layer().layer(service).oneshot(request()?).await?;
//! let by_layer = alone.layer(service).oneshot(request()?).await?;
//!
//! assert_eq!(by_rule.status(), 503);
//! assert_eq!(by_layer.status(), 503);
//! assert_eq!(ResponseFlags::of(&by_rule), ResponseFlags::of(&by_layer));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "yaml"))]
//! # fn main() {}
//! ```
//!
//! A layer that answers for itself needs a response body that can be made from text. axum's,
//! reqwest's and `Full` can; around hyper's client, tonic's channel and boxed bodies stands
//! [`ReplyBodyLayer`](crate::reply::ReplyBodyLayer).
//!
//! # Seeing requests
//!
//! With the feature `tracing` a mesh makes one event of each request, with the fields of Istio's default
//! access log, for a subscriber that wants the target `tower_mesh::access`; where none does, that costs a look at
//! the level. [`AccessLogLayer`](crate::access_log::AccessLogLayer) hands the same to a function.
//! [`explain`](crate::mesh::Mesh::explain) says beforehand what would be done with a request, and
//! [`clusters`](crate::mesh::Mesh::clusters) how destinations fare.
//!
//! # Deliberate differences
//!
//! For the same rules and request the answer is meant to be the sidecar's, and is compared with a
//! real one. Where it cannot be, or should not, ARCHITECTURE.md lists what a sidecar does, what
//! happens here, and why. Those met first:
//!
//! - A host that nothing declares is looked up by DNS; there is no original address to read.
//!   [`registry_only`](crate::mesh::MeshBuilder::registry_only) refuses it, as `REGISTRY_ONLY` does.
//! - A client adds no headers of a proxy's own (`x-request-id`, `x-envoy-attempt-count`);
//!   [`forward`](crate::mesh::Mesh::forward) does.
//! - A proxy believes what requests say of where they come from, as a sidecar does; where strangers
//!   connect, put an [`EdgeLayer`](crate::mesh::EdgeLayer) around it, as Istio's gateways have one.
//! - What a rule can ask for and is left out on purpose is an error when rules are read, never
//!   overlooked. The README lists it, and [a table](fields) says of every field there is what comes
//!   of it.
//!
//! # What it costs
//!
//! A request with nothing configured allocates nothing and costs less than two and a half thousand
//! instructions; one with a split, a timeout, headers, limits and outlier detection costs two thirds
//! more, without an allocation. Finding one of ten thousand rules costs about what finding one of ten
//! does. Retries that are armed keep a copy of the request's head: not half as much again, and one
//! allocation.
//! `ci/perf` counts all of it on your machine, and ARCHITECTURE.md has the figures and what they
//! fall short of.
//!
//! # Testing your own routes
//!
//! [`RouteTests`](crate::mesh::RouteTests) are written in YAML beside the rules and run in
//! `cargo test` without sending anything; in Rust, ask
//! [`explain`](crate::mesh::Mesh::explain), or send requests to services of the test's own:
//!
//! ```
//! # #[cfg(feature = "yaml")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::convert::Infallible;
//! use http::{Request, Response};
//! use tower::service_fn;
//! use tower_mesh::api::{Resources, ServiceEntry};
//! use tower_mesh::body::Body;
//! use tower_mesh::endpoint::Endpoint;
//! use tower_mesh::mesh::Mesh;
//!
//! let reviews = ServiceEntry::http("reviews", ["10.0.0.1:9080".parse::<std::net::SocketAddr>()?]);
//! let (mesh, _) = Mesh::builder().resources(Resources::new().with("reviews", reviews)).build()?;
//! let client = mesh.client_with(|endpoint: &Endpoint| {
//!     let address = endpoint.address().to_string();
//!     service_fn(move |_: Request<Body>| {
//!         let answer = Response::new(Body::from(address.clone()));
//!         async { Ok::<_, Infallible>(answer) }
//!     })
//! });
//! let response = client.get("http://reviews/").send().await?;
//! assert_eq!(response.text().await?, "10.0.0.1:9080");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "yaml"))]
//! # fn main() {}
//! ```
//!
//! Seed the dice ([`MeshBuilder::rng`](crate::mesh::MeshBuilder::rng)) and pause tokio's clock, and
//! weighted splits, faults and timeouts repeat exactly. Layers of your own are held to tower's
//! contract by the feature `testing`, one line in `[dev-dependencies]`.

#[doc = include_str!("guide/fields.md")]
pub mod fields {}
