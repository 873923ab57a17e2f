//! Endpoints that do nothing but answer with their number and count, and a client that is quick:
//! for tests that need many requests.

use std::io::{BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::sidecar::Sidecar;
use super::wire::{self, Answer, Connection};

/// How many connections send at a time.
const CONNECTIONS: usize = 8;
/// How many requests are on their way on each.
const PIPELINED: usize = 50;

/// An endpoint, and how many copies of requests it has got.
pub(crate) struct Counted {
    pub(crate) address: String,
    pub(crate) port: u16,
    copies: Arc<AtomicU64>,
}

impl Counted {
    /// The endpoint with this number; each has an address of its own.
    pub(crate) fn start(number: u8) -> Self {
        let address = Ipv4Addr::new(127, 0, 1, number);
        let listener = TcpListener::bind((address, 0)).expect("a free port on loopback");
        let port = listener.local_addr().expect("its address").port();
        let copies = Arc::new(AtomicU64::new(0));
        let count = copies.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let count = count.clone();
                std::thread::spawn(move || serve(number, stream, &count));
            }
        });
        Self {
            address: address.to_string(),
            port,
            copies,
        }
    }

    pub(crate) fn copies(&self) -> u64 {
        self.copies.load(Ordering::Relaxed)
    }

    /// As an endpoint of a ServiceEntry, with more of its fields.
    pub(crate) fn written(&self, more: &str) -> String {
        format!(
            "{{address: {}, ports: {{http: {}}}{more}}}",
            self.address, self.port
        )
    }
}

/// Answers until the connection ends; however it does, there is nobody to tell.
fn serve(number: u8, stream: TcpStream, copies: &AtomicU64) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    let answer = format!("HTTP/1.1 200 OK\r\nx-endpoint: {number}\r\ncontent-length: 0\r\n\r\n");
    while let Some(head) = wire::read_head(&mut stream).ok()? {
        // Proxies say which requests are copies.
        if head.value("x-envoy-internal").is_some() {
            copies.fetch_add(1, Ordering::Relaxed);
        }
        stream.get_mut().write_all(answer.as_bytes()).ok()?;
    }
    None
}

/// The number of the endpoint that has answered; nothing where none has.
pub(crate) fn endpoint(answer: &Answer) -> Option<u8> {
    answer.header("x-endpoint")?.parse().ok()
}

/// The answers to many requests without a body, in their order.
pub(crate) fn answers(side: &Sidecar, requests: &[String]) -> Vec<Answer> {
    let share = requests.len().div_ceil(CONNECTIONS).max(1);
    std::thread::scope(|scope| {
        let send = |part: &[String]| {
            let mut connection = Connection::new(side.address);
            let mut answers = Vec::with_capacity(part.len());
            while answers.len() < part.len() {
                let some = part.iter().skip(answers.len()).take(PIPELINED);
                let some: Vec<Vec<u8>> = some.map(|it| it.as_bytes().to_vec()).collect();
                let (more, error) = connection.pipeline(&some);
                // A proxy may close a connection after some answers; the rest is sent again.
                assert!(!more.is_empty(), "{}: {error:?}", side.letter);
                answers.extend(more);
            }
            answers
        };
        let parts: Vec<_> = requests
            .chunks(share)
            .map(|part| scope.spawn(move || send(part)))
            .collect();
        let parts = parts.into_iter();
        parts
            .flat_map(|part| part.join().expect("a connection"))
            .collect()
    })
}

/// A service of some endpoints, as YAML.
pub(crate) fn service(host: &str, endpoints: &[String]) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {host}}}
spec:
  hosts: [{host}]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{}]
---
",
        endpoints.join(", ")
    )
}
