//! The event of each request: what it tells, once, and to whom.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

use std::cell::RefCell;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_mesh::access_log::{AccessLogEntry, AccessLogLayer};
use tower_mesh::body::Body;
use tower_mesh::mesh::Mesh;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use logged::{RULES, request, upstream};

#[path = "mesh/logged.rs"]
mod logged;

/// The rules of `logged` are the text after this.
const HEAD: &str = "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {http: 1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: it}
spec:
";

fn mesh() -> Mesh {
    let mesh = Mesh::builder()
        .registry_only(true)
        .yaml(&format!("{HEAD}{RULES}"));
    mesh.build().unwrap().0
}

/// What one test has told, and whether it listens.
#[derive(Clone, Default)]
struct Events {
    deaf: bool,
    seen: Arc<Mutex<Vec<String>>>,
    names: Arc<Mutex<Vec<&'static str>>>,
}

thread_local! {
    /// Those of the test that runs on this thread.
    static LISTENING: RefCell<Option<Events>> = const { RefCell::new(None) };
}

/// Writes down the events of one target for the test they belong to.
///
/// One for the whole process, there before anything else: what `tracing` has found out while there
/// was no subscriber on one thread it believes on others too.
struct ByThread;

static LISTEN: LazyLock<()> = LazyLock::new(|| {
    tracing::subscriber::set_global_default(ByThread).unwrap();
});

struct Fields<'l>(&'l mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        *self.0 += &format!("{field}={value:?} ");
    }
}

impl Subscriber for ByThread {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, about: &Metadata<'_>) -> bool {
        let listens = |events: &Events| !events.deaf && about.target() == "tower_mesh::access";
        LISTENING.with_borrow(|events| events.as_ref().is_some_and(listens))
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = format!("{} ", event.metadata().level());
        event.record(&mut Fields(&mut line));
        let names = event.metadata().fields().iter().map(|it| it.name());
        LISTENING.with_borrow(|events| {
            let events = events.as_ref().unwrap();
            events.seen.lock().unwrap().push(line);
            events.names.lock().unwrap().extend(names);
        });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Events {
    /// What is told while a request runs its course.
    async fn during(self, course: impl Future<Output = ()>) -> Vec<String> {
        LazyLock::force(&LISTEN);
        let seen = Arc::clone(&self.seen);
        LISTENING.set(Some(self));
        course.await;
        LISTENING.take();
        let seen = seen.lock().unwrap();
        seen.clone()
    }
}

async fn through_a_proxy() {
    let proxy = mesh().forward_with(upstream);
    let response = proxy.oneshot(request("/old/x", "200")).await.unwrap();
    let _ = response.into_body().collect().await;
}

fn holds(events: &[String], fields: &[&str]) {
    let [event] = events else {
        panic!("{events:?}");
    };
    for field in fields {
        assert!(event.contains(field), "{field} in {event}");
    }
}

#[tokio::test]
async fn a_proxy_tells_of_each_request_once() {
    let events = Events::default().during(through_a_proxy()).await;
    let fields = [
        "INFO ",
        "authority=\"new.com\" ",
        "bytes_received=4 bytes_sent=5 ",
        "path=\"/old/x\" ",
        "response_code=200 ",
        "response_flags=- ",
        "route_name=\"old\" ",
        "upstream_cluster=\"outbound|80||a.com\" ",
        "upstream_request_attempt_count=1 ",
        "upstream_service_time=\"0\" ",
    ];
    holds(&events, &fields);
}

/// Where usual routes take one step, this takes all layers.
#[tokio::test]
async fn an_answer_of_the_meshs_own_is_told_once() {
    let course = async {
        let proxy = mesh().forward_with(upstream);
        let response = proxy.oneshot(request("/abort", "200")).await.unwrap();
        let _ = response.into_body().collect().await;
    };
    let events = Events::default().during(course).await;
    let details = "response_code_details=\"fault_filter_abort\" response_flags=FI ";
    holds(&events, &["response_code=418 ", details, "bytes_sent=18 "]);
}

#[tokio::test]
async fn a_client_tells_of_answers_and_of_errors() {
    let course = async {
        let client = mesh().client_with(upstream);
        let request = Request::get("http://a.com/old").body(Body::empty());
        let answer = client.send(request.unwrap()).await.unwrap();
        let _ = answer.into_body().collect().await;
    };
    let events = Events::default().during(course).await;
    holds(&events, &["response_code=200 ", "method=\"GET\" "]);
    let course = async {
        let client = mesh().client_with(upstream);
        let request = Request::get("http://nobody/").body(Body::empty());
        client.send(request.unwrap()).await.unwrap_err();
    };
    let events = Events::default().during(course).await;
    holds(
        &events,
        &["response_code=502 ", "route_name=\"block_all\" "],
    );
}

#[tokio::test]
async fn rules_around_a_service_tell_of_its_requests() {
    let course = async {
        let inner = service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Response::new(Full::from(Bytes::from("four"))))
        });
        let app = mesh().inbound_layer().layer(inner);
        let answer = app.oneshot(request("/old", "200")).await.unwrap();
        let _ = answer.into_body().collect().await;
    };
    let events = Events::default().during(course).await;
    holds(&events, &["bytes_sent=4 ", "route_name=\"old\" "]);
}

#[tokio::test]
async fn who_leaves_is_told_of_as_such() {
    let course = async {
        let proxy = mesh().forward_with(upstream);
        drop(proxy.oneshot(request("/old", "200")).await.unwrap());
    };
    let events = Events::default().during(course).await;
    holds(&events, &["response_flags=DC "]);
    let course = async {
        let proxy = mesh().forward_with(upstream);
        let late = proxy.oneshot(request("/old", "sleep"));
        let soon = std::time::Duration::from_millis(1);
        tokio::time::timeout(soon, late).await.unwrap_err();
    };
    let events = Events::default().during(course).await;
    holds(&events, &["response_code=0 ", "response_flags=DC "]);
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_made() {
    let deaf = Events {
        deaf: true,
        ..Events::default()
    };
    assert!(deaf.during(through_a_proxy()).await.is_empty());
}

/// Envoy's `accessLogEncoding: JSON` under Istio, and how often an endpoint was tried.
#[tokio::test]
async fn events_and_entries_have_the_fields_of_istios_default_log() {
    let events = Events::default();
    let names = Arc::clone(&events.names);
    events.during(through_a_proxy()).await;
    let log: Arc<Mutex<Vec<AccessLogEntry>>> = Arc::default();
    let into = log.clone();
    let layer = AccessLogLayer::new(move |entry: &AccessLogEntry| {
        into.lock().unwrap().push(entry.clone());
    });
    let proxy = layer.layer(mesh().forward_with(upstream));
    let response = proxy.oneshot(request("/old/x", "200")).await.unwrap();
    let _ = response.into_body().collect().await;
    let entry = serde_json::to_value(log.lock().unwrap().remove(0)).unwrap();
    let keys: Vec<_> = entry.as_object().unwrap().keys().cloned().collect();
    let mut names = names.lock().unwrap().clone();
    names.sort_unstable();
    assert_eq!(names, keys);
    assert_eq!(names, ISTIOS_FIELDS);
}

const ISTIOS_FIELDS: [&str; 25] = [
    "authority",
    "bytes_received",
    "bytes_sent",
    "connection_termination_details",
    "downstream_local_address",
    "downstream_remote_address",
    "duration",
    "method",
    "path",
    "protocol",
    "request_id",
    "requested_server_name",
    "response_code",
    "response_code_details",
    "response_flags",
    "route_name",
    "start_time",
    "upstream_cluster",
    "upstream_host",
    "upstream_local_address",
    "upstream_request_attempt_count",
    "upstream_service_time",
    "upstream_transport_failure_reason",
    "user_agent",
    "x_forwarded_for",
];
