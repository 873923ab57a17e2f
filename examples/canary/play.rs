//! Plays a phase: puts its rules in force, sends requests, counts and draws.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use tokio::task::JoinSet;
use tower_mesh::context::ResponseFlags;
use tower_mesh::mesh::Mesh;

use crate::phase::{Answer, Carry, Phase, Played, Served};
use crate::rules;
use crate::upstream::Upstream;

const URL: &str = "http://customers.default.svc.cluster.local/";
/// How many requests are under way at a time.
const WORKERS: u64 = 16;
/// How many of a phase's requests are still held when the next phase's rules come into force.
const HELD: u64 = 16;
/// The length of a bar for one version.
const BAR: u64 = 50;

/// Everything the phases share.
pub(crate) struct Play {
    pub(crate) mesh: Mesh,
    pub(crate) upstreams: [Upstream; 2],
    pub(crate) requests: u64,
    /// Redraw the bars while requests go out.
    pub(crate) live: bool,
    pub(crate) quiet: bool,
}

impl Play {
    /// Plays one phase to its end.
    pub(crate) async fn phase(&mut self, phase: &Phase) -> Result<Played, Box<dyn Error>> {
        // Requests that are under way while the rules change: begun under the old ones, counted
        // there by nobody, and lost by nobody either.
        let mut held = JoinSet::new();
        if phase.held {
            self.hold(&mut held).await?;
        }
        let resources = rules(phase.rules, &self.upstreams);
        self.mesh.apply(&resources)?;
        for upstream in &self.upstreams {
            upstream.begin();
        }

        if !self.quiet {
            println!("\n{}: {}", phase.name, phase.about);
        }
        let sent = Arc::new(AtomicU64::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            let (mesh, sent) = (self.mesh.clone(), sent.clone());
            let (requests, carry) = (self.requests, phase.carry);
            let pause = Duration::from_millis(if self.quiet { 1 } else { 25 });
            workers.spawn(async move { work(&mesh, &sent, requests, carry, pause).await });
        }
        let mut answers = Vec::new();
        let mut redraw = tokio::time::interval(Duration::from_millis(50));
        loop {
            tokio::select! {
                joined = workers.join_next() => match joined {
                    Some(joined) => answers.extend(joined?),
                    None => break,
                },
                _ = redraw.tick() => {
                    // The same rules again, live: nothing may be lost, nothing may change.
                    self.mesh.apply(&resources)?;
                    if self.live {
                        self.draw(sent.load(Ordering::Relaxed).min(self.requests))?;
                        print!("\x1b[2A");
                    }
                }
            }
        }
        if phase.served == Served::ByBoth {
            // Nobody waits for a mirrored request but this.
            self.all_served(phase.wanted(self.requests, 0)).await;
        }
        let by_version = self.upstreams.iter().map(|it| (it.version, it.served()));
        let mut played = phase.judge(self.requests, &answers, by_version.collect());
        while let Some(joined) = held.join_next().await {
            let answered = joined?.is_some_and(|(status, _)| status == 200);
            played.lost += u64::from(!answered);
        }
        played.ok &= played.lost == 0;
        if !self.quiet {
            self.draw(self.requests)?;
            self.tell(phase, &played);
        }
        Ok(played)
    }

    /// Sends requests that are answered late, and waits until all have arrived.
    async fn hold(&self, held: &mut JoinSet<Option<Answer>>) -> Result<(), Box<dyn Error>> {
        for upstream in &self.upstreams {
            upstream.begin();
        }
        for _ in 0..HELD {
            let mesh = self.mesh.clone();
            held.spawn(async move {
                let request = Request::get(URL).header("x-hold-millis", "300");
                send(&mesh, request).await
            });
        }
        match self.all_served(HELD).await {
            true => Ok(()),
            false => Err("the requests to be held did not arrive within 5 seconds".into()),
        }
    }

    /// Waits until the versions have seen this many requests, 5 seconds at most.
    async fn all_served(&self, requests: u64) -> bool {
        let all = async {
            while self.upstreams.iter().map(Upstream::served).sum::<u64>() < requests {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), all)
            .await
            .is_ok()
    }

    fn draw(&self, sent: u64) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        for upstream in &self.upstreams {
            let served = upstream.served();
            let length = (served * BAR / self.requests.max(1)).min(BAR);
            let bar = "█".repeat(usize::try_from(length).unwrap_or(0));
            let share = served as f64 * 100.0 / sent.max(1) as f64;
            let version = upstream.version;
            writeln!(
                out,
                "\x1b[2K  {version} {bar:<50} {served:>6}  {share:5.1} %"
            )?;
        }
        out.flush()
    }

    fn tell(&self, phase: &Phase, played: &Played) {
        let all: u64 = played.by_version.values().sum();
        let (wanted, tolerance) = (phase.v2.of(all), phase.v2.tolerance(all));
        print!(
            "  {} requests, {} lost, status {:?}; v2 wanted {wanted} ± {tolerance}",
            self.requests, played.lost, played.status
        );
        if let Some(mark) = &phase.marked {
            let wanted = mark.share.of(self.requests);
            let tolerance = mark.share.tolerance(self.requests);
            let got = played.flags.get(mark.flags).copied().unwrap_or_default();
            print!("; {} {got}, wanted {wanted} ± {tolerance}", mark.flags);
        }
        println!(": {}", if played.ok { "ok" } else { "NOT ok" });
    }
}

/// Sends requests until enough have been sent; gives the answers.
async fn work(
    mesh: &Mesh,
    sent: &AtomicU64,
    requests: u64,
    carry: Carry,
    pause: Duration,
) -> Vec<Answer> {
    let mut answers = Vec::new();
    loop {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        if number >= requests {
            return answers;
        }
        let mut request = Request::get(URL);
        match carry {
            Carry::Tester if number % 2 == 1 => request = request.header("user", "debug"),
            Carry::Slow if number % 2 == 1 => request = request.header("x-hold-millis", "1000"),
            Carry::FailOnce if number.is_multiple_of(3) => {
                request = request.header("x-fail-once", number);
            }
            Carry::Nothing | Carry::Tester | Carry::Slow | Carry::FailOnce => {}
        }
        answers.extend(send(mesh, request).await);
        tokio::time::sleep(pause).await;
    }
}

async fn send(mesh: &Mesh, request: http::request::Builder) -> Option<Answer> {
    let request = request.body(Empty::<Bytes>::new()).ok()?;
    match mesh.client().send(request).await {
        Ok(response) => {
            let status = response.status().as_u16();
            let flags = ResponseFlags::of(&response).to_string();
            response.into_body().collect().await.ok()?;
            Some((status, flags))
        }
        Err(error) => Some((error.reply().status.as_u16(), error.flags().to_string())),
    }
}
