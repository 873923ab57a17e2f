//! One JSON object a request, with the keys of Istio's default access log.

use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tower_mesh::context::ResponseFlags;
use tower_mesh::mesh::{ResponseBody, StreamInfo, Tunnel, TunnelEnd};
use tower_mesh::reply::LocalReply;

/// Where entries go; clones write to the same place.
#[derive(Clone)]
pub(crate) struct AccessLog {
    out: Option<Arc<Mutex<Box<dyn Write + Send>>>>,
}

impl AccessLog {
    /// Opens a file, the standard output for `-`, or nothing.
    pub(crate) fn open(path: Option<&Path>) -> std::io::Result<Self> {
        let out: Option<Box<dyn Write + Send>> = match path {
            None => None,
            Some(path) if path == Path::new("-") => Some(Box::new(std::io::stdout())),
            Some(path) => {
                let file = File::options().create(true).append(true).open(path)?;
                Some(Box::new(LineWriter::new(file)))
            }
        };
        let out = out.map(|out| Arc::new(Mutex::new(out)));
        Ok(Self { out })
    }

    /// Begins the entry of a request; it is written when the response body has ended.
    pub(crate) fn begin<B>(&self, request: Request<B>) -> (Request<Counted<B>>, Entry) {
        let received = Arc::new(AtomicU64::new(0));
        let header = |headers: &HeaderMap, name: &str| {
            let lines = headers.get_all(name).iter();
            let text = |line: &HeaderValue| String::from_utf8_lossy(line.as_bytes()).into_owned();
            let lines: Vec<String> = lines.map(text).collect();
            (!lines.is_empty()).then(|| lines.join(","))
        };
        let headers = request.headers();
        let uri = request.uri();
        let authority = uri.authority().map(ToString::to_string);
        let mut fields = Map::new();
        let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
        put(
            "authority",
            json!(authority.or_else(|| header(headers, "host"))),
        );
        put("method", json!(request.method().as_str()));
        let given = header(headers, "x-envoy-original-path");
        let path_is_given = given.is_some();
        let target = || uri.path_and_query().map(|it| it.as_str().to_owned());
        put("path", json!(given.or_else(target)));
        let protocol = match request.version() {
            http::Version::HTTP_2 => "HTTP/2".to_owned(),
            version => format!("{version:?}"),
        };
        put("protocol", json!(protocol));
        put("user_agent", json!(header(headers, "user-agent")));
        put("x_forwarded_for", json!(header(headers, "x-forwarded-for")));
        let entry = Entry {
            log: self.clone(),
            fields,
            path_is_given,
            received: received.clone(),
            sent: 0,
            began: Instant::now(),
            // What the clock on the wall says is for people to read, and decides nothing.
            #[allow(clippy::disallowed_methods, reason = "a log tells the time of day")]
            start_time: SystemTime::now(),
            status: 0,
            info: None,
            head: request.method() == http::Method::HEAD,
            ended: false,
        };
        let request = request.map(|body| Counted { body, received });
        (request, entry)
    }
}

/// The entry of one request; dropping it writes it.
pub(crate) struct Entry {
    log: AccessLog,
    fields: Map<String, Value>,
    /// Whether a hop before this one said what the path was before it was rewritten.
    path_is_given: bool,
    received: Arc<AtomicU64>,
    sent: u64,
    began: Instant,
    start_time: SystemTime,
    status: u16,
    /// Nothing until there is a response.
    info: Option<(StreamInfo, ResponseFlags, String)>,
    /// Whether the request's method is HEAD.
    head: bool,
    /// Whether there is nothing more to come.
    ended: bool,
}

impl Entry {
    /// Goes along with the response until its body has ended.
    pub(crate) fn response<B>(mut self, response: Response<ResponseBody<B>>) -> Response<Logged<B>>
    where
        ResponseBody<B>: Body,
    {
        self.status = response.status().as_u16();
        let details = match LocalReply::of(&response) {
            Some(reply) => reply.details.to_string(),
            None => "via_upstream".to_owned(),
        };
        let flags = ResponseFlags::of(&response);
        self.info = Some((response.body().info().clone(), flags, details));
        // Nobody reads the body of an answer that has none on the wire.
        let bodiless = self.head || matches!(self.status, 100..=199 | 204 | 304);
        self.ended = bodiless || response.body().is_end_stream();
        if let Some(tunnel) = response.extensions().get::<Tunnel>() {
            tokio::spawn(self.follow(tunnel.clone()));
            let entry = None;
            return response.map(|body| Logged { body, entry });
        }
        let entry = Some(self);
        response.map(|body| Logged { body, entry })
    }

    /// Goes along with a tunnel until it has ended.
    async fn follow(mut self, mut tunnel: Tunnel) {
        let end = tunnel.closed().await;
        self.ended = end == TunnelEnd::Endpoint;
        self.sent = tunnel.bytes_sent();
        self.received
            .store(tunnel.bytes_received(), Ordering::Relaxed);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(out) = &self.log.out else { return };
        // Without a response the client has left before there was one.
        let nothing = || (StreamInfo::default(), ResponseFlags::NONE, String::new());
        let (info, mut flags, mut details) = self.info.take().unwrap_or_else(nothing);
        if !self.ended {
            flags = flags.union(ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION);
            details = "downstream_remote_disconnect".to_owned();
        }
        let text = |text: &str| match text {
            "" => Value::Null,
            text => json!(text),
        };
        let mut fields = std::mem::take(&mut self.fields);
        let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
        put(
            "bytes_received",
            json!(self.received.load(Ordering::Relaxed)),
        );
        put("bytes_sent", json!(self.sent));
        put("duration", json!(self.began.elapsed().as_millis() as u64));
        put("response_code", json!(self.status));
        put("response_code_details", text(&details));
        put("response_flags", json!(flags.to_string()));
        put("route_name", json!(info.route_name()));
        let start_time = humantime::format_rfc3339_millis(self.start_time);
        if let (Some(path), false) = (info.path(), self.path_is_given) {
            put("path", json!(path));
        }
        put("request_id", json!(info.request_id()));
        put("start_time", json!(start_time.to_string()));
        put("upstream_cluster", json!(info.upstream_cluster()));
        let host = info.upstream_host().map(ToString::to_string);
        put("upstream_host", json!(host));
        put("upstream_request_attempt_count", json!(info.attempts()));
        let line = Value::Object(fields).to_string();
        if let Ok(mut out) = out.lock() {
            // A log that cannot be written must not take the traffic down with it.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    }
}

/// A request body that counts what was received.
pub(crate) struct Counted<B> {
    body: B,
    received: Arc<AtomicU64>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.received
                .fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response body that counts what was sent, and keeps the entry until it has ended.
pub(crate) struct Logged<B> {
    body: ResponseBody<B>,
    /// Nothing where a tunnel took it along.
    entry: Option<Entry>,
}

impl<B> Body for Logged<B>
where
    ResponseBody<B>: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = <ResponseBody<B> as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        let (Poll::Ready(polled), Some(entry)) = (&frame, &mut this.entry) else {
            return frame;
        };
        match polled {
            Some(Ok(frame)) => {
                entry.sent += frame.data_ref().map_or(0, |data| data.len() as u64);
                entry.ended = this.body.is_end_stream();
            }
            Some(Err(_)) => {
                entry.ended = true;
                let broken = this.body.info().broken_off();
                if let (Some(broken), Some((_, flags, details))) = (broken, &mut entry.info) {
                    *flags = flags.union(broken.flags);
                    *details = broken.details.to_string();
                }
            }
            None => entry.ended = true,
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
