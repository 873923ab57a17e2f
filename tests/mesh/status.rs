//! What a mesh tells of its destinations while they are used.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use tower::service_fn;
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::{ClusterStatus, Mesh};
use tower_mesh::rt::Rng;

use crate::support::{build, client, service, virtual_service};

/// `a.com` with endpoints 1 to 3 and this `trafficPolicy`, tried once.
fn mesh(policy: &str) -> Mesh {
    let yaml = service("a.com", 80, &[1, 2, 3])
        + &format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: it}}\n\
             spec:\n  host: a.com\n  trafficPolicy: {policy}\n---\n"
        )
        + &virtual_service(
            "it",
            "  hosts: [a.com]\n  http: [{retries: {attempts: 0}, route: [{destination: {host: a.com}}]}]",
        );
    build(Mesh::builder().rng(Rng::seeded(2)), &yaml)
}

fn told(mesh: &Mesh) -> ClusterStatus {
    mesh.clusters().remove(0)
}

fn get() -> Request<Body> {
    Request::get("http://a.com/").body(Body::empty()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_is_out_until_when_and_how_often() {
    let mesh = mesh(
        "{outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 40, minHealthPercent: 0}}",
    );
    let failing = mesh.client_with(|endpoint: &Endpoint| {
        let bad = endpoint.address().to_string() == "10.0.0.2:80";
        service_fn(move |_: Request<Body>| async move {
            let mut response = Response::new(Body::empty());
            if bad {
                *response.status_mut() = StatusCode::BAD_GATEWAY;
            }
            Ok::<_, std::io::Error>(response)
        })
    });
    let seconds = |it: &ClusterStatus| -> Vec<Option<u64>> {
        let out = it.endpoints.iter().map(|it| it.ejected_for);
        out.map(|it| it.map(|it| it.as_secs())).collect()
    };
    let ejections =
        |it: &ClusterStatus| -> Vec<u64> { it.endpoints.iter().map(|it| it.ejections).collect() };
    assert_eq!(seconds(&told(&mesh)), [None; 3]);
    assert_eq!(told(&mesh).balancer.priorities[0].endpoints, [0, 1, 2]);
    for times in 1..=2 {
        while ejections(&told(&mesh))[1] < times {
            failing.send(get()).await.unwrap();
        }
        let status = told(&mesh);
        assert_eq!(seconds(&status), [None, Some(30 * times), None]);
        assert_eq!(ejections(&status), [0, times, 0]);
        assert_eq!(status.balancer.priorities[0].endpoints, [0, 2]);
        tokio::time::advance(Duration::from_secs(30 * times - 1)).await;
        assert_eq!(seconds(&told(&mesh)), [None, Some(1), None]);
        // Without a request it is let back.
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(seconds(&told(&mesh)), [None; 3]);
        assert_eq!(told(&mesh).balancer.priorities[0].endpoints, [0, 1, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn whether_all_are_used_for_want_of_others() {
    let mesh = mesh(
        "{outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 100, minHealthPercent: 50}}",
    );
    let failing = mesh.client_with(|_: &Endpoint| {
        service_fn(|_: Request<Body>| async {
            Err::<Response<Body>, _>(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
        })
    });
    for _ in 0..60 {
        failing.send(get()).await.unwrap_err();
    }
    let status = told(&mesh);
    assert!(status.endpoints.iter().all(|it| it.ejected_for.is_some()));
    let [priority] = &*status.balancer.priorities else {
        panic!("one priority")
    };
    assert!(priority.panics && priority.endpoints == [0, 1, 2]);
}

#[tokio::test]
async fn what_is_under_way_and_which_breakers_are_open() {
    let mesh = mesh(
        "{connectionPool: {tcp: {maxConnections: 9}, http: {http2MaxRequests: 2, maxRetries: 4}}}",
    );
    let limits = || told(&mesh).limits.unwrap();
    assert!(!limits().requests.is_open && limits().requests.most == Some(2));
    let first = client(&mesh).send(get()).await.unwrap();
    let second = client(&mesh).send(get()).await.unwrap();
    let now = limits();
    assert!(now.requests.is_open && now.requests.now == 2);
    assert_eq!(
        (now.most.connections, now.connections.most),
        (Some(9), Some(9))
    );
    assert_eq!((now.retries.most, now.retries.now), (Some(4), 0));
    assert_eq!((now.pending.most, now.pending.is_open), (None, false));
    assert_eq!(told(&mesh).active(), 2);
    drop((first, second));
    assert!(!limits().requests.is_open);
    assert_eq!(told(&mesh).active(), 0);
}

#[test]
fn how_large_rings_and_tables_are_and_whom_they_favour() {
    let table = |policy: &str| {
        let hash = format!("{{loadBalancer: {{consistentHash: {{useSourceIp: true, {policy}}}}}}}");
        let balancer = told(&mesh(&hash)).balancer;
        (balancer.algorithm.name(), balancer.priorities[0].tables[0])
    };
    let (name, ring) = table("minimumRingSize: 64");
    // 22 hashes for each of three are the first 64.
    assert_eq!(
        (name, ring.size, ring.fewest, ring.most),
        ("RING_HASH", 66, 22, 22)
    );
    let (name, maglev) = table("maglev: {tableSize: 101}");
    assert_eq!((name, maglev.size), ("MAGLEV", 101));
    assert_eq!((maglev.fewest, maglev.most), (33, 34));
    assert!(
        told(&mesh("{loadBalancer: {simple: RANDOM}}"))
            .balancer
            .priorities[0]
            .tables
            .is_empty()
    );
}

#[test]
fn which_priorities_share_the_traffic() {
    let yaml = service("a.com", 80, &[1, 2])
        .replace("10.0.0.1\n", "10.0.0.1\n    locality: r1\n")
        .replace("10.0.0.2\n", "10.0.0.2\n    locality: r2\n")
        + "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: it}\n\
           spec:\n  host: a.com\n  trafficPolicy: {outlierDetection: {}}\n";
    let mesh = build(Mesh::builder().locality("r2"), &yaml);
    let priorities = told(&mesh).balancer.priorities;
    let shares: Vec<_> = priorities
        .iter()
        .map(|it| (it.percent, &*it.endpoints))
        .collect();
    assert_eq!(shares, [(100, &[1][..]), (0, &[0][..])]);
}

#[test]
fn who_warms_up() {
    let warming = "{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 60s}}}";
    assert!(told(&mesh(warming)).balancer.warms_up);
    assert!(
        !told(&mesh("{loadBalancer: {simple: ROUND_ROBIN}}"))
            .balancer
            .warms_up
    );
}
