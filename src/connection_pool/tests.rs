//! The layer alone, and settings as written.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use super::{ConnectionPoolLayer, check, compile};
use crate::api;
use crate::connection::UpstreamProtocol;
use crate::context::ResponseFlags;
use crate::diagnostic::{At, Diagnostics};
use crate::limits::{Limits, MostAtATime};

fn one_at_a_time() -> Limits {
    Limits::new(MostAtATime {
        requests: Some(1),
        ..MostAtATime::default()
    })
}

#[tokio::test]
async fn a_request_counts_to_the_end_of_its_body() {
    let limits = one_at_a_time();
    let inner = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
    });
    let service = ConnectionPoolLayer::new(limits.clone()).layer(inner);
    let ask = || service.clone().oneshot(Request::new(()));
    let Ok(first) = ask().await;
    let Ok(refused) = ask().await;
    assert_eq!(ResponseFlags::of(&refused).to_string(), "UO");
    let text = refused.into_body().collect().await.expect("in memory");
    assert_eq!(
        text.to_bytes(),
        "upstream connect error or disconnect/reset before headers. reset reason: overflow"
    );
    assert_eq!(limits.requests(), 1);
    first.into_body().collect().await.expect("in memory");
    assert_eq!(limits.requests(), 0);
    let Ok(left) = ask().await;
    drop(left);
    assert_eq!(limits.requests(), 0);
}

#[tokio::test]
async fn a_call_given_up_and_a_clone_made_ready_keep_nothing() {
    let limits = one_at_a_time();
    let inner = service_fn(|_: Request<()>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let mut service = ConnectionPoolLayer::new(limits.clone()).layer(inner);
    let Ok(_) = service.ready().await;
    let Ok(_) = service.clone().ready().await;
    assert_eq!(limits.requests(), 0);
    let call = service.call(Request::new(()));
    assert_eq!(limits.requests(), 1);
    drop(call);
    assert_eq!(limits.requests(), 0);
}

fn pool() -> api::ConnectionPoolSettings {
    api::ConnectionPoolSettings {
        tcp: Some(api::TcpConnectionPool::default()),
        http: Some(api::HttpConnectionPool::default()),
    }
}

#[test]
fn zero_is_not_set_and_http_says_how_long_a_connection_lies_idle() {
    let mut written = pool();
    if let (Some(tcp), Some(http)) = (&mut written.tcp, &mut written.http) {
        tcp.max_connections = Some(0);
        tcp.idle_timeout = Some(Duration::from_secs(5));
        http.http2_max_requests = Some(-1);
        http.max_retries = Some(7);
    }
    let settings = compile(Some(&written), None, None).expect("written");
    let limits = settings.connections.limits.expect("one is set");
    assert_eq!(limits.most().connections, None);
    assert_eq!(limits.most().requests, None);
    assert_eq!(limits.most().retries, Some(7));
    assert_eq!(
        settings.connections.idle_timeout,
        Some(Duration::from_secs(5))
    );
    if let Some(http) = &mut written.http {
        http.max_retries = None;
        http.idle_timeout = Some(Duration::ZERO);
        http.h2_upgrade_policy = Some(api::H2UpgradePolicy::Upgrade);
    }
    let settings = compile(Some(&written), None, None).expect("written");
    assert_eq!(settings.connections.idle_timeout, None);
    assert_eq!(settings.connections.limits, None);
    assert_eq!(settings.protocol, Some(UpstreamProtocol::Http2));
    assert_eq!(compile(None, None, None), None);
}

#[test]
fn what_istio_refuses_is_refused_in_its_words() {
    let mut written = pool();
    if let (Some(tcp), Some(http)) = (&mut written.tcp, &mut written.http) {
        tcp.max_connections = Some(-1);
        http.max_retries = Some(-1);
        http.use_client_protocol = Some(true);
        http.h2_upgrade_policy = Some(api::H2UpgradePolicy::Upgrade);
        http.http2_keep_alive = Some(api::Http2KeepAlive::default());
    }
    let mut found = Diagnostics::default();
    check(&written, At::Top, &mut found);
    let text = found.to_string();
    for message in [
        "max connections must be non-negative",
        "max retries must be non-negative",
        "use client protocol must not be true when H2UpgradePolicy is UPGRADE",
        "http2 keepalive interval is required",
        "http2 keepalive timeout is required",
    ] {
        assert!(text.contains(message), "{text}");
    }
    let mut found = Diagnostics::default();
    check(&api::ConnectionPoolSettings::default(), At::Top, &mut found);
    let text = found.to_string();
    assert!(
        text.contains("connection pool must have at least one field"),
        "{text}"
    );
}
