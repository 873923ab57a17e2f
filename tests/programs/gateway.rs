//! `gateway` over time and protocols: files that come and go, HTTP/2 in the clear; and where it is.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;

use crate::{Folder, Gateway, exchange, program, rules};

/// The status line of an answer to `GET /` at a host.
fn status(gateway: &Gateway, host: &str) -> String {
    let answer = exchange(&gateway.address, "/", host);
    answer.lines().next().unwrap().to_owned()
}

#[test]
fn files_that_come_and_go_are_noticed() {
    const UNKNOWN: &str = "HTTP/1.1 502 Bad Gateway";
    const NOBODY: &str = "HTTP/1.1 503 Service Unavailable";
    let folder = Folder::new("files");
    folder.write("rules.yaml", &rules("/"));
    let mut gateway = Gateway::start(&folder);
    assert_eq!(status(&gateway, "a.com"), NOBODY);
    assert_eq!(status(&gateway, "b.com"), UNKNOWN);

    let more = rules("/").replace("a.com", "b.com");
    folder.write("more.yaml", &more.replace("name: it}", "name: more}"));
    assert_eq!(gateway.line(), "reloaded");
    assert_eq!(status(&gateway, "a.com"), NOBODY);
    assert_eq!(status(&gateway, "b.com"), NOBODY);

    std::fs::remove_file(folder.0.join("more.yaml")).unwrap();
    assert_eq!(gateway.line(), "reloaded");
    assert_eq!(status(&gateway, "a.com"), NOBODY);
    assert_eq!(status(&gateway, "b.com"), UNKNOWN);

    // What is no YAML by its name is passed over.
    folder.write("notes.txt", "not YAML: [");
    folder.write("rules.yaml", &rules("/").replace("a.com", "b.com"));
    assert_eq!(gateway.line(), "reloaded");
    assert_eq!(status(&gateway, "a.com"), UNKNOWN);
    assert_eq!(status(&gateway, "b.com"), NOBODY);
}

/// An endpoint that answers every request with its first line.
fn upstream() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let n = stream.read(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..n]);
            let line = text.lines().next().unwrap_or_default();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", line.len());
            let answer = format!("{head}connection: close\r\n\r\n{line}");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    port
}

#[tokio::test]
async fn http2_is_spoken_in_the_clear() {
    let folder = Folder::new("h2c");
    let endpoint = format!(
        "  resolution: STATIC\n  endpoints: [{{address: 127.0.0.1, ports: {{http: {}}}}}]",
        upstream()
    );
    let written = rules("/one").replace("  resolution: STATIC", &endpoint);
    folder.write("rules.yaml", &written);
    let gateway = Gateway::start(&folder);
    let stream = tokio::net::TcpStream::connect(&gateway.address)
        .await
        .unwrap();
    let client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for (path, status, body) in [
        ("/one", 200, "GET /one HTTP/1.1"),
        ("/two", 404, ""),
        ("/one", 200, "GET /one HTTP/1.1"),
    ] {
        let request = Request::get(format!("http://a.com{path}"));
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(response.status(), status);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, body);
    }
    drop(sender);
    let log = std::fs::read_to_string(folder.0.join("access.log")).unwrap();
    let protocols = log
        .lines()
        .map(|it| serde_json::from_str::<Value>(it).unwrap());
    let protocols: Vec<_> = protocols.map(|it| it["protocol"].clone()).collect();
    assert_eq!(protocols, ["HTTP/2", "HTTP/2", "HTTP/2"]);
}

/// Own locality and network decide which endpoints come first.
#[test]
fn gateway_is_told_where_it_is() {
    let folder = Folder::new("places");
    let endpoints = [(1, "r1", "n1"), (2, "r2", "n1"), (3, "r2", "n2")];
    let endpoints = endpoints
        .map(|(n, region, network)| {
            format!("{{address: 10.0.0.{n}, locality: {region}/z, network: {network}}}")
        })
        .join(", ");
    let placed = rules("/").replace("STATIC", &format!("STATIC\n  endpoints: [{endpoints}]"));
    let policy = |by: &str| {
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: it}}
spec:
  host: a.com
  trafficPolicy: {{outlierDetection: {{}}, loadBalancer: {{localityLbSetting: {{{by}}}}}}}
"
        )
    };
    let network = "failoverPriority: [topology.istio.io/network]";
    for (by, more, want) in [
        (
            "enabled: true",
            &["--locality", "r2/z"][..],
            [&[1, 2][..], &[0]],
        ),
        ("enabled: true", &["--locality", "r1/z"], [&[0], &[1, 2]]),
        (network, &["--network", "n2"], [&[2], &[0, 1]]),
    ] {
        folder.write("rules.yaml", &(placed.clone() + &policy(by)));
        let mut options = vec!["--insecure-admin", "127.0.0.1:0", "--instances", "r1/z=2"];
        options.extend(more);
        let mut gateway = Gateway::start_with(&folder, &options);
        let line = gateway.line();
        let admin = line.strip_prefix("admin on ").unwrap();
        let answer = exchange(admin, "/clusters", admin);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let told: Value = serde_json::from_str(body).unwrap();
        let priorities = &told["clusters"][0]["load_balancer"]["priorities"];
        let priorities = priorities.as_array().unwrap();
        let shares = priorities.iter().map(|it| &it["percent"]);
        assert_eq!(shares.collect::<Vec<_>>(), [100, 0], "{more:?}");
        let endpoints = priorities.iter().map(|it| &it["endpoints"]);
        let want = want.map(|it| serde_json::json!(it));
        assert!(endpoints.eq(want.iter()), "{more:?}: {told}");
    }
    let bad = program("gateway").args(["--instances", "r1/z"]).output();
    assert_eq!(bad.unwrap().status.code(), Some(2));
}
