//! Headers by which requests are traced: passed on as they came, an id made where there is none.

use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, Response};
use tower::{ServiceExt as _, service_fn};
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;

use crate::support::{mesh, service};

const TRACE: [(&str, &str); 8] = [
    (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    ("tracestate", "a=b,c=d"),
    ("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1"),
    ("x-b3-traceid", "80f198ee56343ba864fe8b2a57d3eff7"),
    ("x-b3-spanid", "e457b5a2e4d86bd1"),
    ("x-b3-sampled", "1"),
    ("x-b3-parentspanid", "05e3ac9a4f6e3b90"),
    ("x-b3-flags", "0"),
];

/// The headers an endpoint gets of a request through a proxy, or through a client.
async fn received(headers: &[(&str, &str)], proxy: bool) -> HeaderMap {
    let mesh = mesh(&service("a.com", 80, &[1]));
    let seen = Arc::new(Mutex::new(HeaderMap::new()));
    let upstream = {
        let seen = seen.clone();
        move |_: &Endpoint| {
            let seen = seen.clone();
            service_fn(move |request: Request<Body>| {
                *seen.lock().unwrap() = request.headers().clone();
                std::future::ready(Ok::<_, std::io::Error>(Response::new(Body::empty())))
            })
        }
    };
    let mut request = Request::get("http://a.com/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    match proxy {
        true => drop(mesh.forward_with(upstream).oneshot(request).await.unwrap()),
        false => drop(mesh.client_with(upstream).send(request).await.unwrap()),
    }
    std::mem::take(&mut *seen.lock().unwrap())
}

#[tokio::test]
async fn trace_headers_are_passed_on_as_they_came() {
    for proxy in [true, false] {
        let received = received(&TRACE, proxy).await;
        for (name, value) in TRACE {
            assert_eq!(received[name], value, "{name}");
        }
    }
}

#[tokio::test]
async fn a_proxy_makes_a_request_id_where_there_is_none() {
    let made = received(&[], true).await;
    let made = made["x-request-id"].to_str().unwrap();
    assert_eq!((made.len(), made.as_bytes()[14]), (36, b'4'));
    assert_ne!(received(&[], true).await["x-request-id"], made);
    let kept = received(&[("x-request-id", "mine")], true).await;
    assert_eq!(kept["x-request-id"], "mine");
    assert!(!received(&[], false).await.contains_key("x-request-id"));
}
