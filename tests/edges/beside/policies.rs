//! What is said in a `trafficPolicy`, and the layers that do it.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, Response, StatusCode};
use tower::{Layer as _, ServiceExt as _};
use tower_mesh::balance::BalanceLayer;
use tower_mesh::body::{Body, BoxError};
use tower_mesh::connection_pool::ConnectionPoolLayer;
use tower_mesh::context::ResponseFlags;
use tower_mesh::endpoint::{Address, Endpoint};
use tower_mesh::limits::{Limits, MostAtATime};
use tower_mesh::load_balancer::{Algorithm, HashPolicy, LoadBalancerPolicy};
use tower_mesh::outlier_detection::OutlierDetectionPolicy;

use super::{ROUTE, Upstream, answer, boxed, expect_row, get, mesh, row};

/// Names the endpoint; the one at `10.0.0.1` fails.
fn at(endpoint: &Endpoint) -> Upstream {
    let address = endpoint.address().to_string();
    Upstream::new(move |_| {
        let mut response = Response::new(Body::from(address.clone()));
        if address.starts_with("10.0.0.1") {
            *response.status_mut() = StatusCode::BAD_GATEWAY;
        }
        async { response }
    })
}

fn endpoints() -> Vec<Endpoint> {
    let at = |host| Endpoint::new(Address::new(host, 80), Arc::default());
    vec![at("10.0.0.1"), at("10.0.0.2")]
}

/// Both of a row about the choice among endpoints, and who answers ten requests of each.
async fn chosen(policy: &str, layer: BalanceLayer) -> [HashMap<String, usize>; 2] {
    let by_rule = mesh(&format!("retries: {{attempts: 0}}, {ROUTE}"), policy);
    let services = [
        boxed(by_rule.forward_with(at)),
        boxed(layer.layer(at as fn(&Endpoint) -> Upstream)),
    ];
    let mut seen = [HashMap::new(), HashMap::new()];
    for (service, seen) in services.iter().zip(&mut seen) {
        for _ in 0..10 {
            let name = answer(service, "").await.3;
            *seen.entry(name).or_default() += 1;
        }
    }
    seen
}

#[tokio::test]
async fn endpoints_are_chosen_and_left_out() -> Result<(), BoxError> {
    let endpoints = endpoints();
    let (policy, layer) = row!(
        "loadBalancer: {simple: ROUND_ROBIN}",
        BalanceLayer::new(LoadBalancerPolicy::new(Algorithm::RoundRobin), endpoints)
    );
    for seen in chosen(policy, layer).await {
        assert_eq!((seen["10.0.0.1:80"], seen["10.0.0.2:80"]), (5, 5));
    }
    let endpoints = self::endpoints();
    let policy = LoadBalancerPolicy::new(Algorithm::RingHash {
        minimum_ring_size: 1024,
    });
    let name = HeaderName::from_static("origin");
    let (rule, layer) = row!(
        "loadBalancer: {consistentHash: {httpHeaderName: origin}}",
        BalanceLayer::new(policy, endpoints).hash_policies([HashPolicy::Header(name)])
    );
    let [by_rule, by_layer] = chosen(rule, layer).await;
    assert_eq!(by_rule.len(), 1);
    assert_eq!(by_rule, by_layer);
    let endpoints = self::endpoints();
    let balance = BalanceLayer::new(LoadBalancerPolicy::new(Algorithm::RoundRobin), endpoints);
    let mut policy = OutlierDetectionPolicy::default();
    policy.consecutive_5xx_errors = 2;
    policy.max_ejection_percent = 50;
    let (rule, layer) = row!(
        "outlierDetection: {consecutive5xxErrors: 2, maxEjectionPercent: 50}",
        balance.outlier_detection(policy)
    );
    let rule = format!("loadBalancer: {{simple: ROUND_ROBIN}}, {rule}");
    for seen in chosen(&rule, layer).await {
        assert_eq!((seen["10.0.0.1:80"], seen["10.0.0.2:80"]), (2, 8));
    }
    Ok(())
}

#[tokio::test]
async fn no_more_is_let_through_than_is_allowed() -> Result<(), BoxError> {
    let mut most = MostAtATime::default();
    most.requests = Some(1);
    let (policy, layer) = row!(
        "connectionPool: {http: {http2MaxRequests: 1}}",
        ConnectionPoolLayer::new(Limits::new(most))
    );
    let by_rule = mesh(ROUTE, policy).forward_with(|_: &Endpoint| Upstream::echo());
    for service in [boxed(by_rule), boxed(layer.layer(Upstream::echo()))] {
        let held = service.clone().oneshot(get()).await?;
        let (status, flags, ..) = answer(&service, "").await;
        assert_eq!((status, flags), (503, ResponseFlags::UPSTREAM_OVERFLOW));
        drop(held);
        assert_eq!(answer(&service, "").await.0, 200);
    }
    Ok(())
}
