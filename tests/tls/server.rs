//! Servers that speak TLS and say what they have seen, and meshes that lead to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tower_mesh::mesh::{Mesh, MeshBuilder};

use crate::pki::{Authority, Issued};

/// Shows this certificate, and wants one of the authority's where there is one.
pub(crate) fn config(shows: &Issued, wants: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match wants {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(authority.certificate()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let chain = vec![shows.certificate.clone()];
    builder.with_single_cert(chain, shows.key()).unwrap()
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<AtomicUsize>);

impl Seen {
    pub(crate) fn connections(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Answers every request with `server name, ALPN, whether a certificate was shown`; where the path
/// is `/scheme`, with the scheme it came with.
pub(crate) async fn serve(config: ServerConfig, http2: bool) -> (u16, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let counted = seen.clone();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.0.fetch_add(1, Ordering::SeqCst);
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let about = &stream.get_ref().1;
                let name = about.server_name().unwrap_or("-").to_owned();
                let alpn = about.alpn_protocol().unwrap_or(b"-");
                let alpn = String::from_utf8(alpn.to_vec()).unwrap();
                let shown = about.peer_certificates().map_or("nobody", |_| "somebody");
                let text = format!("{name} {alpn} {shown}");
                let service = service_fn(move |request: Request<Incoming>| {
                    let scheme = request.uri().scheme_str().unwrap_or("-");
                    let body = match request.uri().path() {
                        "/scheme" => Full::new(Bytes::from(scheme.to_owned())),
                        _ => Full::new(Bytes::from(text.clone())),
                    };
                    async move { Ok::<_, std::convert::Infallible>(Response::new(body)) }
                });
                let io = TokioIo::new(stream);
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

/// Rules by which `a.com:80` speaks `protocol`, lives at this port, and is tried once; its TLS
/// settings are `tls`.
pub(crate) fn rules(protocol: &str, port: u16, entry: &str, tls: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: it}}
spec:
  hosts: [a.com]
  ports: [{{number: 80, name: it, protocol: {protocol}}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{it: {port}}}, serviceAccount: shop}}]
  {entry}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: once}}
spec:
  hosts: [a.com]
  http: [{{retries: {{attempts: 0}}, route: [{{destination: {{host: a.com}}}}]}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: it}}
spec:
  host: a.com
  trafficPolicy: {{{tls}}}
"
    )
}

/// The mesh of [`rules`].
pub(crate) fn mesh(protocol: &str, port: u16, tls: &str) -> Mesh {
    build(Mesh::builder().yaml(&rules(protocol, port, "", tls)))
}

pub(crate) fn build(builder: MeshBuilder) -> Mesh {
    match builder.build() {
        Ok((mesh, _)) => mesh,
        Err(found) => panic!("{found}"),
    }
}

/// What a client is told at this address: the answer, or `status flags details`.
pub(crate) async fn told_at(mesh: &Mesh, uri: &str) -> String {
    let request = Request::get(uri).body(Full::<Bytes>::default()).unwrap();
    match mesh.client().send(request).await {
        Ok(response) => {
            let body = response.into_body().collect().await.unwrap().to_bytes();
            String::from_utf8(body.to_vec()).unwrap()
        }
        Err(error) => {
            let reply = error.reply();
            let details = reply
                .details
                .trim_start_matches("upstream_reset_before_response_started");
            format!("{} {} {details}", reply.status.as_u16(), reply.flags)
        }
    }
}

/// The same at `a.com`.
pub(crate) async fn told(mesh: &Mesh) -> String {
    told_at(mesh, "http://a.com/").await
}
