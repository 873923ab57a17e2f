//! Which endpoints requests go to by where they are.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use tower::service_fn;
use tower_mesh::api::Resources;
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::Mesh;
use tower_mesh::rt::Rng;

use crate::support::{build, service, virtual_service, who};

/// `a.com` with endpoints 1 to 4 in these places and this `trafficPolicy`.
fn yaml(places: [&str; 4], policy: &str) -> String {
    let mut yaml = service("a.com", 80, &[1, 2, 3, 4]);
    for (n, place) in (1..).zip(places) {
        let address = format!("10.0.0.{n}\n");
        yaml = yaml.replace(&address, &format!("{address}    locality: {place}\n"));
    }
    yaml + &format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: it}}\n\
         spec:\n  host: a.com\n  trafficPolicy: {policy}\n---\n"
    )
}

/// How many of a hundred requests each endpoint gets.
async fn shares(mesh: &Mesh) -> BTreeMap<u8, u32> {
    let mut had = BTreeMap::new();
    for _ in 0..100 {
        let who = who(mesh, "http://a.com/", &[]).await;
        let number = who
            .strip_prefix("10.0.0.")
            .and_then(|it| it.split(':').next());
        *had.entry(number.unwrap().parse().unwrap()).or_default() += 1;
    }
    had
}

async fn check(client: &str, yaml: &str, want: &[(u8, u32)]) {
    let builder = Mesh::builder().rng(Rng::seeded(3)).locality(client);
    let mesh = build(builder, yaml);
    let had = shares(&mesh).await;
    let near =
        |(number, want): &(u8, u32)| had.get(number).is_some_and(|it| it.abs_diff(*want) <= 1);
    assert!(
        had.len() == want.len() && want.iter().all(near),
        "{client}: {had:?}"
    );
}

const PLACES: [&str; 4] = ["r1/a", "r1/b", "r2/a", "r3/a"];

#[tokio::test]
async fn outlier_detection_keeps_requests_near() {
    let detects = yaml(PLACES, "{outlierDetection: {}}");
    check("r1/b", &detects, &[(2, 100)]).await;
    check("r3/a", &detects, &[(4, 100)]).await;
    let off = "{loadBalancer: {simple: ROUND_ROBIN, localityLbSetting: {enabled: false}}, outlierDetection: {}}";
    let everywhere = [(1, 25), (2, 25), (3, 25), (4, 25)];
    check("r1/b", &yaml(PLACES, off), &everywhere).await;
    let undetected = "{loadBalancer: {simple: ROUND_ROBIN, localityLbSetting: {enabled: true}}}";
    check("r1/b", &yaml(PLACES, undetected), &everywhere).await;
}

#[tokio::test]
async fn a_region_without_endpoints_fails_over_where_it_is_told() {
    let places = ["r2/a", "r2/b", "r3/a", "r3/a"];
    let policy = "{loadBalancer: {simple: ROUND_ROBIN, localityLbSetting: {failover: \
                  [{from: r1, to: r3}]}}, outlierDetection: {}}";
    check("r1/a", &yaml(places, policy), &[(3, 50), (4, 50)]).await;
}

#[tokio::test]
async fn shares_are_given_to_localities_and_change_with_the_rules() {
    let policy = |a: u32, b: u32| {
        format!(
            "{{loadBalancer: {{simple: ROUND_ROBIN, localityLbSetting: {{distribute: \
             [{{from: r1/*, to: {{r1/a: {a}, r3/*: {b}}}}}]}}}}}}"
        )
    };
    let builder = Mesh::builder().rng(Rng::seeded(3)).locality("r1/a");
    let mesh = build(builder, &yaml(PLACES, &policy(70, 30)));
    let had = shares(&mesh).await;
    assert!(had.len() == 2 && had[&1].abs_diff(70) <= 1, "{had:?}");
    let other = Resources::from_yaml("mesh.yaml", &yaml(PLACES, &policy(20, 80)));
    mesh.apply(&other).unwrap();
    let had = shares(&mesh).await;
    assert!(had.len() == 2 && had[&1].abs_diff(20) <= 1, "{had:?}");
}

/// The endpoints that a request is tried at which always fails.
async fn tried(retries: &str) -> String {
    let policy = "{outlierDetection: {consecutive5xxErrors: 100}}";
    let rule = format!(
        "  hosts: [a.com]\n  http:\n  - retries: {{attempts: 5, retryOn: 5xx{retries}}}\n    \
         route: [{{destination: {{host: a.com}}}}]"
    );
    let yaml = yaml(["r1/a", "r1/b", "r2/a", "r2/a"], policy) + &virtual_service("it", &rule);
    let builder = Mesh::builder().rng(Rng::seeded(3)).locality("r1/a");
    let mesh = build(builder, &yaml);
    let tried = Arc::new(Mutex::new(String::new()));
    let seen = tried.clone();
    let client = mesh.client_with(move |endpoint: &Endpoint| {
        let (seen, address) = (seen.clone(), endpoint.address().to_string());
        service_fn(move |_: Request<Body>| {
            let number = address
                .trim_end_matches(":80")
                .trim_start_matches("10.0.0.");
            seen.lock().unwrap().push_str(number);
            let response = Response::builder().status(503).body(Body::empty());
            std::future::ready(Ok::<_, Infallible>(response.unwrap()))
        })
    });
    let request = Request::get("http://a.com/").body(Body::empty()).unwrap();
    assert_eq!(client.send(request).await.unwrap().status(), 503);
    std::mem::take(&mut *tried.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn tries_leave_the_places_of_earlier_ones_where_a_rule_says_so() {
    assert_eq!(tried("").await, "111111");
    // One place after the other, twice each; in a place those that have not been tried.
    let far = tried(", retryRemoteLocalities: true").await;
    assert!(["112234", "112243"].contains(&far.as_str()), "{far}");
}

#[tokio::test]
async fn labels_of_the_client_say_which_endpoints_come_first() {
    let policy = "{loadBalancer: {simple: ROUND_ROBIN, localityLbSetting: {failoverPriority: \
                  [version]}}, outlierDetection: {}}";
    let builder = Mesh::builder().rng(Rng::seeded(3)).label("version", "v3");
    let mesh = build(builder, &yaml(PLACES, policy));
    assert_eq!(shares(&mesh).await, [(3, 100)].into());
}

/// Without outlier detection nobody would let back who was left out under the rules before.
#[tokio::test(start_paused = true)]
async fn who_was_left_out_is_used_where_nobody_is_left_out_any_more() {
    let shares_of = |detects: &str| {
        let shares = "localityLbSetting: {distribute: [{from: '*', to: {'*': 100}}]}";
        yaml(
            PLACES,
            &format!("{{loadBalancer: {{simple: ROUND_ROBIN, {shares}}}{detects}}}"),
        ) + &virtual_service(
            "a",
            "  hosts: [a.com]\n  http: [{retries: {attempts: 0}, route: [{destination: {host: a.com}}]}]",
        )
    };
    let detects = ", outlierDetection: {consecutive5xxErrors: 1, maxEjectionPercent: 50}";
    let mesh = build(Mesh::builder().rng(Rng::seeded(3)), &shares_of(detects));
    let failing = mesh.client_with(|endpoint: &Endpoint| {
        let status = if endpoint.address().to_string() == "10.0.0.1:80" {
            503
        } else {
            200
        };
        service_fn(move |_: Request<Body>| async move {
            let response = Response::builder().status(status);
            Ok::<_, Infallible>(response.body(Body::empty()).unwrap())
        })
    });
    for _ in 0..20 {
        let request = Request::get("http://a.com/").body(Body::empty()).unwrap();
        failing.send(request).await.unwrap();
    }
    assert_eq!(shares(&mesh).await.len(), 3);
    mesh.apply(&Resources::from_yaml("without.yaml", &shares_of("")))
        .unwrap();
    assert_eq!(shares(&mesh).await.len(), 4);
}

/// Six endpoints in two zones of a region, two of them in the client's, and one in another region.
fn zones(setting: &str) -> String {
    let mut yaml = service("a.com", 80, &[1, 2, 3, 4, 5, 6, 7]);
    let places = ["r1/a", "r1/a", "r1/b", "r1/b", "r1/b", "r1/b", "r2/a"];
    for (n, place) in (1..).zip(places) {
        let address = format!("10.0.0.{n}\n");
        yaml = yaml.replace(&address, &format!("{address}    locality: {place}\n"));
    }
    yaml + &format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: it}}\n\
         spec:\n  host: a.com\n  trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN, \
         zoneAwareLbSetting: {{{setting}}}}}}}\n---\n"
    )
}

/// As many requests stay in the zone as its endpoints can do for their part of the clients.
#[tokio::test]
async fn zones_keep_what_is_theirs_and_pass_on_the_rest() {
    let mesh = |setting: &str, instances: &[(&str, u32)]| {
        let mut builder = Mesh::builder().rng(Rng::seeded(3)).locality("r1/a");
        for (place, count) in instances {
            builder = builder.instances(place, *count);
        }
        build(builder, &zones(setting))
    };
    // Of a thousand, those in the client's zone and those in another region.
    let near = async |setting: &str, instances: &[(&str, u32)]| {
        let mesh = mesh(setting, instances);
        let (mut own, mut far) = (0, 0);
        for _ in 0..10 {
            let had = shares(&mesh).await;
            let of = |numbers: &[u8]| numbers.iter().filter_map(|it| had.get(it)).sum::<u32>();
            own += of(&[1, 2]);
            far += of(&[7]);
        }
        (own, far)
    };
    let even = [("r1/a", 1), ("r1/b", 1)];
    // Half of the clients, a third of the endpoints: two thirds stay. Five standard deviations.
    let (own, far) = near("enabled: true", &even).await;
    assert!(own.abs_diff(667) < 75 && far == 0, "{own} {far}");
    // A third of the clients: all stay.
    let few = [("r1/a", 1), ("r1/b", 2)];
    assert_eq!(near("enabled: true", &few).await, (1000, 0));
    // Too few endpoints, or nobody knows of the clients: the region is all that counts.
    for (setting, instances) in [("minClusterSize: 7", &even[..]), ("enabled: true", &[])] {
        let (own, far) = near(setting, instances).await;
        assert!(own.abs_diff(333) < 20 && far == 0, "{setting}: {own} {far}");
    }
    let (own, far) = near("enabled: false", &even).await;
    assert!(
        own.abs_diff(286) < 20 && far.abs_diff(143) < 20,
        "{own} {far}"
    );
}
