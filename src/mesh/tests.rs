//! How long a plan lives: as long as its requests.

use std::sync::mpsc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use tower::service_fn;

use super::Mesh;
use crate::api::Resources;
use crate::body::Body;
use crate::endpoint::Endpoint;

fn rules(endpoint: &str, resolution: &str) -> Resources {
    let yaml = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: it}}\nspec:\n  \
         hosts: [a.com]\n  ports: [{{number: 80, name: http, protocol: HTTP}}]\n  \
         resolution: {resolution}\n  endpoints: [{{address: {endpoint}}}]\n"
    );
    Resources::from_yaml("mesh.yaml", &yaml)
}

fn mesh() -> Mesh {
    let rules = rules("10.0.0.1", "STATIC");
    let built = Mesh::builder().resources(rules).build();
    built.expect("nothing is wrong").0
}

fn apply_others(mesh: &Mesh) {
    let others = rules("10.0.0.2", "STATIC");
    mesh.apply(&others).expect("nothing is wrong");
}

#[tokio::test]
async fn a_plan_lives_until_its_last_body_ends() {
    let mesh = mesh();
    let client = mesh.client_with(|_: &Endpoint| {
        service_fn(|_: Request<Body>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::from("hello")))
        })
    });
    let ask = || {
        let request = Request::get("http://a.com/").body(Body::empty());
        client.send(request.expect("it is one"))
    };
    let alive = mesh.plan().alive();
    let (read, dropped) = (ask().await, ask().await);
    let waiting = ask();
    apply_others(&mesh);
    assert!(alive());
    drop(dropped);
    // One body is left, unread, then read to its end.
    assert!(alive());
    let mut body = read.expect("an answer").into_body();
    let frame = body.frame().await.expect("a frame").expect("in memory");
    assert_eq!(frame.into_data().expect("data"), "hello");
    assert!(alive());
    assert!(body.frame().await.is_none());
    drop(body);
    // Not sent yet, so it is no request under way: it will meet the new rules.
    assert!(!alive());
    drop(waiting);
}

#[test]
fn an_idle_thread_keeps_no_plan() {
    let mesh = mesh();
    let alive = mesh.plan().alive();
    let (tell, told) = mpsc::channel();
    // More threads than there are shards.
    for _ in 0..40 {
        let (mesh, tell) = (mesh.clone(), tell.clone());
        std::thread::spawn(move || {
            drop(mesh.plan());
            tell.send(()).expect("somebody listens");
            // Having served a request it waits for the next, as a worker does.
            std::thread::park();
        });
    }
    for _ in 0..40 {
        told.recv().expect("each of them reports");
    }
    assert!(alive());
    apply_others(&mesh);
    assert!(!alive());
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_names_keeps_no_plan() {
    let resolver = |_: String| async { Ok(vec![[10, 0, 0, 1].into()]) };
    let named = Mesh::builder()
        .resources(rules("one.net", "DNS"))
        .resolver(resolver);
    let mesh = named.build().expect("nothing is wrong").0;
    mesh.ready().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let alive = mesh.plan().alive();
    apply_others(&mesh);
    assert!(!alive());
    let alive = mesh.plan().alive();
    drop(mesh);
    assert!(!alive());
}
