//! An application in axum with all that applications have: state, middleware, layers of tower-http,
//! handlers that ask others. Over real sockets, with rules on both sides.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::StatusCode;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tower::{Layer as _, ServiceBuilder};
use tower_http::compression::CompressionLayer;
use tower_http::trace::TraceLayer;
use tower_mesh::api::{Resources, ServiceEntry};
use tower_mesh::body::BoxError;
use tower_mesh::mesh::{Mesh, MeshClient};
use tower_mesh::transport::HttpTransport;

const RULES: &str = r#"
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example.com]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop.example.com
  trafficPolicy: {connectionPool: {http: {http2MaxRequests: 1}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: from-outside}
spec:
  hosts: [shop.example.com]
  gateways: [edge]
  http:
  - match: [{uri: {exact: /moved}}]
    redirect: {uri: /cart}
  - match: [{uri: {exact: /closed}}]
    directResponse: {status: 410, body: {string: gone}}
  - match: [{uri: {exact: /broken}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
    route: [{destination: {host: shop.example.com}}]
  - match: [{uri: {exact: /old-cart}}]
    rewrite: {uri: /cart}
    route: [{destination: {host: shop.example.com}}]
  - match: [{uri: {exact: /slow}}]
    timeout: 1ms
    route: [{destination: {host: shop.example.com}}]
  - headers: {response: {set: {x-served-by: shop}}}
    corsPolicy: {allowOrigins: [{exact: "https://a.example"}]}
    route: [{destination: {host: shop.example.com}}]
"#;

/// What handlers share.
#[derive(Clone)]
struct App {
    client: MeshClient<HttpTransport>,
}

/// An error of any kind is an answer.
struct Failed(BoxError);

impl<E: Into<BoxError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::BAD_GATEWAY, self.0.to_string()).into_response()
    }
}

/// Asks another service, in the words of reqwest.
async fn review(State(app): State<App>) -> Result<String, Failed> {
    let response = app.client.get("http://reviews/1").send().await?;
    Ok(response.text().await?)
}

/// Sends the body it got to another service, and hands back the answer as it comes.
async fn store(State(app): State<App>, request: Request) -> Result<Response, Failed> {
    let sent = app
        .client
        .post("http://reviews/1")
        .stream(request.into_body());
    Ok(sent.send().await?.into_inner().into_response())
}

/// Hands on the request itself; what the mesh cannot bring is answered as a sidecar does.
async fn pass(State(app): State<App>, mut request: Request) -> Response {
    *request.uri_mut() = http::Uri::from_static("http://reviews/passed");
    request.headers_mut().remove("host");
    match app.client.send(request).await {
        Ok(response) => response.into_response(),
        Err(error) => error.into_response::<Body>(),
    }
}

async fn noted(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let note = http::HeaderValue::from_static("noted");
    response.headers_mut().insert("x-middleware", note);
    response
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The application, whose only other service is `reviews`.
async fn application() -> SocketAddr {
    let (listener, reviews) = listen().await;
    let elsewhere = Router::new().fallback(|request: Request| async move {
        let asked = format!("{} {}", request.method(), request.uri());
        let body = axum::body::to_bytes(request.into_body(), 100)
            .await
            .unwrap();
        format!("{asked} {body:?}")
    });
    tokio::spawn(async move { axum::serve(listener, elsewhere).await });
    let entries = Resources::new().with("reviews", ServiceEntry::http("reviews", vec![reviews]));
    let shop = ServiceEntry::http("shop.example.com", [reviews]);
    let builder = Mesh::builder()
        .yaml(RULES)
        .resources(entries.with("shop", shop));
    let (edge, _) = builder.clone().gateway("default/edge").build().unwrap();
    let (mesh, _) = builder.build().unwrap();

    let routes = Router::new()
        .route("/cart", get(|| async { "a cart".repeat(100) }))
        .route("/slow", get(std::future::pending::<()>))
        .route("/held", get(|| async { Body::from_stream(held()) }))
        .route("/review", get(review))
        .route("/store", post(store))
        .route("/pass", any(pass))
        .layer(from_fn(noted))
        .fallback_service(mesh.forward())
        .with_state(App {
            client: mesh.client(),
        });
    let app = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(CompressionLayer::new())
        .layer(edge.inbound_layer())
        .service(routes);
    let (listener, address) = listen().await;
    let app = Router::new().fallback_service(app);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A body that begins and does not end.
fn held() -> impl futures::Stream<Item = Result<&'static str, std::convert::Infallible>> {
    use futures::StreamExt as _;
    futures::stream::iter([Ok("begun")]).chain(futures::stream::pending())
}

/// A client that knows nothing of a mesh.
fn browser(address: SocketAddr) -> impl Fn(http::Method, &str) -> reqwest::RequestBuilder {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .resolve("shop.example.com", address)
        .build()
        .unwrap();
    move |method, path| {
        let url = format!("http://shop.example.com:{}{path}", address.port());
        client.request(method, url)
    }
}

#[tokio::test]
async fn rules_stand_around_an_application_with_all_it_has() {
    let ask = browser(application().await);
    let get = |path| ask(http::Method::GET, path);
    for (path, status, text) in [
        ("/review", 200, "GET /1 b\"\""),
        ("/pass", 200, "GET /passed b\"\""),
        ("/closed", 410, "gone"),
        ("/broken", 418, "fault filter abort"),
        ("/slow", 504, "upstream request timeout"),
        ("/moved", 301, ""),
        ("/nowhere", 200, "GET /nowhere b\"\""),
    ] {
        let answer = get(path).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.text().await.unwrap(), text, "{path}");
    }
    let stored = ask(http::Method::POST, "/store").body("five stars");
    let stored = stored.send().await.unwrap();
    assert_eq!(stored.text().await.unwrap(), r#"POST /1 b"five stars""#);
    // Rules decide which handler is asked; middleware and rules both see the answer.
    let cart = get("/old-cart").header("accept-encoding", "gzip");
    let cart = cart.header("origin", "https://a.example");
    let cart = cart.send().await.unwrap();
    assert_eq!(cart.headers()["content-encoding"], "gzip");
    assert_eq!(cart.headers()["x-middleware"], "noted");
    assert!(cart.bytes().await.unwrap().len() < 100, "compressed");
    let cart = get("/cart").header("origin", "https://a.example");
    let cart = cart.send().await.unwrap();
    assert_eq!(cart.headers()["x-served-by"], "shop");
    assert_eq!(
        cart.headers()["access-control-allow-origin"],
        "https://a.example"
    );
}

#[tokio::test]
async fn limits_of_rules_hold_for_an_application() {
    let ask = browser(application().await);
    let held = ask(http::Method::GET, "/held").send().await.unwrap();
    assert_eq!(held.status(), 200);
    let refused = ask(http::Method::GET, "/cart").send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.text().await.unwrap().contains("overflow"));
    // It ends when its client leaves, which the server learns of in its own time.
    drop(held);
    let again = async {
        while ask(http::Method::GET, "/cart")
            .send()
            .await
            .unwrap()
            .status()
            != 200
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), again)
        .await
        .expect("room again");
}

/// Switches to a protocol in which everything is said louder.
async fn shout(mut request: Request) -> Response {
    let switched = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(switched.await.unwrap());
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.unwrap();
        said.make_ascii_uppercase();
        stream.write_all(&said).await.unwrap();
    });
    let headers = [("connection", "upgrade"), ("upgrade", "websocket")];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Through a proxy in one application, and the rules around another.
#[tokio::test]
async fn a_websocket_reaches_an_application_through_another() {
    let (listener, inside) = listen().await;
    let (edge, _) = Mesh::builder()
        .yaml(RULES)
        .gateway("default/edge")
        .build()
        .unwrap();
    let app = edge
        .inbound_layer()
        .layer(Router::new().route("/ws", get(shout)));
    let app = Router::new().fallback_service(app);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let entry = ServiceEntry::http("shop.example.com", [inside]);
    let resources = Resources::new().with("shop", entry);
    let (mesh, _) = Mesh::builder().resources(resources).build().unwrap();
    let (listener, outside) = listen().await;
    let app = Router::new().fallback_service(mesh.forward());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let mut stream = tokio::net::TcpStream::connect(outside).await.unwrap();
    let asked = "GET /ws HTTP/1.1\r\nhost: shop.example.com\r\nconnection: upgrade\r\n\
                 upgrade: websocket\r\n\r\n";
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("x-served-by: shop\r\n"), "{head}");
    stream.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"HELLO");
}
