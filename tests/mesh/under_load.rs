//! Rules that change a thousand times while requests are under way, and what stays through it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tower::service_fn;
use tower_mesh::api::Resources;
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::Mesh;

use crate::support::{service, virtual_service};

/// `a.com` leads to `name.com`, whose endpoint is `number`.
fn rules(name: &str, number: u8) -> Resources {
    let route =
        format!("  hosts: [a.com]\n  http: [{{route: [{{destination: {{host: {name}.com}}}}]}}]");
    let yaml = service("a.com", 80, &[1])
        + &service(&format!("{name}.com"), 80, &[number])
        + &virtual_service("it", &route);
    Resources::from_yaml("rules.yaml", &yaml)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_changes_lose_no_request() {
    let both = [rules("b", 2), rules("c", 3)];
    let built = Mesh::builder().resources(both[0].clone()).build();
    let mesh = built.unwrap().0;
    // An endpoint that lets others go first, so that requests are under way when rules change.
    let client = mesh.client_with(|endpoint: &Endpoint| {
        let address = endpoint.address().to_string();
        service_fn(move |_: Request<Body>| {
            let address = address.clone();
            async move {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
                Ok::<_, Infallible>(Response::new(Body::from(address)))
            }
        })
    });
    let over = Arc::new(AtomicBool::new(false));
    let (sent, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (client, over) = (client.clone(), over.clone());
        let (sent, answered) = (sent.clone(), answered.clone());
        senders.spawn(async move {
            let mut seen = [0_u64; 2];
            while !over.load(Ordering::Relaxed) {
                sent.fetch_add(1, Ordering::Relaxed);
                let request = Request::get("http://a.com/").body(Empty::new()).unwrap();
                let response = client.send(request).await.unwrap();
                let body = response.into_body().collect().await.unwrap().to_bytes();
                seen[usize::from(body == "10.0.0.3:80")] += 1;
                assert!(body == "10.0.0.2:80" || body == "10.0.0.3:80", "{body:?}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
            seen
        });
    }
    for n in 1..=1000 {
        mesh.apply(&both[n % 2]).unwrap();
        // What is sent from here on meets the new rules.
        if n % 100 == 0 {
            let request = Request::get("http://a.com/").body(Empty::new()).unwrap();
            let response = client.send(request).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, ["10.0.0.2:80", "10.0.0.3:80"][n % 2]);
        }
        tokio::task::yield_now().await;
    }
    over.store(true, Ordering::Relaxed);
    let mut seen = [0; 2];
    while let Some(each) = senders.join_next().await {
        let each = each.unwrap();
        seen = [seen[0] + each[0], seen[1] + each[1]];
    }
    assert_eq!(
        sent.load(Ordering::Relaxed),
        answered.load(Ordering::Relaxed)
    );
    assert!(seen[0] > 100 && seen[1] > 100, "too few requests: {seen:?}");
}

/// An endpoint that counts its connections.
async fn counting() -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = Arc::new(AtomicU32::new(0));
    let count = accepted.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    let _ = stream.write_all(answer).await;
                }
            });
        }
    });
    (port, accepted)
}

#[tokio::test]
async fn connections_outlive_changes_of_everything_else() {
    let (port, accepted) = counting().await;
    let entry = |number: u8| {
        let kept = service("a.com", 80, &[1]).replace("10.0.0.1", "127.0.0.1");
        let kept = kept.replace("name: http,", &format!("name: http, targetPort: {port},"));
        let route = format!(
            "  hosts: [a.com]\n  http:\n  - headers: {{request: {{set: {{x-n: '{number}'}}}}}}\n    \
             route: [{{destination: {{host: a.com}}}}]"
        );
        let yaml = kept + &service("b.com", 80, &[number]) + &virtual_service("it", &route);
        Resources::from_yaml("rules.yaml", &yaml)
    };
    let mesh = Mesh::builder().resources(entry(0)).build().unwrap().0;
    for number in 0..50 {
        mesh.apply(&entry(number)).unwrap();
        let request = Request::get("http://a.com/").body(Body::empty()).unwrap();
        let response = mesh.client().send(request).await.unwrap();
        let whole = response.into_body().collect().await.unwrap();
        assert_eq!(whole.to_bytes(), "ok");
        // Gives the connection's own task a turn to become idle.
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}
