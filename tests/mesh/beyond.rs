//! What goes beyond Istio, said to a mesh in code: retries and hedging.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::time::{Instant, sleep};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_mesh::api::Resources;
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::Mesh;
use tower_mesh::request_body::{RequestBody, TryClone as _};
use tower_mesh::retries::{HedgeLayer, HedgePolicy, ResetHeader, ResetHeaders};
use tower_mesh::rt::Rng;
use tower_mesh::timeout::{TimeoutLayer, TimeoutPolicy};

use crate::support::{build, seen};
use crate::tries::Does::{Answer, Fail};
use crate::tries::{Script, get, rules};

const RETRIED: &str = "    retries: {attempts: 2, retryOn: '5xx', backoff: 1ms}\n";

fn post() -> Request<Body> {
    let mut request = get(&[]);
    *request.method_mut() = http::Method::POST;
    request
}

#[tokio::test(start_paused = true)]
async fn the_application_has_the_last_word_on_retries() {
    let builder = Mesh::builder().retries(|host, policy| {
        assert_eq!(host, "a.com");
        policy.spare_delivered(true)
    });
    let mesh = build(builder, &rules(&[1], RETRIED));
    let refused = std::io::ErrorKind::ConnectionRefused;
    for round in 0..2 {
        for (request, steps, tries) in [
            (get(&[]), &[Answer(503)][..], 3),
            (post(), &[Answer(503)][..], 1),
            (post(), &[Fail(refused), Answer(503)][..], 2),
        ] {
            let script = Script::new(steps);
            script.proxy(&mesh).oneshot(request).await.unwrap();
            assert_eq!(script.tries().len(), tries, "{round}");
        }
        // Other rules are changed in the same way.
        let other = rules(&[1], &format!("{RETRIED}    name: other\n"));
        mesh.apply(&Resources::from_yaml("other.yaml", &other))
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_may_say_when_to_come_again() {
    let headers = ResetHeaders::new([ResetHeader::seconds(http::header::RETRY_AFTER)]);
    let builder = Mesh::builder().rng(Rng::seeded(1));
    let builder = builder.retries(move |_, policy| policy.reset_headers(headers.clone()));
    for (builder, least, most) in [(Mesh::builder(), 0, 100), (builder, 10_000, 15_001)] {
        let mesh = build(builder, &rules(&[1], RETRIED));
        let asked = Arc::new(AtomicUsize::new(0));
        let proxy = mesh.forward_with(move |_: &Endpoint| {
            let asked = asked.clone();
            service_fn(move |_: Request<Body>| {
                let status = [503, 200][asked.fetch_add(1, Ordering::Relaxed)];
                let response = Response::builder()
                    .status(status)
                    .header("retry-after", "10");
                let response = response.body(Full::<Bytes>::default()).unwrap();
                async move { Ok::<_, Infallible>(response) }
            })
        });
        let began = Instant::now();
        let answer = proxy.oneshot(get(&[])).await.unwrap();
        assert_eq!(seen(&answer), "200 -");
        let took = began.elapsed().as_millis();
        assert!((least..=most).contains(&took), "{took}");
    }
}

/// Around a client each try takes its own way, and picks its own endpoint.
#[tokio::test(start_paused = true)]
async fn a_client_can_be_hedged() {
    let mesh = build(
        Mesh::builder().rng(Rng::seeded(2)),
        &rules(&[1, 2], RETRIED),
    );
    let asked = Arc::new(AtomicUsize::new(0));
    let client = mesh.client_with(move |_: &Endpoint| {
        let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        service_fn(move |_: Request<Body>| async move {
            sleep(Duration::from_millis(if first { 5000 } else { 10 })).await;
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("answer")))
        })
    });
    let policy = HedgePolicy::new(1, Duration::from_millis(100));
    let hedged = HedgeLayer::new(policy).layer(client);
    let began = Instant::now();
    let request = Request::get("http://a.com/").body(Full::<Bytes>::default());
    let answer = hedged.oneshot(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(began.elapsed().as_millis(), 110);
}

/// Hedged within a limit for all tries: how the request ends, when, and what each try sent.
async fn limited(limit: Duration, takes: &'static [u64]) -> (u16, u128, Vec<Bytes>) {
    let began = Instant::now();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let noted = sent.clone();
    let upstream = service_fn(move |request: Request<RequestBody<Full<Bytes>>>| {
        let noted = noted.clone();
        async move {
            let body = request.into_body().collect().await?.to_bytes();
            let n = {
                let mut sent = noted.lock().unwrap();
                sent.push(body);
                sent.len() - 1
            };
            sleep(Duration::from_millis(takes[n])).await;
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }
    });
    let service = tower::ServiceBuilder::new()
        .layer(TimeoutLayer::new(TimeoutPolicy::new(limit)))
        .layer(HedgeLayer::new(HedgePolicy::new(
            1,
            Duration::from_millis(100),
        )))
        .service(upstream);
    let request = Request::new(Full::from(Bytes::from_static(b"twice")));
    let answer = service.oneshot(request).await.unwrap();
    let sent = sent.lock().unwrap().clone();
    (answer.status().as_u16(), began.elapsed().as_millis(), sent)
}

#[tokio::test(start_paused = true)]
async fn a_limit_around_holds_for_all_tries_together() {
    let limit = Duration::from_secs(1);
    let (status, took, sent) = limited(limit, &[9000, 50]).await;
    assert_eq!((status, took), (200, 150));
    assert_eq!(sent, ["twice", "twice"]);
    let (status, took, sent) = limited(limit, &[9000, 9000]).await;
    assert_eq!((status, took, sent.len()), (504, 1000, 2));
}

/// A body that is kept for retries is there once.
#[tokio::test(start_paused = true)]
async fn what_is_not_there_twice_is_sent_once() {
    let mut body = RequestBody::new(Full::from(Bytes::from_static(b"once")), ());
    let kept = body.arm(10);
    assert!(body.try_clone().is_none());
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let upstream = service_fn(move |_: Request<RequestBody<Full<Bytes>>>| {
        counted.fetch_add(1, Ordering::Relaxed);
        async {
            sleep(Duration::from_millis(500)).await;
            Ok::<_, Infallible>(Response::new(()))
        }
    });
    let hedge = HedgeLayer::new(HedgePolicy::new(2, Duration::from_millis(100))).layer(upstream);
    assert!(hedge.oneshot(Request::new(body)).await.is_ok());
    assert_eq!(tries.load(Ordering::Relaxed), 1);
    drop(kept);
}
