//! The `gateway` program as a gateway: whom it believes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::{Folder, Gateway};

const RULES: &str = "apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.com]}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1, ports: {http: PORT}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a}
spec:
  hosts: [a.com]
  gateways: [edge, mesh]
  http: [{route: [{destination: {host: a.com}}]}]
";

/// What an endpoint receives of a request that says much of itself, by the values of these headers.
fn received(arguments: &[&str]) -> [Option<String>; 4] {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = upstream.local_addr().unwrap().port().to_string();
    let folder = Folder::new(&format!("gateway{}", arguments.len()));
    folder.write("mesh.yaml", &RULES.replace("PORT", &port));
    let gateway = Gateway::start_with(&folder, arguments);
    let upstream = std::thread::spawn(move || {
        let (mut stream, _) = upstream.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut head = Vec::new();
        while !head.windows(4).any(|it| it == b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).unwrap();
        String::from_utf8(head).unwrap()
    });
    let mut client = TcpStream::connect(&gateway.address).unwrap();
    let request = "GET / HTTP/1.1\r\nhost: a.com\r\nconnection: close\r\n\
                   x-forwarded-for: 1.1.1.1, 2.2.2.2\r\nx-forwarded-proto: https\r\n\
                   x-request-id: mine\r\nx-envoy-external-address: 9.9.9.9\r\n\r\n";
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let head = upstream.join().unwrap();
    [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-request-id",
        "x-envoy-external-address",
    ]
    .map(|name| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let line = lines.find(|(line, _)| line.eq_ignore_ascii_case(name));
        line.map(|(_, value)| value.to_owned())
    })
}

#[test]
fn a_sidecar_believes_its_application() {
    let [from, proto, id, external] = received(&[]);
    assert_eq!(from.as_deref(), Some("1.1.1.1, 2.2.2.2"));
    assert_eq!(proto.as_deref(), Some("https"));
    assert_eq!(id.as_deref(), Some("mine"));
    assert_eq!(external.as_deref(), Some("9.9.9.9"));
}

#[test]
fn a_gateway_believes_what_it_sees_itself() {
    let [from, proto, id, external] = received(&["--gateway", "default/edge"]);
    assert_eq!(from.as_deref(), Some("1.1.1.1, 2.2.2.2,127.0.0.1"));
    assert_eq!(proto.as_deref(), Some("http"));
    assert!(id.is_some_and(|it| it != "mine"));
    assert_eq!(external.as_deref(), Some("127.0.0.1"));
}

#[test]
fn a_gateway_believes_the_proxies_it_is_told_to_trust() {
    let arguments = ["--gateway", "default/edge", "--trusted-hops", "1"];
    let [from, proto, id, external] = received(&arguments);
    assert_eq!(from.as_deref(), Some("1.1.1.1, 2.2.2.2,127.0.0.1"));
    assert_eq!(proto.as_deref(), Some("https"));
    assert!(id.is_some_and(|it| it != "mine"));
    assert_eq!(external.as_deref(), Some("2.2.2.2"));
}
