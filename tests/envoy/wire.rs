//! HTTP/1.1 as bytes on a socket: what is sent is exactly what a case says, and
//! what is received is kept as it came, so that no client library smooths over
//! a difference.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one read or write may take before the exchange counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most lines a head may have; a peer that sends more is broken.
const MAX_LINES: usize = 1000;

/// A response as it stood on the wire; header names in lower case.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(key, _)| key == name)?;
        Some(value)
    }
}

/// A request or a response up to its body: the first line and the headers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// All values of a header, as one line.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let matching = self.headers.iter().filter(|(key, _)| key == name);
        let values = matching.map(|(_, value)| value.as_str());
        let values: Vec<_> = values.collect();
        (!values.is_empty()).then(|| values.join(","))
    }

    fn is_chunked(&self) -> bool {
        let coding = self.value("transfer-encoding").unwrap_or_default();
        coding.to_ascii_lowercase().contains("chunked")
    }
}

/// Bytes as text, a character a byte, so that nothing is lost either way.
pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The inverse of [`text`]; characters above U+00FF have no byte.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let byte = |character: char| u8::try_from(character).expect("one byte a character");
    text.chars().map(byte).collect()
}

/// A connection that is opened when needed, kept while both sides want it, and opened again.
pub(crate) struct Connection {
    address: SocketAddr,
    open: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            open: None,
        }
    }

    /// Sends a whole request and waits for the whole response.
    ///
    /// A kept connection may have been closed meanwhile; one that ends before
    /// its first byte of an answer is opened again, once.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<Answer, String> {
        let kept = self.open.take();
        let was_kept = kept.is_some();
        let stream = kept.map_or_else(|| connect(self.address), Ok)?;
        match self.attempt(stream, request) {
            Err(Failure::Closed) if was_kept => {
                let stream = connect(self.address)?;
                self.attempt(stream, request).map_err(String::from)
            }
            other => other.map_err(String::from),
        }
    }

    /// Sends all requests before it reads the first answer; the answers until the connection
    /// ends, and why it does.
    pub(crate) fn pipeline(&mut self, requests: &[Vec<u8>]) -> (Vec<Answer>, Option<String>) {
        let mut answers = Vec::new();
        let kept = self.open.take();
        let mut stream = match kept.map_or_else(|| connect(self.address), Ok) {
            Ok(stream) => stream,
            Err(error) => return (answers, Some(error)),
        };
        // A peer may answer some and close before it has read everything.
        let _ = stream.get_mut().write_all(&requests.concat());
        while answers.len() < requests.len() {
            match read_answer(&mut stream, false) {
                Ok(answer) => {
                    let last = answer.header("connection") == Some("close");
                    answers.push(answer);
                    if last {
                        return (answers, Some("the answer says so".to_owned()));
                    }
                }
                Err(failure) => return (answers, Some(failure.into())),
            }
        }
        self.open = Some(stream);
        (answers, None)
    }

    fn attempt(
        &mut self,
        mut stream: BufReader<TcpStream>,
        request: &[u8],
    ) -> Result<Answer, Failure> {
        let without_body = request.starts_with(b"HEAD ");
        // A peer may answer and close before it has read everything.
        let written = stream.get_mut().write_all(request);
        let answer = match read_answer(&mut stream, without_body) {
            Err(Failure::Broken(_)) if written.is_err() => return Err(Failure::Closed),
            other => other?,
        };
        let connection = answer.header("connection").unwrap_or_default();
        // Envoy may write a body behind a status that cannot have one, and the next answer would
        // begin with it.
        let is_bodyless = matches!(answer.status, 204 | 304);
        if !connection.eq_ignore_ascii_case("close") && !is_bodyless {
            self.open = Some(stream);
        }
        Ok(answer)
    }
}

/// What is said of an answer that has not come in the time a test has.
pub(crate) const LATE: &str = "no answer in time";

/// Why there is no answer.
enum Failure {
    /// The connection ended before the first byte.
    Closed,
    Broken(String),
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Closed => "the connection was closed without an answer".to_owned(),
            Failure::Broken(how) => how,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        Self::Broken(match error.kind() {
            TimedOut | WouldBlock => LATE.to_owned(),
            _ => format!("the connection broke: {error}"),
        })
    }
}

fn connect(address: SocketAddr) -> Result<BufReader<TcpStream>, String> {
    let say = |error| format!("no connection to {address}: {error}");
    let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(say)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(say)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(say)?;
    stream.set_nodelay(true).map_err(say)?;
    Ok(BufReader::new(stream))
}

fn read_answer(stream: &mut impl BufRead, without_body: bool) -> Result<Answer, Failure> {
    let (status, head) = loop {
        let head = match read_head(stream) {
            Ok(Some(head)) => head,
            Ok(None) => return Err(Failure::Closed),
            Err(error) => return Err(error.into()),
        };
        let status = head.first.split(' ').nth(1).unwrap_or_default();
        let Ok(status) = status.parse::<u16>() else {
            let message = format!("not a status line: {:?}", head.first);
            return Err(Failure::Broken(message));
        };
        if !(100..200).contains(&status) || status == 101 {
            break (status, head);
        }
    };
    let bodyless = without_body || matches!(status, 101 | 204 | 304);
    let body = match bodyless {
        true => Vec::new(),
        false => read_body(stream, &head, true)?,
    };
    Ok(Answer {
        status,
        headers: head.headers,
        body,
    })
}

/// The next head; nothing where the connection ends before one begins.
pub(crate) fn read_head(stream: &mut impl BufRead) -> std::io::Result<Option<Head>> {
    let mut head = Head::default();
    for number in 0..MAX_LINES {
        let Some(line) = read_line(stream)? else {
            let error = std::io::ErrorKind::UnexpectedEof;
            return if number == 0 {
                Ok(None)
            } else {
                Err(error.into())
            };
        };
        if number == 0 {
            head.first = line;
        } else if line.is_empty() {
            return Ok(Some(head));
        } else {
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            let name = name.to_ascii_lowercase();
            head.headers.push((name, value.trim().to_owned()));
        }
    }
    Err(std::io::Error::other("a head of over a thousand lines"))
}

/// The body that follows a head, by its framing headers.
///
/// Without any, a response lasts until the connection ends and a request has none.
pub(crate) fn read_body(
    stream: &mut impl BufRead,
    head: &Head,
    to_the_end: bool,
) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if head.is_chunked() {
        loop {
            let line = read_line(stream)?.unwrap_or_default();
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16);
            let size = size.map_err(|_| std::io::Error::other("not a chunk size"))?;
            if size == 0 {
                break;
            }
            let start = body.len();
            body.resize(start + size, 0);
            stream.read_exact(&mut body[start..])?;
            read_line(stream)?;
        }
        while read_line(stream)?.is_some_and(|trailer| !trailer.is_empty()) {}
    } else if let Some(length) = head.value("content-length") {
        let length = length.parse::<usize>();
        let length = length.map_err(|_| std::io::Error::other("not a content-length"))?;
        body.resize(length, 0);
        stream.read_exact(&mut body)?;
    } else if to_the_end {
        stream.read_to_end(&mut body)?;
    }
    Ok(body)
}

/// A line without its end; nothing at the end of the stream.
fn read_line(stream: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    if stream.by_ref().take(1 << 20).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    while line
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        line.pop();
    }
    Ok(Some(text(&line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: &[u8]) -> Answer {
        let read = read_answer(&mut &*bytes, false);
        read.map_err(String::from).unwrap()
    }

    #[test]
    fn bodies_are_read_by_their_framing() {
        let sized = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhixx");
        assert_eq!((sized.status, sized.body), (200, b"hi".to_vec()));
        let chunked = answer(
            b"HTTP/1.1 503 X\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n1;a=b\r\n!\r\n0\r\nt: 1\r\n\r\nxx",
        );
        assert_eq!(chunked.body, b"hi!".to_vec());
        let to_the_end = answer(b"HTTP/1.1 200 OK\r\n\r\nall of it");
        assert_eq!(to_the_end.body, b"all of it".to_vec());
    }

    #[test]
    fn interim_responses_are_passed_over() {
        let last = answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\nX-A: 1\r\n\r\n");
        assert_eq!((last.status, last.header("x-a")), (204, Some("1")));
    }

    #[test]
    fn text_keeps_every_byte() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes(&text(&all)), all);
    }
}
