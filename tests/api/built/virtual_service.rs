//! The VirtualService that sets every field.

use tower_mesh::api::{
    CorsPolicy, Delegate, Destination, HeaderOperations, Headers, HttpDirectResponse,
    HttpFaultAbort, HttpFaultDelay, HttpFaultInjection, HttpMatchRequest, HttpMirrorPolicy,
    HttpRedirect, HttpRetry, HttpRewrite, HttpRoute, HttpRouteDestination, L4MatchAttributes,
    Percentage, PortSelector, RedirectPort, RegexRewrite, ResponseBody, RouteDestination,
    StringMatch, TcpRoute, TlsMatchAttributes, TlsRoute, UnmatchedPreflights, VirtualService,
};

use super::{labels, map, message, millis, seconds, texts};

fn exact(text: &str) -> StringMatch {
    StringMatch::Exact(text.to_owned())
}

fn prefix(text: &str) -> StringMatch {
    StringMatch::Prefix(text.to_owned())
}

fn regex(text: &str) -> StringMatch {
    StringMatch::Regex(text.to_owned())
}

fn host(host: &str) -> Option<Destination> {
    Some(message!(Destination {
        host: host.to_owned()
    }))
}

fn percent(value: f64) -> Option<Percentage> {
    Some(message!(Percentage { value: value }))
}

fn conditions() -> HttpMatchRequest {
    message!(HttpMatchRequest {
        name: "all-of-it".into(),
        uri: Some(prefix("/v1")),
        scheme: Some(exact("https")),
        method: Some(regex("GET|HEAD")),
        authority: Some(exact("reviews:8080")),
        headers: map([("x-user", exact("jason")), ("x-any", StringMatch::Present)]),
        without_headers: map([("x-robot", prefix("bot"))]),
        query_params: map([("page", regex("[0-9]+"))]),
        ignore_uri_case: true,
        port: Some(8080),
        source_labels: labels([("app", "web")]),
        source_namespace: "front".into(),
        gateways: texts(["mesh"]),
        stat_prefix: "whole".into(),
    })
}

fn destination() -> HttpRouteDestination {
    message!(HttpRouteDestination {
        destination: Some(message!(Destination {
            host: "reviews".into(),
            subset: "v2".into(),
            port: Some(message!(PortSelector { number: 9080 })),
        })),
        weight: 90,
        headers: Some(message!(Headers {
            request: Some(message!(HeaderOperations {
                set: labels([("x-version", "v2")]),
                add: labels([("x-via", "mesh")]),
                remove: texts(["x-internal"]),
            })),
            response: Some(message!(HeaderOperations {
                set: labels([("server", "reviews")]),
                add: labels([("x-served-by", "v2")]),
                remove: texts(["x-secret"]),
            })),
        })),
    })
}

fn fault() -> HttpFaultInjection {
    message!(HttpFaultInjection {
        delay: Some(message!(HttpFaultDelay {
            fixed_delay: seconds(2),
            exponential_delay: seconds(1),
            percentage: percent(12.5),
            percent: Some(12),
        })),
        abort: Some(message!(HttpFaultAbort {
            http_status: Some(418),
            grpc_status: "UNAVAILABLE".into(),
            http2_error: "REFUSED_STREAM".into(),
            percentage: percent(0.0001),
        })),
    })
}

fn cors() -> CorsPolicy {
    message!(CorsPolicy {
        allow_origin: texts(["https://old.example.com"]),
        allow_origins: vec![exact("https://example.com")],
        allow_methods: texts(["GET", "POST"]),
        allow_headers: texts(["x-token"]),
        expose_headers: texts(["x-served-by"]),
        max_age: seconds(24 * 3600),
        allow_credentials: Some(true),
        unmatched_preflights: UnmatchedPreflights::Ignore,
    })
}

fn rule() -> HttpRoute {
    message!(HttpRoute {
        name: "whole".into(),
        r#match: vec![conditions()],
        route: vec![destination()],
        redirect: Some(message!(HttpRedirect {
            uri: "/moved".into(),
            prefix_rewrite: "/new".into(),
            authority: "new.example.com".into(),
            port: Some(8443),
            derive_port: Some(RedirectPort::FromRequestPort),
            scheme: "https".into(),
            redirect_code: Some(308),
        })),
        direct_response: Some(message!(HttpDirectResponse {
            status: 503,
            body: Some(message!(ResponseBody {
                string: Some("closed".into()),
                bytes: Some("Y2xvc2Vk".into()),
            })),
        })),
        delegate: Some(message!(Delegate {
            name: "reviews-rules".into(),
            namespace: "books".into(),
        })),
        rewrite: Some(message!(HttpRewrite {
            uri: "/v2".into(),
            authority: "inner.example.com".into(),
            uri_regex_rewrite: Some(message!(RegexRewrite {
                r#match: "^/v1/(.*)".into(),
                rewrite: r"/\1".into(),
            })),
        })),
        timeout: millis(61_500),
        retries: Some(message!(HttpRetry {
            attempts: 3,
            per_try_timeout: millis(500),
            retry_on: "5xx,reset".into(),
            retry_remote_localities: Some(true),
            retry_ignore_previous_hosts: Some(false),
            backoff: millis(10),
        })),
        fault: Some(fault()),
        mirror: host("reviews-shadow"),
        mirrors: vec![message!(HttpMirrorPolicy {
            destination: host("reviews-audit"),
            percentage: percent(50.0),
        })],
        mirror_percentage: percent(33.3),
        mirror_percent: Some(33),
        cors_policy: Some(cors()),
        headers: Some(message!(Headers {
            request: Some(message!(HeaderOperations {
                set: labels([("x-rule", "whole")]),
            })),
        })),
    })
}

pub(crate) fn virtual_service() -> VirtualService {
    message!(VirtualService {
        hosts: texts(["reviews", "reviews.example.com"]),
        gateways: texts(["mesh", "shop/edge"]),
        export_to: texts([".", "istio-system"]),
        http: vec![rule()],
        tls: vec![message!(TlsRoute {
            r#match: vec![message!(TlsMatchAttributes {
                sni_hosts: texts(["reviews.example.com"]),
                destination_subnets: texts(["10.1.0.0/16"]),
                port: Some(443),
                source_labels: labels([("app", "web")]),
                gateways: texts(["shop/edge"]),
                source_namespace: "front".into(),
            })],
            route: vec![message!(RouteDestination {
                destination: host("reviews-tls"),
                weight: 10,
            })],
        })],
        tcp: vec![message!(TcpRoute {
            r#match: vec![message!(L4MatchAttributes {
                destination_subnets: texts(["10.2.0.0/16"]),
                port: Some(27017),
                source_subnet: "10.3.0.0/16".into(),
                source_labels: labels([("app", "batch")]),
                gateways: texts(["mesh"]),
                source_namespace: "back".into(),
            })],
            route: vec![message!(RouteDestination {
                destination: host("mongo"),
                weight: 20,
            })],
        })],
    })
}
