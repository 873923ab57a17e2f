//! A reverse proxy that behaves like a sidecar's outbound HTTP listener, or like a gateway.
//!
//! ```text
//! cargo run --example gateway -- --config examples/canary/mesh.yaml --listen 127.0.0.1:8080
//! curl -H 'host: customers.default.svc.cluster.local' http://127.0.0.1:8080/
//! ```
//!
//! It prints `listening on ADDR` once it is ready and reads changed files anew;
//! a bad configuration is printed and the last good one stays in force.
//!
//! As a gateway (`--gateway NS/NAME`) it faces strangers: it notes in `x-forwarded-for` who
//! connected, and believes what requests say of where they come from only as far as
//! `--trusted-hops` says. As a sidecar it believes the application beside it.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

#[path = "../support/mod.rs"]
mod support;

mod access_log;
mod admin;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tower::util::{Either, option_layer};
use tower::{Layer as _, Service as _};
use tower_mesh::context::Connection;
use tower_mesh::mesh::{Edge, EdgeLayer, Forward, Mesh};
use tower_mesh::transport::HttpTransport;

use support::Options;

/// A proxy that routes by Istio YAML, as a sidecar does.
#[derive(Debug, Parser)]
#[command(name = "gateway", version)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The address to listen on
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The port requests count as addressed to
    #[arg(long, default_value_t = 80, value_name = "N")]
    port: u16,
    /// How many proxies in front of a gateway append to x-forwarded-for and are trusted
    #[arg(long, default_value_t = 0, requires = "gateway", value_name = "N")]
    trusted_hops: usize,
    /// Where to write a JSON object for each request; - is the standard output
    #[arg(long, value_name = "FILE|-")]
    access_log: Option<PathBuf>,
    /// Where to tell what is known of destinations, as JSON at /clusters; whoever connects may read
    #[arg(long, value_name = "ADDR")]
    insecure_admin: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let options = arguments.options;
    let stamp = stamp(&options);
    let (mesh, report) = options.builder().resources(options.read()?).build()?;
    support::print_diagnostics(report.diagnostics());
    // As a sidecar, it listens once it has asked for all names.
    mesh.ready().await;
    if let Some(path) = &arguments.access_log {
        access_log::open(path)?;
    }
    let listener = TcpListener::bind(arguments.listen).await?;
    tell(&format!("listening on {}", listener.local_addr()?));
    if let Some(address) = arguments.insecure_admin {
        let address = admin::serve(address, mesh.clone()).await?;
        tell(&format!("admin on {address}"));
    }

    let edge = EdgeLayer::new().trusted_hops(arguments.trusted_hops);
    let edge = options.gateway.is_some().then_some(edge);
    tokio::spawn(reload(mesh.clone(), options, stamp));
    let forward = option_layer(edge).layer(mesh.forward().port(arguments.port));
    tokio::select! {
        result = serve(listener, forward) => result?,
        signal = tokio::signal::ctrl_c() => signal?,
    }
    Ok(())
}

/// At an edge, or not.
type Proxy = Either<Edge<Forward<HttpTransport>>, Forward<HttpTransport>>;

async fn serve(listener: TcpListener, forward: Proxy) -> std::io::Result<()> {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            // A client that left before it was accepted, or no descriptor to spare: go on.
            Err(error) => {
                eprintln!("gateway: {error}");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        // A client that has left already is no reason to stop.
        let _ = stream.set_nodelay(true);
        let forward = forward.clone();
        let connection = stream.local_addr().ok().map(|local| Connection {
            remote: peer,
            local,
        });
        let service = service_fn(move |mut request: Request<Incoming>| {
            let mut forward = forward.clone();
            // What an edge and `useSourceIp` go by.
            if let Some(connection) = connection {
                request.extensions_mut().insert(connection);
            }
            forward.call(request)
        });
        tokio::spawn(async move {
            let mut server = auto::Builder::new(TokioExecutor::new());
            server
                .http1()
                .timer(TokioTimer::new())
                .max_buf_size(64 << 10);
            server
                .http2()
                .timer(TokioTimer::new())
                .max_header_list_size(60 << 10);
            let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                eprintln!("gateway: {peer}: {error}");
            }
        });
    }
}

/// Prints a line; nobody reading it must not end what is under way.
fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Applies the files anew whenever one of them has changed.
async fn reload(mesh: Mesh, options: Options, mut known: Vec<(PathBuf, Option<SystemTime>, u64)>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(250));
    loop {
        ticks.tick().await;
        let now = stamp(&options);
        if now == known {
            continue;
        }
        known = now;
        let resources = match options.read() {
            Ok(resources) => resources,
            Err(error) => {
                eprintln!("gateway: {error}; the last good configuration stays in force");
                continue;
            }
        };
        match mesh.apply(&resources) {
            Ok(report) => {
                support::print_diagnostics(report.diagnostics());
                tell("reloaded");
            }
            Err(found) => {
                support::print_diagnostics(&found);
                eprintln!("gateway: the last good configuration stays in force");
            }
        }
    }
}

/// What tells one state of the files from another.
fn stamp(options: &Options) -> Vec<(PathBuf, Option<SystemTime>, u64)> {
    let files = options.files().unwrap_or_default();
    let look = |file: PathBuf| {
        let about = std::fs::metadata(&file).ok();
        let modified = about.as_ref().and_then(|it| it.modified().ok());
        (file, modified, about.map_or(0, |it| it.len()))
    };
    files.into_iter().map(look).collect()
}
