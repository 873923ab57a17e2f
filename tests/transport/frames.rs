//! HTTP/2 frame by frame, for endpoints that do what no server library lets them do.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// The server's side of a connection.
pub(crate) struct Frames(TcpStream);

impl Frames {
    /// Reads the client's preface and greets it.
    pub(crate) async fn greet(mut stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        let mut preface = [0; 24];
        let _ = stream.read_exact(&mut preface).await;
        let mut frames = Self(stream);
        frames.write(SETTINGS, 0, 0, &[]).await;
        frames
    }

    async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = self.0.write_all(&frame).await;
    }

    /// The stream of the next request; nothing once the client has gone.
    pub(crate) async fn request(&mut self) -> Option<u32> {
        loop {
            if let Some(stream) = self.request_or_ping().await? {
                return Some(stream);
            }
        }
    }

    /// The stream of the next request, or no stream where the client asks whether anybody is there.
    pub(crate) async fn request_or_ping(&mut self) -> Option<Option<u32>> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match head[3] {
                HEADERS => return Some(Some(stream)),
                PING => return Some(None),
                _ => {}
            }
        }
    }

    /// Answers 200 without a body.
    pub(crate) async fn answer(&mut self, stream: u32) {
        const END_STREAM_AND_HEADERS: u8 = 5;
        // `:status: 200` of HPACK's static table.
        self.write(HEADERS, END_STREAM_AND_HEADERS, stream, &[0x88])
            .await;
    }

    /// Leaves without an error, having looked at streams up to `last`.
    pub(crate) async fn go_away(&mut self, last: u32) {
        let [a, b, c, d] = last.to_be_bytes();
        self.write(GOAWAY, 0, 0, &[a, b, c, d, 0, 0, 0, 0]).await;
    }

    /// Reads on until the client has gone.
    pub(crate) async fn linger(mut self) {
        while self.request().await.is_some() {}
    }
}
