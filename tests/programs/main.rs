//! The example programs from outside: what they print, what they serve, how they end.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

mod canary;
mod check;
mod examples;
mod gateway;
mod grpcio;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

/// An example program, built beside this test.
fn program(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap().join("examples");
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is missing: cargo build --examples",
        path.display()
    );
    Command::new(path)
}

#[test]
fn wrong_use_ends_with_two_and_help_with_zero() {
    for name in ["canary", "check", "explain", "gateway"] {
        let wrong = program(name).arg("--no-such").output().unwrap();
        assert_eq!(wrong.status.code(), Some(2), "{name}");
        let help = program(name).arg("--help").output().unwrap();
        assert!(help.status.success() && !help.stdout.is_empty(), "{name}");
    }
}

/// A folder of its own for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, file: &str, text: &str) {
        // As editors and Kubernetes do: the file is never seen half written.
        let aside = self.0.join(format!(".{file}"));
        std::fs::write(&aside, text).unwrap();
        std::fs::rename(aside, self.0.join(file)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running `gateway`.
struct Gateway {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    errors: BufReader<std::process::ChildStderr>,
    address: String,
}

impl Gateway {
    fn start(folder: &Folder) -> Self {
        Self::start_with(folder, &[])
    }

    fn start_with(folder: &Folder, more: &[&str]) -> Self {
        let mut child = program("gateway")
            .arg("--config")
            .arg(&folder.0)
            .args(["--registry-only", "--listen", "127.0.0.1:0", "--access-log"])
            .arg(folder.0.join("access.log"))
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let errors = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let address = first
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        Self {
            child,
            lines,
            errors,
            address,
        }
    }

    /// The status line of an answer to `GET path`.
    fn get(&self, path: &str) -> String {
        let answer = exchange(&self.address, path, "a.com");
        answer.lines().next().unwrap().to_owned()
    }

    /// The next line it prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// What it complains of next.
    fn complaint(&mut self) -> String {
        let mut line = String::new();
        self.errors.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// The whole answer to `GET path`.
fn exchange(address: &str, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rules(path: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: it}}
spec:
  hosts: [a.com]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: it}}
spec:
  hosts: [a.com]
  http: [{{name: only, match: [{{uri: {{exact: {path}}}}}], route: [{{destination: {{host: a.com}}}}]}}]
"
    )
}

#[test]
fn gateway_tells_what_it_knows_of_destinations() {
    let folder = Folder::new("admin");
    let named = rules("/").replace(
        "STATIC",
        "DNS\n  endpoints: [{address: localhost, labels: {v: a}}]",
    );
    let policy = "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: it}
spec:
  host: a.com
  trafficPolicy:
    loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 65537}}}
    connectionPool: {tcp: {maxConnections: 7}}
    outlierDetection: {}
";
    folder.write("rules.yaml", &(named + policy));
    let mut gateway = Gateway::start_with(&folder, &["--insecure-admin", "127.0.0.1:0"]);
    let line = gateway.line();
    let admin = line.strip_prefix("admin on ").unwrap();
    let answer = exchange(admin, "/clusters", admin);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let told: Value = serde_json::from_str(body).unwrap();
    let want = serde_json::json!({"clusters": [{
        "name": "outbound|80||a.com", "host": "a.com", "port": 80, "subset": "", "exists": true, "active": 0,
        "load_balancer": {
            "algorithm": "MAGLEV", "warms_up": false,
            "priorities": [{
                "percent": 100, "panics": false, "endpoints": [0],
                "tables": [{"size": 65537, "fewest": 65537, "most": 65537}],
            }],
        },
        "limits": {
            "connections": {"now": 0, "most": 7, "is_open": false},
            "pending": {"now": 0, "most": null, "is_open": false},
            "requests": {"now": 0, "most": null, "is_open": false},
            "retries": {"now": 0, "most": null, "is_open": false},
        },
        "outlier_detection": {
            "ejected": 0, "max_ejection_percent": 10, "success_rate": null,
            "local_success_rate": null,
        },
        "endpoints": [{
            "address": "127.0.0.1:80", "health": "healthy", "ejected_for_seconds": null,
            "ejections": 0, "success_rate": null, "active": 0, "pending": 0, "connections": 0, "weight": 1,
            "locality": null, "network": "", "labels": {"v": "a"},
        }],
    }]});
    assert_eq!(told, want);
    let other = exchange(admin, "/", admin);
    assert!(other.starts_with("HTTP/1.1 404"), "{other}");
    // A page may have had its own name lead here.
    let lured = exchange(admin, "/clusters", "evil.example");
    assert!(lured.starts_with("HTTP/1.1 403"), "{lured}");
}

#[test]
fn gateway_serves_logs_and_reloads() {
    let folder = Folder::new("gateway");
    folder.write("rules.yaml", &rules("/one"));
    let mut gateway = Gateway::start(&folder);
    assert_eq!(gateway.get("/one"), "HTTP/1.1 503 Service Unavailable");
    assert_eq!(gateway.get("/two"), "HTTP/1.1 404 Not Found");

    folder.write("rules.yaml", &rules("/two"));
    assert_eq!(gateway.line(), "reloaded");
    assert_eq!(gateway.get("/two"), "HTTP/1.1 503 Service Unavailable");

    folder.write("rules.yaml", &rules("[not a match"));
    assert!(gateway.complaint().contains("error[syntax]"));
    assert_eq!(
        gateway.complaint(),
        "gateway: the last good configuration stays in force"
    );
    assert_eq!(gateway.get("/two"), "HTTP/1.1 503 Service Unavailable");

    let log = std::fs::read_to_string(folder.0.join("access.log")).unwrap();
    let entries: Vec<Value> = log
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    let flags: Vec<_> = entries.iter().map(|it| &it["response_flags"]).collect();
    assert_eq!(flags, ["UH", "NR", "UH", "UH"]);
    let first = &entries[0];
    assert_eq!(first["upstream_cluster"], "outbound|80||a.com");
    assert_eq!(first["route_name"], "only");
    assert_eq!(first["response_code"], 503);
    assert_eq!(first["response_code_details"], "no_healthy_upstream");
    assert_eq!(first["path"], "/one");
    let keys: Vec<_> = first
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys.join(" "),
        "authority bytes_received bytes_sent connection_termination_details \
         downstream_local_address downstream_remote_address duration method path \
         protocol request_id requested_server_name response_code response_code_details \
         response_flags route_name start_time upstream_cluster upstream_host \
         upstream_local_address upstream_request_attempt_count upstream_service_time \
         upstream_transport_failure_reason user_agent x_forwarded_for"
    );
}

/// An upstream that switches to another protocol on `/chat` and breaks off on all else.
fn upstream() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let n = stream.read(&mut buffer).unwrap();
            if buffer[..n].starts_with(b"GET /chat ") {
                let switch = b"HTTP/1.1 101 Switching Protocols\r\n\
                    connection: upgrade\r\nupgrade: websocket\r\n\r\n";
                stream.write_all(switch).unwrap();
                let n = stream.read(&mut buffer).unwrap();
                stream.write_all(&buffer[..n]).unwrap();
                stream.write_all(b"!").unwrap();
                let _ = stream.read(&mut buffer);
            } else {
                let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
                stream.write_all(half).unwrap();
            }
        }
    });
    port
}

#[test]
fn gateway_passes_websockets_and_logs_how_responses_end() {
    let folder = Folder::new("tunnels");
    let endpoint = format!(
        "  resolution: STATIC\n  endpoints: [{{address: 127.0.0.1, ports: {{http: {}}}}}]",
        upstream()
    );
    let rules = rules("/chat").replace("  resolution: STATIC", &endpoint);
    folder.write(
        "rules.yaml",
        &rules.replace("match: [{uri: {exact: /chat}}], ", ""),
    );
    let gateway = Gateway::start(&folder);
    let begin = |head: &str| {
        let mut stream = TcpStream::connect(&gateway.address).unwrap();
        let limit = Some(Duration::from_secs(10));
        stream.set_read_timeout(limit).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let mut chat = begin(
        "GET /chat HTTP/1.1\r\nhost: a.com\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\nhello",
    );
    let mut text = String::new();
    while !text.ends_with("hello!") {
        let mut byte = [0];
        chat.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
    drop(chat);
    let mut rest = String::new();
    let mut half = begin("GET /half HTTP/1.1\r\nhost: a.com\r\nconnection: close\r\n\r\n");
    let _ = half.read_to_string(&mut rest);
    assert!(rest.starts_with("HTTP/1.1 200 "), "{rest}");

    let log = || std::fs::read_to_string(folder.0.join("access.log")).unwrap();
    for _ in 0..1000 {
        if log().lines().count() >= 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let entries = log();
    let entries = entries.lines().map(|it| serde_json::from_str(it).unwrap());
    let told = entries.map(|it: Value| {
        let [code, flags, details, received, sent] = [
            "response_code",
            "response_flags",
            "response_code_details",
            "bytes_received",
            "bytes_sent",
        ]
        .map(|key| it[key].to_string().replace('"', ""));
        format!("{} {code} {flags} {details} {received} {sent}", it["path"])
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    assert_eq!(
        told,
        [
            r#""/chat" 101 DC downstream_remote_disconnect 5 6"#,
            r#""/half" 200 UPE upstream_reset_after_response_started{protocol_error} 0 4"#,
        ]
    );
}

#[test]
fn gateway_refuses_to_start_on_a_bad_configuration() {
    let folder = Folder::new("refused");
    folder.write("rules.yaml", &rules("[not a match"));
    let output = program("gateway")
        .arg("--config")
        .arg(&folder.0)
        .args(["--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("rules.yaml:"), "{complaint}");
}
