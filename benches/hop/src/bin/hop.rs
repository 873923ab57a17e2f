//! What a mesh costs between a hyper client and a hyper server on loopback: a program `ci/perf` runs.
//!
//! ```text
//! hop ROUNDS       prints the processor time of this process for each request without a mesh, with
//!                  one, and their ratio: the median of the rounds, each of which runs both side by
//!                  side, and between which figures half of the rounds lie
//! hop without N    16 N requests without a mesh, for callgrind to count the instructions of
//! hop with N       the same with one
//! ```
//!
//! Client and server are in this process, on a thread each; 16 requests are under way at a time, each
//! on a connection that is kept. Both ways end in hyper; the mesh has ten routes, a split, a timeout
//! and a header each way. Only the ratio says anything: a time alone is this machine's.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tower_mesh_hop::mesh;

const UNDER_WAY: usize = 16;
/// Of each of those, in a round.
const REQUESTS: usize = 2_000;

/// Serves for as long as the process lives.
fn serve() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let answer = service_fn(|_| async {
                    Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("hello")))
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
    });
    told.recv().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Nanoseconds all threads of this process were on a processor.
fn on_processor() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let time = |thread: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    threads.filter_map(time).sum()
}

/// Sends requests, so many of each task.
async fn run<F>(send: &(impl Fn() -> F + Clone + 'static), count: usize)
where
    F: Future<Output = ()> + 'static,
{
    let task = |_| {
        let send = send.clone();
        tokio::task::spawn_local(async move {
            for _ in 0..count {
                send().await;
            }
        })
    };
    let tasks: Vec<_> = (0..UNDER_WAY).map(task).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Processor time of a request, where `send` sends one.
async fn cost<F>(send: &(impl Fn() -> F + Clone + 'static)) -> f64
where
    F: Future<Output = ()> + 'static,
{
    // Connections are there before anything is counted.
    run(send, 50).await;
    let before = on_processor();
    run(send, REQUESTS).await;
    (on_processor() - before) as f64 / (UNDER_WAY * REQUESTS) as f64
}

/// The median and both quartiles.
fn quartiles(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    [2, 1, 3].map(|quarter| figures[(figures.len() - 1) * quarter / 4])
}

async fn expect_hello<B>(response: Response<B>)
where
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "hello");
}

fn main() {
    let address = serve();
    let client: Client<HttpConnector, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let uri: Uri = format!("http://{address}/a/b?c=d").parse().unwrap();
    let without = move || {
        let (client, uri) = (client.clone(), uri.clone());
        async move {
            let mut request = Request::new(Empty::new());
            *request.uri_mut() = uri;
            expect_hello(client.request(request).await.unwrap()).await;
        }
    };
    let client = mesh("shop.example.com", address.port()).client();
    let with = move || {
        let client = client.clone();
        async move {
            let mut request = Request::new(Empty::<Bytes>::new());
            *request.uri_mut() = Uri::from_static("http://shop.example.com/a/b?c=d");
            expect_hello(client.send(request).await.unwrap()).await;
        }
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    tokio::task::LocalSet::new().block_on(&runtime(), async move {
        match words.as_slice() {
            ["without", count] => run(&without, count.parse().unwrap()).await,
            ["with", count] => run(&with, count.parse().unwrap()).await,
            [rounds] => {
                let mut costs: Vec<(f64, f64)> = Vec::new();
                for round in 0..rounds.parse::<usize>().unwrap() {
                    // Whoever comes first has no advantage of it.
                    costs.push(match round % 2 {
                        0 => (cost(&without).await, cost(&with).await),
                        _ => {
                            let with = cost(&with).await;
                            (cost(&without).await, with)
                        }
                    });
                }
                let print = |name, of: fn(&(f64, f64)) -> f64| {
                    let [median, low, high] = quartiles(costs.iter().map(of).collect());
                    println!("{name} {median:.3} ({low:.3} to {high:.3})");
                };
                print("without", |it| it.0);
                print("with", |it| it.1);
                print("ratio", |it| it.1 / it.0);
            }
            _ => println!("hop ROUNDS | without N | with N"),
        }
    });
}
