//! A mesh over endpoints in memory: each answers with its own address.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::service_fn;
use tower_mesh::body::Body;
use tower_mesh::context::ResponseFlags;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::{Forward, Mesh, MeshBuilder, MeshClient};
use tower_mesh::transport::PerEndpoint;

pub(crate) type Answer =
    Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send>>;
pub(crate) type Echo = tower::util::ServiceFn<Box<dyn Fn(Request<Body>) -> Answer + Send>>;
pub(crate) type EchoTransport = PerEndpoint<fn(&Endpoint) -> Echo>;

/// An endpoint that answers `address method path host`.
pub(crate) fn echo(endpoint: &Endpoint) -> Echo {
    let address = endpoint.address().to_string();
    service_fn(Box::new(move |request: Request<Body>| {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let text = format!("{address} {method} {uri} {host}");
        Box::pin(async move { Ok(Response::new(Full::from(text))) })
    }))
}

pub(crate) fn client(mesh: &Mesh) -> MeshClient<EchoTransport> {
    mesh.client_with(echo as fn(&Endpoint) -> Echo)
}

pub(crate) fn proxy(mesh: &Mesh) -> Forward<EchoTransport> {
    mesh.forward_with(echo as fn(&Endpoint) -> Echo)
}

/// A mesh from YAML; the mesh has nothing to complain of but hosts nobody declares.
#[track_caller]
pub(crate) fn mesh(yaml: &str) -> Mesh {
    build(Mesh::builder(), yaml)
}

#[track_caller]
pub(crate) fn build(builder: MeshBuilder, yaml: &str) -> Mesh {
    match builder.yaml(yaml).build() {
        Ok((mesh, _)) => mesh,
        Err(found) => panic!("{found}"),
    }
}

/// Sends `GET url` with headers; gives what the endpoint says, or `status flags body`.
pub(crate) async fn get(mesh: &Mesh, url: &str, headers: &[(&str, &str)]) -> String {
    let mut request = Request::get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    match client(mesh).send(request).await {
        Ok(response) if response.status() == 200 => text(response.into_body()).await,
        Ok(response) => response.status().to_string(),
        Err(error) => {
            let reply = error.reply();
            format!("{} {} {}", reply.status.as_u16(), reply.flags, reply.body)
        }
    }
}

/// The first word of what [`get`] gives: which endpoint answered, or with which status.
pub(crate) async fn who(mesh: &Mesh, url: &str, headers: &[(&str, &str)]) -> String {
    let answer = get(mesh, url, headers).await;
    answer.split(' ').next().unwrap().to_owned()
}

pub(crate) async fn text<B>(body: B) -> String
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let bytes = body.collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// `status flags`, as a proxy answers.
pub(crate) fn seen<B>(response: &Response<B>) -> String {
    let flags = ResponseFlags::of(response);
    format!("{} {flags}", response.status().as_u16())
}

/// A ServiceEntry of one host with one endpoint for each number, `10.0.0.number:port`.
pub(crate) fn service(host: &str, port: u16, numbers: &[u8]) -> String {
    let name = host.replace(['.', '*'], "-");
    let mut yaml = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s{name}}}\n\
         spec:\n  hosts: [\"{host}\"]\n  ports: [{{number: {port}, name: http, protocol: HTTP}}]\n  \
         resolution: STATIC\n  endpoints:\n"
    );
    for number in numbers {
        yaml += &format!("  - address: 10.0.0.{number}\n    labels: {{version: v{number}}}\n");
    }
    yaml + "---\n"
}

/// A VirtualService whose spec is given.
pub(crate) fn virtual_service(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n\
         spec:\n{spec}\n---\n"
    )
}
