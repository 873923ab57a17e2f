//! What a proxy at the edge makes of who a request says it comes from.

use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Extensions, Request};
use tower_layer::Layer;
use tower_service::Service;

use super::hop::{FORWARDED_PROTO, REQUEST_ID};
use crate::context::{Connection, DirectPeer};
use crate::headers::join;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const EXTERNAL: HeaderName = HeaderName::from_static("x-envoy-external-address");
/// What only a proxy in front may say.
const FORGED: [HeaderName; 2] = [
    HeaderName::from_static("x-envoy-decorator-operation"),
    HeaderName::from_static("x-envoy-original-path"),
];

/// Wraps a [`Forward`](super::Forward) that faces clients nobody vouches for.
///
/// Without it a proxy believes what a request says of itself, as a sidecar does of the requests of
/// its own application. With it, as at Istio's gateways:
///
/// - the address of who connected is appended to `x-forwarded-for`;
/// - the client is who connected, or, behind `trusted_hops` proxies of one's own, the address that
///   the outermost of them has seen: the *n*th of `x-forwarded-for` from the right. It goes into
///   `x-envoy-external-address`, and `useSourceIp` and `%DOWNSTREAM_REMOTE_ADDRESS%` go by it;
/// - `x-forwarded-proto` says how the client connected; behind trusted proxies theirs stands;
/// - `x-request-id` is made anew, and headers that only a proxy in front may set are taken off.
///
/// The server tells who connected, by a [`Connection`] in the request's extensions; without one
/// nothing is appended.
///
/// ```
/// use tower::Layer as _;
/// use tower_mesh::mesh::{EdgeLayer, Mesh};
///
/// # #[cfg(feature = "client")]
/// # fn example(mesh: Mesh) {
/// // Behind one load balancer of our own, which ends TLS and says so.
/// let proxy = EdgeLayer::new().trusted_hops(1).layer(mesh.forward());
/// # }
/// ```
///
/// In axum the connection's addresses come from `ConnectInfo`:
///
/// ```
/// use std::net::SocketAddr;
///
/// use axum::{Router, extract::{ConnectInfo, Request}, middleware::map_request};
/// use tower::Layer as _;
/// use tower_mesh::context::Connection;
/// use tower_mesh::mesh::{EdgeLayer, Mesh};
///
/// # #[cfg(feature = "client")]
/// # async fn example(mesh: Mesh) -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("0.0.0.0:80").await?;
/// let local = listener.local_addr()?;
/// let note = move |ConnectInfo(remote): ConnectInfo<SocketAddr>, mut request: Request| {
///     request.extensions_mut().insert(Connection { remote, local });
///     async { request }
/// };
/// let app = Router::new()
///     .fallback_service(EdgeLayer::new().layer(mesh.forward()))
///     .layer(map_request(note));
/// axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
/// # }
/// ```
///
/// Source: Envoy's `use_remote_address` and `xff_num_trusted_hops`, Istio's `numTrustedProxies`.
#[derive(Clone, Copy, Debug, Default)]
pub struct EdgeLayer {
    trusted_hops: usize,
    secure: bool,
}

impl EdgeLayer {
    /// An edge that clients connect to themselves, in plain HTTP.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            trusted_hops: 0,
            secure: false,
        }
    }

    /// The same behind so many proxies that append to `x-forwarded-for` and are trusted.
    #[must_use]
    pub const fn trusted_hops(mut self, hops: usize) -> Self {
        self.trusted_hops = hops;
        self
    }

    /// The same where connections come by TLS, which the server has ended.
    #[must_use]
    pub const fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    fn receive(self, headers: &mut HeaderMap, extensions: &mut Extensions) {
        let connection = extensions.get::<Connection>().copied();
        let direct = connection.map(|it| it.remote);
        let client = self.trusted(headers).or(direct);
        let address = client.and_then(|it| text(it.ip()));
        if let Some(direct) = direct {
            // Nearly always the same.
            let own = match client == Some(direct) {
                true => address.clone(),
                false => text(direct.ip()),
            };
            append(headers, own);
        }
        if let (Some(mut connection), Some(client)) = (connection, client) {
            extensions.insert(DirectPeer(connection.remote));
            connection.remote = client;
            extensions.insert(connection);
        }
        match address {
            Some(address) => drop(headers.insert(EXTERNAL, address)),
            None => drop(headers.remove(EXTERNAL)),
        }
        if self.trusted_hops == 0 || !headers.contains_key(FORWARDED_PROTO) {
            let scheme = if self.secure { "https" } else { "http" };
            headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
        }
        headers.remove(REQUEST_ID);
        for name in FORGED {
            headers.remove(name);
        }
    }

    /// The address that the outermost trusted proxy has seen; it does not say a port.
    fn trusted(self, headers: &HeaderMap) -> Option<SocketAddr> {
        let behind = self.trusted_hops.checked_sub(1)?;
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut addresses = lines.flat_map(|line| line.as_bytes().rsplit(|it| *it == b','));
        let address = std::str::from_utf8(addresses.nth(behind)?).ok()?;
        let address: IpAddr = address.trim().parse().ok()?;
        Some(SocketAddr::new(address, 0))
    }
}

fn text(address: IpAddr) -> Option<HeaderValue> {
    HeaderValue::try_from(address.to_string()).ok()
}

/// Appends an address to what `x-forwarded-for` says already.
fn append(headers: &mut HeaderMap, address: Option<HeaderValue>) {
    let said = headers.get_all(FORWARDED_FOR).iter();
    let mut said = said.filter(|it| !it.is_empty()).peekable();
    let line = match said.peek() {
        None => address,
        Some(_) => join(said.chain(&address), b","),
    };
    if let Some(line) = line {
        headers.insert(FORWARDED_FOR, line);
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        let edge = *self;
        Edge { inner, edge }
    }
}

/// Settles who a request comes from. See [`EdgeLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Edge<S> {
    inner: S,
    edge: EdgeLayer,
}

impl<S, B> Service<Request<B>> for Edge<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let (mut parts, body) = request.into_parts();
        self.edge.receive(&mut parts.headers, &mut parts.extensions);
        self.inner.call(Request::from_parts(parts, body))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::EdgeLayer;
    use crate::context::Connection;

    /// What an edge makes of a request from 10.0.0.9: `x-forwarded-for`, the client,
    /// `x-envoy-external-address`, `x-forwarded-proto`. Envoy 1.40 did the same.
    #[track_caller]
    fn check(hops: usize, said: &[(&str, &str)], want: [&str; 4]) {
        let mut request = Request::get("/");
        for (name, value) in said {
            request = request.header(*name, *value);
        }
        let request = request.extension(Connection {
            remote: "10.0.0.9:4711".parse().expect("an address"),
            local: "10.0.0.1:80".parse().expect("an address"),
        });
        let (mut parts, ()) = request.body(()).expect("a valid request").into_parts();
        let edge = EdgeLayer::new().trusted_hops(hops);
        edge.receive(&mut parts.headers, &mut parts.extensions);
        let header = |name: &str| {
            let value = parts.headers.get(name).map(|it| it.to_str());
            value.map_or("", |it| it.expect("text"))
        };
        let client = parts.extensions.get::<Connection>().expect("still there");
        let got = [
            header("x-forwarded-for"),
            &client.remote.to_string(),
            header("x-envoy-external-address"),
            header("x-forwarded-proto"),
        ];
        assert_eq!(got, want, "{hops} {said:?}");
        assert!(!parts.headers.contains_key("x-request-id"));
        assert!(!parts.headers.contains_key("x-envoy-original-path"));
    }

    const FOR: &str = "x-forwarded-for";
    const PROTO: (&str, &str) = ("x-forwarded-proto", "https");

    #[test]
    fn clients_that_connect_themselves_are_believed_nothing() {
        let own = "10.0.0.9:4711";
        check(0, &[], ["10.0.0.9", own, "10.0.0.9", "http"]);
        let said = [
            (FOR, "1.1.1.1, 2.2.2.2"),
            PROTO,
            ("x-request-id", "mine"),
            ("x-envoy-original-path", "/o"),
            ("x-envoy-external-address", "9.9.9.9"),
        ];
        check(
            0,
            &said,
            ["1.1.1.1, 2.2.2.2,10.0.0.9", own, "10.0.0.9", "http"],
        );
    }

    #[test]
    fn trusted_proxies_are_counted_from_the_right() {
        let own = "10.0.0.9:4711";
        let two = [(FOR, "1.1.1.1, 2.2.2.2"), PROTO];
        let all = "1.1.1.1, 2.2.2.2,10.0.0.9";
        check(1, &two, [all, "2.2.2.2:0", "2.2.2.2", "https"]);
        check(2, &two, [all, "1.1.1.1:0", "1.1.1.1", "https"]);
        // Fewer than are trusted: whoever connected is all there is.
        check(3, &two, [all, own, "10.0.0.9", "https"]);
        check(1, &[], ["10.0.0.9", own, "10.0.0.9", "http"]);
        let lines = [(FOR, "1.1.1.1"), (FOR, "2.2.2.2")];
        check(
            2,
            &lines,
            ["1.1.1.1,2.2.2.2,10.0.0.9", "1.1.1.1:0", "1.1.1.1", "http"],
        );
        check(
            1,
            &[(FOR, "bad, worse")],
            ["bad, worse,10.0.0.9", own, "10.0.0.9", "http"],
        );
        check(1, &[(FOR, "")], ["10.0.0.9", own, "10.0.0.9", "http"]);
    }
}
