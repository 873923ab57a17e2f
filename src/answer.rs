//! A response that is already there, or the inner service's to come.
//!
//! Layers that may answer for themselves share this future. Dropping it drops
//! the inner service's future, which cancels the request.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use pin_project::pin_project;

/// The future of a layer that answers for itself or asks the inner service.
#[pin_project]
#[derive(Debug)]
pub struct AnswerOr<F, R>(#[pin] State<F, R>);

#[pin_project(project = StateProjected)]
#[derive(Debug)]
enum State<F, R> {
    /// In a box, so that requests that go on do not carry the room for it.
    Answer(Option<Box<Response<R>>>),
    Inner(#[pin] F),
}

impl<F, R> AnswerOr<F, R> {
    pub(crate) fn answer(response: Response<R>) -> Self {
        Self(State::Answer(Some(Box::new(response))))
    }

    pub(crate) const fn inner(future: F) -> Self {
        Self(State::Inner(future))
    }
}

impl<F, R, E> Future for AnswerOr<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().0.project() {
            StateProjected::Answer(response) => match response.take() {
                Some(response) => Poll::Ready(Ok(*response)),
                // Polled again after the end.
                None => Poll::Pending,
            },
            StateProjected::Inner(future) => future.poll(cx),
        }
    }
}

#[cfg(test)]
pub(crate) mod mock {
    //! What the tests of layers put inside and around them.

    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::Full;
    use tower_service::Service;

    use crate::select::Select;

    /// Answers `upstream`, and panics when it is called without having been readied.
    #[derive(Debug, Default)]
    pub(crate) struct Readied(bool);

    impl Clone for Readied {
        fn clone(&self) -> Self {
            Self(false)
        }
    }

    impl Service<Request<()>> for Readied {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.0 = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            assert!(std::mem::take(&mut self.0), "called before it was ready");
            ready(Ok(Response::new(Full::new(Bytes::from("upstream")))))
        }
    }

    /// Finds no policy for any request.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Nothing;

    impl<P, B> Select<P, B> for Nothing {
        type Held = Box<P>;

        fn get<'a>(&'a self, _: &'a Request<B>) -> Option<&'a P> {
            None
        }

        fn hold(&self, _: &Request<B>) -> Option<Box<P>> {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::Future as _;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use http::Response;

    use super::AnswerOr;

    type Never = std::future::Pending<Result<Response<()>, Infallible>>;

    #[test]
    fn an_answer_comes_once_and_asking_again_does_not_panic() {
        let mut future = pin!(AnswerOr::<Never, ()>::answer(Response::new(())));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(future.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
        assert!(future.as_mut().poll(&mut cx).is_pending());
    }

    #[test]
    fn dropping_it_drops_the_inner_future() {
        let alive = Arc::new(());
        let held = alive.clone();
        let future: AnswerOr<_, ()> = AnswerOr::inner(async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok::<_, Infallible>(Response::new(()))
        });
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(future);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
