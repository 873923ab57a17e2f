//! `VirtualService`: whose requests, and which rule each of them falls under.

use std::time::Duration;

use indexmap::IndexMap;

use super::http_route::{
    CorsPolicy, Delegate, Destination, Headers, HttpDirectResponse, HttpFaultInjection,
    HttpMirrorPolicy, HttpRedirect, HttpRetry, HttpRewrite, HttpRouteDestination, Percentage,
};
use super::message::message;
use super::string_match::StringMatch;

message! {
    /// How requests for some hosts are routed.
    ///
    /// Source: `networking.istio.io/v1 VirtualService`.
    pub struct VirtualService {
        /// The hosts the rules apply to; short names are completed with the resource's namespace.
        /// Empty makes the resource a delegate.
        hosts: Vec<String>,
        /// The gateways the rules apply at; `mesh`, meaning every client in the mesh, when empty.
        gateways: Vec<String>,
        /// The rules for HTTP, HTTP/2 and gRPC; the first that matches is taken.
        http: Vec<HttpRoute>,
        /// The rules for TLS that is not terminated, by SNI.
        tls: Vec<TlsRoute>,
        /// The rules for everything else.
        tcp: Vec<TcpRoute>,
        /// Who sees the resource: `.` its namespace, `*` all, or namespaces; all when empty.
        export_to: Vec<String>,
    }
}

message! {
    /// One rule: when it applies and what happens then.
    pub struct HttpRoute {
        /// The rule's name, for access logs.
        name: String,
        /// Any of these must hold; every request is meant when empty.
        r#match: Vec<HttpMatchRequest>,
        /// Where requests go, by weight.
        route: Vec<HttpRouteDestination>,
        /// Answer with a redirect instead.
        redirect: Option<HttpRedirect>,
        /// Answer with a fixed response instead.
        direct_response: Option<HttpDirectResponse>,
        /// Take the rules of another VirtualService in this place.
        delegate: Option<Delegate>,
        /// Change path or authority before forwarding.
        rewrite: Option<HttpRewrite>,
        /// The time for the whole request with all its retries; none by default.
        timeout: Option<Duration>,
        /// When to try again; twice on connection failures when absent.
        retries: Option<HttpRetry>,
        /// Delays and failures to inject.
        fault: Option<HttpFaultInjection>,
        /// A destination to copy requests to; the older form of `mirrors`.
        mirror: Option<Destination>,
        /// Destinations to copy requests to.
        mirrors: Vec<HttpMirrorPolicy>,
        /// The share of requests `mirror` copies; all when absent.
        mirror_percentage: Option<Percentage>,
        /// The same in whole percents; deprecated.
        mirror_percent: Option<u32>,
        /// Cross-origin resource sharing.
        cors_policy: Option<CorsPolicy>,
        /// Header operations.
        headers: Option<Headers>,
    }
}

message! {
    /// What must hold of a request, all of it together.
    pub struct HttpMatchRequest {
        /// A name, appended to the rule's in access logs.
        name: String,
        /// The path, without query.
        uri: Option<StringMatch>,
        /// `http` or `https`.
        scheme: Option<StringMatch>,
        /// The method, case-sensitive.
        method: Option<StringMatch>,
        /// Host and port as sent, case-sensitive.
        authority: Option<StringMatch>,
        /// Headers by name.
        headers: IndexMap<String, StringMatch>,
        /// Headers that must not match so.
        without_headers: IndexMap<String, StringMatch>,
        /// Query parameters by name, compared as written.
        query_params: IndexMap<String, StringMatch>,
        /// Compare `uri` without regard to case where it is exact or prefix.
        ignore_uri_case: bool,
        /// The port the client addresses.
        port: Option<u32>,
        /// Labels the client must carry; not looked at when `gateways` is set.
        source_labels: IndexMap<String, String>,
        /// The namespace the client must be in; not looked at when `gateways` is set.
        source_namespace: String,
        /// Gateways this block applies at, instead of the resource's.
        gateways: Vec<String>,
        /// A prefix for Envoy's statistics; without effect here.
        stat_prefix: String,
    }
}

message! {
    /// One rule for unterminated TLS.
    pub struct TlsRoute {
        /// Any of these must hold.
        r#match: Vec<TlsMatchAttributes>,
        /// Where connections go, by weight.
        route: Vec<RouteDestination>,
    }
}

message! {
    /// What must hold of a TLS connection.
    pub struct TlsMatchAttributes {
        /// Server names, exact or with a leading wildcard.
        sni_hosts: Vec<String>,
        /// Addresses or networks connected to.
        destination_subnets: Vec<String>,
        /// The port the client addresses.
        port: Option<u32>,
        /// Labels the client must carry.
        source_labels: IndexMap<String, String>,
        /// Gateways this block applies at.
        gateways: Vec<String>,
        /// The namespace the client must be in.
        source_namespace: String,
    }
}

message! {
    /// One rule for other TCP connections.
    pub struct TcpRoute {
        /// Any of these must hold; every connection is meant when empty.
        r#match: Vec<L4MatchAttributes>,
        /// Where connections go, by weight.
        route: Vec<RouteDestination>,
    }
}

message! {
    /// What must hold of a TCP connection.
    pub struct L4MatchAttributes {
        /// Addresses or networks connected to.
        destination_subnets: Vec<String>,
        /// The port the client addresses.
        port: Option<u32>,
        /// The network the client connects from; never implemented by Istio.
        source_subnet: String,
        /// Labels the client must carry.
        source_labels: IndexMap<String, String>,
        /// Gateways this block applies at.
        gateways: Vec<String>,
        /// The namespace the client must be in.
        source_namespace: String,
    }
}

message! {
    /// One destination of a TCP or TLS rule.
    pub struct RouteDestination {
        /// Where.
        destination: Option<Destination>,
        /// Its share among the destinations.
        weight: i32,
    }
}
