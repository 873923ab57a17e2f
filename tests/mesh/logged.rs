//! Rules, an endpoint and a request of which something is written down.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::service_fn;
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;

type Answer = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;

pub(crate) const RULES: &str = "  hosts: [a.com]
  http:
  - name: old
    match: [{uri: {prefix: /old}}]
    rewrite: {uri: /new, authority: new.com}
    timeout: 1s
    retries: {attempts: 2, retryOn: 5xx}
    route: [{destination: {host: a.com}}]
  - name: abort
    match: [{uri: {exact: /abort}}]
    fault: {abort: {httpStatus: 418, percentage: {value: 100}}}
    rewrite: {authority: new.com}
    route: [{destination: {host: a.com}}]";

/// Answers as `x-up` says.
pub(crate) fn upstream(_: &Endpoint) -> tower::util::ServiceFn<fn(Request<Body>) -> Answer> {
    service_fn(|request| {
        Box::pin(async move {
            let up = request.headers().get("x-up").cloned();
            let _ = request.into_body().collect().await;
            if up.as_ref().is_some_and(|it| it == "sleep") {
                tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            }
            let status = up
                .and_then(|it| it.to_str().ok()?.parse().ok())
                .unwrap_or(200);
            let body = Full::from(Bytes::from_static(b"hello"));
            Ok(Response::builder().status(status).body(body).unwrap())
        })
    })
}

pub(crate) fn request(path: &str, up: &'static str) -> Request<Body> {
    let request = Request::post(path)
        .header("host", "a.com")
        .header("x-up", up);
    let request = request
        .header("user-agent", "tests")
        .header("x-forwarded-for", "1.2.3.4");
    request.body(Body::from("four")).unwrap()
}
