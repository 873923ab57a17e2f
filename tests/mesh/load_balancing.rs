//! Which endpoint requests go to, as DestinationRules say.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use http::Request;
use http::header::SET_COOKIE;
use tower::Service as _;
use tower_mesh::body::Body;
use tower_mesh::context::Connection;
use tower_mesh::mesh::Mesh;
use tower_mesh::rt::Rng;

use crate::support::{build, get, mesh, proxy, seen, service, text, virtual_service, who};

/// A DestinationRule for `a.com` with this `trafficPolicy` and whatever follows.
fn rule(policy: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: it}}\n\
         spec:\n  host: a.com\n  trafficPolicy: {policy}\n---\n"
    )
}

/// The endpoints as many requests go to, by the last part of their address.
async fn picks(mesh: &Mesh, url: &str, count: usize) -> String {
    let mut picks = String::new();
    for _ in 0..count {
        let who = who(mesh, url, &[]).await;
        picks += who
            .strip_prefix("10.0.0.")
            .unwrap()
            .split(':')
            .next()
            .unwrap();
    }
    picks
}

/// Whether `picks` repeats `round`, beginning anywhere in it.
fn repeats(picks: &str, round: &str) -> bool {
    round.repeat(picks.len() / round.len() + 2).contains(picks)
}

#[tokio::test]
async fn round_robin_is_strict_and_goes_by_weight() {
    let three = service("a.com", 80, &[1, 2, 3]);
    let round_robin = rule("{loadBalancer: {simple: ROUND_ROBIN}}");
    let even = mesh(&(three.clone() + &round_robin));
    let got = picks(&even, "http://a.com/", 7).await;
    assert!(repeats(&got, "123"), "{got}");
    let weighted = three
        .replace("10.0.0.2\n", "10.0.0.2\n    weight: 20\n")
        .replace("10.0.0.3\n", "10.0.0.3\n    weight: 30\n")
        .replace("10.0.0.1\n", "10.0.0.1\n    weight: 10\n");
    let weighted = mesh(&(weighted + &round_robin));
    let got = picks(&weighted, "http://a.com/", 13).await;
    assert!(repeats(&got, "323123"), "{got}");
}

#[tokio::test]
async fn a_rotation_goes_on_when_rules_are_applied_and_when_endpoints_change() {
    let round_robin = rule("{loadBalancer: {simple: ROUND_ROBIN}}");
    let yaml = service("a.com", 80, &[1, 2, 3]) + &round_robin;
    let mesh = mesh(&yaml);
    let mut got = picks(&mesh, "http://a.com/", 2).await;
    let resources = tower_mesh::api::Resources::from_yaml("mesh.yaml", &yaml);
    mesh.apply(&resources).unwrap();
    got += &picks(&mesh, "http://a.com/", 2).await;
    assert!(repeats(&got, "123"), "{got}");
}

#[tokio::test]
async fn subsets_and_ports_have_balancers_of_their_own() {
    let policy = "\n    loadBalancer: {consistentHash: {httpHeaderName: x-user, maglev: {tableSize: 1009}}}\n    \
                  portLevelSettings:\n    - port: {number: 81}\n      loadBalancer: {simple: ROUND_ROBIN}\n  \
                  subsets:\n  - name: all\n    trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}";
    let spec = "  hosts: [b.com]\n  http: [{route: [{destination: {host: a.com, subset: all}}]}]";
    let service = service("a.com", 80, &[1, 2, 3]).replace(
        "HTTP}]",
        "HTTP}, {number: 81, name: other, protocol: HTTP}]",
    );
    let mesh = mesh(&(service + &rule(policy) + &virtual_service("it", spec)));
    for rotating in ["http://b.com/", "http://a.com:81/"] {
        let got = picks(&mesh, rotating, 6).await;
        assert!(repeats(&got, "123"), "{rotating} {got}");
    }
    let mut sticky = BTreeSet::new();
    for _ in 0..6 {
        sticky.insert(who(&mesh, "http://a.com/", &[("x-user", "1")]).await);
    }
    assert_eq!(sticky.len(), 1);
}

#[tokio::test]
async fn a_key_leads_to_one_endpoint_and_no_key_to_any() {
    let keys = [
        ("httpHeaderName: x-user", "http://a.com/", ("x-user", "ann")),
        (
            "httpQueryParameterName: user",
            "http://a.com/?user=ann",
            ("x", ""),
        ),
        (
            "httpCookie: {name: user}",
            "http://a.com/",
            ("cookie", "a=b; user=ann"),
        ),
    ];
    for (key, url, header) in keys {
        let policy = format!("{{loadBalancer: {{consistentHash: {{{key}}}}}}}");
        let yaml = service("a.com", 80, &[1, 2, 3, 4, 5, 6, 7, 8]) + &rule(&policy);
        let mesh = build(Mesh::builder().rng(Rng::seeded(3)), &yaml);
        let (mut with, mut without) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..20 {
            with.insert(who(&mesh, url, &[header]).await);
            without.insert(who(&mesh, "http://a.com/", &[]).await);
        }
        assert_eq!(with.len(), 1, "{key}");
        assert!(without.len() > 3, "{key}");
    }
}

#[tokio::test]
async fn the_source_is_this_application_or_the_connection_of_a_proxys_client() {
    let policy = "{loadBalancer: {consistentHash: {useSourceIp: true}}}";
    let yaml = service("a.com", 80, &[1, 2, 3, 4, 5, 6, 7, 8]) + &rule(policy);
    let mesh = build(Mesh::builder().rng(Rng::seeded(3)), &yaml);
    let picked: BTreeSet<_> = picks(&mesh, "http://a.com/", 10).await.chars().collect();
    assert_eq!(picked.len(), 1);
    let local: SocketAddr = "10.9.9.9:80".parse().unwrap();
    let mut by_client = BTreeSet::new();
    for client in 1..=20_u8 {
        let mut answers = BTreeSet::new();
        for port in 1000..1005 {
            let remote = SocketAddr::from(([10, 1, 1, client], port));
            let request = Request::get("/").header("host", "a.com");
            let request = request.extension(Connection { remote, local });
            let answer = proxy(&mesh)
                .call(request.body(Body::empty()).unwrap())
                .await;
            answers.insert(text(answer.unwrap().into_body()).await);
        }
        // The port plays no part.
        assert_eq!(answers.len(), 1);
        by_client.extend(answers);
    }
    assert!(by_client.len() > 3);
}

#[tokio::test]
async fn a_cookie_is_made_once_and_leads_back() {
    let cookie = "{name: user, ttl: 60s, path: /p, attributes: [{name: SameSite, value: Strict}]}";
    let policy = format!("{{loadBalancer: {{consistentHash: {{httpCookie: {cookie}}}}}}}");
    let yaml = service("a.com", 80, &[1, 2, 3, 4, 5, 6, 7, 8]) + &rule(&policy);
    let mesh = build(Mesh::builder().rng(Rng::seeded(3)), &yaml);
    for _ in 0..5 {
        let send = |cookie: Option<String>| {
            let mut request = Request::get("/").header("host", "a.com");
            if let Some(cookie) = cookie {
                request = request.header("cookie", cookie);
            }
            proxy(&mesh).call(request.body(Body::empty()).unwrap())
        };
        let first = send(None).await.unwrap();
        let set = first.headers()[SET_COOKIE].to_str().unwrap().to_owned();
        let (pair, attributes) = set.split_once("; ").unwrap();
        assert_eq!(attributes, "Max-Age=60; Path=/p; SameSite=Strict; HttpOnly");
        let again = send(Some(pair.to_owned())).await.unwrap();
        assert_eq!(again.headers().get(SET_COOKIE), None);
        assert_eq!(text(again.into_body()).await, text(first.into_body()).await);
    }
}

#[tokio::test]
async fn passthrough_goes_where_the_request_was_sent() {
    let policy = "{loadBalancer: {simple: PASSTHROUGH}}";
    let spec = "  hosts: [b.com]\n  http: [{rewrite: {authority: c.com}, route: [{destination: {host: a.com}}]}]";
    let yaml = service("a.com", 80, &[1]) + &rule(policy) + &virtual_service("it", spec);
    let mesh = mesh(&yaml);
    assert_eq!(
        get(&mesh, "http://a.com/", &[]).await,
        "a.com:80 GET / a.com"
    );
    assert_eq!(
        get(&mesh, "http://b.com/x", &[]).await,
        "b.com:80 GET /x c.com"
    );
    let request = Request::get("/").header("host", "b.com");
    let answer = proxy(&mesh)
        .call(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(
        answer.body().info().upstream_cluster(),
        Some("outbound|80||a.com")
    );
    assert_eq!(seen(&answer), "200 -");
}

#[test]
fn what_istio_refuses_is_refused_in_its_words() {
    let check = |balancer: &str, want: &[&str]| {
        let yaml = service("a.com", 80, &[1]) + &rule(&format!("{{loadBalancer: {balancer}}}"));
        let (Ok(found) | Err(found)) = Mesh::builder()
            .yaml(&yaml)
            .build()
            .map(|(_, report)| report.diagnostics().clone());
        let said: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), want.len(), "{said:#?}");
        for (said, want) in said.iter().zip(want) {
            assert!(said.contains(want), "{said}\n{want}");
        }
    };
    check("{simple: LEAST_CONN}", &["LEAST_CONN is deprecated"]);
    check(
        "{simple: RANDOM, consistentHash: {httpHeaderName: a}}",
        &["only one of simple, consistentHash, backendUtilization may be set"],
    );
    check("{consistentHash: {}}", &["endpoints are picked at random"]);
    check(
        "{consistentHash: {httpHeaderName: a, useSourceIp: true}}",
        &["only one of httpHeaderName, httpCookie, useSourceIp"],
    );
    check(
        "{consistentHash: {httpCookie: {attributes: [{value: x}, {name: a}, {name: a}]}}}",
        &[
            "name required for HttpCookie",
            "cookie attribute name cannot be empty",
            "duplicate cookie attribute name: a",
        ],
    );
    check(
        "{consistentHash: {httpHeaderName: a, minimumRingSize: 5, maglev: {tableSize: 4}}}",
        &[
            "only one of MinimumRingSize or Maglev/Ringhash can be specified",
            "consistent hash MinimumRingSize is deprecated",
            "tableSize must be a prime number for maglev",
        ],
    );
    let table =
        |size: &str| format!("{{consistentHash: {{httpHeaderName: a, maglev: {{{size}}}}}}}");
    check(&table(""), &["tableSize must be set for maglev"]);
    check(
        &table("tableSize: 5000011"),
        &["tableSize must be less than 5000011 for maglev"],
    );
    check(&table("tableSize: 65537"), &[]);
    check(
        "{consistentHash: {httpHeaderName: a, ringHash: {minimumRingSize: 8388609}}}",
        &["minimumRingSize 8388609 is more than 8388608"],
    );
}
