//! `Send`, `Sync` and `Clone` of whatever is public: found out by the compiler.

use std::future::Ready;
use std::io;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower_mesh::mesh::{
    ClientResponse, Forward, ForwardFuture, Inbound, InboundFuture, InboundLayer, Mesh,
    MeshBuilder, MeshClient, MeshError, Report, RequestBuilder, ResponseBody, ResponseFuture,
    RouteTests, StreamInfo,
};
use tower_mesh::reply::{LocalReply, ReplyBody, ReplyBodyFuture, ReplyBodyLayer, WithReplyBody};
use tower_mesh::transport::{
    HttpBody, HttpFuture, HttpTransport, Inward, PerEndpoint, PerEndpointFuture,
};
use tower_mesh::{
    answer, api, body, context, cors_policy, diagnostic, direct_response, endpoint, failure, fault,
    headers, redirect, request_body, resolver, retries, rewrite, rt, testing, timeout,
};

use crate::{InMemory, Unshared, Upstream};

fn shared<T: Clone + Send + Sync + 'static>() {}
fn sent<T: Send>() {}
fn sent_and_shared<T: Send + Sync>() {}

type Answer = Ready<io::Result<Response<Full<Bytes>>>>;

#[test]
fn services_and_layers_are_shared_and_cloned() {
    shared::<Mesh>();
    shared::<MeshBuilder>();
    shared::<MeshClient<HttpTransport>>();
    shared::<MeshClient<InMemory>>();
    shared::<Forward<HttpTransport>>();
    shared::<Forward<InMemory>>();
    shared::<InboundLayer>();
    shared::<Inbound<Upstream>>();
    shared::<HttpTransport>();
    shared::<PerEndpoint<fn(&endpoint::Endpoint) -> Upstream>>();
    shared::<Inward<Upstream>>();
    shared::<ReplyBodyLayer>();
    shared::<WithReplyBody<Upstream>>();
    shared::<cors_policy::CorsLayer>();
    shared::<cors_policy::Cors<Upstream>>();
    shared::<direct_response::DirectResponseLayer>();
    shared::<direct_response::DirectResponse<Upstream>>();
    shared::<fault::FaultLayer>();
    shared::<fault::Fault<Upstream>>();
    shared::<headers::RequestHeadersLayer>();
    shared::<headers::ResponseHeadersLayer>();
    shared::<redirect::RedirectLayer>();
    shared::<redirect::Redirect<Upstream>>();
    shared::<retries::RetryLayer>();
    shared::<retries::Retry<Upstream>>();
    shared::<rewrite::RewriteLayer>();
    shared::<timeout::TimeoutLayer>();
    shared::<timeout::Timeout<Upstream>>();
    shared::<resolver::SystemResolver>();
    shared::<rt::Rng>();
    shared::<testing::Mock>();
}

#[test]
fn futures_are_sent_with_bodies_that_are_only_sent() {
    sent::<ResponseFuture<HttpTransport, Unshared>>();
    sent::<ResponseFuture<InMemory, Unshared>>();
    sent::<ForwardFuture<HttpTransport, Unshared>>();
    sent::<ForwardFuture<InMemory, Unshared>>();
    sent::<InboundFuture<Inward<Upstream>, Unshared>>();
    sent::<HttpFuture>();
    sent::<PerEndpointFuture<Upstream>>();
    sent::<ReplyBodyFuture<Answer>>();
    sent::<answer::AnswerOr<Answer, Unshared>>();
    sent::<fault::ResponseFuture<Upstream, Unshared, Answer>>();
    sent::<RequestBuilder<'_, HttpTransport>>();
    sent::<testing::MockFuture<Unshared>>();
    fn of<S: tower::Service<Request<Unshared>, Future: Send>>() {}
    of::<cors_policy::Cors<Upstream>>();
    of::<retries::Retry<Upstream>>();
    of::<timeout::Timeout<Upstream>>();
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
    sent_and_shared::<ResponseBody<hyper::body::Incoming>>();
    sent_and_shared::<ResponseBody<HttpBody>>();
    sent_and_shared::<ClientResponse<HttpBody>>();
    sent_and_shared::<ReplyBody<Full<Bytes>>>();
    sent_and_shared::<body::SyncBody<Unshared>>();
    sent::<ResponseBody<Unshared>>();
    sent::<ReplyBody<Unshared>>();
    sent::<body::Body>();
    sent::<request_body::RequestBody<Unshared>>();
    shared::<MeshError>();
    shared::<body::BodyError>();
    shared::<failure::HttpError>();
    shared::<failure::Failure>();
    shared::<diagnostic::Diagnostics>();
    shared::<context::ResponseFlags>();
    shared::<LocalReply>();
    shared::<StreamInfo>();
    shared::<Report>();
    sent_and_shared::<RouteTests>();
    shared::<api::Resources>();
    shared::<api::Resource>();
    shared::<endpoint::Endpoint>();
}
