//! What the access log tells: a field at a time, and when.

use std::sync::{Arc, Mutex};

use http::Request;
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _};
use tower_mesh::access_log::{AccessLogEntry, AccessLogLayer};
use tower_mesh::body::Body;
use tower_mesh::mesh::Mesh;

use crate::logged::{RULES, request, upstream};
use crate::support::{build, service, virtual_service};

fn mesh() -> Mesh {
    let yaml = service("a.com", 80, &[1]) + &virtual_service("it", RULES);
    build(Mesh::builder().registry_only(true), &yaml)
}

type Log = Arc<Mutex<Vec<AccessLogEntry>>>;

fn log() -> (Log, AccessLogLayer<impl Fn(&AccessLogEntry) + Clone>) {
    let log = Log::default();
    let into = log.clone();
    let layer = AccessLogLayer::new(move |entry: &AccessLogEntry| {
        into.lock().unwrap().push(entry.clone());
    });
    (log, layer)
}

/// The entry of a request to a proxy, as JSON without what the clock says.
async fn entry(path: &str, up: &'static str) -> serde_json::Value {
    let (log, layer) = log();
    let proxy = layer.layer(mesh().forward_with(upstream));
    let response = proxy.oneshot(request(path, up)).await.unwrap();
    assert!(log.lock().unwrap().is_empty(), "before the body has ended");
    let _ = response.into_body().collect().await;
    let entry = log.lock().unwrap().remove(0);
    let mut entry = serde_json::to_value(&entry).unwrap();
    let fields = entry.as_object_mut().unwrap();
    assert_eq!(
        fields.remove("start_time").unwrap().as_str().unwrap().len(),
        24
    );
    assert_eq!(
        fields.remove("request_id").unwrap().as_str().unwrap().len(),
        36
    );
    entry
}

#[tokio::test(start_paused = true)]
async fn an_entry_has_istios_fields() {
    let told = entry("/old/x?q=1", "200").await;
    let want = serde_json::json!({
        "authority": "new.com", "bytes_received": 4, "bytes_sent": 5, "duration": 0,
        "method": "POST", "path": "/old/x?q=1", "protocol": "HTTP/1.1", "response_code": 200,
        "response_code_details": "via_upstream", "response_flags": "-", "route_name": "old",
        "upstream_cluster": "outbound|80||a.com", "upstream_host": "10.0.0.1:80",
        "upstream_request_attempt_count": 1, "user_agent": "tests", "x_forwarded_for": "1.2.3.4",
        "connection_termination_details": null, "requested_server_name": null,
        "downstream_local_address": null, "downstream_remote_address": "1.2.3.4:0",
        "upstream_local_address": null, "upstream_service_time": "0",
        "upstream_transport_failure_reason": null,
    });
    assert_eq!(told, want);
}

#[tokio::test(start_paused = true)]
async fn answers_of_the_meshs_own_say_why_and_how_often_it_was_tried() {
    let told = entry("/old", "503").await;
    assert_eq!(told["response_flags"], "URX");
    assert_eq!(told["upstream_request_attempt_count"], 3);
    let late = entry("/old", "sleep").await;
    assert_eq!(
        (&late["response_flags"], &late["duration"]),
        (&"UT".into(), &1000.into())
    );
    let abort = entry("/abort", "200").await;
    assert_eq!(abort["response_code_details"], "fault_filter_abort");
    // It was not sent on, so nothing has rewritten it.
    assert_eq!(abort["authority"], "a.com");
    assert_eq!(abort["upstream_request_attempt_count"], 0);
}

#[tokio::test]
async fn who_leaves_is_told_of_once() {
    let (log, layer) = log();
    let proxy = layer.layer(mesh().forward_with(upstream));
    drop(proxy.clone().oneshot(request("/old", "200")).await.unwrap());
    let entry = log.lock().unwrap().remove(0);
    assert_eq!(entry.response_flags.to_string(), "DC");
    assert_eq!(entry.response_code, 200);
    let late = tokio::time::timeout(
        std::time::Duration::from_millis(1),
        proxy.oneshot(request("/old", "sleep")),
    );
    assert!(late.await.is_err());
    let entry = log.lock().unwrap().remove(0);
    assert_eq!(
        (entry.response_code, entry.response_flags.to_string()),
        (0, "DC".to_owned())
    );
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_clients_errors_are_told_as_the_answer_a_sidecar_gives() {
    let (log, layer) = log();
    let client = layer.layer(mesh().client_with(upstream));
    let request = Request::get("http://nobody/").body(Body::empty()).unwrap();
    client.oneshot(request).await.unwrap_err();
    let entry = log.lock().unwrap().remove(0);
    assert_eq!(entry.response_code, 502);
    assert_eq!(entry.authority.as_deref(), Some("nobody"));
    assert_eq!(entry.route_name.as_deref(), Some("block_all"));
}
