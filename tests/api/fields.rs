//! Every message there is, its fields, and where the documents set them.

use tower_mesh::api;

use super::document;

/// A message: its name, its fields as Rust spells them, its document and its place there.
pub(crate) struct Message {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [&'static str],
    pub(crate) document: &'static str,
    pub(crate) pointer: &'static str,
}

macro_rules! messages {
    ($( $document:ident { $( $name:ident $pointer:literal ),* $(,)? } )*) => {
        /// All messages.
        pub(crate) const MESSAGES: &[Message] = &[$( $( Message {
            name: stringify!($name),
            fields: api::$name::FIELDS,
            document: document::$document,
            pointer: concat!("/spec", $pointer),
        } ),* ),*];
    };
}

messages! {
    VIRTUAL_SERVICE {
        VirtualService "",
        HttpRoute "/http/0",
        HttpMatchRequest "/http/0/match/0",
        HttpRouteDestination "/http/0/route/0",
        Destination "/http/0/route/0/destination",
        PortSelector "/http/0/route/0/destination/port",
        Headers "/http/0/route/0/headers",
        HeaderOperations "/http/0/route/0/headers/request",
        HeaderOperations "/http/0/route/0/headers/response",
        HttpRedirect "/http/0/redirect",
        HttpDirectResponse "/http/0/directResponse",
        ResponseBody "/http/0/directResponse/body",
        Delegate "/http/0/delegate",
        HttpRewrite "/http/0/rewrite",
        RegexRewrite "/http/0/rewrite/uriRegexRewrite",
        HttpRetry "/http/0/retries",
        HttpFaultInjection "/http/0/fault",
        HttpFaultDelay "/http/0/fault/delay",
        HttpFaultAbort "/http/0/fault/abort",
        Percentage "/http/0/mirrorPercentage",
        HttpMirrorPolicy "/http/0/mirrors/0",
        CorsPolicy "/http/0/corsPolicy",
        TlsRoute "/tls/0",
        TlsMatchAttributes "/tls/0/match/0",
        RouteDestination "/tls/0/route/0",
        TcpRoute "/tcp/0",
        L4MatchAttributes "/tcp/0/match/0",
    }
    DESTINATION_RULE {
        DestinationRule "",
        ClientSelector "/workloadSelector",
        Subset "/subsets/0",
        TrafficPolicy "/trafficPolicy",
        LoadBalancerSettings "/trafficPolicy/loadBalancer",
        ConsistentHash "/trafficPolicy/loadBalancer/consistentHash",
        HttpCookie "/trafficPolicy/loadBalancer/consistentHash/httpCookie",
        CookieAttribute "/trafficPolicy/loadBalancer/consistentHash/httpCookie/attributes/0",
        RingHash "/trafficPolicy/loadBalancer/consistentHash/ringHash",
        Maglev "/trafficPolicy/loadBalancer/consistentHash/maglev",
        BackendUtilization "/trafficPolicy/loadBalancer/backendUtilization",
        LocalityLoadBalancerSetting "/trafficPolicy/loadBalancer/localityLbSetting",
        LocalityDistribute "/trafficPolicy/loadBalancer/localityLbSetting/distribute/0",
        LocalityFailover "/trafficPolicy/loadBalancer/localityLbSetting/failover/0",
        ZoneAwareLoadBalancerSetting "/trafficPolicy/loadBalancer/zoneAwareLbSetting",
        Warmup "/trafficPolicy/loadBalancer/warmup",
        ConnectionPoolSettings "/trafficPolicy/connectionPool",
        TcpConnectionPool "/trafficPolicy/connectionPool/tcp",
        TcpKeepalive "/trafficPolicy/connectionPool/tcp/tcpKeepalive",
        HttpConnectionPool "/trafficPolicy/connectionPool/http",
        Http2KeepAlive "/trafficPolicy/connectionPool/http/http2KeepAlive",
        OutlierDetection "/trafficPolicy/outlierDetection",
        ClientTlsSettings "/trafficPolicy/tls",
        PortTrafficPolicy "/trafficPolicy/portLevelSettings/0",
        Tunnel "/trafficPolicy/tunnel",
        ProxyProtocol "/trafficPolicy/proxyProtocol",
        RetryBudget "/trafficPolicy/retryBudget",
    }
    SERVICE_ENTRY {
        ServiceEntry "",
        ServiceEntryPort "/ports/0",
        WorkloadEntry "/endpoints/0",
        WorkloadSelector "/workloadSelector",
    }
    GATEWAY {
        Gateway "",
        Server "/servers/0",
        ServerPort "/servers/0/port",
        ServerTlsSettings "/servers/0/tls",
        TlsCertificate "/servers/0/tls/tlsCertificates/0",
    }
}

/// A Rust field's name without the marks of Rust.
pub(crate) fn snake_case(field: &'static str) -> &'static str {
    field.trim_start_matches("r#")
}

/// A Rust field's name as Istio's documents spell it.
pub(crate) fn camel_case(field: &'static str) -> String {
    let mut words = snake_case(field).split('_');
    let first = words.next().unwrap().to_owned();
    words.fold(first, |name, word| {
        let (head, tail) = word.split_at(1);
        name + &head.to_uppercase() + tail
    })
}
