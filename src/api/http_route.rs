//! What an HTTP rule of a VirtualService does: destinations, actions and their settings.

use std::time::Duration;

use indexmap::IndexMap;

use super::message::{enumeration, message};
use super::string_match::StringMatch;

message! {
    /// One destination of a rule, with its share.
    pub struct HttpRouteDestination {
        /// Where.
        destination: Option<Destination>,
        /// Its share among the destinations; ignored when there is only one.
        weight: i32,
        /// Header operations for requests that go here.
        headers: Option<Headers>,
    }
}

message! {
    /// A service, or a part of it.
    pub struct Destination {
        /// The host; a short name is completed with the resource's namespace.
        host: String,
        /// A subset the host's DestinationRule defines.
        subset: String,
        /// The host's port; its only one, or else the one the client addressed, when absent.
        port: Option<PortSelector>,
    }
}

message! {
    /// A port by number.
    pub struct PortSelector {
        /// From 1 to 65535.
        number: u32,
    }
}

message! {
    /// Another VirtualService whose rules are taken.
    pub struct Delegate {
        /// Its name.
        name: String,
        /// Its namespace; the resource's own when empty.
        namespace: String,
    }
}

message! {
    /// Header operations on requests and on responses.
    pub struct Headers {
        /// On the request, before it is forwarded.
        request: Option<HeaderOperations>,
        /// On the response, before it is returned.
        response: Option<HeaderOperations>,
    }
}

message! {
    /// Header operations: first removed, then set, then added.
    pub struct HeaderOperations {
        /// Replace all values.
        set: IndexMap<String, String>,
        /// Append a value.
        add: IndexMap<String, String>,
        /// Remove.
        remove: Vec<String>,
    }
}

message! {
    /// A redirect made from the request's own address.
    pub struct HttpRedirect {
        /// Replaces the whole path.
        uri: String,
        /// Replaces the prefix that matched.
        prefix_rewrite: String,
        /// Replaces host and port.
        authority: String,
        /// Replaces the port.
        port: Option<u32>,
        /// Where the port comes from when `port` is absent.
        derive_port: Option<RedirectPort>,
        /// Replaces the scheme.
        scheme: String,
        /// 301 when absent or 0; 302, 303, 307 and 308 are the others.
        redirect_code: Option<u32>,
    }
}

enumeration! {
    /// Where a redirect's port comes from.
    pub enum RedirectPort {
        /// The scheme's own port.
        #[default]
        FromProtocolDefault = "FROM_PROTOCOL_DEFAULT" / 0,
        /// The port the request came in on.
        FromRequestPort = "FROM_REQUEST_PORT" / 1,
    }
}

message! {
    /// A fixed response.
    pub struct HttpDirectResponse {
        /// The status code.
        status: u32,
        /// The body; empty when absent.
        body: Option<ResponseBody>,
    }
}

message! {
    /// A fixed body: text, or bytes in base64.
    pub struct ResponseBody {
        /// As text.
        string: Option<String>,
        /// In base64.
        bytes: Option<String>,
    }
}

message! {
    /// A change of path or authority.
    pub struct HttpRewrite {
        /// Replaces the prefix that matched, or the whole path.
        uri: String,
        /// Replaces the authority.
        authority: String,
        /// Replaces what a regular expression finds in the path.
        uri_regex_rewrite: Option<RegexRewrite>,
    }
}

message! {
    /// A replacement by regular expression.
    pub struct RegexRewrite {
        /// What is looked for, in RE2.
        r#match: String,
        /// What takes its place, with `\1` for groups.
        rewrite: String,
    }
}

message! {
    /// When and how often to try again.
    pub struct HttpRetry {
        /// How many times after the first; 0 switches retries off.
        attempts: i32,
        /// The time for each try; the route's timeout when absent.
        per_try_timeout: Option<Duration>,
        /// The conditions, separated by commas.
        retry_on: String,
        /// Whether later tries may leave the locality.
        retry_remote_localities: Option<bool>,
        /// Whether later tries avoid hosts already tried; they do when absent.
        retry_ignore_previous_hosts: Option<bool>,
        /// The base of the wait before a retry; 25 ms when absent.
        backoff: Option<Duration>,
    }
}

message! {
    /// A share of requests in percent, exact to a ten-thousandth.
    pub struct Percentage {
        /// From 0 to 100.
        value: f64,
    }
}

message! {
    /// Delays and failures to inject, each for its own share of requests.
    pub struct HttpFaultInjection {
        /// Wait before going on.
        delay: Option<HttpFaultDelay>,
        /// Answer with a failure instead of going on.
        abort: Option<HttpFaultAbort>,
    }
}

message! {
    /// A delay.
    pub struct HttpFaultDelay {
        /// How long.
        fixed_delay: Option<Duration>,
        /// Never implemented by Istio.
        exponential_delay: Option<Duration>,
        /// For how many requests; none when absent.
        percentage: Option<Percentage>,
        /// The same in whole percents; deprecated.
        percent: Option<i32>,
    }
}

message! {
    /// A failure.
    pub struct HttpFaultAbort {
        /// As an HTTP status.
        http_status: Option<i32>,
        /// As a gRPC status by name.
        grpc_status: String,
        /// Never implemented by Istio.
        http2_error: String,
        /// For how many requests; none when absent.
        percentage: Option<Percentage>,
    }
}

message! {
    /// A destination to copy requests to.
    pub struct HttpMirrorPolicy {
        /// Where.
        destination: Option<Destination>,
        /// For how many requests; all when absent.
        percentage: Option<Percentage>,
    }
}

message! {
    /// Cross-origin resource sharing.
    pub struct CorsPolicy {
        /// The origins allowed, literally; deprecated.
        allow_origin: Vec<String>,
        /// The origins allowed.
        allow_origins: Vec<StringMatch>,
        /// For `Access-Control-Allow-Methods`.
        allow_methods: Vec<String>,
        /// For `Access-Control-Allow-Headers`.
        allow_headers: Vec<String>,
        /// For `Access-Control-Expose-Headers`.
        expose_headers: Vec<String>,
        /// For `Access-Control-Max-Age`, in whole seconds.
        max_age: Option<Duration>,
        /// For `Access-Control-Allow-Credentials`.
        allow_credentials: Option<bool>,
        /// What becomes of preflights from origins not allowed.
        unmatched_preflights: UnmatchedPreflights,
    }
}

enumeration! {
    /// What becomes of preflights from origins not allowed.
    pub enum UnmatchedPreflights {
        /// They are forwarded.
        #[default]
        Unspecified = "UNSPECIFIED" / 0,
        /// They are forwarded.
        Forward = "FORWARD" / 1,
        /// They are answered without CORS headers.
        Ignore = "IGNORE" / 2,
    }
}
