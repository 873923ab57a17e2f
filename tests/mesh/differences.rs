//! What differs from a sidecar on purpose, where nothing else tries it: rows of ARCHITECTURE's table.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Request;
use tower::{Service as _, ServiceExt as _};
use tower_mesh::body::Body;
use tower_mesh::context::Connection;
use tower_mesh::diagnostic::Code;
use tower_mesh::mesh::Mesh;
use tower_mesh::resolver::{Resolve, Resolving};
use tower_mesh::rt::Rng;

use crate::support::{self, build, proxy, service, text, virtual_service, who};
use crate::tries::{Does, Script, get, rules};

/// Envoy knows who the client is before rules apply; here it is read where it is needed.
#[tokio::test]
async fn a_rule_that_changes_x_forwarded_for_says_who_the_client_is() {
    let rule = "  hosts: [a.com]\n  http:\n  - headers: {request: {set: \
                {x-forwarded-for: \"%REQ(x-who)%\", x-from: \"%DOWNSTREAM_REMOTE_ADDRESS%\"}}}\n    \
                route: [{destination: {host: a.com}}]";
    let balancer = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
                    metadata: {name: it}\nspec:\n  host: a.com\n  trafficPolicy: \
                    {loadBalancer: {consistentHash: {useSourceIp: true}}}\n---\n";
    let service = service("a.com", 80, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let plain = build(Mesh::builder(), &(service.clone() + balancer));
    let ruled = build(
        Mesh::builder(),
        &(service + balancer + &virtual_service("a", rule)),
    );
    let mut met = BTreeSet::new();
    for client in 1..=20_u8 {
        let source = format!("10.1.1.{client}");
        let written = [("x-forwarded-for", "10.9.9.9"), ("x-who", &*source)];
        let by_rule = via(&ruled, &written).await;
        let by_source = via(&plain, &[("x-forwarded-for", &*source)]).await;
        assert_eq!(by_rule, by_source, "{source}");
        met.insert(by_rule);
    }
    assert!(met.len() > 3, "{met:?}");
}

/// The endpoint that a proxied request with these headers meets.
async fn via(mesh: &Mesh, headers: &[(&str, &str)]) -> String {
    let mut request = Request::get("/").header("host", "a.com");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let answer = proxy(mesh).call(request).await.unwrap();
    let answer = text(answer.into_body()).await;
    answer.split(' ').next().unwrap().to_owned()
}

/// Envoy's router has read the time before it sets headers.
#[tokio::test(start_paused = true)]
async fn a_rule_that_sets_grpc_timeout_sets_the_time() {
    let more = "    headers: {request: {set: {grpc-timeout: 200m}}}\n";
    let mesh = build(Mesh::builder(), &rules(&[1], more));
    let script = Script::new(&[Does::Hang]);
    let call = get(&[("content-type", "application/grpc"), ("grpc-timeout", "9S")]);
    let answer = script.proxy(&mesh).oneshot(call);
    let answer = tokio::time::timeout(Duration::from_secs(60), answer).await;
    assert_eq!(answer.unwrap().unwrap().headers()["grpc-status"], "14");
    assert_eq!(script.began.elapsed().as_millis(), 200);
}

/// Endpoints of a mesh have no certificates where no rule says so.
#[tokio::test]
async fn without_a_tls_block_an_endpoint_of_the_mesh_is_spoken_to_in_the_clear() {
    let yaml = service("a.com", 80, &[1]).replace("spec:\n", "spec:\n  location: MESH_INTERNAL\n");
    let mesh = build(Mesh::builder(), &yaml);
    let clusters = mesh.clusters();
    assert!(
        !format!("{clusters:?}").contains("tls: Some"),
        "{clusters:?}"
    );
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
}

/// An edge's own address is told where a `Connection` says it, and nowhere else.
#[tokio::test]
async fn addresses_of_a_connection_nobody_told_of_are_empty() {
    let rule = "  hosts: [a.com]\n  http:\n  - headers: {response: {set: \
                {x-from: \"<%DOWNSTREAM_REMOTE_ADDRESS%>\"}}}\n    \
                route: [{destination: {host: a.com}}]";
    let yaml = service("a.com", 80, &[1]) + &virtual_service("a", rule);
    let mesh = build(Mesh::builder().rng(Rng::seeded(1)), &yaml);
    for (connection, want) in [(None, "<>"), (Some(()), "<10.0.0.9:4711>")] {
        let mut request = Request::get("/").header("host", "a.com");
        if connection.is_some() {
            let remote = "10.0.0.9:4711".parse().unwrap();
            let local = "10.0.0.1:80".parse().unwrap();
            request = request.extension(Connection { remote, local });
        }
        let request = request.body(Body::empty()).unwrap();
        let answer = proxy(&mesh).call(request).await.unwrap();
        assert_eq!(answer.headers()["x-from"], want);
    }
}

/// A sidecar has no cluster of that name, 503 NC.
#[tokio::test]
async fn a_destination_nothing_declares_goes_where_dns_says() {
    let rule = "  hosts: [a.com]\n  http: [{route: [{destination: {host: elsewhere.example}}]}]";
    let yaml = service("a.com", 80, &[1]) + &virtual_service("a", rule);
    let (mesh, report) = Mesh::builder().yaml(&yaml).build().unwrap();
    let codes: Vec<Code> = report.diagnostics().iter().map(|it| it.code()).collect();
    assert_eq!(codes, [Code::UnknownHost]);
    let met = who(&mesh, "http://a.com/", &[]).await;
    assert_eq!(met, "elsewhere.example:80");
    // A part of what nobody declares is nowhere.
    let part = yaml.replace(
        "host: elsewhere.example}",
        "host: elsewhere.example, subset: v1}",
    );
    let mesh = build(Mesh::builder().lenient(true), &part);
    assert_eq!(support::get(&mesh, "http://a.com/", &[]).await, "503 NC ");
}

/// Knows no name.
struct Nobody;

impl Resolve for Nobody {
    fn resolve(&self, _: &str) -> Resolving {
        Box::pin(async { Err(std::io::ErrorKind::NotFound.into()) })
    }
}

/// The client of a sidecar would have had no address to send to.
#[tokio::test]
async fn a_name_nobody_knows_is_a_failed_connection() {
    let yaml = service("a.com", 80, &[1]);
    let mesh = build(Mesh::builder().resolver(Nobody), &yaml);
    let request = Request::get("http://nobody.test/").body(Body::empty());
    let error = mesh.client().send(request.unwrap()).await.unwrap_err();
    let reply = error.reply();
    assert_eq!(
        format!("{} {}", reply.status.as_u16(), reply.flags),
        "503 UF"
    );
}
