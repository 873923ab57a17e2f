//! `Send`, `Sync` and `Clone` of whatever is public: found out by the compiler.
//!
//! Types are named with their modules, by which `tests/architecture.rs` sees that none is left out.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower::{Layer, Service};
use tower_mesh::access_log::AccessLogEntry;
use tower_mesh::endpoint::Endpoint;
use tower_mesh::{
    access_log, answer, api, balance, body, connection_pool, context, cors_policy, diagnostic,
    direct_response, failure, fault, headers, limits, mesh, mirror, redirect, reply, request_body,
    resolver, retries, rewrite, rt, timeout, transport,
};

use crate::{InMemory, Unshared, Upstream};

fn shared<T: Clone + Send + Sync + 'static>() {}
fn sent<T: Send>() {}
fn sent_and_shared<T: Send + Sync>() {}

type ServiceFor = fn(&Endpoint) -> Upstream;
type Log = fn(&AccessLogEntry);

#[test]
fn layers_are_shared_and_cloned() {
    shared::<access_log::AccessLogLayer<Log>>();
    shared::<balance::BalanceLayer>();
    shared::<connection_pool::ConnectionPoolLayer>();
    shared::<cors_policy::CorsLayer>();
    shared::<direct_response::DirectResponseLayer>();
    shared::<fault::FaultLayer>();
    shared::<headers::RequestHeadersLayer>();
    shared::<headers::ResponseHeadersLayer>();
    shared::<mesh::EdgeLayer>();
    shared::<mesh::InboundLayer>();
    shared::<mirror::MirrorLayer<Upstream>>();
    shared::<redirect::RedirectLayer>();
    shared::<reply::ReplyBodyLayer>();
    shared::<retries::HedgeLayer>();
    shared::<retries::RetryLayer>();
    shared::<rewrite::RewriteLayer>();
    shared::<timeout::TimeoutLayer>();
}

/// A service of the type `F` is its future's, and all that servers and clients ask of both.
fn service<S, B, F>()
where
    S: Service<Request<B>, Future = F> + Clone + Send + Sync + 'static,
    F: Future + Send + 'static,
{
}

#[test]
fn services_are_shared_and_their_futures_sent() {
    // Bodies that are neither `Sync` nor `Clone`.
    service::<mesh::MeshClient<InMemory>, Unshared, mesh::ResponseFuture<_, _>>();
    service::<mesh::WithOrigin<mesh::MeshClient<InMemory>>, Unshared, mesh::ResponseFuture<_, _>>();
    service::<mesh::Forward<InMemory>, Unshared, mesh::ForwardFuture<_, _>>();
    service::<mesh::Inbound<Upstream>, Unshared, mesh::InboundFuture<_, _>>();
    service::<mesh::Edge<mesh::Forward<InMemory>>, Unshared, _>();
    service::<
        access_log::AccessLogged<mesh::MeshClient<InMemory>, Log>,
        Unshared,
        access_log::AccessLogFuture<_, _>,
    >();
    service::<balance::Balance<ServiceFor>, Unshared, balance::ResponseFuture<_, _>>();
    service::<
        connection_pool::ConnectionPool<Upstream>,
        Unshared,
        connection_pool::ResponseFuture<_>,
    >();
    service::<cors_policy::Cors<Upstream>, Unshared, cors_policy::ResponseFuture<_, _, _>>();
    service::<direct_response::DirectResponse<Upstream>, Unshared, answer::AnswerOr<_, _>>();
    service::<fault::Fault<Upstream>, Unshared, fault::ResponseFuture<_, _, _>>();
    service::<headers::SetRequestHeaders<Upstream>, Unshared, _>();
    service::<headers::SetResponseHeaders<Upstream>, Unshared, headers::ResponseFuture<_, _>>();
    service::<mirror::Mirror<Upstream, Upstream>, Unshared, mirror::ResponseFuture<_, _, _>>();
    service::<redirect::Redirect<Upstream>, Unshared, answer::AnswerOr<_, _>>();
    service::<reply::WithReplyBody<Upstream>, Unshared, reply::ReplyBodyFuture<_>>();
    service::<retries::Retry<Upstream>, Unshared, retries::ResponseFuture<_, _, _, _, _>>();
    // A body that is sent twice has to be there twice.
    service::<retries::Hedge<Upstream>, Full<Bytes>, retries::HedgeFuture<_, _, _>>();
    service::<rewrite::Rewrite<Upstream>, Unshared, _>();
    service::<timeout::Timeout<Upstream>, Unshared, timeout::ResponseFuture<_, _>>();
    service::<tower_mesh::testing::Mock, Unshared, tower_mesh::testing::MockFuture<_>>();
}

#[test]
fn the_built_in_transport_goes_wherever_ones_own_does() {
    fn transport<T, F>()
    where
        T: transport::Transport<Future = F> + Clone + Send + Sync + 'static,
        F: Send + 'static,
    {
    }
    transport::<transport::HttpTransport, transport::HttpFuture>();
    transport::<transport::PerEndpoint<ServiceFor>, transport::PerEndpointFuture<_>>();
    transport::<transport::Inward<Upstream>, transport::PerEndpointFuture<_>>();
    type Client = mesh::MeshClient<transport::HttpTransport>;
    type Proxy = mesh::Forward<transport::HttpTransport>;
    service::<Client, Unshared, mesh::ResponseFuture<_, _>>();
    service::<Proxy, hyper::body::Incoming, mesh::ForwardFuture<_, _>>();
    service::<mesh::Edge<Proxy>, hyper::body::Incoming, _>();
    service::<access_log::AccessLogged<Client, Log>, Unshared, _>();
    service::<access_log::AccessLogged<mesh::Edge<Proxy>, Log>, hyper::body::Incoming, _>();
    service::<retries::Hedge<Client>, Full<Bytes>, _>();
    sent::<mesh::RequestBuilder<transport::HttpTransport>>();
}

#[test]
fn handles_are_shared_and_cloned() {
    shared::<mesh::Mesh>();
    shared::<mesh::MeshBuilder>();
    shared::<limits::Limits>();
    shared::<resolver::SystemResolver>();
    shared::<rt::Rng>();
}

/// What a client builds and awaits in a task of its own.
#[test]
fn sending_is_sent() {
    fn future<F: Future + Send>(_: F) {}
    let client = crate::client();
    future(client.get("http://shop/").send());
    future(async {
        let response = client.get("http://shop/").send().await.unwrap();
        response.text().await
    });
    let mesh = crate::mesh();
    future(mesh.ready());
}

#[test]
fn bodies_errors_and_data_are_what_they_hold() {
    sent_and_shared::<mesh::ResponseBody<hyper::body::Incoming>>();
    sent_and_shared::<mesh::ResponseBody<transport::HttpBody>>();
    sent_and_shared::<mesh::ClientResponse<transport::HttpBody>>();
    sent_and_shared::<access_log::LoggedBody<transport::HttpBody, Log>>();
    sent_and_shared::<access_log::CountedBody<hyper::body::Incoming>>();
    sent_and_shared::<balance::Balanced<hyper::body::Incoming>>();
    sent_and_shared::<connection_pool::Admitted<hyper::body::Incoming>>();
    sent_and_shared::<reply::ReplyBody<Full<Bytes>>>();
    sent_and_shared::<body::SyncBody<Unshared>>();
    sent::<mesh::ResponseBody<Unshared>>();
    sent::<access_log::LoggedBody<Unshared, Log>>();
    sent::<balance::Balanced<Unshared>>();
    sent::<connection_pool::Admitted<Unshared>>();
    sent::<reply::ReplyBody<Unshared>>();
    sent::<body::Body>();
    sent::<request_body::RequestBody<Unshared>>();
    sent::<request_body::BodyCopy>();
    shared::<mesh::MeshError>();
    shared::<body::BodyError>();
    shared::<failure::HttpError>();
    shared::<failure::Failure>();
    shared::<diagnostic::Diagnostics>();
    shared::<context::ResponseFlags>();
    shared::<reply::LocalReply>();
    shared::<mesh::StreamInfo>();
    shared::<mesh::ClusterStatus>();
    shared::<mesh::Explanation>();
    shared::<mesh::Report>();
    sent_and_shared::<mesh::RouteTests>();
    shared::<api::Resources>();
    shared::<api::Resource>();
    shared::<Endpoint>();
}

/// Layers one in another, as an application stacks them, are one service that can be cloned and
/// spawned.
#[test]
fn a_stack_of_layers_is_shared_and_its_future_sent() {
    fn stacked<S, B>(_: &S)
    where
        S: Service<Request<B>, Future: Send + 'static> + Clone + Send + Sync + 'static,
    {
    }
    let timeout = timeout::TimeoutLayer::new(timeout::TimeoutPolicy::new(Duration::from_secs(1)));
    let retry = retries::RetryLayer::new(retries::RetryPolicy::istio_default());
    let pool = connection_pool::ConnectionPoolLayer::new(limits::Limits::default());
    let policy = Default::default();
    let balance =
        balance::BalanceLayer::new(policy, Vec::new()).layer(crate::in_memory as ServiceFor);
    stacked::<_, Unshared>(&timeout.layer(retry.layer(pool.layer(balance))));
    let log = access_log::AccessLogLayer::new((|_| {}) as Log);
    let edge = mesh::EdgeLayer::new();
    stacked::<_, Unshared>(&edge.layer(log.layer(crate::forward())));
    stacked::<_, Unshared>(&log.layer(crate::mesh().inbound_layer().layer(pool.layer(Upstream))));
}
