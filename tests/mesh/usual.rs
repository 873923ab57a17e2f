//! The layers that nearly every route takes are one service, and do what the same layers do one
//! around the other.
//!
//! A route with a `corsPolicy` for an origin that nobody sends takes the layers one by one, and is
//! the same otherwise. Each combination of policies is asked of both.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{ServiceExt as _, service_fn};
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::Mesh;
use tower_mesh::rt::Rng;

use crate::support::{build, seen, service, text, virtual_service};

const HEADERS: [&str; 3] = [
    "",
    "headers: {request: {set: {x-set: one}, remove: [x-gone]}, response: {add: {x-served: yes}}}",
    "headers: {request: {add: {x-path: '%REQ(:path)%'}}, \
     response: {set: {x-code: '%RESPONSE_CODE%', x-asked: '%REQ(x-gone)%'}}}",
];
const REWRITES: [&str; 2] = ["", "rewrite: {uri: /new, authority: other.example}"];
const TIMEOUTS: [&str; 2] = ["", "timeout: 3s"];
const RETRIES: [&str; 3] = [
    "retries: {attempts: 0}",
    "retries: {attempts: 2, retryOn: '5xx,reset'}",
    "retries: {attempts: 1, perTryTimeout: 1s, retryOn: 5xx}",
];
/// What endpoints do, try after try.
const STEPS: [&str; 6] = [
    "200",
    "503 200",
    "503 503 503",
    "fail 200",
    "hang",
    "fail hang",
];

fn rules(headers: &str, rewrite: &str, timeout: &str, retries: &str, cors: &str) -> String {
    let policies: String = [headers, rewrite, timeout, retries, cors]
        .into_iter()
        .filter(|it| !it.is_empty())
        .map(|it| format!("    {it}\n"))
        .collect();
    service("web.example", 80, &[1, 2])
        + &virtual_service(
            "web",
            &format!(
                "  hosts: [web.example]\n  http:\n  - match: [{{uri: {{prefix: /old}}}}]\n{policies}    \
                 route: [{{destination: {{host: web.example}}}}]"
            ),
        )
}

type Seen = Arc<Mutex<Vec<String>>>;

/// Asks a proxy with these rules; gives the answer, what endpoints saw, and how long it took.
async fn ask(yaml: &str, steps: &'static str, body: &'static str) -> String {
    let mesh = build(Mesh::builder().rng(Rng::seeded(7)), yaml);
    let saw = Seen::default();
    let log = saw.clone();
    let proxy = mesh.forward_with(move |endpoint: &Endpoint| {
        let (address, log) = (endpoint.address().to_string(), log.clone());
        service_fn(move |request: Request<Body>| {
            let (address, log) = (address.clone(), log.clone());
            async move {
                let (head, body) = request.into_parts();
                let sent = body.collect().await.map(|it| it.to_bytes());
                let mut headers: Vec<_> = head
                    .headers
                    .iter()
                    .filter(|(name, _)| *name != "x-request-id")
                    .map(|(name, value)| format!("{name}={value:?}"))
                    .collect();
                headers.sort();
                let step = {
                    let mut log = log.lock().unwrap();
                    let place = log.len();
                    log.push(format!("{address} {} {headers:?} {sent:?}", head.uri));
                    steps.split(' ').nth(place).or(steps.split(' ').next_back())
                };
                match step {
                    Some("hang") => std::future::pending().await,
                    Some("fail") => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
                    status => {
                        let status = status.unwrap().parse::<u16>().unwrap();
                        let answer = Response::builder().status(status);
                        Ok(answer.body(Full::<Bytes>::from("answer")).unwrap())
                    }
                }
            }
        })
    });
    let request = Request::post("http://web.example/old/x?q")
        .header("x-gone", "here")
        .body(Body::from(body))
        .unwrap();
    let began = tokio::time::Instant::now();
    let answer = tokio::time::timeout(Duration::from_secs(10), proxy.oneshot(request)).await;
    let took = began.elapsed().as_millis();
    let Ok(Ok(response)) = answer else {
        return format!("nothing after {took} ms, {saw:?}");
    };
    let said = seen(&response);
    let mut headers: Vec<_> = response
        .headers()
        .iter()
        .filter(|(name, _)| *name != "x-envoy-upstream-service-time")
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    headers.sort();
    let info = response.body().info();
    let info = format!(
        "{} {:?} {:?} {:?}",
        info.attempts(),
        info.upstream_host(),
        info.upstream_cluster(),
        info.path(),
    );
    let body = text(response.into_body()).await;
    format!("{said} {headers:?} {body} {info} after {took} ms, {saw:?}")
}

#[tokio::test(start_paused = true)]
async fn one_service_does_what_its_layers_do() {
    let mut asked = 0;
    for headers in HEADERS {
        for rewrite in REWRITES {
            for timeout in TIMEOUTS {
                for retries in RETRIES {
                    let cors = "corsPolicy: {allowOrigins: [{exact: 'https://nobody'}]}";
                    let usual = rules(headers, rewrite, timeout, retries, "");
                    let whole = rules(headers, rewrite, timeout, retries, cors);
                    for steps in STEPS {
                        for body in ["", "asked"] {
                            let one = ask(&usual, steps, body).await;
                            let layers = ask(&whole, steps, body).await;
                            assert_eq!(one, layers, "{usual}\n{steps} {body:?}");
                            asked += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(asked, 432);
}
