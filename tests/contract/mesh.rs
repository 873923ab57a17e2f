//! The whole mesh, as a client and as a proxy, over the mock as every endpoint.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body::Body;
use tower::{Service, ServiceExt};
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::{Mesh, MeshError};
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
  - match: [{uri: {prefix: /late}}]
    timeout: 95ms
    route: [{destination: {host: shop.com}}]
  - timeout: 10s
    rewrite: {uri: /}
    headers: {request: {set: {x-a: b}}, response: {set: {x-a: b}}}
    retries: {attempts: 2, retryOn: "5xx,reset"}
    route: [{destination: {host: shop.com}}]
"#;

/// Every endpoint a request was sent to.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<HashMap<String, Endpoint>>>);

impl Seen {
    fn note(&self, endpoint: &Endpoint) {
        let mut seen = self.0.lock().unwrap();
        seen.insert(endpoint.address().to_string(), endpoint.clone());
    }

    fn idle(&self) -> bool {
        let seen = self.0.lock().unwrap();
        seen.values().all(|endpoint| endpoint.active() == 0)
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
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
    ]
}

fn mesh() -> Mesh {
    let builder = Mesh::builder().yaml(RULES).rng(Rng::seeded(1));
    builder.build().unwrap_or_else(|found| panic!("{found}")).0
}

/// Holds the services `make` gives to the contract, for every row.
async fn holds<S, R>(make: impl Fn(Seen, Mock) -> S)
where
    S: Service<Request<MockBody>, Response = Response<R>, Error: Debug> + Clone,
    R: Body<Error: Debug>,
{
    let seen = Seen::default();
    for (name, request, mock, status, calls) in rows() {
        let contract = Contract::new(name).mock(mock).request(request);
        let contract = contract.status(status).calls(calls).idle(|| seen.idle());
        let polls = contract.holds(|mock| make(seen.clone(), mock)).await;
        assert!(polls.response > 3 * calls, "{name}: {polls:?}");
    }
    assert_eq!(seen.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_client() {
    let mesh = mesh();
    holds(|seen, mock| {
        let client = mesh.client_with(move |endpoint: &Endpoint| {
            seen.note(endpoint);
            mock.clone()
        });
        // A failure is an error here; its response tells the rows apart.
        ServiceExt::<Request<MockBody>>::then(client, |answer: Result<_, MeshError>| async {
            Ok::<_, MeshError>(answer.unwrap_or_else(MeshError::into_response))
        })
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_proxy() {
    let mesh = mesh();
    holds(|seen, mock| {
        mesh.forward_with(move |endpoint: &Endpoint| {
            seen.note(endpoint);
            mock.clone()
        })
    })
    .await;
}
