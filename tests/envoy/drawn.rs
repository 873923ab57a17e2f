//! Drawn tables under both sides: every answer compared, chance taken out of it, differences
//! shrunk, and what was drawn counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compare::{self, Difference, differences};
use super::deliberate;
use super::exchange::Observation;
use super::generate::fields::Counts;
use super::generate::{self, Batch, Dice, REQUESTS, renamed};
use super::shrink;
use super::sides::Sides;
use super::{number, say};

/// The most differences that are shrunk and told; the rest is counted.
const MAX_REPORTS: usize = 12;
/// How far apart the seeds of workers are.
const SEEDS: u64 = 1_000_000;
/// Why an answer of Envoy's is not compared, but the one it usually gives.
const SELDOM: &str = "another of Envoy's rolls: its dice seldom fall like that";
/// The most of those, of so many comparisons one.
const SELDOM_IN: u64 = 10_000;
/// From so many comparisons on, each field must have decided.
const DECIDING: u64 = 500_000;
/// How many requests of a batch Envoy is asked again, to see whether a field or the dice decide.
const MAX_ASKED: usize = 6;
/// How many of those rolls make an answer a frequent one.
const FREQUENT: usize = 6;
/// How many comparisons are made between two words of progress.
const PROGRESS: u64 = 50_000;

/// Which program Envoy is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Other {
    Gateway,
    Envoy,
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
    fn deciding(&mut self, batch: &Batch, envoy: &[Observation], sides: &mut Sides) {
        let mut asked = 0;
        for (at, (table, request)) in batch.requests.iter().enumerate() {
            let table = &batch.tables[*table];
            let Some((_, field)) = &table.twin_of else {
                continue;
            };
            let renamed = |plain: &Observation| -> Observation {
                let plain = plain.iter();
                plain
                    .map(|(name, value)| (name.clone(), renamed(value, table.number)))
                    .collect()
            };
            let (plain, twin) = (renamed(&envoy[at - REQUESTS]), &envoy[at]);
            if !sides.is_rolled(&plain) && !sides.is_rolled(twin) {
                if !sides.is_same(&plain, twin) {
                    self.counts.decided(field);
                }
                continue;
            }
            // The dice may have decided; then what one often gives the other gives too.
            let is_open = asked < MAX_ASKED && !self.counts.has_decided(field);
            if !is_open || differences(&plain, twin, &BTreeMap::new()).is_empty() {
                continue;
            }
            asked += 1;
            let of_plain = sides.rolls_of_envoy(&batch.requests[at - REQUESTS].1);
            let of_plain: Vec<Observation> = of_plain.iter().map(renamed).collect();
            let of_twin = sides.rolls_of_envoy(request);
            if !has_of_its_own(&of_plain, &of_twin) && !has_of_its_own(&of_twin, &of_plain) {
                continue;
            }
            self.counts.decided(field);
        }
    }
}

/// Whether some of a request's answers is a frequent one, and none of another request's: of
/// [`ROLLS_OF_ENVOY`](super::sides::ROLLS_OF_ENVOY) of the same dice once in some thousand times.
fn has_of_its_own(one: &[Observation], other: &[Observation]) -> bool {
    let nowhere = BTreeMap::new();
    let like = |one: &Observation, all: &[Observation]| {
        let like = all
            .iter()
            .filter(|it| differences(one, it, &nowhere).is_empty());
        like.count()
    };
    one.iter()
        .any(|it| like(it, other) == 0 && like(it, one) >= FREQUENT)
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
        seen.excused.insert(SELDOM, sides.seldom);
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
    let seldom = excused.get(SELDOM).copied().unwrap_or_default();
    assert!(seldom <= 2 + compared / SELDOM_IN, "{seldom} rare rolls");
    // A difference that is gone is to be told no longer.
    let unneeded = match *compared >= DECIDING {
        true => deliberate::unneeded(excused),
        false => Vec::new(),
    };
    assert!(unneeded.is_empty(), "no longer different: {unneeded:?}");
    let missing = counts.missing(*compared >= DECIDING);
    assert!(
        missing.is_empty(),
        "never drawn, or never decided: {missing:?}"
    );
}
