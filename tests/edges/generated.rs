//! A client that tonic has generated over a mesh, and tonic's server behind it, over real sockets:
//! what proxyless gRPC promises, one test a clause. The four shapes of calls: `tests/transport`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream};
use http::{Request as HttpRequest, Uri};
use tokio::net::TcpListener;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_mesh::api::{
    DestinationRule, HttpFaultAbort, HttpFaultInjection, HttpMatchRequest, HttpRetry, HttpRoute,
    OutlierDetection, Resources, ServiceEntry, TrafficPolicy, VirtualService, WorkloadEntry,
};
use tower_mesh::mesh::{Mesh, MeshClient, WithOrigin};
use tower_mesh::transport::HttpTransport;

type Client = HealthClient<WithOrigin<MeshClient<HttpTransport>>>;

/// Says its name and what it was told, as metadata; does what is asked of it.
#[derive(Clone)]
struct Server {
    name: &'static str,
    calls: Arc<AtomicUsize>,
}

type Updates = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for Server {
    type WatchStream = Updates;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(HealthCheckResponse::default());
        let metadata = response.metadata_mut();
        metadata.insert("x-name", self.name.parse().unwrap());
        for name in ["grpc-timeout", "authorization"] {
            if let Some(value) = request.metadata().get(name) {
                metadata.insert(name, value.clone());
            }
        }
        match request.get_ref().service.as_str() {
            "one is away" if self.name == "one" => Err(Status::unavailable("away")),
            "fail" => Err(Status::unavailable("away")),
            "never" => std::future::pending().await,
            _ => Ok(response),
        }
    }

    /// One update; then it fails, or goes on until it is dropped.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Updates>, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let first = stream::iter([Ok(HealthCheckResponse::default())]);
        let updates: Updates = match request.get_ref().service.as_str() {
            "fail" => Box::pin(first.chain(stream::iter([Err(Status::unavailable("late"))]))),
            "end" => Box::pin(first),
            _ => Box::pin(first.chain(stream::pending())),
        };
        let mut response = Response::new(updates);
        response
            .metadata_mut()
            .insert("x-name", self.name.parse().unwrap());
        Ok(response)
    }
}

/// A server on a port of its own, the endpoint it is, and its calls.
async fn serve(name: &'static str) -> (WorkloadEntry, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = WorkloadEntry::from(listener.local_addr().unwrap());
    let calls = Arc::<AtomicUsize>::default();
    let server = Server {
        name,
        calls: calls.clone(),
    };
    let server = tonic::transport::Server::builder().add_service(HealthServer::new(server));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    (endpoint.labels([("version", name)]), calls)
}

fn mesh<const N: usize>(endpoints: Vec<WorkloadEntry>, routes: [HttpRoute; N]) -> Mesh {
    mesh_with(endpoints, routes, None)
}

fn mesh_with<const N: usize>(
    endpoints: Vec<WorkloadEntry>,
    routes: [HttpRoute; N],
    policy: impl Into<Option<TrafficPolicy>>,
) -> Mesh {
    let policy: Option<TrafficPolicy> = policy.into();
    let rule = DestinationRule::versions("health", ["one", "two"]).traffic_policy(policy);
    let routes = VirtualService::of_hosts(["health"]).http(Vec::from(routes));
    let resources = Resources::new()
        .with("health", ServiceEntry::grpc("health", endpoints))
        .with("health", rule)
        .with("health", routes);
    let built = Mesh::builder()
        .resources(resources)
        .grpc_deadline_exceeded(true)
        .build();
    built.unwrap_or_else(|found| panic!("{found}")).0
}

fn origin() -> Uri {
    Uri::from_static("http://health")
}

fn client(mesh: &Mesh) -> Client {
    HealthClient::new(mesh.client().with_origin(origin()))
}

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

fn said<'r, T>(response: &'r Response<T>, name: &str) -> &'r str {
    response.metadata().get(name).unwrap().to_str().unwrap()
}

fn name<T>(response: &Response<T>) -> String {
    said(response, "x-name").to_owned()
}

async fn check(mesh: &Mesh, service: &str) -> Result<Response<HealthCheckResponse>, Status> {
    client(mesh).check(request(service)).await
}

#[tokio::test]
async fn each_call_of_one_stub_is_balanced_by_itself() {
    let (one, two) = (serve("one").await, serve("two").await);
    let round_robin = tower_mesh::api::SimpleLoadBalancer::RoundRobin;
    let policy = TrafficPolicy::of_algorithm(round_robin);
    let mesh = mesh_with(vec![one.0, two.0], [HttpRoute::to("health")], policy);
    let mut stub = client(&mesh);
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(name(&stub.check(request("")).await.unwrap()));
    }
    assert_ne!(names[0], names[1]);
    assert_eq!(names[..2], names[2..]);
}

#[tokio::test]
async fn calls_are_routed_by_method_and_by_metadata() {
    let (one, two) = (serve("one").await, serve("two").await);
    let watch = HttpMatchRequest::of_path("/grpc.health.v1.Health/Watch");
    let testers = HttpMatchRequest::of_header("x-tester", "yes");
    let routes = [
        HttpRoute::split("health", [("two", 100)]).r#match([watch, testers]),
        HttpRoute::split("health", [("one", 100)]),
    ];
    let mesh = mesh(vec![one.0, two.0], routes);
    for _ in 0..5 {
        assert_eq!(name(&check(&mesh, "").await.unwrap()), "one");
        let watched = client(&mesh).watch(request("end")).await.unwrap();
        assert_eq!(name(&watched), "two");
        let mut tester = Request::new(request(""));
        tester
            .metadata_mut()
            .insert("x-tester", "yes".parse().unwrap());
        let answer = client(&mesh).check(tester).await.unwrap();
        assert_eq!(name(&answer), "two");
    }
}

#[tokio::test]
async fn a_deadline_is_told_to_the_server() {
    let (one, _) = serve("one").await;
    let mesh = mesh(vec![one], [HttpRoute::to("health")]);
    let mut call = Request::new(request(""));
    call.set_timeout(Duration::from_secs(3_600));
    let answer = client(&mesh).check(call).await.unwrap();
    let told = said(&answer, "grpc-timeout");
    let (number, unit) = told.split_at(told.len() - 1);
    let seconds = match unit {
        "m" => number.parse::<u64>().unwrap() / 1_000,
        "S" => number.parse().unwrap(),
        _ => panic!("{told}"),
    };
    assert!((3_500..=3_600).contains(&seconds), "{told}");
}

/// tonic's client over a service of one's own leaves deadlines to that service.
#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_call() {
    let (one, _) = serve("one").await;
    let mesh = mesh(vec![one], [HttpRoute::to("health")]);
    let mut call = Request::new(request("never"));
    call.set_timeout(Duration::from_secs(3_600));
    let status = client(&mesh).check(call).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}

#[tokio::test]
async fn a_refused_call_is_tried_again_at_another_server() {
    let (one, two) = (serve("one").await, serve("two").await);
    let retries = HttpRetry::times(1).retry_on("unavailable");
    let mesh = mesh(
        vec![one.0, two.0],
        [HttpRoute::to("health").retries(retries)],
    );
    for _ in 0..10 {
        let answer = check(&mesh, "one is away").await.unwrap();
        assert_eq!(name(&answer), "two");
    }
    assert!(one.1.load(Ordering::Relaxed) > 0, "it was asked at times");
    let status = check(&mesh, "fail").await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "away")
    );
}

/// As Envoy does: what a call came to is known at the trailers, and nobody waits for them to judge.
#[tokio::test]
async fn retries_and_ejections_judge_the_headers() {
    let (one, calls) = serve("one").await;
    let retries = HttpRetry::times(2).retry_on("unavailable");
    let outliers = OutlierDetection::default()
        .consecutive_5xx_errors(2_u32)
        .max_ejection_percent(100);
    let mesh = mesh_with(
        vec![one],
        [HttpRoute::to("health").retries(retries)],
        TrafficPolicy::default().outlier_detection(outliers),
    );
    for _ in 0..3 {
        let mut updates = client(&mesh).watch(request("fail")).await.unwrap();
        assert!(updates.get_mut().message().await.unwrap().is_some());
        let status = updates.get_mut().message().await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
    }
    assert_eq!(calls.swap(0, Ordering::Relaxed), 3, "tried once each");
    let status = check(&mesh, "fail").await.unwrap_err();
    assert_eq!(status.message(), "no healthy upstream", "ejected between");
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_call_counts_until_its_trailers() {
    let (one, _) = serve("one").await;
    let policy = TrafficPolicy::circuit_breaker(1, 5);
    let mesh = mesh_with(vec![one], [HttpRoute::to("health")], policy);
    let refused = |status: Status| {
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.message().contains("overflow"), "{status}");
    };
    // Its headers and a message are there, its trailers are not.
    let mut ends = client(&mesh).watch(request("end")).await.unwrap();
    assert!(ends.get_mut().message().await.unwrap().is_some());
    refused(check(&mesh, "").await.unwrap_err());
    assert!(ends.get_mut().message().await.unwrap().is_none());
    check(&mesh, "").await.unwrap();
    // So does one that is given up.
    let goes_on = client(&mesh).watch(request("")).await.unwrap();
    refused(check(&mesh, "").await.unwrap_err());
    drop(goes_on);
    check(&mesh, "").await.unwrap();
}

#[tokio::test]
async fn answers_of_the_mesh_itself_are_trailers_alone() {
    let (one, _) = serve("one").await;
    let abort = HttpFaultAbort::default()
        .grpc_status("RESOURCE_EXHAUSTED")
        .percentage(100.0);
    let chaos = HttpRoute::to("health")
        .r#match([HttpMatchRequest::of_header("x-chaos", "yes")])
        .fault(HttpFaultInjection::default().abort(abort));
    let nobody = HttpRoute::split("health", [("two", 100)])
        .r#match([HttpMatchRequest::of_header("x-nobody", "yes")]);
    let mesh = mesh(vec![one], [chaos, nobody, HttpRoute::to("health")]);
    for (header, code, message) in [
        ("x-chaos", Code::ResourceExhausted, "fault filter abort"),
        ("x-nobody", Code::Unavailable, "no healthy upstream"),
    ] {
        let mut call = Request::new(request(""));
        call.metadata_mut().insert(header, "yes".parse().unwrap());
        let status = client(&mesh).check(call).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (code, message));

        let raw = HttpRequest::post("http://health/grpc.health.v1.Health/Check")
            .header("content-type", "application/grpc")
            .header(header, "yes")
            .body(tonic::body::Body::empty())
            .unwrap();
        let response = mesh.client().send(raw).await.unwrap();
        assert_eq!(response.status(), 200);
        let number = (code as i32).to_string();
        assert_eq!(response.headers()["grpc-status"], number);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        assert!(http_body::Body::is_end_stream(response.body()));
    }
}

#[tokio::test]
async fn it_stands_beside_tonics_interceptors() {
    fn token(mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = "Bearer 1".parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        Ok(request)
    }
    let (one, calls) = serve("one").await;
    let mesh = mesh(vec![one], [HttpRoute::to("health")]);
    let channel = || mesh.client().with_origin(origin());
    let mut with = HealthClient::with_interceptor(channel(), token);
    let answer = with.check(request("")).await.unwrap();
    assert_eq!(said(&answer, "authorization"), "Bearer 1");
    // The other way to say where: to the stub.
    let inside = InterceptedService::new(mesh.client(), token);
    let mut with = HealthClient::with_origin(inside, origin());
    let answer = with.check(request("")).await.unwrap();
    assert_eq!(said(&answer, "authorization"), "Bearer 1");
    // One that refuses sends nothing.
    let refuse = |_: Request<()>| Err(Status::unauthenticated("who are you"));
    let mut refused = HealthClient::with_interceptor(channel(), refuse);
    let status = refused.check(request("")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_stub_that_is_told_no_host_says_so() {
    let mesh = mesh(Vec::new(), [HttpRoute::to("health")]);
    let mut nowhere = HealthClient::new(mesh.client());
    let status = nowhere.check(request("")).await.unwrap_err();
    let want = "the request names no host, neither in its URI nor in a Host header";
    assert_eq!(status.message(), want);
}

/// The rules around a server of tonic's, as around a router of axum's.
#[tokio::test]
async fn rules_stand_around_a_server_of_tonics() {
    let abort = HttpFaultAbort::default()
        .grpc_status("NOT_FOUND")
        .percentage(100.0);
    let watch = HttpMatchRequest::of_path("/grpc.health.v1.Health/Watch");
    let gone = HttpRoute::to("health")
        .r#match([watch])
        .fault(HttpFaultInjection::default().abort(abort));
    let inside = mesh(Vec::new(), [gone, HttpRoute::to("health")]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = WorkloadEntry::from(listener.local_addr().unwrap());
    let server = Server {
        name: "inside",
        calls: Arc::default(),
    };
    let server = tonic::transport::Server::builder()
        .layer(inside.inbound_layer())
        .add_service(HealthServer::new(server));
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let outside = mesh(vec![endpoint], [HttpRoute::to("health")]);
    assert_eq!(name(&check(&outside, "").await.unwrap()), "inside");
    let status = client(&outside).watch(request("")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}
