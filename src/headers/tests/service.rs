//! The layers around a service.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::future::{Ready, ready};
use http::header::{HeaderName, HeaderValue};
use http::{Request, Response};
use tower::{Layer, Service, ServiceExt as _, service_fn};

use super::super::{
    HeaderOperations, RequestHeaders, RequestHeadersLayer, ResponseHeaders, ResponseHeadersLayer,
};
use super::print;
use crate::context::Preflight;
use crate::select::Select;

const X_A: HeaderName = HeaderName::from_static("x-a");

fn set_x_a() -> HeaderOperations {
    HeaderOperations::new().set(X_A, HeaderValue::from_static("1"))
}

/// Finds no policy.
#[derive(Clone)]
struct Nothing;

impl<P, B> Select<P, B> for Nothing {
    type Held = Arc<P>;

    fn get<'a>(&'a self, _: &'a Request<B>) -> Option<&'a P> {
        None
    }

    fn hold(&self, _: &Request<B>) -> Option<Arc<P>> {
        None
    }
}

/// Answers with the request's headers; panics when called before it is ready. It cannot
/// be cloned.
#[derive(Default)]
struct Echo {
    ready: bool,
    preflight: bool,
}

impl Service<Request<()>> for Echo {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "called before it was ready"
        );
        let mut response = Response::new(());
        *response.headers_mut() = request.into_parts().0.headers;
        if self.preflight {
            response.extensions_mut().insert(Preflight);
        }
        ready(Ok(response))
    }
}

async fn answer<S>(service: S) -> String
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    let request = Request::get("/").header("x-b", "2").body(()).unwrap();
    print(service.oneshot(request).await.unwrap().headers())
}

#[tokio::test]
async fn the_layers_change_requests_and_responses() {
    let requests = RequestHeadersLayer::new(RequestHeaders::new(set_x_a()));
    assert_eq!(answer(requests.layer(Echo::default())).await, "x-a=1 x-b=2");
    let then = HeaderOperations::new().remove(HeaderName::from_static("x-b"));
    let responses = ResponseHeadersLayer::new(ResponseHeaders::new(set_x_a()).then(then));
    assert_eq!(answer(responses.layer(Echo::default())).await, "x-a=1");
}

#[tokio::test]
async fn without_a_policy_messages_pass_as_they_are() {
    let requests = RequestHeadersLayer::selecting(Nothing);
    let responses = ResponseHeadersLayer::selecting(Nothing);
    let service = responses.layer(requests.layer(Echo::default()));
    assert_eq!(answer(service).await, "x-b=2");
}

#[tokio::test]
async fn the_answer_to_a_preflight_is_left_alone() {
    let layer = ResponseHeadersLayer::new(ResponseHeaders::new(set_x_a()));
    let preflight = Echo {
        preflight: true,
        ..Echo::default()
    };
    assert_eq!(answer(layer.layer(preflight)).await, "x-b=2");
}

#[tokio::test]
async fn dropping_the_future_drops_the_inner_one() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = dropped.clone();
    let never = service_fn(move |_: Request<()>| {
        let guard = Dropped(guard.clone());
        async move {
            let _guard = guard;
            pending::<Result<Response<()>, Infallible>>().await
        }
    });
    let mut service = ResponseHeadersLayer::new(ResponseHeaders::new(set_x_a())).layer(never);
    let future = service.call(Request::new(()));
    assert!(!dropped.load(Ordering::Relaxed));
    drop(future);
    assert!(dropped.load(Ordering::Relaxed));
}
