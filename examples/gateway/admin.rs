//! What the mesh knows of its destinations, for whoever asks on an address of its own.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_mesh::endpoint::Locality;
use tower_mesh::load_balancer::{BalancerStatus, PriorityStatus, TableStatus};
use tower_mesh::mesh::{
    BreakerStatus, ClusterStatus, EndpointStatus, LimitsStatus, Mesh, OutlierStatus,
};
use tower_mesh::outlier_detection::RateStatus;

/// Serves `GET /clusters` until the program ends; anybody who can connect may read it.
pub(crate) async fn serve(address: SocketAddr, mesh: Mesh) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mesh = mesh.clone();
            let service = service_fn(move |request| {
                let response = answer(&mesh, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            // Who leaves early has seen enough.
            tokio::spawn(async move { drop(connection.await) });
        }
    });
    Ok(address)
}

fn answer(mesh: &Mesh, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, body) = match (request.method(), request.uri().path()) {
        _ if !is_by_address(request) => (
            StatusCode::FORBIDDEN,
            json!({"error": "ask by address: a page in a browser may have been given this name"}),
        ),
        (&Method::GET, "/clusters") => {
            let clusters: Vec<Value> = mesh.clusters().iter().map(cluster).collect();
            (StatusCode::OK, json!({ "clusters": clusters }))
        }
        (_, "/clusters") => (
            StatusCode::METHOD_NOT_ALLOWED,
            json!({"error": "only GET is answered"}),
        ),
        _ => (StatusCode::NOT_FOUND, json!({"error": "try /clusters"})),
    };
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// Whether the request names an address, as no page that was lured here can.
fn is_by_address(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(HOST).and_then(|it| it.to_str().ok());
    let host = host.and_then(|it| it.parse::<Authority>().ok());
    host.is_none_or(|it| {
        let host = it.host().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok()
    })
}

fn cluster(it: &ClusterStatus) -> Value {
    json!({
        "name": &*it.name,
        "host": it.host,
        "port": it.port,
        "subset": it.subset,
        "exists": it.exists,
        "active": it.active(),
        "load_balancer": balancer(&it.balancer),
        "limits": it.limits.as_ref().map(limits),
        "outlier_detection": it.outlier_detection.as_ref().map(outliers),
        "endpoints": it.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

fn balancer(it: &BalancerStatus) -> Value {
    let priority = |it: &PriorityStatus| {
        let table =
            |it: &TableStatus| json!({"size": it.size, "fewest": it.fewest, "most": it.most});
        json!({
            "percent": it.percent,
            "panics": it.panics,
            "endpoints": it.endpoints,
            "tables": it.tables.iter().map(table).collect::<Vec<_>>(),
        })
    };
    json!({
        "algorithm": it.algorithm.name(),
        "warms_up": it.warms_up,
        "priorities": it.priorities.iter().map(priority).collect::<Vec<_>>(),
    })
}

fn limits(it: &LimitsStatus) -> Value {
    let breaker =
        |it: &BreakerStatus| json!({"now": it.now, "most": it.most, "is_open": it.is_open});
    json!({
        "connections": breaker(&it.connections),
        "pending": breaker(&it.pending),
        "requests": breaker(&it.requests),
        "retries": breaker(&it.retries),
    })
}

fn outliers(it: &OutlierStatus) -> Value {
    let rate = |it: &RateStatus| json!({"mean": it.mean, "threshold": it.threshold});
    json!({
        "ejected": it.ejected,
        "max_ejection_percent": it.policy.max_ejection_percent,
        "success_rate": it.success_rate.as_ref().map(rate),
        "local_success_rate": it.local_success_rate.as_ref().map(rate),
    })
}

fn endpoint(status: &EndpointStatus) -> Value {
    let it = &status.endpoint;
    let labels = it.labels().iter();
    let labels = labels.map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    let out = status.ejected_for;
    json!({
        "address": it.address().to_string(),
        "health": if out.is_none() { "healthy" } else { "ejected" },
        "ejected_for_seconds": out.map(|it| it.as_secs_f64()),
        "ejections": status.ejections,
        "success_rate": status.success_rate,
        "active": status.active,
        "pending": status.pending,
        "connections": status.connections,
        "weight": it.weight(),
        "locality": it.locality().map(Locality::to_string),
        "network": it.network(),
        "labels": labels.collect::<serde_json::Map<_, _>>(),
    })
}
