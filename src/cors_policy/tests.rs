//! Tests for [`super`]; the answers are what Envoy 1.40 gave.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use super::{CorsLayer, CorsPolicy, compile};
use crate::answer::mock::{Nothing, Readied};
use crate::api::{self, StringMatch, UnmatchedPreflights};
use crate::context::{Preflight, ResponseFlags};
use crate::diagnostic::{At, Diagnostics};
use crate::reply::LocalReply;

fn read(written: &api::CorsPolicy) -> (Option<CorsPolicy>, String) {
    let mut found = Diagnostics::default();
    let policy = compile(written, At::Top, &mut found);
    (policy, found.to_string())
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|&it| it.to_owned()).collect()
}

fn exact(origin: &str) -> api::CorsPolicy {
    api::CorsPolicy {
        allow_origins: vec![StringMatch::Exact(origin.into())],
        ..api::CorsPolicy::default()
    }
}

/// Everything there is, for `https://ok`.
fn full() -> api::CorsPolicy {
    api::CorsPolicy {
        allow_methods: strings(&["GET", "POST"]),
        allow_headers: strings(&["x-a", "X-B"]),
        expose_headers: strings(&["x-e"]),
        max_age: Some(Duration::from_secs(10)),
        allow_credentials: Some(true),
        ..exact("https://ok")
    }
}

/// Sends a request through the layer to an upstream with CORS headers of its own. Prints who
/// answered, and the CORS headers without their common beginning.
async fn ask(written: &api::CorsPolicy, method: &str, headers: &[(&str, &str)]) -> String {
    let (policy, said) = read(written);
    assert_eq!(said, "");
    let upstream = service_fn(|_: Request<()>| {
        let response = Response::builder()
            .header("access-control-allow-origin", "https://own")
            .header("access-control-expose-headers", "x-1")
            .header("access-control-expose-headers", "x-2")
            .body(Full::new(Bytes::from("upstream")));
        ready(Ok::<_, Infallible>(response.expect("valid")))
    });
    let service = CorsLayer::new(policy.expect("a good policy")).layer(upstream);
    let mut request = Request::builder().method(method);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).expect("valid");
    let response = service.oneshot(request).await.expect("infallible");
    let who = match LocalReply::of(&response) {
        Some(reply) => {
            assert!(response.extensions().get::<Preflight>().is_some());
            assert_eq!(response.status(), StatusCode::OK);
            reply.details.to_string()
        }
        None => "upstream".to_owned(),
    };
    format!("{who}: {}", print(response.headers()))
}

fn print(headers: &HeaderMap) -> String {
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| {
            let name = name.as_str().trim_start_matches("access-control-");
            format!("{name}={}", value.to_str().expect("text"))
        })
        .collect();
    lines.sort();
    lines.join(" ")
}

const OWN: &str = "upstream: allow-origin=https://own expose-headers=x-1 expose-headers=x-2";
const OK: (&str, &str) = ("origin", "https://ok");
const NO: (&str, &str) = ("origin", "https://no");
const PUT: (&str, &str) = ("access-control-request-method", "PUT");
const ASKS_HEADERS: (&str, &str) = ("access-control-request-headers", "x-q, x-z");

#[tokio::test]
async fn a_preflight_is_answered_with_what_is_allowed_whatever_it_asks_for() {
    let want = "cors_response: allow-credentials=true allow-headers=x-a,X-B \
                allow-methods=GET,POST allow-origin=https://ok expose-headers=x-e max-age=10";
    assert_eq!(ask(&full(), "OPTIONS", &[OK, PUT]).await, want);
    assert_eq!(
        ask(&full(), "OPTIONS", &[OK, PUT, ASKS_HEADERS]).await,
        want
    );
    let grpc = ("content-type", "application/grpc");
    assert_eq!(ask(&full(), "OPTIONS", &[OK, PUT, grpc]).await, want);
    let bare = exact("https://ok");
    let want = "cors_response: allow-origin=https://ok";
    assert_eq!(ask(&bare, "OPTIONS", &[OK, PUT]).await, want);
}

#[tokio::test]
async fn an_asterisk_alone_repeats_what_is_asked_for() {
    let mut all = exact("*");
    all.allow_methods = strings(&["*"]);
    all.allow_headers = strings(&["*"]);
    all.expose_headers = strings(&["*"]);
    let answer = ask(&all, "OPTIONS", &[NO, PUT, ASKS_HEADERS]).await;
    let want = "cors_response: allow-headers=x-q, x-z allow-methods=PUT \
                allow-origin=https://no expose-headers=*";
    assert_eq!(answer, want);
    let answer = ask(&all, "OPTIONS", &[NO, PUT]).await;
    let want = "cors_response: allow-headers= allow-methods=PUT allow-origin=https://no \
                expose-headers=*";
    assert_eq!(answer, want);
    let get = ("access-control-request-method", "GET");
    let more = ("access-control-request-headers", "x-r");
    let answer = ask(&all, "OPTIONS", &[NO, PUT, get, ASKS_HEADERS, more]).await;
    let want = "cors_response: allow-headers=x-q, x-z,x-r allow-methods=PUT,GET \
                allow-origin=https://no expose-headers=*";
    assert_eq!(answer, want);
    // Among others it is a word like any other.
    all.allow_methods = strings(&["*", "GET"]);
    let answer = ask(&all, "OPTIONS", &[NO, PUT]).await;
    assert!(answer.contains("allow-methods=*,GET"), "{answer}");
}

#[tokio::test]
async fn preflights_from_elsewhere_are_forwarded_or_answered_without_an_origin() {
    assert_eq!(ask(&full(), "OPTIONS", &[NO, PUT]).await, OWN);
    let mut policy = full();
    policy.unmatched_preflights = UnmatchedPreflights::Forward;
    assert_eq!(ask(&policy, "OPTIONS", &[NO, PUT]).await, OWN);
    policy.unmatched_preflights = UnmatchedPreflights::Ignore;
    let want = "cors_response: allow-credentials=true allow-headers=x-a,X-B \
                allow-methods=GET,POST max-age=10";
    assert_eq!(ask(&policy, "OPTIONS", &[NO, PUT]).await, want);
    // They must be preflights.
    assert_eq!(ask(&policy, "OPTIONS", &[NO]).await, OWN);
    assert_eq!(ask(&policy, "GET", &[NO, PUT]).await, OWN);
}

#[tokio::test]
async fn actual_requests_go_on_and_their_responses_are_dressed_if_the_origin_is_allowed() {
    let dressed = "upstream: allow-credentials=true allow-origin=https://ok expose-headers=x-e";
    assert_eq!(ask(&full(), "GET", &[OK]).await, dressed);
    assert_eq!(ask(&full(), "POST", &[OK, PUT]).await, dressed);
    assert_eq!(ask(&full(), "OPTIONS", &[OK]).await, dressed);
    let empty = ("access-control-request-method", "");
    assert_eq!(ask(&full(), "OPTIONS", &[OK, empty]).await, dressed);
    for headers in [
        &[NO][..],
        &[],
        &[("origin", "")],
        &[("origin", "HTTPS://OK")],
    ] {
        assert_eq!(ask(&full(), "GET", headers).await, OWN, "{headers:?}");
    }
    // Several lines are one value.
    assert_eq!(ask(&full(), "GET", &[OK, NO]).await, OWN);
    let answer = ask(&exact("*"), "GET", &[OK, NO]).await;
    let want = "upstream: allow-origin=https://ok,https://no expose-headers=x-1 \
                expose-headers=x-2";
    assert_eq!(answer, want);
}

#[tokio::test]
async fn whatever_matches_an_asterisk_allows_all() {
    let dressed = "upstream: allow-origin=https://no expose-headers=x-1 expose-headers=x-2";
    for origin in [
        StringMatch::Exact("*".into()),
        StringMatch::Prefix("*".into()),
        StringMatch::Regex(".*".into()),
    ] {
        let mut policy = exact("https://ok");
        policy.allow_origins.push(origin);
        assert_eq!(ask(&policy, "GET", &[NO]).await, dressed);
    }
    let mut policy = exact("https://ok");
    policy
        .allow_origins
        .push(StringMatch::Regex("https://n.".into()));
    assert_eq!(ask(&policy, "GET", &[NO]).await, dressed);
    let none = api::CorsPolicy::default();
    assert_eq!(ask(&none, "GET", &[OK]).await, OWN);
}

#[tokio::test]
async fn answers_made_further_in_are_dressed_too() {
    let refusing = service_fn(|_: Request<()>| {
        let reply = LocalReply::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ResponseFlags::NO_HEALTHY_UPSTREAM,
        );
        ready(Ok::<Response<Full<Bytes>>, Infallible>(
            reply.into_response(false),
        ))
    });
    let policy = read(&full()).0.expect("good");
    let request = Request::get("/")
        .header(OK.0, OK.1)
        .body(())
        .expect("valid");
    let response = CorsLayer::new(policy).layer(refusing).oneshot(request);
    let response = response.await.expect("infallible");
    assert_eq!(response.status(), 503);
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://ok"
    );
    assert!(response.extensions().get::<Preflight>().is_none());
}

#[test]
fn what_istio_refuses_is_refused_in_its_words() {
    let written = api::CorsPolicy {
        allow_origins: vec![
            StringMatch::Present,
            StringMatch::Exact(String::new()),
            StringMatch::Regex("[".into()),
        ],
        allow_methods: strings(&["GET", "get", "QUERY"]),
        allow_headers: strings(&["*", "", "x y"]),
        expose_headers: strings(&["x:"]),
        max_age: Some(Duration::from_millis(1500)),
        ..api::CorsPolicy::default()
    };
    let (policy, said) = read(&written);
    assert_eq!(policy, None);
    let said: Vec<&str> = said.lines().collect();
    let empty = "'' is not a valid match type for CORS allow origins";
    assert_eq!(
        said[..2],
        [
            format!("error[invalid-value]: allowOrigins[0]: {empty}"),
            format!("error[invalid-value]: allowOrigins[1]: {empty}"),
        ]
    );
    assert!(said[2].starts_with("error[invalid-value]: allowOrigins[2].regex: "));
    assert_eq!(
        said[3..],
        [
            "error[invalid-value]: allowMethods[1]: \"get\" is not a supported HTTP method",
            "error[invalid-value]: allowMethods[2]: \"QUERY\" is not a supported HTTP method",
            "error[invalid-value]: allowHeaders[1]: header name cannot be empty",
            "error[invalid-value]: allowHeaders[2]: header name x y is not a valid header name",
            "error[invalid-value]: exposeHeaders[0]: header name x: is not a valid header name",
            "error[invalid-value]: maxAge: max_age duration is accurate only to seconds precision",
        ]
    );
    let mut timeless = full();
    timeless.max_age = Some(Duration::ZERO);
    let want = "error[invalid-value]: maxAge: duration must be greater than 1ms";
    assert_eq!(read(&timeless), (None, want.to_owned()));
}

#[test]
fn origins_that_no_browser_sends_are_warned_of() {
    let warning = |origin| {
        let (policy, said) = read(&exact(origin));
        assert!(policy.is_some(), "it is accepted all the same");
        said
    };
    assert_eq!(
        warning("news.com"),
        "warning[never-matches]: allowOrigins[0].exact: no Origin is \"news.com\": an Origin \
         begins with its scheme (write https://news.com)"
    );
    assert_eq!(
        warning("https://news.com/"),
        "warning[never-matches]: allowOrigins[0].exact: no Origin is \"https://news.com/\": an \
         Origin ends with its host and port (write https://news.com)"
    );
    assert_eq!(
        warning("https://*.news.com"),
        "warning[never-matches]: allowOrigins[0].exact: no Origin is \"https://*.news.com\": \
         here * is a character like any other (to allow many origins write a regex)"
    );
    for origin in ["*", "null", "https://news.com", "capacitor://localhost"] {
        assert_eq!(warning(origin), "");
    }
    let mut prefix = exact("*");
    prefix.allow_origins = vec![StringMatch::Prefix("news.com".into())];
    assert_eq!(
        read(&prefix).1,
        "warning[never-matches]: allowOrigins[0].prefix: no Origin begins with \"news.com\": it \
         begins with its scheme (write https://news.com)"
    );
    prefix.allow_origins = vec![StringMatch::Prefix("http".into())];
    assert_eq!(read(&prefix).1, "");
}

#[test]
fn the_old_list_of_origins_works_where_the_new_one_is_empty() {
    let mut old = api::CorsPolicy {
        allow_origin: strings(&["https://ok", "news.com"]),
        ..api::CorsPolicy::default()
    };
    let (policy, said) = read(&old);
    let new = CorsPolicy::new()
        .allow_origin("https://ok")
        .allow_origin("news.com");
    assert_eq!(policy, Some(new));
    assert_eq!(
        said,
        "warning[deprecated]: allowOrigin: allowOrigin is deprecated (write allowOrigins: \
         [{exact: …}])\n\
         warning[never-matches]: allowOrigin[1]: no Origin is \"news.com\": an Origin begins with \
         its scheme (write https://news.com)"
    );
    old.allow_origins = vec![StringMatch::Exact("https://new".into())];
    let (policy, _) = read(&old);
    assert_eq!(policy, Some(CorsPolicy::new().allow_origin("https://new")));
}

#[tokio::test]
async fn without_a_policy_the_readied_service_is_asked() -> Result<(), Infallible> {
    let mut service = CorsLayer::selecting(Nothing).layer(Readied::default());
    for _ in 0..2 {
        let request = Request::options("/")
            .header(OK.0, OK.1)
            .header(PUT.0, PUT.1);
        let request = request.body(()).expect("valid");
        let response = service.ready().await?.call(request).await?;
        assert!(response.headers().is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn only_the_readied_service_is_asked() -> Result<(), Infallible> {
    let policy = CorsPolicy::new().allow_origin("*");
    let mut service = CorsLayer::new(policy).layer(Readied::default());
    for _ in 0..2 {
        let request = Request::get("/")
            .header(OK.0, OK.1)
            .body(())
            .expect("valid");
        let response = service.ready().await?.call(request).await?;
        assert_eq!(print(response.headers()), "allow-origin=https://ok");
        service = service.clone();
    }
    Ok(())
}

#[test]
fn dropping_the_future_drops_the_inner_one() {
    let alive = Arc::new(());
    let inner = service_fn({
        let alive = alive.clone();
        move |_: Request<()>| {
            let alive = alive.clone();
            async move {
                pending::<()>().await;
                drop(alive);
                Ok::<Response<Full<Bytes>>, Infallible>(Response::default())
            }
        }
    });
    let policy = CorsPolicy::new().allow_origin("*");
    let mut service = CorsLayer::new(policy).layer(inner);
    let request = Request::get("/")
        .header(OK.0, OK.1)
        .body(())
        .expect("valid");
    let future = service.call(request);
    assert_eq!(Arc::strong_count(&alive), 3);
    drop(future);
    assert_eq!(Arc::strong_count(&alive), 2);
}
