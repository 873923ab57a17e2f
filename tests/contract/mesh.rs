//! The whole mesh: as a client and as a proxy over the mock as every endpoint, around the mock as a
//! service of this process, and with the layers that go around a mesh.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{Either, Full};
use tower::{Layer as _, Service, ServiceExt};
use tower_mesh::access_log::{AccessLog, AccessLogEntry, AccessLogLayer};
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::{EdgeLayer, InboundLayer, LimitsStatus, Mesh, MeshError};
use tower_mesh::rt::Rng;
use tower_mesh::testing::{Contract, Mock, MockBody};

const RULES: &str = r#"
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2}, {address: 10.0.0.3}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shadow}
spec:
  hosts: [shadow.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.9}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: all}
spec:
  host: "*.com"
  trafficPolicy:
    connectionPool: {http: {http2MaxRequests: 1, maxRetries: 1}}
    outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 0}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.com]
  http:
  - match: [{uri: {prefix: /moved}}]
    redirect: {uri: /elsewhere}
  - match: [{uri: {prefix: /closed}}]
    directResponse: {status: 418, body: {string: closed}}
  - match: [{uri: {prefix: /faulty}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 100}}, delay: {fixedDelay: 25ms, percentage: {value: 100}}}
    route: [{destination: {host: shop.com}}]
  - match: [{uri: {prefix: /slow}}]
    fault: {delay: {fixedDelay: 25ms, percentage: {value: 100}}}
    timeout: 95ms
    corsPolicy: {allowOrigins: [{exact: "https://shop"}], allowMethods: [POST]}
    rewrite: {uri: /}
    headers: {request: {set: {x-a: b}}, response: {set: {x-a: b}}}
    retries: {attempts: 2, perTryTimeout: 90ms, retryOn: "5xx,reset"}
    route: [{destination: {host: shop.com}}]
  - match: [{uri: {prefix: /mirrored}}]
    timeout: 10s
    mirror: {host: shadow.com}
    retries: {attempts: 2, retryOn: "5xx,reset"}
    route: [{destination: {host: shop.com}}]
  - match: [{uri: {prefix: /late-mirrored}}]
    timeout: 95ms
    mirror: {host: shadow.com}
    route: [{destination: {host: shop.com}}]
  - match: [{uri: {prefix: /late}}]
    timeout: 95ms
    route: [{destination: {host: shop.com}}]
  - timeout: 10s
    rewrite: {uri: /}
    headers: {request: {set: {x-a: b}}, response: {set: {x-a: b}}}
    retries: {attempts: 2, retryOn: "5xx,reset"}
    route: [{destination: {host: shop.com}}]
"#;

/// The endpoints of one service under test, and what its copies are sent to.
#[derive(Clone)]
struct Endpoints {
    mock: Mock,
    shadow: Mock,
    seen: Arc<Mutex<HashSet<String>>>,
}

impl Endpoints {
    fn service_for(&self, endpoint: &Endpoint) -> Mock {
        let address = endpoint.address().to_string();
        if address.starts_with("10.0.0.9") {
            return self.shadow.clone();
        }
        self.seen.lock().unwrap().insert(address);
        self.mock.clone()
    }
}

/// Whether nothing of the shop is under way: requests, permits of its circuit breakers.
fn shop_is_idle(mesh: &Mesh) -> bool {
    let clusters = mesh.clusters();
    let mut shops = clusters.iter().filter(|it| it.host == "shop.com");
    shops.all(|it| it.active() == 0 && it.limits.as_ref().is_some_and(none_taken))
}

fn none_taken(limits: &LimitsStatus) -> bool {
    let breakers = [
        limits.connections,
        limits.pending,
        limits.requests,
        limits.retries,
    ];
    breakers.iter().all(|it| it.now == 0)
}

/// A request for a path of the shop.
macro_rules! to {
    ($path:literal) => {{
        let request: fn(MockBody) -> Request<MockBody> = |body| {
            Request::post(concat!("http://shop.com", $path))
                .body(body)
                .unwrap()
        };
        request
    }};
}

/// The name, the request, the endpoint, the status, the tries.
type Row = (
    &'static str,
    fn(MockBody) -> Request<MockBody>,
    Mock,
    u16,
    usize,
);

fn preflight(body: MockBody) -> Request<MockBody> {
    let request = Request::options("http://shop.com/slow").header("origin", "https://shop");
    let request = request.header("access-control-request-method", "POST");
    request.body(body).unwrap()
}

fn rows() -> Vec<Row> {
    let well = Mock::new;
    let fails = |failures| well().failing(failures);
    vec![
        ("usual", to!("/"), well(), 200, 1),
        ("tried again", to!("/"), fails(2), 200, 3),
        (
            "reset and tried again",
            to!("/"),
            fails(2).by_errors(),
            200,
            3,
        ),
        ("tried in vain", to!("/"), fails(3), 503, 3),
        ("moved", to!("/moved"), well(), 301, 0),
        ("closed", to!("/closed"), well(), 418, 0),
        ("faulty", to!("/faulty"), well(), 418, 0),
        ("slow", to!("/slow"), well(), 200, 1),
        ("preflight", preflight, well(), 200, 0),
        ("late", to!("/late"), well().hanging(), 504, 1),
        ("mirrored", to!("/mirrored"), well(), 200, 1),
        ("mirrored, tried again", to!("/mirrored"), fails(2), 200, 3),
        (
            "mirrored, late",
            to!("/late-mirrored"),
            well().hanging(),
            504,
            1,
        ),
    ]
}

fn mesh() -> Mesh {
    let builder = Mesh::builder().yaml(RULES).rng(Rng::seeded(1));
    builder.build().unwrap_or_else(|found| panic!("{found}")).0
}

/// How many requests have begun, and how many entries an access log has of them.
#[derive(Clone, Default)]
struct Log {
    begun: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

impl AccessLog for Log {
    fn write(&self, _: &AccessLogEntry) {
        self.written.fetch_add(1, Ordering::Relaxed);
    }
}

impl Log {
    fn layer(&self) -> AccessLogLayer<Self> {
        AccessLogLayer::new(self.clone())
    }

    fn is_whole(&self) -> bool {
        self.begun.load(Ordering::Relaxed) == self.written.load(Ordering::Relaxed)
    }
}

/// Holds the services `make` gives to the contract, for every row; `make` is told what endpoints to
/// send to, and the access log, which may be written to.
async fn holds<S, R>(logged: bool, make: impl Fn(&Mesh, Endpoints, &Log) -> S) -> usize
where
    S: Service<Request<MockBody>, Response = Response<R>, Error: Debug> + Clone,
    R: Body<Error: Debug>,
{
    let seen: Arc<Mutex<HashSet<String>>> = Arc::default();
    let shadow = Mock::new();
    shadow.begin();
    for (name, request, mock, status, calls) in rows() {
        let (mesh, log) = (mesh(), Log::default());
        let contract = Contract::new(name).mock(mock).status(status).calls(calls);
        let contract = contract.request(|body| {
            log.begun.fetch_add(1, Ordering::Relaxed);
            request(body)
        });
        let contract = contract.idle(|| shop_is_idle(&mesh) && (!logged || log.is_whole()));
        let make = |mock| {
            let (seen, shadow) = (Arc::clone(&seen), shadow.clone());
            let endpoints = Endpoints { mock, shadow, seen };
            make(&mesh, endpoints, &log)
        };
        let polls = contract.holds(make).await;
        assert!(polls.response > 3 * calls, "{name}: {polls:?}");
        // Copies go on for themselves, as long as a request might.
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(mesh.mirrored().in_flight(), 0, "{name}");
        assert_eq!(shadow.alive(), 0, "{name}: copies");
        let clusters = mesh.clusters();
        let limits = clusters.iter().filter_map(|it| it.limits.as_ref());
        assert!(limits.clone().all(none_taken), "{name}: permits of copies");
        assert!(limits.count() >= 2, "{name}: no circuit breakers");
    }
    seen.lock().unwrap().len()
}

/// A failure is an error of a client; its response tells the rows apart.
fn told<S, R>(
    client: S,
) -> impl Service<Request<MockBody>, Response = Response<Either<R, Full<Bytes>>>, Error = MeshError>
+ Clone
where
    S: Service<Request<MockBody>, Response = Response<R>, Error = MeshError> + Clone,
{
    ServiceExt::<Request<MockBody>>::then(client, |answer: Result<_, MeshError>| {
        std::future::ready(Ok(match answer {
            Ok(response) => Response::map(response, Either::Left),
            Err(error) => error.into_response().map(Either::Right),
        }))
    })
}

#[tokio::test(start_paused = true)]
async fn the_client() {
    let seen = holds(false, |mesh, endpoints, _| {
        told(mesh.client_with(move |endpoint: &Endpoint| endpoints.service_for(endpoint)))
    });
    assert_eq!(seen.await, 3);
}

#[tokio::test(start_paused = true)]
async fn the_proxy() {
    let seen = holds(false, |mesh, endpoints, _| {
        mesh.forward_with(move |endpoint: &Endpoint| endpoints.service_for(endpoint))
    });
    assert_eq!(seen.await, 3);
}

/// At an edge, and with an access log, which tells of every request once, however it ends.
#[tokio::test(start_paused = true)]
async fn the_proxy_at_an_edge_with_an_access_log() {
    let seen = holds(true, |mesh, endpoints, log| {
        let proxy = mesh.forward_with(move |endpoint: &Endpoint| endpoints.service_for(endpoint));
        EdgeLayer::new().layer(log.layer().layer(proxy))
    });
    assert_eq!(seen.await, 3);
}

#[tokio::test(start_paused = true)]
async fn the_client_with_an_access_log() {
    let seen = holds(true, |mesh, endpoints, log| {
        let client = mesh.client_with(move |endpoint: &Endpoint| endpoints.service_for(endpoint));
        told(log.layer().layer(client))
    });
    assert_eq!(seen.await, 3);
}

/// No endpoint is picked and no copy is sent: the service inside is all there is.
#[tokio::test(start_paused = true)]
async fn the_rules_around_a_service() {
    for logged in [false, true] {
        let seen = holds(logged, |mesh, endpoints, log| {
            let layer: InboundLayer = mesh.inbound_layer();
            log.layer().layer(layer.layer(endpoints.mock))
        });
        assert_eq!(seen.await, 0);
    }
}
