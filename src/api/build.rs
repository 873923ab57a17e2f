//! Constructors for what most rules are made of; everything else is said by setters.

use std::net::SocketAddr;
use std::time::Duration;

use indexmap::IndexMap;

use super::destination_rule::{DestinationRule, Subset};
use super::field::IntoField;
use super::gateway::{Gateway, Server, ServerPort};
use super::http_route::{
    CorsPolicy, Destination, HeaderOperations, HttpDirectResponse, HttpFaultAbort, HttpFaultDelay,
    HttpFaultInjection, HttpMirrorPolicy, HttpRedirect, HttpRetry, HttpRouteDestination,
    ResponseBody,
};
use super::load_balancer::{ConsistentHash, LoadBalancerSettings, SimpleLoadBalancer};
use super::service_entry::{Resolution, ServiceEntry, ServiceEntryPort, WorkloadEntry};
use super::string_match::StringMatch;
use super::traffic_policy::{
    ConnectionPoolSettings, HttpConnectionPool, OutlierDetection, TrafficPolicy,
};
use super::virtual_service::{HttpMatchRequest, HttpRoute, VirtualService};

/// The name of the only port of an entry made here, which its endpoints' ports are listed under.
const PORT: &str = "main";

/// Where a resource begins that is said field by field.
macro_rules! builders {
    ($( $(#[$example:meta])* $name:ident ),* $(,)?) => {
        $(
            impl $name {
                /// Begins the resource with nothing said.
                ///
                /// Each field's setter returns the resource, which is whole at any time: there is
                /// no `build` at the end, and what is wrong is told where the mesh is built.
                ///
                $(#[$example])*
                #[must_use]
                pub fn builder() -> Self {
                    Self::default()
                }
            }
        )*
    };
}

builders! {
    /// ```
    /// use std::time::Duration;
    /// use tower_mesh::api::{HttpMatchRequest, HttpRoute, VirtualService};
    ///
    /// let reviews = VirtualService::builder()
    ///     .hosts(["reviews"])
    ///     .http([
    ///         HttpRoute::moved_to("/").r#match([HttpMatchRequest::of_prefix("/old")]),
    ///         HttpRoute::to("reviews").timeout(Duration::from_secs(2)),
    ///     ]);
    /// assert_eq!(reviews.http.len(), 2);
    /// ```
    VirtualService,
    /// ```
    /// use tower_mesh::api::{DestinationRule, OutlierDetection, Subset, TrafficPolicy};
    ///
    /// let reviews = DestinationRule::builder()
    ///     .host("reviews")
    ///     .traffic_policy(TrafficPolicy::default().outlier_detection(OutlierDetection::default()))
    ///     .subsets([Subset::default().name("v1").labels([("version", "v1")])]);
    /// assert_eq!(reviews.host, "reviews");
    /// ```
    DestinationRule,
    /// ```
    /// use tower_mesh::api::{Resolution, ServiceEntry, ServiceEntryPort};
    ///
    /// let payments = ServiceEntry::builder()
    ///     .hosts(["payments.example.com"])
    ///     .ports([ServiceEntryPort::default().number(443).name("https").protocol("HTTPS")])
    ///     .resolution(Resolution::Dns);
    /// assert_eq!(payments.ports[0].number, 443);
    /// ```
    ServiceEntry,
    /// ```
    /// use tower_mesh::api::{Gateway, Server, ServerPort};
    ///
    /// let http = ServerPort::default().number(80).name("http").protocol("HTTP");
    /// let edge = Gateway::builder()
    ///     .servers([Server::default().port(http).hosts(["shop.example.com"])]);
    /// assert_eq!(edge.servers[0].hosts, ["shop.example.com"]);
    /// ```
    Gateway,
}

impl VirtualService {
    /// Rules for these hosts; say which with [`http`](Self::http).
    #[must_use]
    pub fn of_hosts(hosts: impl IntoField<Vec<String>>) -> Self {
        Self::default().hosts(hosts)
    }
}

impl HttpRoute {
    /// Every request goes to this host.
    #[must_use]
    pub fn to(host: impl Into<String>) -> Self {
        let destination = Destination::default().host(host.into());
        Self::default().route([HttpRouteDestination::default().destination(destination)])
    }

    /// Requests go to subsets of this host, by weight.
    #[must_use]
    pub fn split(
        host: impl Into<String>,
        subsets: impl IntoIterator<Item = (impl Into<String>, i32)>,
    ) -> Self {
        let host = host.into();
        let part = |(subset, weight): (_, i32)| {
            let subset: String = Into::into(subset);
            let destination = Destination::default().host(host.clone()).subset(subset);
            let part = HttpRouteDestination::default().destination(destination);
            part.weight(weight)
        };
        Self::default().route(subsets.into_iter().map(part).collect::<Vec<_>>())
    }

    /// Requests are answered with this status and text.
    #[must_use]
    pub fn answer(status: u32, text: impl Into<String>) -> Self {
        let body = ResponseBody::default().string(text.into());
        let response = HttpDirectResponse::default().status(status).body(body);
        Self::default().direct_response(response)
    }

    /// Requests are redirected to this path of the same host, with 301.
    #[must_use]
    pub fn moved_to(path: impl Into<String>) -> Self {
        Self::default().redirect(HttpRedirect::default().uri(path.into()))
    }
}

impl HttpMatchRequest {
    /// The path begins so.
    #[must_use]
    pub fn of_prefix(path: impl Into<String>) -> Self {
        Self::default().uri(StringMatch::prefix(path))
    }

    /// The path is this.
    #[must_use]
    pub fn of_path(path: impl Into<String>) -> Self {
        Self::default().uri(StringMatch::exact(path))
    }

    /// A header has this value.
    #[must_use]
    pub fn of_header(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::default().headers([(name.into(), StringMatch::exact(value))])
    }
}

impl HttpRetry {
    /// This many tries after the first, on Istio's default conditions.
    #[must_use]
    pub fn times(retries: i32) -> Self {
        Self::default().attempts(retries)
    }
}

impl HttpFaultInjection {
    /// This share of requests, in percent, waits so long.
    #[must_use]
    pub fn of_delay(percentage: f64, delay: Duration) -> Self {
        let delay = HttpFaultDelay::default().fixed_delay(delay);
        Self::default().delay(delay.percentage(percentage))
    }

    /// This share of requests, in percent, is answered with this status.
    #[must_use]
    pub fn of_abort(percentage: f64, status: i32) -> Self {
        let abort = HttpFaultAbort::default().http_status(status);
        Self::default().abort(abort.percentage(percentage))
    }
}

impl CorsPolicy {
    /// These origins may ask, with these methods.
    #[must_use]
    pub fn of_origins(
        origins: impl IntoIterator<Item = impl Into<String>>,
        methods: impl IntoField<Vec<String>>,
    ) -> Self {
        let origins: Vec<_> = origins.into_iter().map(StringMatch::exact).collect();
        Self::default()
            .allow_origins(origins)
            .allow_methods(methods)
    }
}

impl HttpMirrorPolicy {
    /// This share of requests, in percent, is copied to this host.
    #[must_use]
    pub fn of_share(host: impl Into<String>, percentage: f64) -> Self {
        let destination = Destination::default().host(host.into());
        Self::default()
            .destination(destination)
            .percentage(percentage)
    }
}

impl HeaderOperations {
    /// This header is set to this value.
    #[must_use]
    pub fn of_set(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::default().set(IndexMap::from([(name.into(), value.into())]))
    }
}

impl TrafficPolicy {
    /// Endpoints are chosen by this algorithm.
    #[must_use]
    pub fn of_algorithm(algorithm: SimpleLoadBalancer) -> Self {
        let balancer = LoadBalancerSettings::default().simple(algorithm);
        Self::default().load_balancer(balancer)
    }

    /// Requests with the same value of a header reach the same endpoint.
    #[must_use]
    pub fn sticky_by_header(name: impl Into<String>) -> Self {
        let key = ConsistentHash::default().http_header_name(name.into());
        let balancer = LoadBalancerSettings::default().consistent_hash(key);
        Self::default().load_balancer(balancer)
    }

    /// A circuit breaker: no more requests at a time than `requests`, and endpoints that fail
    /// `failures` times in a row are left out, first for 30 s.
    #[must_use]
    pub fn circuit_breaker(requests: i32, failures: u32) -> Self {
        let http = HttpConnectionPool::default().http2_max_requests(requests);
        let pool = ConnectionPoolSettings::default().http(http);
        let outliers = OutlierDetection::default()
            .consecutive_5xx_errors(failures)
            .max_ejection_percent(100);
        Self::default()
            .connection_pool(pool)
            .outlier_detection(outliers)
    }
}

impl Gateway {
    /// One server on port 80 that speaks plain HTTP for these hosts.
    #[must_use]
    pub fn http(hosts: impl IntoField<Vec<String>>) -> Self {
        let port = ServerPort::default().number(80).name("http");
        let server = Server::default().port(port.protocol("HTTP")).hosts(hosts);
        Self::default().servers([server])
    }
}

impl DestinationRule {
    /// This policy for all traffic to a host.
    #[must_use]
    pub fn of_policy(host: impl Into<String>, policy: TrafficPolicy) -> Self {
        Self::default().host(host.into()).traffic_policy(policy)
    }

    /// A subset for each of these versions of a host, by the label `version` of its endpoints.
    #[must_use]
    pub fn versions(
        host: impl Into<String>,
        versions: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let subset = |version: _| {
            let version: String = Into::into(version);
            let labels = [("version", version.as_str())];
            Subset::default().labels(labels).name(version.clone())
        };
        Self::default()
            .host(host.into())
            .subsets(versions.into_iter().map(subset).collect::<Vec<_>>())
    }
}

impl ServiceEntry {
    /// A host that speaks HTTP/1.1 at these addresses; clients address its port 80.
    ///
    /// A short name is a service of the namespace `default`, which rules and clients there call by
    /// it: `reviews` is `reviews.default.svc.cluster.local`. (An entry read from YAML takes a host
    /// as it is written, as Istio does.)
    ///
    /// An endpoint is a [`SocketAddr`], or a [`WorkloadEntry`] made from one and given labels, a
    /// weight or a locality.
    #[must_use]
    pub fn http(
        host: impl Into<String>,
        endpoints: impl IntoIterator<Item = impl Into<WorkloadEntry>>,
    ) -> Self {
        Self::at(host.into(), "HTTP", endpoints)
    }

    /// A host that speaks gRPC (over HTTP/2 without TLS) at these addresses; clients address its
    /// port 80.
    #[must_use]
    pub fn grpc(
        host: impl Into<String>,
        endpoints: impl IntoIterator<Item = impl Into<WorkloadEntry>>,
    ) -> Self {
        Self::at(host.into(), "GRPC", endpoints)
    }

    fn at(
        host: String,
        protocol: &str,
        endpoints: impl IntoIterator<Item = impl Into<WorkloadEntry>>,
    ) -> Self {
        let endpoints: Vec<_> = endpoints.into_iter().map(Into::into).collect();
        Self::default()
            .hosts(vec![complete(host)])
            .ports([port(80, protocol)])
            .resolution(Resolution::Static)
            .endpoints(endpoints)
    }

    /// A host that is found by DNS and speaks HTTP/1.1 at this port, which clients address too.
    #[must_use]
    pub fn dns(host: impl Into<String>, number: u16) -> Self {
        Self::default()
            .hosts(vec![complete(host.into())])
            .ports([port(number.into(), "HTTP")])
            .resolution(Resolution::Dns)
    }
}

/// A short name with the namespace and domain it is short for.
fn complete(host: String) -> String {
    match host.contains('.') {
        true => host,
        false => format!("{host}.default.svc.cluster.local"),
    }
}

fn port(number: u32, protocol: &str) -> ServiceEntryPort {
    let port = ServiceEntryPort::default().number(number);
    port.name(PORT).protocol(protocol)
}

impl From<SocketAddr> for WorkloadEntry {
    /// The endpoint at this address, for the port of [`ServiceEntry::http`] or
    /// [`ServiceEntry::grpc`].
    fn from(address: SocketAddr) -> Self {
        Self::default()
            .address(address.ip().to_string())
            .ports([(PORT, address.port().into())])
    }
}
