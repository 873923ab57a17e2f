//! Upstreams on loopback, and meshes that lead to them.

use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tower_mesh::mesh::Mesh;

/// Listens on a free port.
pub(crate) async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A mesh in which `a.com:80` speaks `protocol` and lives at these ports.
pub(crate) fn mesh(protocol: &str, ports: &[u16]) -> Mesh {
    mesh_with(protocol, ports, "")
}

/// The same, with more documents.
pub(crate) fn mesh_with(protocol: &str, ports: &[u16], more: &str) -> Mesh {
    match Mesh::builder().yaml(&yaml(protocol, ports, more)).build() {
        Ok((mesh, _)) => mesh,
        Err(found) => panic!("{found}"),
    }
}

/// The documents of [`mesh_with`].
pub(crate) fn yaml(protocol: &str, ports: &[u16], more: &str) -> String {
    let mut yaml = format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: it}}
spec:
  hosts: [a.com]
  ports: [{{number: 80, name: it, protocol: {protocol}}}]
  resolution: STATIC
  endpoints:
"
    );
    for port in ports {
        writeln!(yaml, "  - {{address: 127.0.0.1, ports: {{it: {port}}}}}").unwrap();
    }
    yaml + more
}

/// A VirtualService that never tries again.
pub(crate) const ONCE: &str = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: once}
spec:
  hosts: [a.com]
  http: [{retries: {attempts: 0}, route: [{destination: {host: a.com}}]}]
";

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    let request = Request::get(format!("http://a.com{path}"));
    request.body(Full::default()).unwrap()
}

/// Waits until it has come to something, and no longer.
pub(crate) async fn until(what: impl Fn() -> bool) {
    let come = async {
        while !what() {
            tokio::task::yield_now().await;
        }
    };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, come)
        .await
        .expect("it never came to that");
}

/// How many connections a mesh has.
pub(crate) fn connections(mesh: &Mesh) -> usize {
    let clusters = mesh.clusters();
    let endpoints = clusters.iter().flat_map(|it| &it.endpoints);
    endpoints.map(|it| it.connections).sum()
}

/// How many requests of a mesh wait for a connection.
pub(crate) fn waiting(mesh: &Mesh) -> usize {
    let clusters = mesh.clusters();
    let endpoints = clusters.iter().flat_map(|it| &it.endpoints);
    endpoints.map(|it| it.pending).sum()
}

/// What is counted of an upstream.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Seen {
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// An upstream that speaks one version of HTTP and answers by `answer`.
pub(crate) async fn upstream<F, A>(http2: bool, answer: F) -> (u16, Seen)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let (listener, port) = listen().await;
    let seen = Seen::default();
    let counted = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.connections.fetch_add(1, Ordering::SeqCst);
            let (answer, counted) = (answer.clone(), counted.clone());
            let service = service_fn(move |request| {
                counted.requests.fetch_add(1, Ordering::SeqCst);
                let answer = answer(request);
                async move { Ok::<_, std::convert::Infallible>(answer.await) }
            });
            let io = TokioIo::new(stream);
            tokio::spawn(async move {
                if http2 {
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(io, service).await;
                } else {
                    let server = hyper::server::conn::http1::Builder::new();
                    let _ = server.serve_connection(io, service).await;
                }
            });
        }
    });
    (port, seen)
}

/// An upstream that does with each connection what `serve` says.
pub(crate) async fn raw<F, S>(serve: F) -> u16
where
    F: Fn(TcpStream) -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// `status flags reason|details`, as a sidecar would have answered; the body where an upstream did.
pub(crate) async fn told(mesh: &Mesh) -> String {
    told_while(mesh, || ()).await
}

/// The same, and `heard` is called with each part of the body.
pub(crate) async fn told_while(mesh: &Mesh, heard: impl Fn()) -> String {
    let client = mesh.client();
    let sent = tokio::time::timeout(Duration::from_secs(20), client.send(get("/")));
    match sent.await.expect("an answer in time") {
        Ok(response) => {
            let mut body = response.into_body();
            let mut text = String::new();
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(frame) => {
                        let data = frame.into_data().unwrap_or_default();
                        text += std::str::from_utf8(&data).unwrap();
                        heard();
                    }
                    Err(_) => {
                        let broken = body.info().broken_off().unwrap();
                        let (flags, details) = (broken.flags, &broken.details);
                        return format!("200 {text:?} {flags} {details}");
                    }
                }
            }
            format!("200 {text:?}")
        }
        Err(error) => {
            let reply = error.reply();
            let reason = reply.body.rsplit(": ").next().unwrap();
            let details = reply
                .details
                .trim_start_matches("upstream_reset_before_response_started");
            format!(
                "{} {} {reason} {details}",
                reply.status.as_u16(),
                reply.flags
            )
        }
    }
}
