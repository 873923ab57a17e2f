//! How many retries may be under way at once, over real connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Response;
use http_body_util::Full;
use tokio::sync::{Barrier, Semaphore};

use crate::support::{Seen, get, mesh_with, until, upstream};

/// Fails each first try once all have come, and answers no retry before its gate is open.
async fn failing(requests: usize) -> (u16, Arc<Semaphore>, Seen) {
    let gate = Arc::new(Semaphore::new(0));
    let held = (Arc::new(Barrier::new(requests)), gate.clone());
    let came = Arc::new(AtomicUsize::new(0));
    let (port, seen) = upstream(false, move |_| {
        let (all, gate) = held.clone();
        let before = came.fetch_add(1, Ordering::SeqCst);
        async move {
            if before < requests {
                all.wait().await;
            } else {
                gate.acquire().await.unwrap().forget();
            }
            let mut response = Response::new(Full::default());
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            response
        }
    })
    .await;
    (port, gate, seen)
}

#[tokio::test]
async fn retries_beyond_their_limit_are_not_made() {
    let retrying = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: it}
spec:
  hosts: [a.com]
  http:
  - retries: {attempts: 1, retryOn: 5xx, backoff: 2ms}
    route: [{destination: {host: a.com}}]
";
    for (limit, retried) in [
        ("connectionPool: {http: {maxRetries: 1}}", 1),
        ("retryBudget: {percent: 1, minRetryConcurrency: 2}", 2),
    ] {
        let rule = format!(
            "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: it}}
spec: {{host: a.com, trafficPolicy: {{{limit}}}}}
{retrying}"
        );
        let (port, gate, seen) = failing(6).await;
        let mesh = mesh_with("HTTP", &[port], &rule);
        let asked = [(); 6].map(|()| {
            let client = mesh.client();
            tokio::spawn(async move {
                let response = client.send(get("/")).await.unwrap();
                tower_mesh::context::ResponseFlags::of(&response).to_string()
            })
        });
        until(|| asked.iter().filter(|it| it.is_finished()).count() == 6 - retried).await;
        gate.add_permits(6);
        let flags = futures::future::try_join_all(asked).await.unwrap();
        assert_eq!(seen.requests(), 6 + retried, "{limit} {flags:?}");
        let overflown = flags.iter().filter(|it| *it == "UO").count();
        assert_eq!(overflown, 6 - retried, "{limit} {flags:?}");
    }
}
