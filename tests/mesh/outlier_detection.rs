//! Endpoints that fail are left out, as DestinationRules say.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use tower::service_fn;
use tower_mesh::api::Resources;
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::{Mesh, MeshClient};
use tower_mesh::outlier_detection::SuccessRate;
use tower_mesh::rt::Rng;
use tower_mesh::transport::PerEndpoint;

use crate::support::{build, service, virtual_service};

/// Three endpoints: the first answers 503 or does whatever its header asks for, the others 200.
fn yaml(outliers: &str, http: &str) -> String {
    let rule = format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: it}}\n\
         spec:\n  host: a.com\n  trafficPolicy:\n    outlierDetection: {{{outliers}}}\n---\n"
    );
    let spec = format!(
        "  hosts: [a.com]\n  http: [{{{http}, route: [{{destination: {{host: a.com}}}}]}}]"
    );
    service("a.com", 80, &[1, 2, 3]) + &rule + &virtual_service("it", &spec)
}

const ONCE: &str = "retries: {attempts: 0}";

type Answer =
    std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, std::io::Error>> + Send>>;
type Upstream = tower::util::ServiceFn<Box<dyn Fn(Request<Body>) -> Answer + Send>>;
type Client = MeshClient<PerEndpoint<fn(&Endpoint) -> Upstream>>;

fn upstream(endpoint: &Endpoint) -> Upstream {
    let address = endpoint.address().to_string();
    let bad = address == "10.0.0.1:80";
    service_fn(Box::new(move |request: Request<Body>| {
        let how = request
            .headers()
            .get("x-how")
            .map(|it| it.to_str().unwrap().to_owned());
        let address = address.clone();
        Box::pin(async move {
            let mut response = Response::new(Body::from(address));
            if bad {
                match how.as_deref() {
                    None => *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE,
                    Some("refuse") => return Err(std::io::ErrorKind::ConnectionRefused.into()),
                    Some("hang") => std::future::pending().await,
                    Some(grpc) => {
                        let status = grpc.parse().unwrap();
                        response.headers_mut().insert("grpc-status", status);
                    }
                }
            }
            Ok(response)
        })
    }))
}

fn client(mesh: &Mesh) -> Client {
    mesh.client_with(upstream as fn(&Endpoint) -> Upstream)
}

#[track_caller]
fn mesh(outliers: &str, http: &str) -> Mesh {
    build(Mesh::builder().rng(Rng::seeded(9)), &yaml(outliers, http))
}

/// What so many requests are answered with: the status, or the flags where the mesh answers.
async fn ask(mesh: &Mesh, headers: &[(&str, &str)], count: usize) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for _ in 0..count {
        let mut request = Request::get("http://a.com/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let answer = match client(mesh).send(request).await {
            Ok(response) => match response.headers().get("grpc-status") {
                Some(status) => format!("grpc {}", status.to_str().unwrap()),
                None => response.status().as_u16().to_string(),
            },
            Err(error) => error.reply().flags.to_string(),
        };
        *seen.entry(answer).or_default() += 1;
    }
    seen
}

fn seen(answers: &[(&str, usize)]) -> BTreeMap<String, usize> {
    answers
        .iter()
        .map(|(what, count)| ((*what).to_owned(), *count))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_failing_endpoint_gets_no_more_requests_until_its_time_is_over() {
    let outliers = "maxEjectionPercent: 50, consecutive5xxErrors: 3, baseEjectionTime: 30s";
    let mesh = mesh(outliers, ONCE);
    assert_eq!(ask(&mesh, &[], 100).await, seen(&[("200", 97), ("503", 3)]));
    tokio::time::advance(Duration::from_secs(29)).await;
    assert_eq!(ask(&mesh, &[], 100).await, seen(&[("200", 100)]));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(ask(&mesh, &[], 100).await, seen(&[("200", 97), ("503", 3)]));
    // The second time it is out twice as long.
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(ask(&mesh, &[], 100).await, seen(&[("200", 100)]));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(ask(&mesh, &[], 100).await, seen(&[("200", 97), ("503", 3)]));
}

#[tokio::test(start_paused = true)]
async fn with_istios_defaults_none_of_three_is_ejected() {
    let mesh = mesh("consecutive5xxErrors: 1", ONCE);
    let failed = ask(&mesh, &[], 300).await["503"];
    // Five standard deviations of a third of 300.
    assert!(failed.abs_diff(100) < 41, "{failed}");
}

#[tokio::test(start_paused = true)]
async fn refused_connections_late_answers_and_grpc_refusals_count() {
    let outliers = "maxEjectionPercent: 50, consecutiveGatewayErrors: 3, consecutive5xxErrors: 0";
    let once = mesh(outliers, ONCE);
    assert_eq!(
        ask(&once, &[("x-how", "refuse")], 60).await,
        seen(&[("200", 57), ("UF", 3)])
    );
    let limited = mesh(outliers, "timeout: 2s, retries: {attempts: 0}");
    assert_eq!(
        ask(&limited, &[("x-how", "hang")], 60).await,
        seen(&[("200", 57), ("UT", 3)])
    );
    let each = mesh(
        outliers,
        "retries: {attempts: 3, perTryTimeout: 1s, retryOn: reset}",
    );
    let late = ask(&each, &[("x-how", "hang")], 60).await;
    assert_eq!(late, seen(&[("200", 60)]), "three are late, then it is out");
    let elsewhere = tokio::time::Instant::now();
    assert_eq!(
        ask(&each, &[("x-how", "hang")], 60).await,
        seen(&[("200", 60)])
    );
    assert!(
        elsewhere.elapsed().is_zero(),
        "nobody waits for the one that is out"
    );
    let grpc = [("x-how", "14"), ("content-type", "application/grpc")];
    let refused = mesh(outliers, ONCE);
    assert_eq!(
        ask(&refused, &grpc, 60).await,
        seen(&[("200", 57), ("grpc 14", 3)])
    );
    let fine = mesh(outliers, ONCE);
    let grpc = [("x-how", "5"), ("content-type", "application/grpc")];
    assert!(
        ask(&fine, &grpc, 60).await["grpc 5"] > 10,
        "NOT_FOUND is no error"
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_is_nobodys_fault() {
    let mesh = mesh(
        "maxEjectionPercent: 50, consecutiveGatewayErrors: 1",
        "timeout: 9s, retries: {attempts: 0}",
    );
    for _ in 0..30 {
        let asked = ask(&mesh, &[("x-how", "hang")], 1);
        let _ = tokio::time::timeout(Duration::from_secs(1), asked).await;
    }
    let hung = ask(&mesh, &[("x-how", "hang")], 30).await;
    assert_eq!(hung["UT"], 1, "it was still in, and is out now");
}

#[tokio::test(start_paused = true)]
async fn where_all_are_out_nobody_is_left_unless_a_share_must_stay() {
    let one = |health: &str| {
        let yaml = yaml(
            &format!("maxEjectionPercent: 100, consecutive5xxErrors: 1{health}"),
            ONCE,
        );
        build(
            Mesh::builder(),
            &yaml
                .replace("10.0.0.2", "10.0.0.1")
                .replace("10.0.0.3", "10.0.0.1"),
        )
    };
    // The three are one address thrice, and each is an endpoint.
    assert_eq!(ask(&one(""), &[], 10).await, seen(&[("503", 3), ("UH", 7)]));
    assert_eq!(
        ask(&one(", minHealthPercent: 50"), &[], 10).await,
        seen(&[("503", 10)])
    );
}

#[tokio::test(start_paused = true)]
async fn an_ejection_outlives_the_rules_it_was_made_under() {
    let outliers = "maxEjectionPercent: 50, consecutive5xxErrors: 3";
    let mesh = mesh(outliers, ONCE);
    assert_eq!(ask(&mesh, &[], 60).await, seen(&[("200", 57), ("503", 3)]));
    let other = yaml("maxEjectionPercent: 60, consecutive5xxErrors: 4", ONCE);
    mesh.apply(&Resources::from_yaml("other.yaml", &other))
        .unwrap();
    assert_eq!(ask(&mesh, &[], 60).await, seen(&[("200", 60)]));
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(ask(&mesh, &[], 60).await, seen(&[("200", 56), ("503", 4)]));
}

/// A rule of Istio's words, and what the application adds to it.
#[tokio::test(start_paused = true)]
async fn what_goes_beyond_istio_is_said_in_code() {
    let build = |http: &str| {
        let builder = Mesh::builder().rng(Rng::seeded(9));
        let builder = builder.outlier_detection(|host, policy| {
            assert_eq!(host, "a.com");
            policy.eject_at_least_one = true;
            let mut rate = SuccessRate::default();
            (rate.minimum_hosts, rate.request_volume, rate.stdev_factor) = (3, 50, 1.0);
            policy.success_rate = Some(rate);
        });
        build(builder, &yaml("consecutive5xxErrors: 0", http))
    };
    let mesh = build(ONCE);
    let failed = ask(&mesh, &[], 300).await["503"];
    assert!(failed > 50, "{failed}");
    tokio::time::advance(Duration::from_secs(10)).await;
    // 0, 100 and 100 percent: 67 less a deviation of 47.
    assert_eq!(ask(&mesh, &[], 60).await, seen(&[("200", 60)]));
    let status = mesh.clusters().remove(0);
    let outliers = status.outlier_detection.unwrap();
    let rate = outliers.success_rate.unwrap();
    assert!((rate.mean - 66.7).abs() < 0.1 && (rate.threshold - 19.5).abs() < 0.1);
    assert_eq!(outliers.ejected, 1);
    let rates: Vec<_> = status.endpoints.iter().map(|it| it.success_rate).collect();
    assert_eq!(rates, [Some(0.0), Some(100.0), Some(100.0)]);
    // Other rules are changed in the same way.
    let other = yaml("consecutive5xxErrors: 2", ONCE);
    mesh.apply(&Resources::from_yaml("other.yaml", &other))
        .unwrap();
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(ask(&mesh, &[], 60).await, seen(&[("200", 58), ("503", 2)]));
}

/// Rules that are refused were compiled before: nothing of those in force stops by that.
#[tokio::test(start_paused = true)]
async fn shares_go_on_being_judged_after_rules_were_refused() {
    let builder = Mesh::builder().rng(Rng::seeded(9));
    let builder = builder.outlier_detection(|_, policy| {
        let mut rate = SuccessRate::default();
        (rate.minimum_hosts, rate.request_volume, rate.stdev_factor) = (3, 10, 1.0);
        policy.success_rate = Some(rate);
    });
    let rules = "consecutive5xxErrors: 0, maxEjectionPercent: 50";
    let mesh = build(builder, &yaml(rules, ONCE));
    let wrong = yaml(
        "consecutive5xxErrors: 0, maxEjectionPercent: 60",
        "timeout: 1ns",
    );
    let refused = mesh.apply(&Resources::from_yaml("wrong.yaml", &wrong));
    assert!(refused.is_err());
    ask(&mesh, &[], 300).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(ask(&mesh, &[], 100).await, seen(&[("200", 100)]));
}
