//! The handle an application holds: rules in, services out.
//!
//! A [`Mesh`] owns the compiled rules. [`Mesh::client`] is a tower service that
//! sends requests where the rules say; [`Mesh::forward`] is the same as a
//! reverse proxy that always answers. [`Mesh::apply`] replaces the rules while
//! traffic flows: requests under way finish under the rules they began with,
//! and a configuration with errors changes nothing.
//!
//! # Two borders
//!
//! What the mesh answers itself (no route, no endpoint, connection refused)
//! leaves a client as an error that says what kind it is, and a proxy as the
//! response a sidecar would have sent:
//!
//! | | [`MeshClient`] | [`Forward`] |
//! |---|---|---|
//! | error type | [`MeshError`] | `Infallible` |
//! | 404 NR, 503 NC, 503 UH, 503 UF, … | `Err`, for gRPC a response with `grpc-status` | the response, with [`ResponseFlags`](crate::context::ResponseFlags) in its extensions |
//! | headers a proxy adds or removes | left alone | as Envoy does |
//!
//! An [`Inbound`] answers as [`Forward`] does, and leaves headers alone. What hyper lets through and
//! Envoy refuses is refused by [`Forward`], and by an [`Inbound`] that is not told to be less [`strict`](InboundLayer::strict).

mod builder;
mod client;
mod client_response;
mod codec;
mod current;
mod edge;
mod endpoints;
mod error;
mod exchange;
mod explain;
mod forward;
mod future;
mod hop;
mod inbound;
pub(crate) mod log;
mod names;
mod origin;
mod prepare;
mod request_builder;
mod route_tests;
mod status;
#[cfg(all(test, feature = "yaml"))]
mod tests;
mod upgrade;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use builder::{BuildError, MeshBuilder, Report};
pub use client::MeshClient;
pub use client_response::ClientResponse;
pub use edge::{Edge, EdgeLayer};
pub use endpoints::EndpointSource;
pub use error::{ErrorKind, MeshError};
pub use forward::Forward;
pub use future::{ForwardFuture, InboundFuture, ResponseFuture};
pub use inbound::{Inbound, InboundLayer};
pub use origin::WithOrigin;
pub use request_builder::RequestBuilder;
pub use route_tests::{
    RouteTest, RouteTestDestination, RouteTestError, RouteTestExpectation, RouteTestRequest,
    RouteTests,
};
pub use status::{BreakerStatus, ClusterStatus, EndpointStatus, LimitsStatus, OutlierStatus};
#[cfg(feature = "client")]
pub use upgrade::{Tunnel, TunnelEnd};

use crate::api::Resources;
use crate::diagnostic::Diagnostics;
use crate::mirror::MirrorCounts;
use crate::path::PathNormalization;
pub use crate::plan::{
    Action, Destination, Explanation, Fault, Mirrored, Rejected, Retries, Shadowed,
};
use crate::plan::{Before, Mirroring, Options, PlanRef, compile};
pub use crate::plan::{ResponseBody, StreamInfo};
use crate::rt::Rng;
#[cfg(feature = "client")]
use crate::transport::HttpTransport;
use crate::transport::PerEndpoint;
use current::Current;
use names::Names;
use tokio::sync::watch;

/// The rules of a mesh, as one client of it sees them. Clones are one mesh.
#[derive(Clone)]
pub struct Mesh {
    shared: Arc<Shared>,
}

struct Shared {
    plan: Current,
    options: Options,
    path_normalization: PathNormalization,
    dice: Rng,
    mirroring: Mirroring,
    /// Whether late gRPC calls are told so.
    deadline_exceeded: bool,
    /// Held while a configuration is compiled, so that the last one applied is the one in force.
    applying: Mutex<()>,
    names: Names,
    /// Dropped with the mesh, which those see who follow something for it.
    gone: watch::Sender<()>,
    #[cfg(feature = "client")]
    transport: HttpTransport,
}

impl Mesh {
    /// Begins a mesh: add rules, say who the client is, then build.
    pub fn builder() -> MeshBuilder {
        MeshBuilder::default()
    }

    /// Replaces all rules with `resources`.
    ///
    /// They are compiled aside and put in force at once; requests under way keep
    /// the rules they began with. If anything is wrong, nothing changes and the
    /// error holds everything that was found. Destinations that do not change stay as
    /// they are, with their connections and all they have counted.
    ///
    /// ```
    /// # #[cfg(feature = "yaml")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_mesh::api::{HttpRoute, Resources, VirtualService};
    /// use tower_mesh::mesh::{Action, Mesh};
    ///
    /// let rule = |answer| VirtualService::of_hosts(["shop.example.com"]).http([answer]);
    /// let open = Resources::new().with("shop", rule(HttpRoute::to("shop.example.com")));
    /// let closed = Resources::new().with("shop", rule(HttpRoute::answer(503, "closed on Sundays")));
    ///
    /// let (mesh, _) = Mesh::builder().resources(open).build()?;
    /// let (request, ()) = http::Request::get("http://shop.example.com/").body(())?.into_parts();
    /// assert_eq!(mesh.explain(&request).action, Action::Forward);
    ///
    /// mesh.apply(&closed)?;
    /// assert_eq!(mesh.explain(&request).action, Action::DirectResponse);
    ///
    /// // What is wrong changes nothing.
    /// let broken = Resources::from_yaml("mesh.yaml", "kind: VirtualService");
    /// assert!(mesh.apply(&broken).is_err());
    /// assert_eq!(mesh.explain(&request).action, Action::DirectResponse);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "yaml"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    ///
    /// The diagnostics, when one of them is an error.
    pub fn apply(&self, resources: &Resources) -> Result<Report, Diagnostics> {
        let found = {
            let _one_at_a_time = self.shared.one_at_a_time();
            let before = self.shared.plan.get();
            let (plan, found) = compile(resources, &self.shared.options, Before::Plan(&before));
            if found.has_errors() {
                return Err(found);
            }
            self.shared.plan.replace(&plan);
            found
        };
        self.shared.attend_to_names();
        Ok(Report::new(found))
    }

    /// A client over the built-in transport: HTTP/1.1 and HTTP/2, connections kept. See
    /// [`MeshClient`].
    #[cfg(feature = "client")]
    #[must_use]
    pub fn client(&self) -> MeshClient<HttpTransport> {
        MeshClient::new(self.clone(), self.shared.transport.clone())
    }

    /// A client that sends through the services `service_for` gives for endpoints.
    ///
    /// The function is asked for each request: hand out clones of what you keep. It need not wait for
    /// anything: connecting is the service's own matter, and its errors say whether that was it
    /// ([`ClassifyFailure`](crate::failure::ClassifyFailure)).
    ///
    /// With reqwest as what carries the requests, which brings its TLS, its pool and its limits:
    ///
    /// ```
    /// # #[cfg(feature = "client")]
    /// # async fn example(mesh: tower_mesh::mesh::Mesh) -> Result<(), Box<dyn std::error::Error>> {
    /// use http::{Request, Response};
    /// use tower::service_fn;
    /// use tower_mesh::body::{Body, BoxError, SyncBody};
    /// use tower_mesh::endpoint::Endpoint;
    ///
    /// // What the rules decide nobody else decides.
    /// let http = reqwest::Client::builder()
    ///     .retry(reqwest::retry::never())
    ///     .redirect(reqwest::redirect::Policy::none())
    ///     .no_proxy()
    ///     .build()?;
    /// let client = mesh.client_with(move |endpoint: &Endpoint| {
    ///     let (http, address) = (http.clone(), endpoint.address().to_string());
    ///     service_fn(move |request: Request<Body>| {
    ///         let (http, url) = (http.clone(), format!("http://{address}{}", request.uri()));
    ///         async move {
    ///             let (mut parts, body) = request.into_parts();
    ///             parts.uri = url.parse()?;
    ///             let body = reqwest::Body::wrap(SyncBody::new(body));
    ///             let request = Request::from_parts(parts, body).try_into()?;
    ///             Ok::<Response<reqwest::Body>, BoxError>(http.execute(request).await?.into())
    ///         }
    ///     })
    /// });
    /// let response = client.get("http://reviews/1").send().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn client_with<F>(&self, service_for: F) -> MeshClient<PerEndpoint<F>> {
        MeshClient::new(self.clone(), PerEndpoint::new(service_for))
    }

    /// A reverse proxy over the built-in transport, behaving like a sidecar's listener on port 80.
    /// See [`Forward`].
    #[cfg(feature = "client")]
    #[must_use]
    pub fn forward(&self) -> Forward<HttpTransport> {
        Forward::new(self.clone(), self.shared.transport.clone())
    }

    /// A reverse proxy that sends through the services `service_for` gives for endpoints, as
    /// [`client_with`](Self::client_with) does.
    pub fn forward_with<F>(&self, service_for: F) -> Forward<PerEndpoint<F>> {
        Forward::new(self.clone(), PerEndpoint::new(service_for))
    }

    /// A layer that puts the rules around a service of this process: what reaches it is answered
    /// as a gateway in front of it would answer.
    ///
    /// Redirects, direct responses, faults, CORS, rewrites, header operations, timeouts and
    /// retries of the rule that matches apply; where the rule forwards, the inner service answers,
    /// whichever destination the rule names. A request whose host no rule is for goes to the
    /// service unchanged, but for its path, which is brought into its normal form; in a mesh built
    /// for a [gateway](MeshBuilder::gateway) it gets 404, as there. No headers of a proxy's own are
    /// added: [`Mesh::forward`] is for that. No more requests and retries are let through at a time
    /// than `http2MaxRequests` and `maxRetries` of that destination allow. What
    /// hyper lets through and Envoy refuses is refused, unless the layer is told not to be
    /// [`strict`](InboundLayer::strict). Mirrors get nothing: a copy would reach the same service
    /// once more.
    ///
    /// For rewrites to decide which handler is asked, wrap the whole router:
    ///
    /// ```
    /// # #[cfg(feature = "yaml")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use axum::{Router, body::Body, routing::get};
    /// use http::Request;
    /// use tower::{Layer as _, ServiceExt as _};
    /// use tower_mesh::mesh::Mesh;
    ///
    /// let rules = "
    /// apiVersion: networking.istio.io/v1
    /// kind: VirtualService
    /// metadata: {name: shop}
    /// spec:
    ///   hosts: [shop.example.com]
    ///   http:
    ///   - match: [{uri: {prefix: /old}}]
    ///     rewrite: {uri: /new}
    ///     route: [{destination: {host: shop.example.com}}]
    /// ";
    /// let (mesh, _) = Mesh::builder().yaml(rules).build()?;
    /// let router = Router::new().route("/new", get(|| async { "here" }));
    /// let app = mesh.inbound_layer().layer(router);
    ///
    /// let request = Request::get("/old").header("host", "shop.example.com").body(Body::empty())?;
    /// assert_eq!(app.oneshot(request).await?.status(), 200);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "yaml"))]
    /// # fn main() {}
    /// ```
    #[must_use]
    pub fn inbound_layer(&self) -> InboundLayer {
        InboundLayer::new(self.clone())
    }

    /// Waits until every name that rules say endpoints by has been asked for: until then requests
    /// may meet endpoints whose names are looked up only when they are connected to.
    ///
    /// A sidecar does the same before it listens. Returns at once where no rule says
    /// `resolution: DNS` or `DNS_ROUND_ROBIN`, and where the mesh has no
    /// [resolver](MeshBuilder::resolver). A name that is not answered in 5 seconds counts as asked.
    /// Dropping the future changes nothing.
    pub async fn ready(&self) {
        self.plan();
        self.shared.names_known().await;
    }

    /// What became of the copies of requests sent to mirrors, by all clients and proxies of this
    /// mesh.
    #[must_use]
    pub fn mirrored(&self) -> &MirrorCounts {
        &self.shared.mirroring.counts
    }

    fn plan(&self) -> PlanRef {
        if self.shared.names.are_idle() {
            self.shared.ask_for_names();
        }
        self.shared.plan.get()
    }
}

impl Shared {
    /// Held while a plan is made from the one in force.
    fn one_at_a_time(&self) -> MutexGuard<'_, ()> {
        // A poisoned lock guards no data, so it is as good as a sound one.
        self.applying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").finish_non_exhaustive()
    }
}
