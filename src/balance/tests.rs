//! Services behind a balancer, on a paused clock.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tokio::time::advance;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{Balance, BalanceLayer};
use crate::context::ResponseFlags;
use crate::endpoint::{Address, Endpoint};
use crate::load_balancer::{Algorithm, HashCookie, HashPolicy, LoadBalancerPolicy};
use crate::outlier_detection::OutlierDetectionPolicy;
use crate::rt::{Rng, drop_late};

type Answer = Pin<Box<dyn Future<Output = io::Result<Response<Full<Bytes>>>> + Send>>;
type Upstream<B> = tower::util::ServiceFn<Box<dyn Fn(Request<B>) -> Answer + Send>>;

/// Answers with its port; the first endpoint does what `x-how` says.
fn upstream<B: 'static>(endpoint: &Endpoint) -> Upstream<B> {
    let port = endpoint.address().to_string().replace("127.0.0.1:", "");
    service_fn(Box::new(move |request: Request<B>| {
        let port = port.clone();
        let how = request.headers().get("x-how").cloned();
        Box::pin(async move {
            let how = how.filter(|_| port == "1");
            let mut response = Response::new(Full::from(port.clone()));
            match how.as_ref().map(|it| it.to_str().expect("text")) {
                None => {}
                Some("refuse") => return Err(io::ErrorKind::ConnectionRefused.into()),
                Some("hang") => pending().await,
                Some(status) => {
                    *response.status_mut() =
                        StatusCode::from_bytes(status.as_bytes()).expect("one");
                }
            }
            Ok(response)
        })
    }))
}

type Service = Balance<fn(&Endpoint) -> Upstream<()>>;

fn service(layer: &BalanceLayer) -> Service {
    layer.layer(upstream)
}

fn layer(algorithm: Algorithm) -> BalanceLayer {
    let endpoint = |port| Endpoint::new(Address::new("127.0.0.1", port), Arc::default());
    let endpoints: Vec<Endpoint> = (1..=3).map(endpoint).collect();
    BalanceLayer::new(LoadBalancerPolicy::new(algorithm), endpoints).rng(Rng::seeded(5))
}

fn outliers(count: u32) -> OutlierDetectionPolicy {
    OutlierDetectionPolicy {
        consecutive_5xx_errors: count,
        max_ejection_percent: 34,
        ..OutlierDetectionPolicy::default()
    }
}

fn request(how: &str) -> Request<()> {
    let mut request = Request::new(());
    if !how.is_empty() {
        let how = HeaderValue::from_str(how).expect("text");
        request.headers_mut().insert("x-how", how);
    }
    request
}

/// What so many requests get: the port that answers, a status, the flags, or an error's kind.
async fn ask(service: &Service, how: &str, count: usize) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for _ in 0..count {
        let told = match service.clone().oneshot(request(how)).await {
            Err(error) => error.kind().to_string(),
            Ok(response) if !ResponseFlags::of(&response).is_empty() => {
                ResponseFlags::of(&response).to_string()
            }
            Ok(response) if response.status() != StatusCode::OK => {
                response.status().as_u16().to_string()
            }
            Ok(response) => {
                let body = response.into_body().collect().await.expect("a body");
                String::from_utf8(body.to_bytes().to_vec()).expect("text")
            }
        };
        *seen.entry(told).or_default() += 1;
    }
    seen
}

fn seen(told: &[(&str, usize)]) -> BTreeMap<String, usize> {
    let owned = |(what, count): &(&str, usize)| ((*what).to_owned(), *count);
    told.iter().map(owned).collect()
}

#[tokio::test(start_paused = true)]
async fn requests_go_round_and_past_whoever_fails() {
    let layer = layer(Algorithm::RoundRobin).outlier_detection(outliers(2));
    let service = service(&layer);
    assert_eq!(
        ask(&service, "", 30).await,
        seen(&[("1", 10), ("2", 10), ("3", 10)])
    );
    assert_eq!(
        ask(&service, "503", 30).await,
        seen(&[("503", 2), ("2", 14), ("3", 14)])
    );
    assert_eq!(layer.status().priorities[0].endpoints, [1, 2]);
    advance(Duration::from_secs(30)).await;
    assert_eq!(
        ask(&service, "", 30).await,
        seen(&[("1", 10), ("2", 10), ("3", 10)])
    );
    // Errors are passed on, and blamed on their endpoint.
    let told = ask(&service, "refuse", 30).await;
    assert_eq!(told["connection refused"], 2);
}

#[tokio::test(start_paused = true)]
async fn where_all_are_out_nobody_is_asked() {
    let mut policy = outliers(1);
    policy.max_ejection_percent = 100;
    let one = Endpoint::new(Address::new("127.0.0.1", 1), Arc::default());
    let layer = BalanceLayer::new(LoadBalancerPolicy::default(), vec![one]);
    let strict = service(&layer.clone().outlier_detection(policy.clone()));
    assert_eq!(ask(&strict, "502", 5).await, seen(&[("502", 1), ("UH", 4)]));
    advance(Duration::from_secs(30)).await;
    assert_eq!(ask(&strict, "", 5).await, seen(&[("1", 5)]));
    policy.min_health_percent = 50;
    let again = Endpoint::new(Address::new("127.0.0.1", 1), Arc::default());
    let layer = BalanceLayer::new(LoadBalancerPolicy::default(), vec![again]);
    let panicking = service(&layer.outlier_detection(policy));
    assert_eq!(ask(&panicking, "502", 5).await, seen(&[("502", 5)]));
    let nobody = service(&BalanceLayer::new(
        LoadBalancerPolicy::default(),
        Vec::new(),
    ));
    assert_eq!(ask(&nobody, "", 1).await, seen(&[("UH", 1)]));
}

#[tokio::test(start_paused = true)]
async fn who_is_late_is_to_blame_and_who_is_dropped_is_not() {
    let layer = layer(Algorithm::RoundRobin).outlier_detection(outliers(1));
    for _ in 0..6 {
        let call = service(&layer).oneshot(request("hang"));
        let _ = tokio::time::timeout(Duration::from_secs(1), call).await;
    }
    assert!(!layer.endpoints()[0].is_ejected());
    assert!(layer.endpoints().iter().all(|it| it.active() == 0));
    let mut late = 0;
    for _ in 0..6 {
        // As a timeout drops it.
        let mut call = Box::pin(service(&layer).oneshot(request("hang")));
        late += usize::from(futures::poll!(call.as_mut()).is_pending());
        drop_late(move || drop(call));
    }
    assert_eq!(late, 1);
    assert!(layer.endpoints()[0].is_ejected());
}

#[tokio::test]
async fn a_request_counts_until_its_body_has_ended() {
    let layer = layer(Algorithm::LeastRequest);
    let service = service(&layer);
    let active = || layer.endpoints().iter().map(Endpoint::active).sum::<u32>();
    let mut responses = Vec::new();
    for _ in 0..6 {
        responses.push(
            service
                .clone()
                .oneshot(request(""))
                .await
                .expect("an answer"),
        );
    }
    assert_eq!(active(), 6);
    drop(responses.pop());
    assert_eq!(active(), 5);
    let mut body = responses.remove(0).into_body();
    while let Some(frame) = body.frame().await {
        frame.expect("a frame");
    }
    assert_eq!(active(), 4, "it has ended, though it is still there");
    drop(responses);
    assert_eq!(active(), 0);
}

#[tokio::test]
async fn a_key_leads_to_the_same_endpoint_and_a_missing_cookie_is_made() {
    let ring = Algorithm::RingHash {
        minimum_ring_size: 1024,
    };
    let by_header =
        layer(ring).hash_policies([HashPolicy::Header("x-user".parse().expect("a name"))]);
    let service_of = |user: &'static str| {
        let service = service(&by_header);
        async move {
            let request = Request::builder()
                .header("x-user", user)
                .body(())
                .expect("one");
            let response = service.oneshot(request).await.expect("an answer");
            response
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes()
        }
    };
    let mut homes = std::collections::BTreeSet::new();
    for user in ["ann", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"] {
        let home = service_of(user).await;
        assert_eq!(service_of(user).await, home);
        homes.insert(home);
    }
    assert!(homes.len() > 1, "not all users live in one place");
    let mut cookie = HashCookie::new("home");
    cookie.ttl = Some(Duration::from_secs(60));
    let by_cookie = service(&layer(ring).hash_policies([HashPolicy::Cookie(cookie)]));
    let response = by_cookie.oneshot(request("")).await.expect("an answer");
    let made = response.headers()["set-cookie"].to_str().expect("text");
    assert!(
        made.starts_with("home=\"") && made.contains("Max-Age=60"),
        "{made}"
    );
}
