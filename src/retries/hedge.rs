//! Hedging: a try that is late is not given up, another is sent beside it, and the first good answer wins.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::RetryOn;
use crate::request_body::TryClone;
use crate::rt::Timer;

/// How late a try may be before another is sent beside it, and how many there may be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HedgePolicy {
    after: Duration,
    attempts: u32,
    on: RetryOn,
}

impl HedgePolicy {
    /// Up to `attempts` tries beside the first, one each time `after` has passed without an answer.
    #[must_use]
    pub const fn new(attempts: u32, after: Duration) -> Self {
        Self {
            after,
            attempts,
            on: RetryOn::istio_default(),
        }
    }

    /// The answers that do not win as long as another try may do better; errors never do. Unless
    /// told they are those of Istio's default retries.
    #[must_use]
    pub fn unless(mut self, on: RetryOn) -> Self {
        self.on = on;
        self
    }
}

/// Wraps services in [`Hedge`].
///
/// It goes beyond Istio and stands in no rule. Requests are sent more than once, so they should be
/// such that this does no harm. What is sent twice is there twice: bodies must be `Clone`, or those of a
/// [`TimeoutLayer`](crate::timeout::TimeoutLayer) around such, which limits all tries together; one that cannot
/// be there twice ([`TryClone`]) is sent once.
///
/// Around [`mesh.client()`](crate::mesh::Mesh::client) each try takes its own way through the mesh
/// and picks its own endpoint.
///
/// ```
/// use std::convert::Infallible;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::time::Duration;
///
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt as _, service_fn};
/// use tower_mesh::retries::{HedgeLayer, HedgePolicy};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Infallible> {
/// static TRIES: AtomicU32 = AtomicU32::new(0);
/// let service = ServiceBuilder::new()
///     .layer(HedgeLayer::new(HedgePolicy::new(1, Duration::from_millis(100))))
///     .service(service_fn(|_: Request<()>| async {
///         if TRIES.fetch_add(1, Ordering::Relaxed) == 0 {
///             std::future::pending::<()>().await;
///         }
///         Ok::<_, Infallible>(Response::new("the second"))
///     }));
/// assert_eq!(service.oneshot(Request::new(())).await?.into_body(), "the second");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HedgeLayer {
    policy: Arc<HedgePolicy>,
}

impl HedgeLayer {
    /// A layer that hedges by this policy.
    #[must_use]
    pub fn new(policy: HedgePolicy) -> Self {
        let policy = Arc::new(policy);
        Self { policy }
    }
}

impl<S> Layer<S> for HedgeLayer {
    type Service = Hedge<S>;

    fn layer(&self, inner: S) -> Hedge<S> {
        Hedge {
            inner,
            policy: self.policy.clone(),
        }
    }
}

/// Sends another try beside one that is late. See [`HedgeLayer`].
#[derive(Clone, Debug)]
pub struct Hedge<S> {
    inner: S,
    policy: Arc<HedgePolicy>,
}

impl<S, B, R> Service<Request<B>> for Hedge<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: TryClone,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = HedgeFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that has been readied is the one to call.
        let clone = self.inner.clone();
        let mut service = std::mem::replace(&mut self.inner, clone);
        let attempts = self.policy.attempts;
        let again = match attempts {
            0 => None,
            _ => B::try_clone_request(&request),
        };
        let first = service.call(request);
        HedgeFuture {
            tries: vec![Box::pin(first)],
            left: if again.is_some() { attempts } else { 0 },
            late: Timer::after(self.policy.after),
            due: false,
            bad: None,
            service,
            again,
            policy: self.policy.clone(),
        }
    }
}

/// The future of a [`Hedge`]; dropping it drops all tries, as the answer of one drops the others.
#[pin_project]
pub struct HedgeFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    tries: Vec<Pin<Box<S::Future>>>,
    /// How many more there may be.
    left: u32,
    late: Timer,
    /// Whether another is to be sent as soon as the service is ready.
    due: bool,
    /// The last answer that did not win.
    bad: Option<Result<Response<R>, S::Error>>,
    service: S,
    /// The request, as it is sent again.
    again: Option<Request<B>>,
    policy: Arc<HedgePolicy>,
}

impl<S, B, R> Future for HedgeFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: TryClone,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        loop {
            let mut won = None;
            this.tries.retain_mut(|attempt| {
                if won.is_some() {
                    return true;
                }
                let Poll::Ready(result) = attempt.as_mut().poll(cx) else {
                    return true;
                };
                let on = &this.policy.on;
                match &result {
                    Ok(it) if !on.retries_response(it.status(), it.headers()) => won = Some(result),
                    _ => *this.bad = Some(result),
                }
                false
            });
            if let Some(won) = won {
                this.tries.clear();
                return Poll::Ready(won);
            }
            if *this.left == 0 {
                // The last one standing may do better.
                return match this.bad.take_if(|_| this.tries.is_empty()) {
                    Some(bad) => Poll::Ready(bad),
                    None => Poll::Pending,
                };
            }
            *this.due |= this.tries.is_empty() || this.late.poll(cx).is_ready();
            if !*this.due {
                return Poll::Pending;
            }
            if let Err(broken) = ready!(this.service.poll_ready(cx)) {
                // No other can be sent; those under way may do well.
                *this.left = 0;
                this.bad.get_or_insert(Err(broken));
                continue;
            }
            let again = match *this.left {
                1 => this.again.take(),
                _ => this.again.as_ref().and_then(B::try_clone_request),
            };
            let Some(again) = again else {
                *this.left = 0;
                continue;
            };
            this.tries.push(Box::pin(this.service.call(again)));
            *this.left -= 1;
            *this.due = false;
            *this.late = Timer::after(this.policy.after);
        }
    }
}

impl<S, B, R> fmt::Debug for HedgeFuture<S, B, R>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeFuture")
            .field("under_way", &self.tries.len())
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll};
    use std::time::Duration;

    use http::{Request, Response};
    use tokio::time::{Instant, sleep};
    use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

    use super::{HedgeLayer, HedgePolicy};
    use crate::retries::RetryOn;

    const AFTER: Duration = Duration::from_millis(100);

    /// What happened to a request whose tries take so long (in milliseconds) and answer so: the
    /// answer, when it came, when tries were sent, and how many are still under way.
    async fn hedge(attempts: u32, script: &'static [(u64, u16)]) -> (u16, u128, Vec<u128>, usize) {
        let began = Instant::now();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let under_way = Arc::new(AtomicUsize::new(0));
        let (noted, counted) = (sent.clone(), under_way.clone());
        let upstream = service_fn(move |_: Request<&'static str>| {
            let mut sent = noted.lock().unwrap();
            let (takes, status) = script[sent.len()];
            sent.push(began.elapsed().as_millis());
            let counted = counted.clone();
            counted.fetch_add(1, Ordering::Relaxed);
            let done = Done(counted);
            async move {
                sleep(Duration::from_millis(takes)).await;
                drop(done);
                match status {
                    0 => Err(std::io::Error::other("refused")),
                    status => Ok(Response::builder().status(status).body(()).unwrap()),
                }
            }
        });
        let policy = HedgePolicy::new(attempts, AFTER).unless(RetryOn::parse("5xx").unwrap());
        let hedge = HedgeLayer::new(policy).layer(upstream);
        let answer = hedge.oneshot(Request::new("again and again")).await;
        let status = answer.map_or(0, |it| it.status().as_u16());
        let sent = sent.lock().unwrap().clone();
        let left = under_way.load(Ordering::Relaxed);
        (status, began.elapsed().as_millis(), sent, left)
    }

    struct Done(Arc<AtomicUsize>);

    impl Drop for Done {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_in_time_is_alone() {
        assert_eq!(hedge(2, &[(50, 200)]).await, (200, 50, vec![0], 0));
        assert_eq!(hedge(0, &[(500, 200)]).await, (200, 500, vec![0], 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_good_answer_wins_whichever_try_it_is_of() {
        let second = hedge(2, &[(9000, 200), (20, 201)]).await;
        assert_eq!(second, (201, 120, vec![0, 100], 0));
        let first = hedge(2, &[(150, 200), (9000, 201)]).await;
        assert_eq!(first, (200, 150, vec![0, 100], 0));
        let third = hedge(2, &[(9000, 200), (9000, 201), (1, 202)]).await;
        assert_eq!(third, (202, 201, vec![0, 100, 200], 0));
    }

    /// A service that takes a request and is broken from then on.
    #[derive(Clone)]
    struct Once(bool);

    impl tower::Service<Request<()>> for Once {
        type Response = Response<()>;
        type Error = std::io::Error;
        type Future = futures::future::BoxFuture<'static, std::io::Result<Response<()>>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(match self.0 {
                true => Err(std::io::Error::other("broken")),
                false => Ok(()),
            })
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            self.0 = true;
            Box::pin(async {
                sleep(AFTER * 3).await;
                Ok(Response::new(()))
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_broken_spares_the_try_under_way() {
        let policy = HedgePolicy::new(2, AFTER);
        let mut hedge = HedgeLayer::new(policy).layer(Once(false));
        let began = Instant::now();
        let answer = hedge.ready().await.unwrap().call(Request::new(())).await;
        assert_eq!(answer.unwrap().status(), 200);
        assert_eq!(began.elapsed(), AFTER * 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_answer_waits_for_a_better_one() {
        let better = hedge(1, &[(150, 503), (200, 200)]).await;
        assert_eq!(better, (200, 300, vec![0, 100], 0));
        let at_once = hedge(1, &[(10, 503), (10, 200)]).await;
        assert_eq!(at_once, (200, 20, vec![0, 10], 0));
        let none = hedge(1, &[(150, 503), (200, 0)]).await;
        assert_eq!(none, (0, 300, vec![0, 100], 0));
    }
}
