//! A client as those who know reqwest use it, over real sockets.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::{get, post};
use http::{Method, StatusCode};
use tokio::net::TcpListener;
use tower::service_fn;
use tower_mesh::api::{
    DestinationRule, HttpMatchRequest, HttpRoute, Resources, ServiceEntry, VirtualService,
    WorkloadEntry,
};
use tower_mesh::body::{Body, BoxError, SyncBody};
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::{ErrorKind, Mesh};

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn version(name: &'static str) -> Router {
    Router::new()
        .route("/name", get(move || async move { name }))
        .route("/echo", post(|body: String| async move { body }))
        .route("/long", get(|| async { vec![b'x'; 1 << 20] }))
        .route("/bytes", get(|| async { vec![b'a', 0xff] }))
        .fallback(|request: axum::extract::Request| async move {
            let header = request.headers().get("x-a").cloned();
            format!("{} {} {header:?}", request.method(), request.uri())
        })
}

/// Two versions of `reviews`, the second for those who say so.
async fn mesh() -> Mesh {
    let endpoints = [
        WorkloadEntry::from(serve(version("v1")).await).labels([("version", "v1")]),
        WorkloadEntry::from(serve(version("v2")).await).labels([("version", "v2")]),
    ];
    let testers = HttpRoute::split("reviews", [("v2", 100)])
        .r#match([HttpMatchRequest::of_header("x-tester", "yes")]);
    let everybody = HttpRoute::split("reviews", [("v1", 100)]);
    let resources = Resources::new()
        .with("reviews", ServiceEntry::http("reviews", endpoints))
        .with(
            "reviews",
            DestinationRule::versions("reviews", ["v1", "v2"]),
        )
        .with(
            "reviews",
            VirtualService::of_hosts(["reviews"]).http([testers, everybody]),
        );
    let built = Mesh::builder()
        .resources(resources)
        .registry_only(true)
        .build();
    let (mesh, report) = built.unwrap_or_else(|found| panic!("{found}"));
    assert!(report.diagnostics().is_empty(), "{}", report.diagnostics());
    mesh
}

#[tokio::test]
async fn rules_made_in_rust_decide_who_answers() {
    let client = mesh().await.client();
    for _ in 0..10 {
        let response = client.get("http://reviews/name").send().await.unwrap();
        assert_eq!(response.status(), 200);
        let cluster = "outbound|80|v1|reviews.default.svc.cluster.local";
        assert_eq!(response.body().info().upstream_cluster(), Some(cluster));
        assert_eq!(response.text().await.unwrap(), "v1");
    }
    let request = client.get("http://reviews/name").header("x-tester", "yes");
    assert_eq!(request.send().await.unwrap().text().await.unwrap(), "v2");
}

/// What a newcomer begins with is as the README has it.
#[tokio::test]
async fn the_readmes_first_rules_route_its_first_request() {
    let readme = include_str!("../../README.md");
    let mut blocks = readme.split("```yaml\n").skip(1);
    let block = blocks.find(|it| it.contains("kind: ServiceEntry")).unwrap();
    let block = block.split("```").next().unwrap();
    let (mesh, report) = Mesh::builder().yaml(block).build().unwrap();
    assert!(report.diagnostics().is_empty(), "{}", report.diagnostics());
    let url = "http://reviews.example.com/reviews/1";
    assert!(readme.contains(url));
    let request = mesh.client().get(url).header("end-user", "jason");
    let text = request.send().await.unwrap().text().await.unwrap();
    assert_eq!(text, "hello jason");
    // A wrong file is told in words, also where `main` returns what is wrong.
    let wrong = Mesh::builder().yaml(&block.replace("exact:", "exct:"));
    let wrong = format!("{:?}", wrong.build().unwrap_err());
    assert!(wrong.contains("there is no field \"exct\" here"), "{wrong}");
    assert!(wrong.starts_with("mesh.yaml:"), "{wrong}");
}

#[tokio::test]
async fn methods_headers_and_bodies_arrive() {
    let client = mesh().await.client();
    let request = client.post("http://reviews/echo").body("five stars");
    let response = request.send().await.unwrap();
    assert_eq!(response.bytes().await.unwrap(), "five stars");
    let url = "http://reviews/any?a=b";
    for (request, method) in [
        (client.put(url), "PUT"),
        (client.patch(url), "PATCH"),
        (client.delete(url), "DELETE"),
        (client.request(Method::OPTIONS, url), "OPTIONS"),
    ] {
        let response = request.header("x-a", 1).send().await.unwrap();
        let text = response.text().await.unwrap();
        assert_eq!(text, format!("{method} /any?a=b Some(\"1\")"));
    }
    let head = client.head("http://reviews/long").send().await.unwrap();
    assert_eq!(head.headers()["content-length"], "1048576");
    assert_eq!(head.text().await.unwrap(), "");
}

#[tokio::test]
async fn a_body_is_read_up_to_a_limit() {
    let client = mesh().await.client();
    let long = || client.get("http://reviews/long").send();
    let whole = long().await.unwrap().bytes_up_to(1 << 20).await.unwrap();
    assert_eq!(whole.len(), 1 << 20);
    let cut = long().await.unwrap().bytes_up_to((1 << 20) - 1).await;
    let error = cut.unwrap_err().to_string();
    assert_eq!(error, "reading a body failed: length limit exceeded");
    let bytes = client.get("http://reviews/bytes").send().await.unwrap();
    assert_eq!(bytes.text().await.unwrap(), "a\u{fffd}");
}

#[tokio::test]
async fn what_is_no_request_is_told_when_it_is_sent() {
    let client = mesh().await.client();
    for request in [
        client.get("http://[reviews/"),
        client.get("http://reviews/").header("a b", "c"),
        client.get("http://reviews/").header("a", "c\n"),
    ] {
        let error = request.send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
    let error = client.get("http://nowhere/").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownHost);
    assert_eq!(
        error.to_string(),
        "nothing declares the host, and unknown hosts are refused (502)"
    );
    // A refusal by the service is a response.
    let refused = Router::new().fallback(|| async { StatusCode::FORBIDDEN });
    let entry = ServiceEntry::http("closed.example.com", vec![serve(refused).await]);
    let resources = Resources::new().with("closed", entry);
    let (mesh, _) = Mesh::builder().resources(resources).build().unwrap();
    let response = mesh.client().get("http://closed.example.com/").send().await;
    assert_eq!(response.unwrap().status(), 403);
}

/// reqwest carries the requests: bodies both ways, and the length of those that are known. Where an
/// answer leads is the client's to follow.
#[tokio::test]
async fn reqwest_is_a_transport() {
    let app = Router::new().fallback(|request: axum::extract::Request| async move {
        let length = request.headers().get("content-length").cloned();
        let host = request.headers()["host"].clone();
        let body = axum::body::to_bytes(request.into_body(), 100).await;
        format!("{host:?} {length:?} {:?}", body.unwrap())
    });
    let elsewhere = || async { axum::response::Redirect::temporary("/") };
    let app = app.route("/moved", get(elsewhere));
    let entry = ServiceEntry::http("reviews", [serve(app).await]);
    let resources = Resources::new().with("reviews", entry);
    let (mesh, _) = Mesh::builder().resources(resources).build().unwrap();
    let http = reqwest::Client::builder()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    let http = http.build().unwrap();
    let client = mesh.client_with(move |endpoint: &Endpoint| {
        let (http, address) = (http.clone(), endpoint.address().to_string());
        service_fn(move |request: http::Request<Body>| {
            let (http, url) = (http.clone(), format!("http://{address}{}", request.uri()));
            async move {
                let (mut parts, body) = request.into_parts();
                parts.uri = url.parse()?;
                let body = reqwest::Body::wrap(SyncBody::new(body));
                let request = http::Request::from_parts(parts, body);
                let response = http.execute(request.try_into()?).await?;
                Ok::<http::Response<reqwest::Body>, BoxError>(response.into())
            }
        })
    });
    let get = client.get("http://reviews/").send().await.unwrap();
    assert_eq!(get.text().await.unwrap(), r#""reviews" None b"""#);
    let post = client.post("http://reviews/").body("four").send().await;
    let text = post.unwrap().text().await.unwrap();
    assert_eq!(text, r#""reviews" Some("4") b"four""#);
    let moved = client.get("http://reviews/moved").send().await.unwrap();
    assert_eq!(
        (moved.status().as_u16(), &moved.headers()["location"]),
        (307, &"/".parse().unwrap())
    );

    // An endpoint that is not there is the failure it is.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = listener.local_addr().unwrap();
    drop(listener);
    let entry = ServiceEntry::http("reviews", [gone]);
    mesh.apply(&Resources::new().with("reviews", entry))
        .unwrap();
    let error = client.get("http://reviews/").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
}

#[tokio::test]
async fn a_query_is_escaped_and_comes_after_what_the_url_has() {
    let client = mesh().await.client();
    let pairs = [("title", "war & peace"), ("n", "1")];
    let seen = client.get("http://reviews/search?a=b").query(pairs);
    let seen = seen.send().await.unwrap().text().await.unwrap();
    assert_eq!(seen, "GET /search?a=b&title=war%20%26%20peace&n=1 None");
    let seen = client.get("http://reviews").query([("\u{e9}", "")]);
    let seen = seen.send().await.unwrap().text().await.unwrap();
    assert_eq!(seen, "GET /?%C3%A9= None");
}

#[cfg(feature = "json")]
#[tokio::test]
async fn json_goes_out_and_comes_back() {
    let client = mesh().await.client();
    let sent = serde_json::json!({"stars": 5, "text": "good"});
    let response = client.post("http://reviews/echo").json(&sent).send().await;
    assert_eq!(
        response.unwrap().json::<serde_json::Value>().await.unwrap(),
        sent
    );
    let text = client.get("http://reviews/name").send().await.unwrap();
    assert!(text.json::<serde_json::Value>().await.is_err());
    // What it is called is the caller's to say, once.
    let kinds = Router::new().fallback(|headers: http::HeaderMap| async move {
        let kinds = headers.get_all("content-type").iter();
        let kinds = kinds.map(|it| it.to_str().unwrap().to_owned());
        kinds.collect::<Vec<_>>().join(" and ")
    });
    let entry = ServiceEntry::http("kinds", [serve(kinds).await]);
    let resources = Resources::new().with("kinds", entry);
    let (other, _) = Mesh::builder().resources(resources).build().unwrap();
    let other = other.client();
    let post = || other.post("http://kinds/");
    let (name, of_its_own) = ("content-type", "application/vnd.shop+json");
    for (request, want) in [
        (post().json(&sent), "application/json"),
        (post().header(name, of_its_own).json(&sent), of_its_own),
        (post().json(&sent).header(name, of_its_own), of_its_own),
        (post().json(&sent).json(&sent), "application/json"),
        (post().json(&sent).body("text"), ""),
    ] {
        let seen = request.send().await.unwrap().text().await.unwrap();
        assert_eq!(seen, want);
    }
    // A map whose keys are no texts is none of JSON's.
    let wrong = std::collections::HashMap::from([((1, 2), 3)]);
    let error = client.post("http://reviews/echo").json(&wrong).send().await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidRequest);
}
