//! Both sides of the comparison: a real Envoy set up as Istio sets up a sidecar's, and this
//! crate's `gateway` program.

use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use super::process::{self, Folder, Program};
use super::translate::{Client, ROUTES, Translation};
use super::wire::{self, Answer, Connection};

/// The keys of the access log, as the `gateway` program and Istio's JSON format name them; but
/// `upstream_local_address`, the port of a proxy's own connection.
const ACCESS_LOG: [(&str, &str); 24] = [
    ("authority", "%REQ(:AUTHORITY)%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    (
        "connection_termination_details",
        "%CONNECTION_TERMINATION_DETAILS%",
    ),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("duration", "%DURATION%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("route_name", "%ROUTE_NAME%"),
    ("start_time", "%START_TIME%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    (
        "upstream_request_attempt_count",
        "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    ),
    (
        "upstream_service_time",
        "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    ),
    (
        "upstream_transport_failure_reason",
        "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    ),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
];

/// The files Envoy watches.
const CLUSTERS_FILE: &str = "clusters.json";
const ROUTES_FILE: &str = "routes.json";

/// One side of the comparison.
pub(crate) struct Sidecar {
    /// A letter that tells the sides apart in markers.
    pub(crate) letter: char,
    pub(crate) address: SocketAddr,
    log: PathBuf,
    /// How much of the log has been read.
    read: u64,
    program: Program,
    /// Where Envoy is asked about itself; the `gateway` program has none.
    admin: Option<SocketAddr>,
    version: u32,
}

impl Sidecar {
    /// Envoy with these clusters and routes, once it listens.
    pub(crate) fn envoy(letter: char, translation: &Translation) -> Self {
        Self::envoy_at(letter, translation, &json!({}))
    }

    /// The same, with more in its bootstrap.
    pub(crate) fn envoy_at(letter: char, translation: &Translation, more: &Value) -> Self {
        let folder = Folder::new("envoy");
        let log = folder.file("access.log");
        write_configuration(&folder, 1, translation);
        let mut bootstrap = bootstrap(&folder);
        merge(&mut bootstrap, more);
        let bootstrap = folder.write("bootstrap.json", &bootstrap.to_string());
        let admin = folder.file("admin");
        let mut command = Command::new(process::envoy());
        command.args(["--concurrency", "1", "--log-level", "warning"]);
        command.args(["--use-dynamic-base-id", "--disable-hot-restart"]);
        command.args(["--file-flush-interval-msec", "10"]);
        command.arg("--config-path").arg(bootstrap);
        command.arg("--admin-address-path").arg(&admin);
        command.stdout(Stdio::null());
        let mut program = Program::start(command, folder);
        let admin: SocketAddr = program.wait_for("its admin address", || {
            std::fs::read_to_string(&admin).ok()?.trim().parse().ok()
        });
        let address = program.wait_for("a listener", || listener(admin));
        Self {
            letter,
            address,
            log,
            read: 0,
            program,
            admin: Some(admin),
            version: 1,
        }
    }

    /// The `gateway` program with these resources, once it listens.
    pub(crate) fn gateway(letter: char, yaml: &str, client: &Client) -> Self {
        Self::gateway_at(letter, yaml, client, &[])
    }

    /// The same, with more options.
    pub(crate) fn gateway_at(letter: char, yaml: &str, client: &Client, more: &[String]) -> Self {
        let folder = Folder::new("gateway");
        let log = folder.file("access.log");
        let mut command = Command::new(process::gateway());
        command.arg("--config").arg(folder.write("mesh.yaml", yaml));
        command.args(["--namespace", &client.namespace]);
        for (key, value) in &client.labels {
            command.args(["--label", &format!("{key}={value}")]);
        }
        if client.registry_only {
            command.arg("--registry-only");
        }
        command.args(["--lenient", "--seed", "1", "--listen", "127.0.0.1:0"]);
        command.args(["--port", &client.port.to_string()]);
        command.arg("--access-log").arg(&log).args(more);
        command.stdout(Stdio::piped());
        let mut program = Program::start(command, folder);
        let address = program.line("listening on ");
        let address = address.trim().parse();
        let address = address.unwrap_or_else(|_| program.fail("not an address"));
        Self {
            letter,
            address,
            log,
            read: 0,
            program,
            admin: None,
            version: 0,
        }
    }

    /// Gives Envoy other clusters and another table of routes, and waits until they are in force.
    pub(crate) fn swap(&mut self, translation: &Translation) {
        let admin = self.admin.expect("only Envoy's routes are swapped");
        let count = |what: &str| {
            let filter = format!("/stats?filter=^cluster_manager.cds.{what}$|rds.{ROUTES}.{what}$");
            let answer = ask(admin, &filter)?;
            let text = String::from_utf8(answer.body).ok()?;
            let values = text
                .lines()
                .map(|line| line.rsplit_once(' ')?.1.parse().ok());
            values.collect::<Option<Vec<u64>>>()
        };
        let before = (count("update_success"), count("update_rejected"));
        self.version += 1;
        write_configuration(self.program.folder(), self.version, translation);
        let accepted = self.program.wait_for("another configuration", || {
            let now = (count("update_success"), count("update_rejected"));
            let (Some(was), Some(is)) = (&before.0, &now.0) else {
                return None;
            };
            let all = is.len() == 2 && is.iter().zip(was).all(|(is, was)| is > was);
            match now.1 == before.1 {
                true => all.then_some(true),
                false => Some(false),
            }
        });
        if !accepted {
            self.program.fail("it refused the configuration");
        }
    }

    /// The whole lines that were added to the access log since it was last read.
    pub(crate) fn read_log(&mut self) -> Vec<Map<String, Value>> {
        let mut text = Vec::new();
        let read = std::fs::File::open(&self.log).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.read))?;
            file.read_to_end(&mut text)
        });
        let whole = match (read, text.iter().rposition(|byte| *byte == b'\n')) {
            (Ok(_), Some(end)) => &text[..=end],
            _ => return Vec::new(),
        };
        self.read += whole.len() as u64;
        let lines = whole
            .split(|byte| *byte == b'\n')
            .filter(|it| !it.is_empty());
        let parse = |line| match serde_json::from_slice(line) {
            Ok(Value::Object(entry)) => entry,
            _ => self
                .program
                .fail(&format!("not a log line: {:?}", wire::text(line))),
        };
        lines.map(parse).collect()
    }
}

fn ask(admin: SocketAddr, path: &str) -> Option<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
    let answer = Connection::new(admin).exchange(request.as_bytes()).ok()?;
    (answer.status == 200).then_some(answer)
}

/// The listener's address, once Envoy is ready and has routes.
fn listener(admin: SocketAddr) -> Option<SocketAddr> {
    ask(admin, "/ready")?;
    let listeners = ask(admin, "/listeners?format=json")?;
    let listeners: Value = serde_json::from_slice(&listeners.body).ok()?;
    let port = listeners["listener_statuses"][0]["local_address"]["socket_address"]["port_value"]
        .as_u64()
        .and_then(|port| u16::try_from(port).ok())?;
    Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// Clusters and routes come from files Envoy watches; a new version replaces each in one step.
fn write_configuration(folder: &Folder, version: u32, translation: &Translation) {
    let typed = |resource: &Value, kind: &str| {
        let mut resource = resource.clone();
        resource["@type"] = json!(format!("type.googleapis.com/envoy.config.{kind}"));
        resource
    };
    let clusters = translation.clusters.iter();
    let clusters: Vec<Value> = clusters.map(|it| typed(it, "cluster.v3.Cluster")).collect();
    let routes = vec![typed(&translation.routes, "route.v3.RouteConfiguration")];
    for (file, resources) in [(CLUSTERS_FILE, clusters), (ROUTES_FILE, routes)] {
        let update = json!({"version_info": version.to_string(), "resources": resources});
        folder.write(file, &update.to_string());
    }
}

/// Puts the fields of one object into another, and those of objects within it.
fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (name, value) in more {
                merge(into.entry(name.as_str()).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

/// The bootstrap: one listener with the connection manager and filters Istio configures for a
/// sidecar's outbound HTTP, and the runtime flags Istio's agent writes.
fn bootstrap(folder: &Folder) -> Value {
    let watched = |file: &str| {
        json!({
            "resource_api_version": "V3",
            "path_config_source": {
                "path": folder.file(file),
                "watched_directory": {"path": folder.path()},
            },
        })
    };
    let anywhere = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
    let filter = |name: &str, kind: &str| {
        let kind = format!("type.googleapis.com/envoy.extensions.filters.http.{kind}");
        json!({"name": name, "typed_config": {"@type": kind}})
    };
    let format = ACCESS_LOG.iter().map(|(key, value)| (*key, *value));
    let format: Map<String, Value> = format
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    let access_log = json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": folder.file("access.log"),
            "log_format": {"json_format": format},
        },
    });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": ROUTES,
        // Path normalisation BASE, the mesh's default.
        "normalize_path": true,
        "merge_slashes": false,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        // A sidecar's outbound listener trusts the application's forwarding headers.
        "use_remote_address": false,
        "stream_idle_timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "rds": {
            "route_config_name": ROUTES,
            "config_source": watched(ROUTES_FILE),
        },
        "access_log": [access_log],
        // Filter order: fault before CORS before the router.
        "http_filters": [
            filter("envoy.filters.http.fault", "fault.v3.HTTPFault"),
            filter("envoy.filters.http.cors", "cors.v3.Cors"),
            filter("envoy.filters.http.router", "router.v3.Router"),
        ],
    });
    json!({
        "node": {"id": "comparison", "cluster": "comparison"},
        "admin": {"address": anywhere},
        "layered_runtime": {"layers": [{"name": "istio", "static_layer": {
            "re2.max_program_size.error_level": 32768,
            "envoy.reloadable_features.http_reject_path_with_fragment": false,
            "envoy.reloadable_features.coalesce_lb_rebuilds_on_batch_update": false,
        }}]},
        "static_resources": {
            "listeners": [{
                "name": ROUTES,
                "address": anywhere,
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": manager,
                }]}],
            }],
        },
        "dynamic_resources": {"cds_config": watched(CLUSTERS_FILE)},
    })
}
