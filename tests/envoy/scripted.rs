//! An endpoint that does what a script says, request by request, in HTTP/1.1 or HTTP/2: answers,
//! delays, connections that end where they should not, streams that are refused.
//!
//! Frames of HTTP/2 are written by hand, so that each of them is said when and as often as a
//! script wants it.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpSocket;

use super::wire;

/// What is done with one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Answers with a status and a body of two bytes.
    Answer(u16),
    /// Answers 200 with trailers only, and this `grpc-status`.
    Grpc(u8),
    /// Answers 200 with a message, and this `grpc-status` behind it.
    GrpcLate(u8),
    /// Answers, and ends the connection without having said so.
    AnswerAndClose,
    /// Answers, and says that the connection ends.
    AnswerLast,
    /// Answers 200, and sends the body only after so many milliseconds.
    SlowBody(u64),
    /// Ends the connection instead of an answer.
    Close,
    /// The same with a reset.
    Reset,
    /// Ends the connection within the body.
    CloseInBody,
    /// Resets the connection within the body.
    ResetInBody,
    /// Answers with what is no HTTP.
    Garbage,
    /// HTTP/2: ends the stream with this error instead of an answer.
    ResetStream(u32),
    /// HTTP/2: ends the stream with this error within the body.
    ResetStreamInBody(u32),
    /// HTTP/2: says that no stream but the first so many is served, and ends the connection.
    GoAway { served: u32, error: u32 },
    /// HTTP/2: says that the connection goes away, and answers this request still.
    GoAwayAndAnswer,
}

/// After so many milliseconds, this.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step(pub(crate) u64, pub(crate) Act);

/// The protocol an endpoint speaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speaks {
    Http1,
    Http2,
    /// Nothing: connections are refused.
    Nothing,
}

#[derive(Debug, Default)]
struct Play {
    steps: Vec<Step>,
    seen: usize,
}

/// An endpoint with a script, which begins again for each side.
pub(crate) struct Scripted {
    pub(crate) port: u16,
    play: Arc<Mutex<Play>>,
    _refusing: Option<TcpSocket>,
}

impl Scripted {
    pub(crate) fn start(speaks: Speaks) -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let play = Arc::<Mutex<Play>>::default();
        if speaks == Speaks::Nothing {
            // Bound and never listening, so that nobody else gets the port.
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.bind(loopback).expect("a free port on loopback");
            let port = socket.local_addr().expect("its address").port();
            return Self {
                port,
                play,
                _refusing: Some(socket),
            };
        }
        let listener = TcpListener::bind(loopback).expect("a free port on loopback");
        let port = listener.local_addr().expect("its address").port();
        let shared = play.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let play = shared.clone();
                std::thread::spawn(move || match speaks {
                    Speaks::Http2 => http2(stream, &play),
                    _ => http1(stream, &play),
                });
            }
        });
        Self {
            port,
            play,
            _refusing: None,
        }
    }

    /// Begins a script; the last step is for all requests that follow.
    pub(crate) fn begin(&self, steps: &[Step]) {
        *self.play.lock().expect("no endpoint panicked") = Play {
            steps: steps.to_vec(),
            seen: 0,
        };
    }

    /// How many requests have come since.
    pub(crate) fn seen(&self) -> usize {
        self.play.lock().expect("no endpoint panicked").seen
    }
}

fn next(play: &Mutex<Play>) -> Option<Step> {
    let mut play = play.lock().ok()?;
    let at = play.seen.min(play.steps.len().checked_sub(1)?);
    play.seen += 1;
    play.steps.get(at).copied()
}

/// Makes the end of a connection a reset.
fn reset(stream: &TcpStream) {
    if let Ok(same) = stream.try_clone() {
        // Where it cannot be one, the connection just ends.
        let _ = TcpSocket::from_std_stream(same).set_zero_linger();
    }
}

/// Serves one connection; however it ends, there is nobody to tell.
fn http1(stream: TcpStream, play: &Mutex<Play>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let head = wire::read_head(&mut stream).ok()??;
        wire::read_body(&mut stream, &head, false).ok()?;
        let Step(delay, act) = next(play)?;
        std::thread::sleep(Duration::from_millis(delay));
        let is_head = head.first.starts_with("HEAD ");
        let mut write = |text: &str| stream.get_mut().write_all(text.as_bytes()).ok();
        let whole = |status: u16, more: &str| {
            let body = if is_head { "" } else { "ok" };
            format!("HTTP/1.1 {status} Scripted\r\n{more}content-length: 2\r\n\r\n{body}")
        };
        match act {
            Act::Answer(204) => write("HTTP/1.1 204 Scripted\r\n\r\n")?,
            Act::Answer(status) => write(&whole(status, ""))?,
            Act::AnswerAndClose => {
                write(&whole(200, ""))?;
                return None;
            }
            Act::AnswerLast => {
                write(&whole(200, "connection: close\r\n"))?;
                return None;
            }
            Act::SlowBody(delay) => {
                write("HTTP/1.1 200 Scripted\r\ncontent-length: 2\r\n\r\n")?;
                std::thread::sleep(Duration::from_millis(delay));
                write("ok")?;
            }
            Act::Reset => {
                reset(stream.get_ref());
                return None;
            }
            Act::CloseInBody | Act::ResetInBody => {
                write("HTTP/1.1 200 Scripted\r\ncontent-length: 20\r\n\r\nhalf of it")?;
                if matches!(act, Act::ResetInBody) {
                    // What was sent is to arrive before the reset throws it away.
                    std::thread::sleep(Duration::from_millis(100));
                    reset(stream.get_ref());
                }
                return None;
            }
            Act::Garbage => {
                write("this is no HTTP\r\n\r\n")?;
                return None;
            }
            _ => return None,
        }
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields as HPACK's literals without an index; `:status` 200 and the like stand in its table.
fn fields(all: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in all {
        match (*name, *value) {
            (":status", "200") => block.push(0x88),
            _ => {
                block.push(0);
                for text in [name, value] {
                    block.push(u8::try_from(text.len()).expect("short"));
                    block.extend(text.bytes());
                }
            }
        }
    }
    block
}

/// Serves one connection of HTTP/2 with prior knowledge.
fn http2(mut stream: TcpStream, play: &Arc<Mutex<Play>>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).ok()?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).ok()?;
    let writer = Arc::new(Mutex::new(stream.try_clone().ok()?));
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).ok()?;
        let [a, b, c, kind, flags, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        stream.read_exact(&mut payload).ok()?;
        let id = u32::from_be_bytes(id) & 0x7fff_ffff;
        let write = |bytes: &[u8]| writer.lock().ok()?.write_all(bytes).ok();
        match kind {
            SETTINGS if flags & ACK == 0 => write(&frame(SETTINGS, ACK, 0, &[]))?,
            PING if flags & ACK == 0 => write(&frame(PING, ACK, 0, &payload))?,
            // A script begins once the whole request is there.
            HEADERS | DATA if flags & END_STREAM != 0 => {
                let step = next(play)?;
                let writer = writer.clone();
                // A stream that waits does not hold up the others.
                std::thread::spawn(move || perform(step, id, &writer));
            }
            _ => {}
        }
    }
}

fn perform(Step(delay, act): Step, id: u32, stream: &Mutex<TcpStream>) -> Option<()> {
    std::thread::sleep(Duration::from_millis(delay));
    let write = |bytes: &[u8]| stream.lock().ok()?.write_all(bytes).ok();
    let head = |status: &str, more: &[(&str, &str)], last: bool| {
        let mut all = vec![(":status", status)];
        all.extend(more);
        let end = if last { END_STREAM } else { 0 };
        frame(HEADERS, END_HEADERS | end, id, &fields(&all))
    };
    let ok = [head("200", &[], false), frame(DATA, END_STREAM, id, b"ok")].concat();
    let away = |served: u32, error: u32| {
        let payload = [served.to_be_bytes(), error.to_be_bytes()].concat();
        frame(GOAWAY, 0, 0, &payload)
    };
    let end = || {
        let stream = stream.lock().ok()?;
        stream.shutdown(std::net::Shutdown::Both).ok()
    };
    let kind = ("content-type", "application/grpc");
    match act {
        Act::Answer(200) => write(&ok),
        Act::Answer(status) => {
            let status = status.to_string();
            write(
                &[
                    head(&status, &[], false),
                    frame(DATA, END_STREAM, id, b"no"),
                ]
                .concat(),
            )
        }
        Act::Grpc(code) => {
            let code = code.to_string();
            write(&head("200", &[kind, ("grpc-status", &code)], true))
        }
        Act::GrpcLate(code) => {
            let code = code.to_string();
            write(&head("200", &[kind], false))?;
            write(&frame(DATA, 0, id, &[0, 0, 0, 0, 0]))?;
            let trailers = fields(&[("grpc-status", &code)]);
            write(&frame(HEADERS, END_HEADERS | END_STREAM, id, &trailers))
        }
        Act::SlowBody(delay) => {
            write(&head("200", &[], false))?;
            std::thread::sleep(Duration::from_millis(delay));
            write(&frame(DATA, END_STREAM, id, b"ok"))
        }
        Act::ResetStream(error) => write(&frame(RST_STREAM, 0, id, &error.to_be_bytes())),
        Act::ResetStreamInBody(error) => {
            write(&[head("200", &[], false), frame(DATA, 0, id, b"half")].concat())?;
            std::thread::sleep(Duration::from_millis(100));
            write(&frame(RST_STREAM, 0, id, &error.to_be_bytes()))
        }
        Act::GoAway { served, error } => {
            write(&away(served, error))?;
            end()
        }
        Act::GoAwayAndAnswer => {
            write(&away(id, 0))?;
            write(&ok)
        }
        Act::AnswerAndClose => {
            write(&ok)?;
            end()
        }
        _ => end(),
    }
}
