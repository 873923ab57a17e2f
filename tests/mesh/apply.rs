//! Rules that change while traffic flows.

use std::sync::Arc;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use tokio::sync::Semaphore;
use tower::service_fn;
use tower_mesh::api::Resources;
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::Mesh;
use tower_mesh::rt::Rng;

use crate::support::{build, mesh, service, virtual_service, who};

fn to(number: u8) -> Resources {
    let yaml = service("a.com", 80, &[1])
        + &service("b.com", 80, &[2])
        + &virtual_service(
            "it",
            &format!(
                "  hosts: [a.com]\n  http: [{{route: [{{destination: {{host: {}.com}}}}]}}]",
                char::from(b'a' + number - 1)
            ),
        );
    Resources::from_yaml("rules.yaml", &yaml)
}

#[tokio::test]
async fn new_rules_hold_from_the_next_request_on() {
    let (mesh, _) = Mesh::builder().resources(to(1)).build().unwrap();
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
    mesh.apply(&to(2)).unwrap();
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.2:80");
}

#[tokio::test]
async fn a_bad_configuration_changes_nothing_and_says_everything() {
    let (mesh, _) = Mesh::builder().resources(to(1)).build().unwrap();
    let bad = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: it}
spec:
  hosts: [a.com]
  http:
  - match: [{uri: {regex: '('}}]
    route: [{destination: {host: a.com}, weight: -1}]
  tcp:
  - route: [{destination: {host: a.com}}]
";
    let found = mesh
        .apply(&Resources::from_yaml("bad.yaml", bad))
        .unwrap_err();
    let errors: Vec<_> = found
        .iter()
        .filter(|it| it.severity().as_str() == "error")
        .map(|it| format!("{} {} {}", it.place().unwrap(), it.code(), it.path()))
        .collect();
    assert_eq!(
        errors,
        [
            "bad.yaml:7:27 invalid-value spec.http[0].match[0].uri.regex",
            "bad.yaml:8:50 invalid-value spec.http[0].route[0].weight",
            "bad.yaml:9:3 not-built spec.tcp",
        ]
    );
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
}

#[tokio::test]
async fn what_is_not_built_is_a_warning_when_read_leniently() {
    let spec = "  hosts: [a.com]\n  tcp: [{route: [{destination: {host: a.com}}]}]\n  http:\n  \
                - surprise: 1\n    route: [{destination: {host: a.com}}]";
    let yaml = service("a.com", 80, &[1]) + &virtual_service("it", spec);
    assert!(Mesh::builder().yaml(&yaml).build().is_err());
    let (mesh, report) = Mesh::builder().lenient(true).yaml(&yaml).build().unwrap();
    let codes: Vec<_> = report
        .diagnostics()
        .iter()
        .map(|it| it.code().as_str())
        .collect();
    assert_eq!(codes, ["not-built", "unknown-field"]);
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
}

#[test]
fn what_is_left_out_on_purpose_says_so_and_what_to_do() {
    let one = service("a.com", 80, &[1]);
    let to = "route: [{destination: {host: a.com}}]";
    let gateway = |tls: &str| {
        let server = "port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*']";
        format!(
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: gw}}\n\
             spec: {{servers: [{{{server}, tls: {{{tls}}}}}]}}\n"
        )
    };
    for (rules, path, word) in [
        (
            virtual_service("it", &format!("  hosts: [a.com]\n  tcp: [{{{to}}}]")),
            "spec.tcp",
            "connections",
        ),
        (
            virtual_service(
                "it",
                &format!("  hosts: [a.com]\n  tls: [{{match: [{{sniHosts: [a.com]}}], {to}}}]"),
            ),
            "spec.tls",
            "connections",
        ),
        (
            gateway("mode: SIMPLE, credentialName: it"),
            "spec.servers[0].tls",
            "TLS ends there",
        ),
    ] {
        let yaml = format!("{one}{rules}");
        let found = Mesh::builder().yaml(&yaml).build().unwrap_err();
        let mut told = found.iter().filter(|it| it.path().to_string() == path);
        let it = told
            .next()
            .unwrap_or_else(|| panic!("nothing at {path} in {found}"));
        assert_eq!(it.code().as_str(), "not-built");
        assert!(it.message().contains(word), "{it}");
        assert!(
            it.help().is_some_and(|it| it.starts_with("on purpose: ")),
            "{it}"
        );
        assert!(Mesh::builder().lenient(true).yaml(&yaml).build().is_ok());
    }
}

/// The endpoints answer only when they are let; meanwhile the rules are applied again and again.
#[tokio::test]
async fn requests_under_way_outlive_their_rules_and_go_on_counting() {
    let yaml = service("a.com", 80, &[1, 2]);
    let mesh = build(Mesh::builder().rng(Rng::seeded(5)), &yaml);
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let client = mesh.client_with(move |endpoint: &Endpoint| {
        let (gate, address) = (held.clone(), endpoint.address().to_string());
        service_fn(move |_: Request<Body>| {
            let (gate, address) = (gate.clone(), address.clone());
            async move {
                gate.acquire()
                    .await
                    .map_err(std::io::Error::other)?
                    .forget();
                Ok::<_, std::io::Error>(Response::new(Body::from(address)))
            }
        })
    });
    let ask = || {
        let client = client.clone();
        async move {
            let request = Request::get("http://a.com/").body(Empty::new()).unwrap();
            let response = client.send(request).await.unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        }
    };
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        answers.spawn(ask());
        tokio::task::yield_now().await;
        mesh.apply(&Resources::from_yaml("again.yaml", &yaml))
            .unwrap();
    }
    gate.add_permits(100);
    let mut first = 0;
    while let Some(answer) = answers.join_next().await {
        first += u32::from(answer.unwrap() == "10.0.0.1:80");
    }
    // Least request saw all of them, across a hundred plans: the halves differ by less than they
    // would if each plan had begun to count anew (which gives a deviation of five from fifty).
    assert!(
        first.abs_diff(50) <= 2,
        "{first} of 100 went to the first endpoint"
    );
}

#[tokio::test]
async fn a_dropped_request_and_a_dropped_body_count_no_longer() {
    let mesh = mesh(&service("a.com", 80, &[1, 2]));
    let client = mesh.client_with(|_: &Endpoint| {
        service_fn(|request: Request<Body>| async move {
            if request.uri().path() == "/never" {
                std::future::pending::<()>().await;
            }
            Ok::<_, std::convert::Infallible>(Response::new(Body::from("hello")))
        })
    });
    let ask = |path: &str| {
        let uri = format!("http://a.com{path}");
        client.send(Request::get(uri).body(Empty::new()).unwrap())
    };
    for _ in 0..50 {
        // Polled once, then dropped.
        tokio::select! {
            biased;
            _ = ask("/never") => unreachable!("it never answers"),
            () = std::future::ready(()) => {}
        }
        drop(ask("/").await.unwrap());
        let whole = ask("/").await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(whole.to_bytes(), "hello");
    }
    // If any of them still counted at one endpoint only, the other would be picked more often.
    assert_eq!(active(&mesh), 0);
}

/// How many requests are under way, as the endpoints' own counters see it.
fn active(mesh: &Mesh) -> u32 {
    let seen = Arc::new(std::sync::Mutex::new(0));
    let note = seen.clone();
    let client = mesh.client_with(move |endpoint: &Endpoint| {
        // Its own request is counted already.
        *note.lock().unwrap() += endpoint.active() - 1;
        service_fn(|_: Request<Body>| {
            std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(
                Body::empty(),
            )))
        })
    });
    use tower::Service as _;
    for _ in 0..20 {
        let request = Request::get("http://a.com/").body(Body::empty()).unwrap();
        drop(client.clone().call(request));
    }
    *seen.lock().unwrap()
}
