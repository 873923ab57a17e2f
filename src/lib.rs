//! Istio's traffic management as [tower] services, inside your own process.
//!
//! For the same YAML and the same request the answer is meant to be the sidecar's:
//! the same route, the same destinations, the same status and body where nothing
//! could be reached. It is compared with a real Envoy 1.40, and ARCHITECTURE.md lists
//! where it differs on purpose. There is no sidecar: the rules run in the application.
//!
//! ```
//! # #[cfg(all(feature = "yaml", feature = "client"))]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use http::Request;
//! use tower_mesh::body::Body;
//! use tower_mesh::mesh::Mesh;
//!
//! let (mesh, report) = Mesh::builder().yaml(include_str!("../examples/canary/mesh.yaml")).build()?;
//! println!("{}", report.diagnostics());
//! let request = Request::get("http://customers.default.svc.cluster.local/").body(Body::empty())?;
//! let response = mesh.client().send(request).await?;
//! println!("{}", response.status());
//! # Ok(())
//! # }
//! ```
//!
//! The [`guide`] goes from the first request to rules of your own, with each concept as YAML and
//! as a layer, the order of things, what it costs and how to test your routes.
//!
//! # Where to look
//!
//! | Istio says | Module |
//! |---|---|
//! | every resource, as YAML spells it | [`api`] |
//! | what is wrong with one, and where | [`diagnostic`] |
//! | `http[].match` | [`match_request`] |
//! | `StringMatch` | [`string_match`] |
//! | `http[].route`: the weighted split | [`route`] |
//! | `http[].redirect` | [`redirect`] |
//! | `http[].directResponse` | [`direct_response`] |
//! | `http[].corsPolicy` | [`cors_policy`] |
//! | `http[].fault` | [`fault`] |
//! | `http[].mirror`, `http[].mirrors` | [`mirror`] |
//! | `http[].retries` | [`retries`] |
//! | `http[].timeout` | [`timeout`] |
//! | `Percent` | [`percent`] |
//! | `http[].rewrite` | [`rewrite`] |
//! | `http[].headers`, `http[].route[].headers` | [`headers`] |
//! | `trafficPolicy.loadBalancer` | [`load_balancer`] |
//! | `trafficPolicy.connectionPool`, `retryBudget` | [`connection_pool`], [`limits`], [`connection`] |
//! | `trafficPolicy.outlierDetection` | [`outlier_detection`]; with `loadBalancer` as a layer: [`balance`] |
//! | `trafficPolicy.tls`, `https` URIs | [`tls`] |
//! | `ServiceEntry`, Kubernetes `Service` | [`service_entry`]; an address and what is known of it: [`endpoint`] |
//! | `resolution: DNS` and its like: where names are looked up | [`resolver`] |
//! | `MeshConfig.pathNormalization` | [`path`] |
//! | `sourceLabels`, `sourceNamespace`, `gateways`, `exportTo` | [`source`] |
//! | the whole, as an application holds it | [`mesh`] |
//! | what a response tells of how it came to be: response flags, local replies | [`context`], [`reply`] |
//! | the access log | [`access_log`] |
//! | what carries requests to endpoints | [`transport`] |
//! | tests of your own layers, with the feature `testing` | `testing` |
//!
//! What a rule can ask for and is left out on purpose is refused with a diagnostic that says so,
//! never overlooked; the table in the README lists it, and [`guide::fields`] every field there is.
//!
//! # Features
//!
//! | Feature | Adds | Default |
//! |---|---|---|
//! | `yaml` | reads YAML and JSON text (granit-parser) | yes |
//! | `client` | the built-in HTTP/1.1 and HTTP/2 transport (hyper) and the system's resolver | yes |
//! | `snippets` | draws diagnostics under the lines they speak of (annotate-snippets) | yes |
//! | `json` | `json` of a client's requests and responses (serde_json) | |
//! | `tracing` | an event for each request through a [`mesh`], with what Istio's access log tells (tracing) | |
//! | `full` | all of the above, nothing below | |
//! | `testing` | the kit that holds layers of your own to tower's contract (tokio's `test-util`); for `[dev-dependencies]` | |
//! | `tls` | TLS to endpoints (rustls, tokio-rustls, rustls-webpki, rustls-native-certs), without cryptography | |
//! | `tls-ring` | `tls` with ring | |
//! | `tls-aws-lc-rs` | `tls` with AWS-LC; before ring where both are on | |
//!
//! A feature stands for a dependency. None changes what code without it does. A provider of rustls
//! that the application installs for its process goes before those of the features.
//!
//! [tower]: https://docs.rs/tower
#![cfg_attr(docsrs, feature(doc_cfg))]

// Ground floor: words everyone uses.
pub mod diagnostic;
pub mod duration;

pub mod api;
pub mod connection;
pub mod context;
pub mod endpoint;
pub mod host;
pub mod limits;
pub mod path;
pub mod percent;
pub mod resolver;
pub mod rt;
pub mod source;
pub mod tls;

// First floor: what all rooms share.
pub mod failure;
pub mod reply;
pub mod request_url;
pub mod string_match;
mod validation;

pub mod body;
pub mod request_body;
pub mod select;

pub mod answer;

// Second floor: one room for each Istio concept. Rooms never import rooms.
pub mod connection_pool;
pub mod cors_policy;
pub mod direct_response;
pub mod fault;
pub mod headers;
pub mod load_balancer;
pub mod match_request;
pub mod mirror;
pub mod outlier_detection;
pub mod redirect;
pub mod retries;
pub mod rewrite;
pub mod route;
pub mod service_entry;
pub mod timeout;

// Third floor: the way out.
pub mod balance;
pub mod transport;

// Fourth floor: the only code that knows every room.
mod plan;

// Roof: what most users touch.
pub mod mesh;

// On the roof: what looks at requests from outside.
pub mod access_log;

// Beside the house: for readers, and for tests of layers of one's own.
pub mod guide;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(all(doctest, feature = "yaml", feature = "client"))]
#[doc = include_str!("../README.md")]
struct Readme;
