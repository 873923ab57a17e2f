//! One request to one side, and everything there is to see of it: the answer, what the
//! endpoints received, and the line in the access log.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};

use super::process;
use super::sidecar::Sidecar;
use super::upstream::{self, Received};
use super::wire::{self, Answer, Connection};

/// How long the access log is waited for; both sides write within milliseconds.
const LOG_PATIENCE: Duration = Duration::from_secs(3);
/// How long copies of requests are waited for.
const SHADOW_PATIENCE: Duration = Duration::from_secs(3);
/// After so many requests in a row without an answer the rest is not sent.
const MAX_SILENT: u32 = 5;
/// So many looks without anything new, and nothing more will come.
const QUIET_LOOKS: u32 = 3;
/// How many connections [`exchange_many`] uses.
const CONNECTIONS: usize = 24;
/// What the marker in `user-agent` begins with.
const MARKER: &str = "comparison/";

/// A request as it is put on the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// None leaves the header out.
    pub(crate) host: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
    /// Sends the body in one chunk instead of with its length.
    pub(crate) chunked: bool,
    /// How many copies of it endpoints are to get: they may come after the answer.
    pub(crate) shadows: usize,
}

impl Request {
    /// The bytes, a character a byte, with a marker that both logs repeat.
    pub(crate) fn text(&self, marker: &str) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if let Some(host) = &self.host {
            text += &format!("host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        let has = |wanted: &str| {
            let mut headers = self.headers.iter();
            headers.any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        match (has("user-agent"), has("x-request-id")) {
            (false, _) => text += &format!("user-agent: {marker}\r\n"),
            (true, false) => text += &format!("x-request-id: {marker}\r\n"),
            (true, true) => panic!("user-agent or x-request-id must be left to the marker"),
        }
        match &self.body {
            None => text += "\r\n",
            Some(body) if self.chunked => {
                text += "transfer-encoding: chunked\r\n\r\n";
                // A chunk of no length would be the last one.
                if !body.is_empty() {
                    text += &format!("{:x}\r\n{body}\r\n", body.chars().count());
                }
                text += "0\r\n\r\n";
            }
            Some(body) => {
                text += &format!("content-length: {}\r\n\r\n{body}", body.chars().count());
            }
        }
        text
    }
}

/// What one side did with a request, field by field: `status`, `header.location`,
/// `upstream[0].path`, `log.route_name`, …
pub(crate) type Observation = BTreeMap<String, String>;

/// The marker among some headers; empty if there is none.
pub(crate) fn marker_of(headers: &[(String, String)]) -> String {
    let mut values = headers.iter().map(|(_, value)| value);
    let marker = values.find(|value| value.starts_with(MARKER));
    marker.cloned().unwrap_or_default()
}

/// Sends requests one after the other over one kept connection, then collects all of it.
pub(crate) fn exchange(side: &mut Sidecar, requests: &[Request]) -> Vec<Observation> {
    let answers = send(side.address, side.letter, requests);
    collect(side, requests, answers)
}

/// The same over several connections at a time, each of which takes the next request that is left.
pub(crate) fn exchange_many(side: &mut Sidecar, requests: &[Request]) -> Vec<Observation> {
    let (address, letter) = (side.address, side.letter);
    let next = AtomicUsize::new(0);
    let take = || {
        let mut places = Vec::new();
        let taken = std::iter::from_fn(|| {
            let place = next.fetch_add(1, Ordering::Relaxed);
            places.push(place);
            requests.get(place)
        });
        let answers = send(address, letter, taken);
        places.into_iter().zip(answers).collect::<Vec<_>>()
    };
    let mut answers: Vec<(usize, Sent)> = std::thread::scope(|scope| {
        let count = CONNECTIONS.min(requests.len());
        let parts: Vec<_> = (0..count).map(|_| scope.spawn(take)).collect();
        let parts = parts.into_iter();
        parts
            .flat_map(|part| part.join().expect("a connection"))
            .collect()
    });
    answers.sort_by_key(|(place, _)| *place);
    let answers: Vec<Sent> = answers.into_iter().map(|(_, sent)| sent).collect();
    settle(&answers);
    collect(side, requests, answers)
}

/// Waits until nothing more arrives: copies of requests may come after the answers.
fn settle(answers: &[Sent]) {
    let arrived = || upstream::arrived(answers.iter().map(|(_, marker)| marker.as_str()));
    let mut last = (arrived(), 0);
    process::poll(SHADOW_PATIENCE, || {
        let now = arrived();
        last = if now == last.0 {
            (now, last.1 + 1)
        } else {
            (now, 0)
        };
        (last.1 > QUIET_LOOKS).then_some(())
    });
}

/// What became of a request on the wire, and its marker.
type Sent = (Result<Answer, String>, String);

fn send<'r>(
    address: SocketAddr,
    letter: char,
    requests: impl IntoIterator<Item = &'r Request>,
) -> Vec<Sent> {
    static NUMBER: AtomicU64 = AtomicU64::new(1_000_000);
    let mut connection = Connection::new(address);
    let mut answers = Vec::new();
    let mut silent = 0;
    for request in requests {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let marker = format!("{MARKER}{letter}{number:09}");
        let sent = wire::bytes(&request.text(&marker));
        let answer = match silent {
            MAX_SILENT.. => Err("not sent: this side has stopped answering".to_owned()),
            _ => connection.exchange(&sent),
        };
        silent = if answer.is_err() { silent + 1 } else { 0 };
        answers.push((answer, marker));
    }
    answers
}

fn collect(side: &mut Sidecar, requests: &[Request], answers: Vec<Sent>) -> Vec<Observation> {
    let log = read_log(side, &answers);
    for ((_, marker), request) in answers.iter().zip(requests) {
        process::poll(SHADOW_PATIENCE, || {
            let copies = upstream::count(marker, is_shadow);
            (copies >= request.shadows).then_some(())
        });
    }
    let observe = |(answer, marker): Sent| {
        let received = upstream::take(&marker);
        observation(&marker, answer, &received, log.get(&marker))
    };
    answers.into_iter().map(observe).collect()
}

/// Waits until every marker, or as many lines as there were requests, stand in the log.
fn read_log(side: &mut Sidecar, answers: &[Sent]) -> HashMap<String, Map<String, Value>> {
    let mut lines = HashMap::new();
    let mut count = 0;
    process::poll(LOG_PATIENCE, || {
        for line in side.read_log() {
            count += 1;
            let keys = ["user_agent", "request_id"].into_iter();
            let mut values = keys.filter_map(|key| line.get(key)?.as_str());
            if let Some(marker) = values.find(|value| value.starts_with(MARKER)) {
                lines.insert(marker.to_owned(), line.clone());
            }
        }
        let all = answers.iter().all(|(_, marker)| lines.contains_key(marker));
        (all || count >= answers.len()).then_some(())
    });
    lines
}

fn observation(
    marker: &str,
    answer: Result<Answer, String>,
    received: &[Received],
    log: Option<&Map<String, Value>>,
) -> Observation {
    let mut fields = Observation::new();
    match answer {
        Ok(answer) => {
            fields.insert("status".to_owned(), answer.status.to_string());
            fields.insert("body".to_owned(), wire::text(&answer.body));
            headers(&mut fields, "header", &answer.headers);
        }
        Err(error) => {
            fields.insert("status".to_owned(), error);
        }
    }
    let (mut shadows, requests): (Vec<_>, Vec<_>) = received.iter().partition(|it| is_shadow(it));
    // Which of several copies arrives first is chance.
    shadows.sort_by_key(|it| it.endpoint);
    let requests = requests.into_iter().enumerate();
    let requests = requests.map(|(number, it)| (format!("upstream[{number}]"), it));
    let shadows = shadows.into_iter().enumerate();
    let shadows = shadows.map(|(number, it)| (format!("shadow[{number}]"), it));
    for (prefix, request) in requests.chain(shadows) {
        let mut add = |name: &str, value: &str| {
            fields.insert(format!("{prefix}.{name}"), value.to_owned());
        };
        add("endpoint", request.endpoint);
        add("method", &request.method);
        add("path", &request.path);
        add("body", &wire::text(&request.body));
        headers(&mut fields, &format!("{prefix}.header"), &request.headers);
    }
    for (key, value) in log.into_iter().flatten() {
        let value = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // Nothing to say is null, a dash or nothing at all, by the formatter's settings.
        if !value.is_empty() && value != "-" {
            fields.insert(format!("log.{key}"), value);
        }
    }
    for value in fields.values_mut() {
        if value.contains(marker) {
            *value = value.replace(marker, "comparison/N");
        }
    }
    fields
}

/// Whether a request is a copy: proxies say so, and take off what a client says itself.
pub(crate) fn is_shadow(received: &Received) -> bool {
    let mut names = received.headers.iter().map(|(name, _)| name);
    names.any(|name| name == "x-envoy-internal")
}

/// Headers by name; several lines of one name stay apart and in order.
fn headers(fields: &mut Observation, prefix: &str, headers: &[(String, String)]) {
    for (name, value) in headers {
        let field = fields.entry(format!("{prefix}.{name}"));
        let line = format!("<{value}>");
        field
            .and_modify(|lines| lines.push_str(&line))
            .or_insert(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_they_are() {
        let mut request = Request {
            method: "POST".to_owned(),
            target: "/a?b".to_owned(),
            host: Some("x.test".to_owned()),
            headers: vec![("X-A".to_owned(), " 1".to_owned())],
            body: Some("hi".to_owned()),
            chunked: false,
            shadows: 0,
        };
        assert_eq!(
            request.text("comparison/e1"),
            "POST /a?b HTTP/1.1\r\nhost: x.test\r\nX-A:  1\r\nuser-agent: comparison/e1\r\ncontent-length: 2\r\n\r\nhi"
        );
        request.host = None;
        request.chunked = true;
        request.headers = vec![("User-Agent".to_owned(), "mine".to_owned())];
        assert_eq!(
            request.text("comparison/e1"),
            "POST /a?b HTTP/1.1\r\nUser-Agent: mine\r\nx-request-id: comparison/e1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        );
    }
}
