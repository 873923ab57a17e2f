//! Requests that hyper lets through and Envoy refuses: refused by `forward`, and by the rules around
//! a service of one's own, in the same way.
//!
//! The statuses and texts are those a real Envoy 1.40 answers with under Istio's settings:
//! `tests/envoy/refused.rs` asks it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tower::Layer as _;
use tower_mesh::api::{HttpRoute, Resources, ServiceEntry, VirtualService};
use tower_mesh::mesh::Mesh;

use crate::refusals::{Answer, rows};

/// A mesh for `a.com`, whose requests a rule answers.
fn mesh() -> Mesh {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let resources = Resources::new()
        .with("a", ServiceEntry::http("a.com", [nowhere]))
        .with(
            "a",
            VirtualService::of_hosts(["a.com"]).http([HttpRoute::answer(200, "routed")]),
        );
    let built = Mesh::builder()
        .resources(resources)
        .registry_only(true)
        .build();
    built.unwrap_or_else(|found| panic!("{found}")).0
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// The status and the body of the answer to these bytes.
fn send(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).unwrap();
    stream.write_all(request).unwrap();
    // Nothing follows; what is whole is answered without waiting for the end of the connection.
    let answer = read_answer(&mut stream);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|it| it.parse().ok());
    let body = answer.split_once("\r\n\r\n").unwrap_or_default().1;
    (
        status.unwrap_or_else(|| panic!("{request:?}: {answer}")),
        body.to_owned(),
    )
}

/// One answer: its head, and as much of a body as its length says.
fn read_answer(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .split("\r\n")
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |it| it.parse().unwrap()) {
                return answer;
            }
        }
        match stream.read(&mut piece).unwrap() {
            0 => return answer,
            length => answer.extend_from_slice(&piece[..length]),
        }
    }
}

/// Sends all of them; `ours` says what becomes of an answer that a proxy gives.
fn check(address: SocketAddr, ours: fn(Answer) -> Answer) {
    let mut wrong = Vec::new();
    for row in rows() {
        let got = send(address, &row.request);
        let (status, body) = ours(row.ours);
        if got != (status, body.to_owned()) {
            let name = row.name;
            wrong.push(format!("{name}: {got:?}, not {status} {body:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_refuses_as_envoy_does() {
    let proxy = serve(Router::new().fallback_service(mesh().forward())).await;
    check(proxy, |answer| answer);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_do_rules_around_a_service() {
    let inside = Router::new().fallback(|| async { "inside" });
    let app = mesh().inbound_layer().layer(inside);
    let address = serve(Router::new().fallback_service(app)).await;
    check(address, |answer| match answer {
        // What no rule is for is the service's own matter.
        (502, "") => (200, "inside"),
        // So are other protocols, which it may speak.
        (403, "") => (200, "routed"),
        answer => answer,
    });
}

/// What hyper takes off before anybody sees it cannot be refused; it does not go on either, so that
/// an endpoint reads the request as the proxy did.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_refused_goes_on_without_its_second_meaning() {
    let upstream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let resources = Resources::new().with(
        "a",
        ServiceEntry::http("a.com", [upstream.local_addr().unwrap()]),
    );
    let (mesh, _) = Mesh::builder().resources(resources).build().unwrap();
    let address = serve(Router::new().fallback_service(mesh.forward())).await;
    let upstream = std::thread::spawn(move || {
        let mut heads = Vec::new();
        for _ in 0..4 {
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
            // A connection closed with something unread is reset, and the answer may be lost.
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
            heads.push(String::from_utf8(head).unwrap().to_ascii_lowercase());
        }
        heads
    });
    let framings = |lines: &str| {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: a.com\r\nconnection: close\r\n{lines}\r\n1\r\nx\r\n0\r\n\r\n"
        );
        send(address, request.as_bytes()).0
    };
    let chunked = "transfer-encoding: chunked\r\n";
    let length = "content-length: 11\r\n";
    assert_eq!(framings(&format!("{length}{chunked}")), 200);
    assert_eq!(framings(&format!("{chunked}{length}")), 200);
    assert_eq!(framings(&format!("{length}{length}")), 200);
    let fragment = b"GET /a?b#c HTTP/1.1\r\nhost: a.com\r\nconnection: close\r\n\r\n";
    assert_eq!(send(address, fragment).0, 200);
    let heads = upstream.join().unwrap();
    for head in &heads[..3] {
        let of = |name: &str| head.matches(name).count();
        assert_eq!(
            of("content-length:") + of("transfer-encoding:"),
            1,
            "{head}"
        );
    }
    assert!(
        heads[3].starts_with("get /a?b http/1.1\r\n"),
        "{}",
        heads[3]
    );
}
