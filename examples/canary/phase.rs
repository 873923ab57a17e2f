//! One phase: put its rules in force, send requests, count, and judge the counts.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tower_mesh::context::ResponseFlags;
use tower_mesh::mesh::Mesh;

use crate::rules;
use crate::upstream::Upstream;

const URL: &str = "http://customers.default.svc.cluster.local/";
/// How many requests are under way at a time.
const WORKERS: u64 = 16;
/// How many of a phase's requests are still held when the next phase's rules come into force.
const HELD: u64 = 16;
/// The length of a bar for one version.
const BAR: u64 = 50;

/// What a phase is.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) rules: &'static str,
    /// The share of requests meant for v2.
    pub(crate) v2_percent: u64,
    /// Whether every second request is a tester's, which decides its version for certain.
    pub(crate) testers: bool,
}

impl Phase {
    /// By how many requests v2 may be off: five standard deviations of a fair roll, or none where
    /// no dice are rolled. A fair split fails this once in two million runs.
    fn tolerance(&self, requests: u64) -> u64 {
        if self.testers {
            return 0;
        }
        let share = self.v2_percent as f64 / 100.0;
        (5.0 * (requests as f64 * share * (1.0 - share)).sqrt()).ceil() as u64
    }
}

/// What came of a phase.
#[derive(Default)]
pub(crate) struct Played {
    name: &'static str,
    requests: u64,
    by_version: BTreeMap<&'static str, u64>,
    status: BTreeMap<u16, u64>,
    flags: BTreeMap<String, u64>,
    pub(crate) lost: u64,
    pub(crate) ok: bool,
}

impl Played {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "requests": self.requests,
            "by_version": self.by_version,
            "status": self.status,
            "flags": self.flags,
        })
    }
}

/// How one request ended: its status and flags, or no answer at all.
type Answer = (u16, String);

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
        let mut held = self.send_held();
        tokio::time::timeout(Duration::from_secs(5), self.all_held()).await?;
        let resources = rules(phase.rules, &self.upstreams);
        self.mesh.apply(&resources)?;
        for upstream in &self.upstreams {
            upstream.take_served();
        }

        if !self.quiet {
            println!("\n{}: {}", phase.name, phase.about);
        }
        let sent = Arc::new(AtomicU64::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            let (mesh, sent) = (self.mesh.clone(), sent.clone());
            let (requests, testers) = (self.requests, phase.testers);
            let pause = Duration::from_millis(if self.quiet { 1 } else { 25 });
            workers.spawn(async move { work(&mesh, &sent, requests, testers, pause).await });
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
        let mut played = self.judge(phase, &answers);
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

    fn send_held(&self) -> JoinSet<Option<Answer>> {
        let mut held = JoinSet::new();
        for upstream in &self.upstreams {
            upstream.take_served();
        }
        for _ in 0..HELD {
            let mesh = self.mesh.clone();
            held.spawn(async move {
                let request = Request::get(URL).header("x-hold-millis", "300");
                send(&mesh, request).await
            });
        }
        held
    }

    async fn all_held(&self) {
        while self.upstreams.iter().map(Upstream::served).sum::<u64>() < HELD {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn judge(&self, phase: &Phase, answers: &[Answer]) -> Played {
        let mut played = Played {
            name: phase.name,
            requests: self.requests,
            lost: self.requests - answers.len() as u64,
            ..Played::default()
        };
        for (status, flags) in answers {
            *played.status.entry(*status).or_default() += 1;
            if flags != "-" {
                *played.flags.entry(flags.clone()).or_default() += 1;
            }
        }
        for upstream in &self.upstreams {
            played
                .by_version
                .insert(upstream.version, upstream.served());
        }
        let wanted = self.requests * phase.v2_percent / 100;
        let got = played.by_version.get("v2").copied().unwrap_or_default();
        let all: u64 = played.by_version.values().sum();
        played.ok = got.abs_diff(wanted) <= phase.tolerance(self.requests)
            && all == self.requests
            && played.status.get(&200) == Some(&self.requests);
        played
    }

    fn draw(&self, sent: u64) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        for upstream in &self.upstreams {
            let served = upstream.served();
            let length = served * BAR / self.requests.max(1);
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
        let wanted = self.requests * phase.v2_percent / 100;
        let tolerance = phase.tolerance(self.requests);
        let verdict = if played.ok { "ok" } else { "NOT ok" };
        let status = &played.status;
        let (requests, lost) = (self.requests, played.lost);
        println!(
            "  {requests} requests, {lost} lost, status {status:?}; \
             v2 wanted {wanted} ± {tolerance}: {verdict}"
        );
    }
}

/// Sends requests until enough have been sent; gives the answers.
async fn work(
    mesh: &Mesh,
    sent: &AtomicU64,
    requests: u64,
    testers: bool,
    pause: Duration,
) -> Vec<Answer> {
    let mut answers = Vec::new();
    loop {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        if number >= requests {
            return answers;
        }
        let mut request = Request::get(URL);
        if testers && number % 2 == 1 {
            request = request.header("user", "debug");
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
