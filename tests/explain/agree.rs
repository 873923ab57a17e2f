//! What is explained is what happens: the same for drawn rules and requests, through both borders.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Service as _, service_fn};
use tower_mesh::api::Resources;
use tower_mesh::body::Body;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::mesh::{Action, Explanation, Mesh};
use tower_mesh::rt::Rng;

use crate::draw::Draw;

/// What became of a request.
#[derive(Debug, Default)]
struct Happened {
    status: u16,
    location: Option<String>,
    route_name: Option<String>,
    cluster: Option<String>,
    /// Endpoint, path, host; nothing where the request reached none.
    sent: Option<(String, String, String)>,
}

type Sent = Arc<Mutex<Option<(String, String, String)>>>;

/// An endpoint that notes what it is sent.
fn recording(sent: &Sent) -> impl Fn(&Endpoint) -> Recorder + Clone + Send + Sync + 'static {
    let sent = sent.clone();
    move |endpoint: &Endpoint| {
        let (sent, address) = (sent.clone(), endpoint.address().to_string());
        let note = move |request: Request<Body>| {
            let host = request.headers()["host"].to_str().unwrap().to_owned();
            let path = request.uri().path_and_query().unwrap().to_string();
            *sent.lock().unwrap() = Some((address.clone(), path, host));
            std::future::ready(Ok(Response::new(Full::default())))
        };
        service_fn(Box::new(note))
    }
}

type Note = Box<dyn Fn(Request<Body>) -> Noted + Send>;
type Noted = std::future::Ready<Result<Response<Full<Bytes>>, Infallible>>;
type Recorder = tower::util::ServiceFn<Note>;

fn request_of(drawn: &(&str, String, Vec<(&str, &str)>)) -> Request<Body> {
    let mut request = Request::builder().method(drawn.0).uri(&drawn.1);
    for (name, value) in &drawn.2 {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

async fn through_client(mesh: &Mesh, request: Request<Body>) -> Happened {
    let sent = Sent::default();
    let mut client = mesh.client_with(recording(&sent));
    let happened = match client.call(request).await {
        Ok(response) => noted(&response),
        Err(error) => Happened {
            status: error.reply().status.as_u16(),
            ..Happened::default()
        },
    };
    let sent = sent.lock().unwrap().take();
    Happened { sent, ..happened }
}

async fn through_proxy(mesh: &Mesh, port: u16, request: Request<Body>) -> Happened {
    let sent = Sent::default();
    let mut forward = mesh.forward_with(recording(&sent)).port(port);
    let Ok(response) = forward.call(request).await;
    let sent = sent.lock().unwrap().take();
    Happened {
        sent,
        ..noted(&response)
    }
}

fn noted<B>(response: &Response<tower_mesh::mesh::ResponseBody<B>>) -> Happened {
    let location = response.headers().get("location");
    let info = response.body().info();
    Happened {
        status: response.status().as_u16(),
        location: location.map(|it| it.to_str().unwrap().to_owned()),
        route_name: info.route_name().map(str::to_owned),
        cluster: info.upstream_cluster().map(str::to_owned),
        sent: None,
    }
}

/// Says what of the explanation did not happen.
fn differs(told: &Explanation, happened: &Happened, proxy: bool) -> Option<String> {
    let certain = told.fault.as_ref().and_then(|it| it.abort);
    let certain = certain.filter(|(share, _)| share.as_percentage() == 100.0);
    let name = told.route_name.as_deref();
    // The name says which rule it is: `v1-2.m0`.
    if let (Some(name), Some(owner)) = (name, &told.virtual_service) {
        let place = format!("v{}", owner.trim_start_matches("default/v"));
        let mut meant = format!("{place}-{}", told.route.unwrap());
        if let Some(block) = told.match_block {
            meant += &format!(".m{block}");
        }
        if meant != name {
            return Some(format!("{name} is told to be {meant}"));
        }
    }
    if happened.route_name.is_some() && happened.route_name.as_deref() != name {
        return Some("another route".to_owned());
    }
    let status = told.status.map(|it| it.as_u16());
    let grpc = happened.status == 200;
    if let Some((_, abort)) = certain {
        let code = abort.as_http_status().map_or(200, |it| it.as_u16());
        return (happened.status != code && !grpc).then(|| "no abort".to_owned());
    }
    match told.action {
        Action::Redirect | Action::DirectResponse | Action::NotFound => {
            if happened.sent.is_some() {
                return Some("it was sent".to_owned());
            }
            if status != Some(happened.status) {
                return Some("another status".to_owned());
            }
            (told.location != happened.location).then(|| "another location".to_owned())
        }
        Action::Passthrough => match &happened.sent {
            None => Some("it was not sent".to_owned()),
            Some((address, ..)) => {
                let ends = format!(":{}", told.port);
                (!address.ends_with(&ends)
                    || happened.cluster.as_deref() != Some("PassthroughCluster"))
                .then(|| "it went elsewhere".to_owned())
            }
        },
        Action::Forward => forwarded(told, happened, proxy),
        _ => Some("an unknown action".to_owned()),
    }
}

fn forwarded(told: &Explanation, happened: &Happened, proxy: bool) -> Option<String> {
    let Some((_, path, host)) = &happened.sent else {
        let refused = told.destinations.iter().any(|it| it.refusal.is_some());
        let fits = happened.status == 503 || happened.status == 200;
        return (!refused || !fits).then(|| "it was not sent".to_owned());
    };
    let fits = told.destinations.iter().any(|it| {
        let subset = it.subset.as_deref().unwrap_or_default();
        let cluster = format!("outbound|{}|{subset}|{}", it.port, it.host);
        let host_fits = match &it.authority {
            Some(authority) => authority == host,
            None => told.request.contains(&format!("://{host}")),
        };
        let here = happened.cluster.as_deref() == Some(&*cluster);
        here && host_fits && it.refusal.is_none() && it.weight > 0
    });
    if !fits {
        return Some("another destination or authority".to_owned());
    }
    let plain = told.request.split("://").nth(1).unwrap_or_default();
    let plain = plain.find('/').map_or("/", |at| &plain[at..]);
    let _ = proxy;
    (told.path.as_deref().unwrap_or(plain) != path).then(|| "another path".to_owned())
}

fn build(yaml: &str, gateway: bool, registry_only: bool) -> Option<Mesh> {
    let mut builder = Mesh::builder()
        .rng(Rng::seeded(7))
        .label("app", "me")
        .registry_only(registry_only);
    if gateway {
        builder = builder.gateway("default/gw");
    }
    let resources = Resources::from_yaml("drawn.yaml", yaml);
    builder.resources(resources).build().map(|it| it.0).ok()
}

/// 12 160 pairs: 380 configurations, 16 requests each, each through both borders.
#[tokio::test(start_paused = true)]
async fn what_is_explained_is_what_happens() {
    let (mut pairs, mut refused) = (0, 0);
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..380 {
        let draw = Draw::seeded(seed);
        let yaml = draw.config();
        let Some(mesh) = build(&yaml, seed % 4 == 0, seed % 3 == 0) else {
            refused += 1;
            continue;
        };
        for _ in 0..16 {
            let drawn = draw.request();
            let request = request_of(&drawn);
            let (parts, _) = request_of(&drawn).into_parts();
            let told = mesh.explain(&parts);
            let happened = through_client(&mesh, request).await;
            let wrong = differs(&told, &happened, false);
            assert_eq!(
                wrong, None,
                "{yaml}\n{drawn:?}\n{told}\n{told:?}\n{happened:?}"
            );
            *seen.entry(told.action.as_str()).or_default() += 1;

            let port = draw.of(&[80, 8080]);
            let sent = Sent::default();
            let told = mesh
                .forward_with(recording(&sent))
                .port(port)
                .explain(&parts);
            let happened = through_proxy(&mesh, port, request_of(&drawn)).await;
            let wrong = differs(&told, &happened, true);
            assert_eq!(
                wrong, None,
                "{yaml}\n{drawn:?}\n{told}\n{told:?}\n{happened:?}"
            );
            pairs += 2;
        }
    }
    assert!(refused < 35, "{refused} configurations were refused");
    assert!(pairs >= 10_000, "{pairs}");
    // Every action is met often enough to mean something.
    for action in [
        "forward",
        "redirect",
        "direct_response",
        "not_found",
        "passthrough",
    ] {
        let times = seen.get(action).copied().unwrap_or_default();
        assert!(times >= 150, "{action}: {seen:?}");
    }
}
