//! Endpoints that are names: what DNS answers, and what becomes of requests meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_mesh::api::Resources;
use tower_mesh::mesh::{Mesh, MeshBuilder};
use tower_mesh::resolver::{Resolve, Resolving};
use tower_mesh::rt::Rng;

use crate::support::{build, get, virtual_service, who};

/// Answers as it is told, after a millisecond, and notes what it is asked.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    answers: HashMap<String, Vec<IpAddr>>,
    asked: Vec<(String, Instant)>,
    at_once: usize,
    most_at_once: usize,
    hangs: bool,
}

impl Script {
    pub(crate) fn say(&self, name: &str, numbers: &[u8]) {
        let addresses = numbers.iter().map(|n| IpAddr::from([10, 0, 0, *n]));
        let mut state = self.0.lock().unwrap();
        state.answers.insert(name.to_owned(), addresses.collect());
    }

    fn hush(&self, name: &str) {
        self.0.lock().unwrap().answers.remove(name);
    }

    /// Seconds since `began` at which a name was asked for.
    pub(crate) fn asked(&self, name: &str, began: Instant) -> Vec<f64> {
        let state = self.0.lock().unwrap();
        let asked = state.asked.iter().filter(|(it, _)| it == name);
        asked.map(|(_, at)| (*at - began).as_secs_f64()).collect()
    }
}

impl Resolve for Script {
    fn resolve(&self, name: &str) -> Resolving {
        let (script, name) = (self.0.clone(), name.to_owned());
        {
            let mut state = script.lock().unwrap();
            state.asked.push((name.clone(), Instant::now()));
            state.at_once += 1;
            state.most_at_once = state.most_at_once.max(state.at_once);
        }
        Box::pin(async move {
            sleep(Duration::from_millis(1)).await;
            let (answer, hangs) = {
                let mut state = script.lock().unwrap();
                state.at_once -= 1;
                (state.answers.get(&name).cloned(), state.hangs)
            };
            if hangs {
                std::future::pending::<()>().await;
            }
            answer.ok_or_else(|| io::Error::other("no such host"))
        })
    }
}

pub(crate) fn builder(script: &Script) -> MeshBuilder {
    Mesh::builder().rng(Rng::seeded(1)).resolver(script.clone())
}

fn entry(host: &str, rest: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: it}}\nspec:\n  \
         hosts: [\"{host}\"]\n  ports: [{{number: 80, name: http, protocol: HTTP}}]\n{rest}\n---\n"
    )
}

pub(crate) fn dns(host: &str) -> String {
    entry(host, "  resolution: DNS")
}

/// Who answers 40 requests: with at most four endpoints none is left out but once in 10^4.
async fn everybody(mesh: &Mesh) -> Vec<String> {
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        seen.insert(who(mesh, "http://a.com/", &[]).await);
    }
    seen.into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn every_address_of_a_host_is_an_endpoint() {
    let script = Script::default();
    script.say("a.com", &[3, 1, 2, 1]);
    let mesh = build(builder(&script), &dns("a.com"));
    mesh.ready().await;
    let want = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"];
    assert_eq!(everybody(&mesh).await, want);
}

#[tokio::test(start_paused = true)]
async fn names_listed_stand_for_the_host_and_keep_ports_and_labels() {
    let script = Script::default();
    script.say("one.net", &[1, 2]);
    let yaml = entry(
        "a.com",
        "  resolution: DNS\n  endpoints:\n  - {address: one.net., ports: {http: 8080}, labels: {v: one}}\n  \
         - {address: 10.0.0.9, labels: {v: two}}",
    ) + "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: it}\nspec:\n  \
         host: a.com\n  subsets: [{name: one, labels: {v: one}}, {name: none, labels: {v: three}}]\n---\n"
        + &virtual_service(
            "it",
            "  hosts: [a.com]\n  http:\n  \
             - {match: [{uri: {prefix: /one}}], route: [{destination: {host: a.com, subset: one}}]}\n  \
             - {match: [{uri: {prefix: /none}}], route: [{destination: {host: a.com, subset: none}}]}\n  \
             - {route: [{destination: {host: a.com}}]}",
        );
    let mesh = build(builder(&script), &yaml);
    mesh.ready().await;
    let want = ["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.9:80"];
    assert_eq!(everybody(&mesh).await, want);
    for _ in 0..20 {
        let one = who(&mesh, "http://a.com/one", &[]).await;
        assert!(one.ends_with(":8080"), "{one}");
    }
    // Istio makes no cluster of names where no name is left.
    assert_eq!(get(&mesh, "http://a.com/none", &[]).await, "503 NC ");
}

#[tokio::test(start_paused = true)]
async fn a_kubernetes_service_can_be_a_name_for_another_host() {
    let script = Script::default();
    script.say("far.net", &[1, 2]);
    let yaml = "apiVersion: v1\nkind: Service\nmetadata: {name: far}\nspec:\n  \
                type: ExternalName\n  externalName: far.net\n  ports: [{port: 80, name: http}]\n";
    let mesh = build(builder(&script), yaml);
    mesh.ready().await;
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        seen.insert(get(&mesh, "http://far/", &[]).await);
    }
    // Its own name goes on to be the host that is asked for.
    let want = ["10.0.0.1:80 GET / far", "10.0.0.2:80 GET / far"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), want);
}

#[tokio::test(start_paused = true)]
async fn until_the_first_answer_connections_look_the_name_up() {
    let script = Script::default();
    script.say("a.com", &[1]);
    let mesh = build(builder(&script), &dns("a.com"));
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "a.com:80");
    mesh.ready().await;
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
}

#[tokio::test(start_paused = true)]
async fn names_are_asked_for_every_minute_and_a_tenth_at_most() {
    let (script, began) = (Script::default(), Instant::now());
    script.say("a.com", &[1]);
    let mesh = build(builder(&script), &dns("a.com"));
    mesh.ready().await;
    sleep(Duration::from_secs(59)).await;
    script.say("a.com", &[2]);
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
    sleep(Duration::from_secs(8)).await;
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.2:80");
    sleep(Duration::from_secs(600)).await;
    let asked = script.asked("a.com", began);
    let gaps: Vec<f64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.len() >= 10, "{gaps:?}");
    assert!(gaps.iter().all(|it| (60.0..66.01).contains(it)), "{gaps:?}");
    // The dice do spread them.
    assert!(gaps.iter().any(|it| (it - gaps[0]).abs() > 0.5), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn the_last_good_answer_outlives_failures_and_empty_ones() {
    let script = Script::default();
    script.say("a.com", &[1]);
    let mesh = build(builder(&script), &dns("a.com"));
    mesh.ready().await;
    script.say("a.com", &[]);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
    script.hush("a.com");
    sleep(Duration::from_secs(100)).await;
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
    script.say("a.com", &[2]);
    sleep(Duration::from_secs(67)).await;
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.2:80");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_never_had_an_address_is_503_uh_and_asked_for_ever_less() {
    let (script, began) = (Script::default(), Instant::now());
    let mesh = build(builder(&script), &dns("a.com"));
    mesh.ready().await;
    let answer = get(&mesh, "http://a.com/", &[]).await;
    assert_eq!(answer, "503 UH no healthy upstream");
    sleep(Duration::from_secs(10)).await;
    let asked = script.asked("a.com", began);
    let gaps: Vec<_> = asked.windows(2).map(|it| (it[1] - it[0]) as u32).collect();
    assert_eq!(gaps, [1, 2, 4]);
    script.say("a.com", &[1]);
    sleep(Duration::from_secs(9)).await;
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_does_not_answer_is_given_up_after_five_seconds() {
    let (script, began) = (Script::default(), Instant::now());
    script.0.lock().unwrap().hangs = true;
    let mesh = build(builder(&script), &dns("a.com"));
    mesh.ready().await;
    assert_eq!(began.elapsed().as_secs(), 5);
    let answer = get(&mesh, "http://a.com/", &[]).await;
    assert_eq!(answer, "503 UH no healthy upstream");
}

#[tokio::test(start_paused = true)]
async fn round_robin_keeps_one_address_and_takes_the_newest() {
    let script = Script::default();
    script.say("a.com", &[2, 1]);
    let yaml = entry("a.com", "  resolution: DNS_ROUND_ROBIN");
    let mesh = build(builder(&script), &yaml);
    mesh.ready().await;
    assert_eq!(everybody(&mesh).await, ["10.0.0.2:80"]);
    script.say("a.com", &[1, 2]);
    sleep(Duration::from_secs(67)).await;
    assert_eq!(everybody(&mesh).await, ["10.0.0.1:80"]);
}

#[tokio::test(start_paused = true)]
async fn round_robin_never_forgets_its_last_good_answer() {
    let script = Script::default();
    script.say("a.com", &[2, 1]);
    let yaml = entry("a.com", "  resolution: DNS_ROUND_ROBIN");
    let mesh = build(builder(&script), &yaml);
    mesh.ready().await;
    // Hours of empty answers, of errors and of none.
    script.say("a.com", &[]);
    sleep(Duration::from_secs(7200)).await;
    assert_eq!(everybody(&mesh).await, ["10.0.0.2:80"]);
    script.hush("a.com");
    sleep(Duration::from_secs(7200)).await;
    assert_eq!(everybody(&mesh).await, ["10.0.0.2:80"]);
    script.0.lock().unwrap().hangs = true;
    sleep(Duration::from_secs(7200)).await;
    assert_eq!(everybody(&mesh).await, ["10.0.0.2:80"]);
    // Nor do new rules make it forget.
    let other = yaml.clone() + &dns("b.com").replace("name: it", "name: b");
    mesh.apply(&Resources::from_yaml("mesh.yaml", &other))
        .unwrap();
    assert_eq!(everybody(&mesh).await, ["10.0.0.2:80"]);
    script.0.lock().unwrap().hangs = false;
    script.say("a.com", &[3]);
    sleep(Duration::from_secs(73)).await;
    assert_eq!(everybody(&mesh).await, ["10.0.0.3:80"]);
}

#[tokio::test(start_paused = true)]
async fn dynamic_dns_looks_up_the_host_of_each_request_and_keeps_it() {
    let (script, began) = (Script::default(), Instant::now());
    script.say("x.a.com", &[1, 2]);
    script.say("y.a.com", &[3]);
    let mesh = build(
        builder(&script),
        &entry("*.a.com", "  resolution: DYNAMIC_DNS"),
    );
    for _ in 0..3 {
        assert_eq!(who(&mesh, "http://x.a.com/", &[]).await, "10.0.0.1:80");
        assert_eq!(who(&mesh, "http://Y.a.com/", &[]).await, "10.0.0.3:80");
    }
    assert_eq!(script.asked("x.a.com", began).len(), 1);
    let answer = get(&mesh, "http://z.a.com/", &[]).await;
    assert_eq!(answer, "503 DF DNS resolution failure");
    // Envoy answers before its router, so nothing is tried again.
    assert_eq!(script.asked("z.a.com", began).len(), 1);
    assert_eq!(get(&mesh, "http://z.a.com/", &[]).await, answer);
    script.say("z.a.com", &[4]);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(who(&mesh, "http://z.a.com/", &[]).await, "10.0.0.4:80");
}

/// A request counts from its first moment on, as one does whose endpoint is known.
#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_an_address_count_against_limits() {
    let script = Script::default();
    script.say("x.a.com", &[1]);
    let limit = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
         metadata: {name: it}\nspec:\n  host: '*.a.com'\n  trafficPolicy:\n    \
         connectionPool: {http: {http2MaxRequests: 1}}\n---\n";
    let yaml = entry("*.a.com", "  resolution: DYNAMIC_DNS");
    let mesh = build(builder(&script), &(yaml + limit));
    let ask = || get(&mesh, "http://x.a.com/", &[]);
    let (first, second) = tokio::join!(ask(), ask());
    assert!(first.starts_with("10.0.0.1:80"), "{first}");
    assert!(second.starts_with("503 UO"), "{second}");
    assert!(ask().await.starts_with("10.0.0.1:80"));
}

#[tokio::test(start_paused = true)]
async fn few_names_are_asked_for_at_a_time() {
    let script = Script::default();
    let mut yaml = String::new();
    for n in 0..50 {
        script.say(&format!("n{n}.com"), &[n]);
        yaml += &dns(&format!("n{n}.com")).replace("name: it", &format!("name: it{n}"));
    }
    let mesh = build(builder(&script), &yaml);
    mesh.ready().await;
    assert_eq!(who(&mesh, "http://n49.com/", &[]).await, "10.0.0.49:80");
    assert_eq!(script.0.lock().unwrap().most_at_once, 8);
    assert_eq!(script.0.lock().unwrap().asked.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn new_rules_keep_what_was_answered_and_ask_for_what_is_new() {
    let (script, began) = (Script::default(), Instant::now());
    script.say("a.com", &[1]);
    script.say("b.com", &[2]);
    let mesh = build(builder(&script), &dns("a.com"));
    mesh.ready().await;
    let yaml = dns("a.com") + &dns("b.com").replace("name: it", "name: b");
    mesh.apply(&Resources::from_yaml("mesh.yaml", &yaml))
        .unwrap();
    assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
    mesh.ready().await;
    assert_eq!(who(&mesh, "http://b.com/", &[]).await, "10.0.0.2:80");
    assert_eq!(script.asked("a.com", began).len(), 1);
    // Names no rule has any more are left alone.
    mesh.apply(&Resources::from_yaml("mesh.yaml", &dns("b.com")))
        .unwrap();
    sleep(Duration::from_secs(600)).await;
    assert_eq!(script.asked("a.com", began).len(), 1);
}

#[test]
fn a_mesh_built_without_a_runtime_asks_once_there_is_one() {
    let script = Script::default();
    script.say("a.com", &[1]);
    let mesh = build(builder(&script), &dns("a.com"));
    // Also after its runtime has gone.
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            mesh.ready().await;
            assert_eq!(who(&mesh, "http://a.com/", &[]).await, "10.0.0.1:80");
            sleep(Duration::from_secs(67)).await;
        });
    }
    assert!(script.0.lock().unwrap().asked.len() >= 4);
}

#[tokio::test(start_paused = true)]
async fn nobody_asks_for_a_mesh_that_is_gone() {
    let script = Script::default();
    script.say("a.com", &[1]);
    let mesh = build(builder(&script), &dns("a.com"));
    mesh.ready().await;
    let client = mesh.client();
    drop(mesh);
    tokio::task::yield_now().await;
    // A client is a handle of the mesh, too.
    assert!(Arc::strong_count(&script.0) > 1);
    drop(client);
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&script.0), 1);
}

#[tokio::test(start_paused = true)]
async fn wildcards_cannot_be_asked_for() {
    let script = Script::default();
    let (mesh, report) = builder(&script).yaml(&dns("*.a.com")).build().unwrap();
    let said = report.diagnostics().to_string();
    assert!(said.contains("nobody can look *.a.com up"), "{said}");
    mesh.ready().await;
    let answer = get(&mesh, "http://x.a.com/", &[]).await;
    assert_eq!(answer, "503 UH no healthy upstream");
    assert!(script.0.lock().unwrap().asked.is_empty());
}
