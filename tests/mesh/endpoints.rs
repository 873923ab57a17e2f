//! Endpoints that the application gives, and what a mesh tells of its destinations.

use std::sync::Arc;

use http::Request;
use tokio::sync::mpsc;
use tower_mesh::api::Resources;
use tower_mesh::body::Body;
use tower_mesh::endpoint::{Address, Endpoint, Locality};
use tower_mesh::mesh::{ClusterStatus, Mesh};

use crate::support::{build, client, get, mesh, service, virtual_service, who};

fn endpoint(number: u8, version: &str) -> Endpoint {
    let labels = [("version".to_owned(), version.to_owned())];
    let address = Address::new(&format!("10.1.0.{number}"), 8080);
    Endpoint::new(address, Arc::new(labels.into_iter().collect()))
}

/// `a.com` as a whole at `/`, its subset `v1` at `/v1`.
fn rules() -> String {
    service("a.com", 80, &[1, 2])
        + "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: it}\nspec:\n  \
           host: a.com\n  subsets: [{name: v1, labels: {version: v1}}]\n---\n"
        + &virtual_service(
            "it",
            "  hosts: [a.com]\n  http:\n  \
             - {match: [{uri: {prefix: /v1}}], route: [{destination: {host: a.com, subset: v1}}]}\n  \
             - {route: [{destination: {host: a.com}}]}",
        )
}

#[tokio::test]
async fn endpoints_given_stand_for_those_of_rules_and_outlive_new_ones() {
    let mesh = mesh(&rules());
    mesh.set_endpoints("A.com", 80, vec![endpoint(1, "v1"), endpoint(2, "v2")]);
    let check = async || {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..40 {
            seen.insert(who(&mesh, "http://a.com/", &[]).await);
            let v1 = who(&mesh, "http://a.com/v1", &[]).await;
            assert_eq!(v1, "10.1.0.1:8080");
        }
        assert_eq!(
            seen.into_iter().collect::<Vec<_>>(),
            ["10.1.0.1:8080", "10.1.0.2:8080"]
        );
    };
    check().await;
    mesh.apply(&Resources::from_yaml("mesh.yaml", &rules()))
        .unwrap();
    check().await;
    mesh.set_endpoints("a.com", 80, vec![endpoint(2, "v2")]);
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.1.0.2:8080");
    let none = get(&mesh, "http://a.com/v1", &[]).await;
    assert_eq!(none, "503 UH no healthy upstream");
    mesh.unset_endpoints("a.com", 80);
    assert_eq!(who(&mesh, "http://a.com/v1", &[]).await, "10.0.0.1:80");
}

#[tokio::test]
async fn rules_decide_whether_the_host_exists() {
    let mesh = mesh(&rules());
    mesh.set_endpoints("b.com", 80, vec![endpoint(3, "v1")]);
    mesh.set_endpoints("a.com", 81, vec![endpoint(3, "v1")]);
    assert_eq!(who(&mesh, "http://b.com/", &[]).await, "b.com:80");
    let declared = rules() + &service("b.com", 80, &[9]);
    mesh.apply(&Resources::from_yaml("mesh.yaml", &declared))
        .unwrap();
    assert_eq!(who(&mesh, "http://b.com/", &[]).await, "10.1.0.3:8080");
}

#[tokio::test]
async fn endpoints_given_again_go_on_counting() {
    let mesh = mesh(&rules());
    mesh.set_endpoints("a.com", 80, vec![endpoint(1, "v1")]);
    let request = Request::get("http://a.com/").body(Body::empty()).unwrap();
    let response = client(&mesh).send(request).await.unwrap();
    mesh.set_endpoints("a.com", 80, vec![endpoint(1, "v1"), endpoint(2, "v1")]);
    let active = || -> Vec<u32> {
        let clusters = mesh.clusters();
        let whole = clusters.iter().find(|it| &*it.name == "outbound|80||a.com");
        whole
            .unwrap()
            .endpoints
            .iter()
            .map(|it| it.active)
            .collect()
    };
    assert_eq!(active(), [1, 0]);
    drop(response);
    assert_eq!(active(), [0, 0]);
}

#[tokio::test]
async fn a_source_is_followed_until_it_or_the_mesh_ends() {
    let mesh = mesh(&rules());
    let (tell, told) = mpsc::channel(1);
    let following = tokio::spawn(mesh.follow("a.com", 80, told));
    tell.send(vec![endpoint(7, "v1")]).await.unwrap();
    while who(&mesh, "http://a.com/", &[]).await != "10.1.0.7:8080" {
        tokio::task::yield_now().await;
    }
    drop(tell);
    following.await.unwrap();
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.1.0.7:8080");

    let (tell, told) = mpsc::channel(1);
    let following = tokio::spawn(mesh.follow("a.com", 80, told));
    tokio::task::yield_now().await;
    drop(mesh);
    following.await.unwrap();
    assert!(tell.is_closed());
}

#[tokio::test]
async fn a_selector_of_workloads_is_refused_and_leniently_filled_by_the_application() {
    let yaml = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: it}\nspec:\n  \
                hosts: [a.com]\n  addresses: [10.9.9.9/32]\n  resolution: STATIC\n  \
                ports: [{number: 80, name: http, protocol: HTTP}]\n  \
                workloadSelector: {labels: {app: a}}\n";
    let refused = Mesh::builder().yaml(yaml).build().unwrap_err().to_string();
    assert!(refused.contains("Mesh::set_endpoints"), "{refused}");
    let mesh = build(Mesh::builder().lenient(true), yaml);
    let none = get(&mesh, "http://a.com/", &[]).await;
    assert_eq!(none, "503 UH no healthy upstream");
    mesh.set_endpoints("a.com", 80, vec![endpoint(1, "v1")]);
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.1.0.1:8080");
    // A network of one address is a name of the host, too.
    assert_eq!(who(&mesh, "http://10.9.9.9/", &[]).await, "10.1.0.1:8080");
}

fn print(cluster: &ClusterStatus) -> String {
    let endpoints = cluster.endpoints.iter().map(|it| &it.endpoint);
    let endpoints = endpoints.map(|it| {
        let place = it.locality().map(Locality::to_string).unwrap_or_default();
        format!(" {} {}x{place}/{}", it.address(), it.weight(), it.network())
    });
    let (host, port, subset) = (&cluster.host, cluster.port, &cluster.subset);
    let (exists, active) = (cluster.exists, cluster.active());
    format!(
        "{host} {port} {subset} {exists} {active}:{}",
        endpoints.collect::<String>()
    )
}

#[tokio::test]
async fn a_mesh_tells_its_destinations() {
    let yaml = rules()
        .replace("subsets: [{name: v1", "subsets: [{name: v9")
        .replace(
            "address: 10.0.0.2\n",
            "address: 10.0.0.2\n    locality: r1/z2\n    network: n3\n",
        );
    let mesh = mesh(&yaml);
    let request = Request::get("http://a.com/").body(Body::empty()).unwrap();
    let response = client(&mesh).send(request).await.unwrap();
    let told: Vec<String> = mesh.clusters().iter().map(print).collect();
    assert_eq!(
        told,
        [
            "a.com 80 v1 false 0:",
            "a.com 80  true 1: 10.0.0.1:80 1x/ 10.0.0.2:80 1xr1/z2/n3"
        ]
    );
    drop(response);
}
