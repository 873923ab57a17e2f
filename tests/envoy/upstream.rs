//! The endpoints both sides forward to: small servers inside the test process
//! that write down every request as it reached them and answer with their name.
//!
//! A request may script its answer by headers: `x-up-status` sets the status,
//! every `x-up-header` line adds a response header (`name: value`), `x-up-delay`
//! waits (milliseconds), and `x-up-reset` closes the connection `before` the
//! answer or in the `middle` of its body. A list with commas is a script: one word
//! for each request with the same marker, the last for all that follow.

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpSocket;

use super::wire::{self, Head};

/// The names cases may write as `${name}` where a port belongs; all of one length, because
/// bodies and logs count bytes and a cluster may choose either endpoint.
pub(crate) const NAMES: [&str; 4] = ["alpha", "bravo", "gamma", "delta"];
/// Nothing listens there: connections are refused.
const DEAD: &str = "dead";
/// How long a kept connection may stay silent.
const IDLE: Duration = Duration::from_secs(120);

/// A request as an endpoint saw it; header names in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) endpoint: &'static str,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What arrived, by the marker the request carried.
static RECEIVED: LazyLock<Mutex<HashMap<String, Vec<Received>>>> = LazyLock::new(Mutex::default);
static ENDPOINTS: LazyLock<Endpoints> = LazyLock::new(Endpoints::start);

struct Endpoints {
    ports: Vec<(&'static str, u16)>,
    /// Bound and never listening, so that nobody else gets the port and connections are refused.
    _dead: TcpSocket,
}

impl Endpoints {
    fn start() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut ports = Vec::new();
        for name in NAMES {
            let listener = TcpListener::bind(loopback).expect("a free port on loopback");
            ports.push((name, listener.local_addr().expect("its address").port()));
            std::thread::spawn(move || accept(name, &listener));
        }
        let dead = TcpSocket::new_v4().expect("a socket");
        dead.bind(loopback).expect("a free port on loopback");
        ports.push((DEAD, dead.local_addr().expect("its address").port()));
        Self { ports, _dead: dead }
    }
}

/// Writes the endpoints' ports into a text: `${alpha}` and so on.
pub(crate) fn fill_in(text: &str) -> String {
    let mut text = text.to_owned();
    for (name, port) in &ENDPOINTS.ports {
        text = text.replace(&format!("${{{name}}}"), &port.to_string());
    }
    text
}

/// The requests that arrived with a marker, in order; they are forgotten here.
pub(crate) fn take(marker: &str) -> Vec<Received> {
    let mut received = RECEIVED.lock().expect("no endpoint panicked");
    received.remove(marker).unwrap_or_default()
}

/// How many requests have arrived with these markers so far.
pub(crate) fn arrived<'m>(markers: impl Iterator<Item = &'m str>) -> usize {
    let received = RECEIVED.lock().expect("no endpoint panicked");
    let count = |marker| received.get(marker).map_or(0, Vec::len);
    markers.map(count).sum()
}

/// How many of the requests that arrived with a marker so far are of a kind.
pub(crate) fn count(marker: &str, is: impl Fn(&Received) -> bool) -> usize {
    let received = RECEIVED.lock().expect("no endpoint panicked");
    let arrived = received.get(marker).map(Vec::as_slice);
    arrived
        .unwrap_or_default()
        .iter()
        .filter(|it| is(it))
        .count()
}

/// Whether one of the endpoints listens at a port.
pub(crate) fn answers(port: u64) -> bool {
    let mut ports = ENDPOINTS.ports.iter();
    ports.any(|(name, of)| *name != DEAD && u64::from(*of) == port)
}

fn accept(name: &'static str, listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || serve(name, stream));
    }
}

/// Serves one connection; however it ends, there is nobody to tell.
fn serve(name: &'static str, stream: TcpStream) -> Option<()> {
    stream.set_read_timeout(Some(IDLE)).ok()?;
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let head = wire::read_head(&mut stream).ok()??;
        let body = wire::read_body(&mut stream, &head, false).ok()?;
        let (answer, last) = respond(name, &head, body)?;
        stream.get_mut().write_all(&answer).ok()?;
        if last {
            return None;
        }
    }
}

/// The answer, and whether the connection ends with it; nothing to end it without.
fn respond(endpoint: &'static str, head: &Head, body: Vec<u8>) -> Option<(Vec<u8>, bool)> {
    let mut words = head.first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let text = json!({
        "endpoint": endpoint, "method": method, "path": path, "body_length": body.len(),
    });
    let text = text.to_string();
    let is_head = method == "HEAD";
    let marker = super::marker_of(&head.headers);
    let received = Received {
        endpoint,
        method,
        path,
        headers: head.headers.clone(),
        body,
    };
    let mut all = RECEIVED.lock().expect("no endpoint panicked");
    let arrived = all.entry(marker).or_default();
    let is_copy = super::exchange::is_shadow(&received);
    let tries = arrived
        .iter()
        .filter(|it| super::exchange::is_shadow(it) == is_copy);
    let earlier = tries.count();
    arrived.push(received);
    drop(all);
    let scripted = |name: &str| {
        let script = head.value(name).unwrap_or_default();
        let words: Vec<&str> = script.split(',').collect();
        let word = words.get(earlier).or(words.last());
        word.copied().unwrap_or_default().to_owned()
    };

    if let Ok(delay) = scripted("x-up-delay").parse() {
        std::thread::sleep(Duration::from_millis(delay));
    }
    if scripted("x-up-reset") == "before" {
        return None;
    }
    let status: u16 = scripted("x-up-status").parse().unwrap_or(200);
    let mut answer = format!("HTTP/1.1 {status} Scripted\r\n");
    answer += &format!("content-type: application/json\r\nx-endpoint: {endpoint}\r\n");
    for (_, header) in head
        .headers
        .iter()
        .filter(|(name, _)| name == "x-up-header")
    {
        answer += &format!("{header}\r\n");
    }
    let bodyless = matches!(status, 204 | 304);
    if !bodyless {
        answer += &format!("content-length: {}\r\n", text.len());
    }
    answer += "\r\n";
    if scripted("x-up-reset") == "middle" {
        answer += &text[..text.len() / 2];
        return Some((wire::bytes(&answer), true));
    }
    if !is_head && !bodyless {
        answer += &text;
    }
    Some((wire::bytes(&answer), false))
}
