//! Drawn tables under both sides: every answer compared, chance taken out of it, differences
//! shrunk, and what was drawn counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::cases::translated;
use super::compare::{self, AGAIN, Difference, differences, is_of_time};
use super::deliberate;
use super::exchange::{Observation, Request, exchange_many};
use super::generate::fields::Counts;
use super::generate::{self, Batch, Dice, REQUESTS, Table, renamed};
use super::shrink;
use super::sidecar::Sidecar;
use super::translate::{Client, Translation};
use super::{number, say, upstream};

/// The most differences that are shrunk and told; the rest is counted.
const MAX_REPORTS: usize = 12;
/// How often a request is sent again until both sides have rolled the same destination.
const ROUNDS: usize = 16;
/// How many times at once.
const ROLLS: usize = 8;
/// How far apart the seeds of workers are.
const SEEDS: u64 = 1_000_000;
/// How many comparisons are made between two words of progress.
const PROGRESS: u64 = 50_000;

/// Which program Envoy is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Other {
    Gateway,
    Envoy,
}

/// Both sides, and the configuration they have.
pub(crate) struct Sides {
    envoy: Option<Sidecar>,
    other: Option<Sidecar>,
    kind: Other,
    translation: Translation,
    /// The routes that leave the destination to the dice.
    splits: BTreeSet<String>,
}

impl Sides {
    fn new(kind: Other) -> Self {
        let translation = translated("drawn", "", &generate::client(true));
        Self {
            envoy: None,
            other: None,
            kind,
            translation,
            splits: BTreeSet::new(),
        }
    }

    pub(crate) fn configure(&mut self, yaml: &str, client: &Client) {
        self.translation = translated("drawn", yaml, client);
        self.splits = splits(&self.translation);
        let translation = &self.translation;
        let swapped = |side: Option<Sidecar>, letter| match side {
            None => Sidecar::envoy(letter, translation),
            Some(mut side) => {
                side.swap(translation);
                side
            }
        };
        let (envoy, other) = (self.envoy.take(), self.other.take());
        let (envoy, other) = std::thread::scope(|scope| {
            let envoy = scope.spawn(|| swapped(envoy, 'e'));
            let other = match self.kind {
                Other::Envoy => swapped(other, 'f'),
                Other::Gateway => {
                    drop(other);
                    Sidecar::gateway('g', yaml, client)
                }
            };
            (envoy.join().expect("Envoy takes the rules"), other)
        });
        (self.envoy, self.other) = (Some(envoy), Some(other));
    }

    fn both(&mut self) -> (&mut Sidecar, &mut Sidecar) {
        let both = self.envoy.as_mut().zip(self.other.as_mut());
        both.expect("configured before")
    }

    /// The answers of both sides to each request, rolled until they go to the same destination.
    fn answers(&mut self, requests: &[Request]) -> Vec<(Observation, Observation)> {
        let (envoy, other) = self.both();
        let (one, another) = std::thread::scope(|scope| {
            let one = scope.spawn(|| exchange_many(envoy, requests));
            let another = exchange_many(other, requests);
            (one.join().expect("the exchange with Envoy"), another)
        });
        let mut answers: Vec<_> = one.into_iter().zip(another).collect();
        for _ in 0..ROUNDS {
            let rolled_otherwise = |at: &usize| {
                let (envoy, other) = &answers[*at];
                self.is_split(envoy) && !self.unexcused(&requests[*at], envoy, other).0.is_empty()
            };
            let open: Vec<usize> = (0..answers.len()).filter(rolled_otherwise).collect();
            if open.is_empty() {
                break;
            }
            let rolls = open
                .iter()
                .flat_map(|at| std::iter::repeat_n(requests[*at].clone(), ROLLS));
            let rolls: Vec<Request> = rolls.collect();
            let other = self.other.as_mut().expect("configured before");
            let rolled = exchange_many(other, &rolls);
            for (at, rolled) in open.iter().zip(rolled.chunks(ROLLS)) {
                let (envoy, _) = &answers[*at];
                let near = |it: &&Observation| self.unexcused(&requests[*at], envoy, it).0.len();
                if let Some(nearest) = rolled.iter().min_by_key(near) {
                    answers[*at].1 = nearest.clone();
                }
            }
        }
        answers
    }

    /// Whether the route that Envoy took leaves the destination to the dice.
    fn is_split(&self, envoy: &Observation) -> bool {
        let route = envoy.get("log.route_name").map_or("", |it| it);
        self.splits.contains(route)
    }

    /// The differences of two answers that are not deliberate, and the reasons of those that are.
    fn unexcused(
        &self,
        request: &Request,
        envoy: &Observation,
        other: &Observation,
    ) -> (Vec<Difference>, Vec<&'static str>) {
        let mut found = differences(envoy, other, &self.translation.endpoints);
        let excused = match self.kind {
            Other::Gateway => deliberate::excuse(request, envoy, other, &mut found),
            Other::Envoy => Vec::new(),
        };
        (found, excused)
    }

    /// All differences of one request that are not deliberate.
    ///
    /// Where a limit of time has decided one of the answers, both are asked for again.
    pub(crate) fn found(
        &mut self,
        request: &Request,
        mut answers: (Observation, Observation),
        tally: &mut BTreeMap<&'static str, u64>,
    ) -> Vec<Difference> {
        for again in 0..=AGAIN {
            let (envoy, other) = &answers;
            let (found, excused) = self.unexcused(request, envoy, other);
            if found.is_empty() || again == AGAIN || !is_of_time(envoy, other, &found) {
                for reason in excused {
                    *tally.entry(reason).or_default() += 1;
                }
                if again > 0 && found.is_empty() {
                    *tally
                        .entry("equal when sent again: a time limit")
                        .or_default() += 1;
                }
                return found;
            }
            answers = self.answers(std::slice::from_ref(request)).remove(0);
        }
        Vec::new()
    }

    /// Whether a request is answered differently under a configuration.
    pub(crate) fn differs(&mut self, request: &Request) -> Vec<Difference> {
        let answers = self.answers(std::slice::from_ref(request)).remove(0);
        self.found(request, answers, &mut BTreeMap::new())
    }
}

/// The ports of a cluster's endpoints.
fn ports(cluster: &Value) -> Vec<u64> {
    let places = cluster["load_assignment"]["endpoints"].as_array();
    let endpoints = places.into_iter().flatten();
    let endpoints = endpoints.flat_map(|it| it["lb_endpoints"].as_array().into_iter().flatten());
    let port = |it: &Value| {
        it.pointer("/endpoint/address/socket_address/port_value")?
            .as_u64()
    };
    endpoints.filter_map(port).collect()
}

/// The names of the routes that leave something to the dice.
fn splits(translation: &Translation) -> BTreeSet<String> {
    let hosts = translation.routes["virtual_hosts"].as_array();
    let routes = hosts.into_iter().flatten();
    let routes = routes.flat_map(|host| host["routes"].as_array().into_iter().flatten());
    // Where a request has no key for a ring or a table, the dice choose an endpoint. Which of some
    // endpoints it was shows where not all of them answer.
    let shows = |cluster: &&Value| {
        let ports = ports(cluster);
        let is_keyed = matches!(cluster["lb_policy"].as_str(), Some("RING_HASH" | "MAGLEV"));
        is_keyed || (ports.len() > 1 && !ports.iter().all(|port| upstream::answers(*port)))
    };
    let shown: BTreeSet<&str> = translation
        .clusters
        .iter()
        .filter(shows)
        .filter_map(|it| it["name"].as_str())
        .collect();
    let is_split = |route: &&Value| {
        let weighted = route["route"]["weighted_clusters"]["clusters"].as_array();
        let names = weighted.into_iter().flatten().map(|it| &it["name"]);
        let names = names.chain([&route["route"]["cluster"]]);
        let names: Vec<&str> = names.filter_map(Value::as_str).collect();
        let mirrors = route["route"]["request_mirror_policies"].as_array();
        let mut mirrors = mirrors
            .into_iter()
            .flatten()
            .filter_map(|it| it["cluster"].as_str());
        names.len() > 1
            || names.iter().any(|it| shown.contains(it))
            || mirrors.any(|it| {
                shown.contains(it) || translation.endpoints.get(it).is_some_and(|it| *it > 1)
            })
    };
    let name = |route: &Value| route["name"].as_str().unwrap_or_default().to_owned();
    routes.filter(is_split).map(name).collect()
}

/// What a run has seen.
#[derive(Default)]
struct Seen {
    compared: u64,
    differing: u64,
    counts: Counts,
    statuses: BTreeMap<String, u64>,
    details: BTreeMap<String, u64>,
    excused: BTreeMap<&'static str, u64>,
    reports: Vec<String>,
    all: Vec<Difference>,
}

impl Seen {
    fn outcome(&mut self, envoy: &Observation) {
        let mut add = |to: fn(&mut Self) -> &mut BTreeMap<String, u64>, field: &str| {
            let value = envoy.get(field).cloned().unwrap_or_default();
            // What stands behind a brace is of one request.
            let value = value.split('{').next().unwrap_or_default().to_owned();
            *to(self).entry(value).or_default() += 1;
        };
        add(|seen| &mut seen.statuses, "status");
        add(|seen| &mut seen.details, "log.response_code_details");
    }

    /// Compares all answers of a batch; how many there are.
    fn batch(&mut self, sides: &mut Sides, batch: &Batch, run: &Run<'_>) -> u64 {
        sides.configure(&batch.yaml(), &batch.client);
        let requests: Vec<_> = batch.requests.iter().map(|(_, it)| it.clone()).collect();
        let answers = sides.answers(&requests);
        let mut differing: Vec<(usize, Vec<Difference>)> = Vec::new();
        let envoy: Vec<Observation> = answers.iter().map(|(one, _)| one.clone()).collect();
        for (at, (request, answers)) in requests.iter().zip(answers).enumerate() {
            self.compared += 1;
            self.outcome(&answers.0);
            let found = sides.found(request, answers, &mut self.excused);
            if !found.is_empty() {
                differing.push((at, found));
            }
        }
        self.deciding(batch, &envoy, sides);
        for (at, found) in differing {
            self.differing += 1;
            let fields: BTreeSet<String> = found.iter().map(|it| it.field.clone()).collect();
            // What differs in the same fields has, most often, the same cause.
            let is_new = {
                let mut told = run.told.lock().expect("no worker panicked");
                told.len() < MAX_REPORTS && told.insert(fields)
            };
            if is_new {
                let (table, request) = &batch.requests[at];
                let title = format!("drawn with TOWER_MESH_SEED={}", run.seed);
                let table = &batch.tables[*table];
                let shrunk = shrink::shrink(sides, &batch.client, table, request, &found);
                self.reports.push(shrunk.report(&title));
                say(self.reports.last().expect("one was added"));
            }
            self.all.extend(found);
        }
        requests.len() as u64
    }

    /// Adds what another worker has seen.
    fn join(&mut self, other: Self) {
        self.compared += other.compared;
        self.differing += other.differing;
        self.counts.join(other.counts);
        for (sums, counts) in [
            (&mut self.statuses, other.statuses),
            (&mut self.details, other.details),
        ] {
            for (value, count) in counts {
                *sums.entry(value).or_default() += count;
            }
        }
        for (reason, count) in other.excused {
            *self.excused.entry(reason).or_default() += count;
        }
        self.reports.extend(other.reports);
        self.all.extend(other.all);
    }

    /// Counts the fields that make Envoy answer a table's twin otherwise.
    fn deciding(&mut self, batch: &Batch, envoy: &[Observation], sides: &Sides) {
        for (at, (table, _)) in batch.requests.iter().enumerate() {
            let table = &batch.tables[*table];
            let Some((_, field)) = &table.twin_of else {
                continue;
            };
            let (plain, twin) = (&envoy[at - REQUESTS], &envoy[at]);
            let plain = plain
                .iter()
                .map(|(name, value)| (name.clone(), renamed(value, table.number)));
            let plain: Observation = plain.collect();
            // The dice may have decided that.
            let is_chance = sides.is_split(&plain) || sides.is_split(twin);
            if !is_chance && !differences(&plain, twin, &sides.translation.endpoints).is_empty() {
                self.counts.decided(field);
            }
        }
    }
}

/// Draws tables until enough requests are compared, and fails if any differs.
///
/// Several workers each have both programs to themselves, and draw from a seed of their own.
pub(crate) fn compare(count: u64, kind: Other) {
    let (seed, workers) = (
        number("TOWER_MESH_SEED", 1),
        number("TOWER_MESH_WORKERS", 2),
    );
    let started = tokio::time::Instant::now();
    let compared = AtomicU64::new(0);
    let told = Mutex::default();
    let seen = std::thread::scope(|scope| {
        let work = |worker: u64| {
            let run = Run {
                seed: seed.wrapping_add(worker * SEEDS),
                count,
                kind,
                compared: &compared,
                told: &told,
            };
            scope.spawn(move || run.compare())
        };
        let workers: Vec<_> = (0..workers.max(1)).map(work).collect();
        let mut all = Seen::default();
        for worker in workers {
            all.join(worker.join().expect("a worker"));
        }
        all
    });
    finish(&seen, seed, kind, started.elapsed().as_secs_f64());
}

/// What one worker does.
struct Run<'a> {
    seed: u64,
    /// How many comparisons all are to make together.
    count: u64,
    kind: Other,
    compared: &'a AtomicU64,
    /// The sets of fields that are told already.
    told: &'a Mutex<BTreeSet<BTreeSet<String>>>,
}

impl Run<'_> {
    fn compare(&self) -> Seen {
        let (mut sides, mut seen) = (Sides::new(self.kind), Seen::default());
        let counts = std::thread::scope(|scope| {
            // The next batch is drawn while one is compared.
            let (give, batches) = std::sync::mpsc::sync_channel(1);
            let drawing = scope.spawn(move || {
                let (mut dice, mut counts) = (Dice::new(self.seed), Counts::default());
                while give.send(generate::batch(&mut dice, &mut counts)).is_ok() {}
                counts
            });
            for batch in &batches {
                let more = seen.batch(&mut sides, &batch, self);
                let before = self.compared.fetch_add(more, Ordering::Relaxed);
                if before / PROGRESS != (before + more) / PROGRESS {
                    say(&format!("compared {} so far", before + more));
                }
                if before + more >= self.count {
                    break;
                }
            }
            drop(batches);
            drawing.join().expect("the next tables")
        });
        seen.counts.join(counts);
        seen
    }
}

fn finish(seen: &Seen, seed: u64, kind: Other, seconds: f64) {
    let Seen {
        compared,
        differing,
        counts,
        statuses,
        details,
        excused,
        ..
    } = seen;
    let rate = *compared as f64 / seconds;
    if kind == Other::Gateway {
        say(&counts.text());
    }
    say(&format!(
        "statuses {statuses:?}\ndetails {details:?}\ndeliberate {excused:#?}"
    ));
    say(&format!(
        "drawn: compared {compared}, differing {differing} (seed {seed}, {rate:.0} a second)"
    ));
    assert!(
        *differing == 0,
        "{differing} of {compared} differ\n{}\n{}",
        seen.reports.join("\n"),
        compare::tally(seen.all.iter()),
    );
    // A suite that never gets past the gate proves nothing.
    let is_enough = |status: &str, share: u64| {
        statuses
            .get(status)
            .is_some_and(|hits| hits * share > *compared)
    };
    assert!(is_enough("200", 5), "{statuses:?}");
    assert!(
        is_enough("404", 100) && is_enough("503", 100),
        "{statuses:?}"
    );
    let missing = counts.missing(*compared >= 200_000);
    assert!(
        missing.is_empty(),
        "never drawn, or never decided: {missing:?}"
    );
}

/// One table with its client, for [`shrink`].
pub(crate) fn alone(sides: &mut Sides, client: &Client, table: &Table) {
    sides.configure(
        &generate::configuration(std::slice::from_ref(table)),
        client,
    );
}
