//! The table of the guide, "Each concept, in a rule and by itself": each row's layer is compiled
//! here as it stands there, and does what the row's rule does.

mod policies;
mod rules;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt as _};
use tower_mesh::body::{Body, BoxError};
use tower_mesh::context::ResponseFlags;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::Mesh;

type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Answer = Arc<dyn Fn(Request<()>) -> Answering + Send + Sync>;

/// An upstream that does what a test says.
#[derive(Clone)]
struct Upstream(Answer);

impl Upstream {
    fn new<F>(answer: impl Fn(Request<()>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(answer(request))))
    }

    /// Answers with the path it was asked for, and a header that it was asked with.
    fn echo() -> Self {
        Self::new(|request| {
            let tier = request.headers().get("x-tier");
            let text = format!("{} {tier:?}", request.uri().path());
            async { Response::new(Body::from(text)) }
        })
    }

    /// Always answers with this status; counts how often.
    fn counted(status: StatusCode) -> (Self, Arc<AtomicUsize>) {
        let calls = Arc::<AtomicUsize>::default();
        let counted = calls.clone();
        let upstream = Self::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut response = Response::new(Body::empty());
            *response.status_mut() = status;
            async { response }
        });
        (upstream, calls)
    }
}

impl<B> Service<Request<B>> for Upstream {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = (self.0)(request.map(drop));
        Box::pin(async { Ok(answer.await) })
    }
}

type Boxed = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

fn boxed<S, R>(service: S) -> Boxed
where
    S: Service<Request<Body>, Response = Response<R>, Error = Infallible, Future: Send>,
    S: Clone + Send + Sync + 'static,
    R: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
{
    fn erase<R>(response: Response<R>) -> Response<Body>
    where
        R: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        response.map(Body::new)
    }
    BoxCloneSyncService::new(service.map_response(erase as fn(_) -> _))
}

/// A row of the table: the rule as it stands there and, where it stands there in these words, the
/// layer.
macro_rules! row {
    ($rule:expr, $layer:expr) => {{
        expect_row($rule, stringify!($layer));
        ($rule, $layer)
    }};
}

#[track_caller]
fn expect_row(rule: &str, layer: &str) {
    fn bare(text: &str) -> String {
        let text: String = text.chars().filter(|it| !it.is_whitespace()).collect();
        text.replace(",)", ")")
    }
    let guide = include_str!("../../../src/guide.rs");
    let row = format!("| `{rule}` | `{layer}` |");
    let mut lines = guide.lines().map(bare);
    assert!(lines.any(|it| it.ends_with(&bare(&row))), "no row {row}");
}

/// A mesh whose `http` rule is this, or whose policy of the destination is.
fn mesh(rule: &str, policy: &str) -> Mesh {
    let yaml = format!(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shop}}
spec:
  hosts: [shop.default.svc.cluster.local]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: 10.0.0.1}}, {{address: 10.0.0.2}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: shadow}}
spec:
  hosts: [shadow.default.svc.cluster.local]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: 10.0.0.9}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop}}
spec: {{host: shop, trafficPolicy: {{{policy}}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec:
  hosts: [shop]
  http: [{{{rule}}}]
"
    );
    let built = Mesh::builder().yaml(&yaml).build();
    built.unwrap_or_else(|found| panic!("{found}")).0
}

/// A policy that says what holds without one.
const ANY: &str = "loadBalancer: {simple: LEAST_REQUEST}";
const ROUTE: &str = "route: [{destination: {host: shop}}]";

/// Both of a row around one upstream.
fn both<L, R>((rule, layer): (&str, L), upstream: &Upstream) -> [Boxed; 2]
where
    L: Layer<Upstream>,
    L::Service: Service<Request<Body>, Response = Response<R>, Error = Infallible>,
    R: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    L::Service: Clone + Send + Sync + 'static,
    <L::Service as Service<Request<Body>>>::Future: Send,
{
    let rule = match rule.starts_with("directResponse") || rule.starts_with("redirect") {
        true => rule.to_owned(),
        false => format!("{rule}, {ROUTE}"),
    };
    let given = upstream.clone();
    let by_rule = mesh(&rule, ANY).forward_with(move |_: &Endpoint| given.clone());
    [boxed(by_rule), boxed(layer.layer(upstream.clone()))]
}

fn get() -> Request<Body> {
    let request = Request::get("/cart").header("host", "shop");
    let request = request.header("origin", "https://shop");
    request.body(Body::empty()).unwrap()
}

/// Status, flags, the header of that name, and the text.
async fn answer(service: &Boxed, header: &str) -> (u16, ResponseFlags, String, String) {
    let response = service.clone().oneshot(get()).await.unwrap();
    let (status, flags) = (response.status().as_u16(), ResponseFlags::of(&response));
    let value = response.headers().get(header);
    let value = value.map_or("", |it| it.to_str().unwrap()).to_owned();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap();
    (status, flags, value, text)
}

use row;
