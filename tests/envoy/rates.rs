//! Who does worse than the others, or fails too often: what Envoy makes of the answers of an interval,
//! and what [`OutlierDetection`] makes of the same. Rules have no words for either, so the answers are
//! told to it here, and Envoy's endpoints answer by a script.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tower_mesh::endpoint::{Address, Endpoint};
use tower_mesh::outlier_detection::{
    FailurePercentage, Outcome, OutlierDetection, OutlierDetectionPolicy, SuccessRate,
};

use super::cases::translated;
use super::exchange::Request;
use super::generate;
use super::outliers::served;
use super::scripted::{Act, Scripted, Speaks, Step};
use super::sidecar::Sidecar;
use super::wire::{self, Connection};

/// All answers are to lie in one.
const INTERVAL: Duration = Duration::from_secs(3);
/// An interval may end among the answers; then nobody has enough, and all begins again.
const AGAIN: usize = 4;

/// So many answers of each endpoint, how many of them are good, and who is out then.
struct Row {
    volume: usize,
    good: &'static [usize],
    policy: OutlierDetectionPolicy,
    /// Who is out, where the same may come of others that are as bad.
    out: &'static [usize],
    alike: &'static [usize],
}

fn policy(change: impl FnOnce(&mut OutlierDetectionPolicy)) -> OutlierDetectionPolicy {
    let mut policy = OutlierDetectionPolicy::default();
    policy.consecutive_5xx_errors = 0;
    policy.max_ejection_percent = 100;
    policy.interval = INTERVAL;
    change(&mut policy);
    policy
}

/// `mean - factor * deviation`, of the whole population.
fn by_rate(volume: u32, factor: f64) -> OutlierDetectionPolicy {
    policy(|it| {
        let mut rate = SuccessRate::default();
        (rate.request_volume, rate.stdev_factor) = (volume, factor);
        it.success_rate = Some(rate);
    })
}

fn by_percentage(volume: u32, threshold: u32) -> OutlierDetectionPolicy {
    policy(|it| {
        let mut percentage = FailurePercentage::default();
        (percentage.request_volume, percentage.threshold) = (volume, threshold);
        it.failure_percentage = Some(percentage);
    })
}

fn rows() -> Vec<Row> {
    let row = |volume, good, policy, out| Row {
        volume,
        good,
        policy,
        out,
        alike: out,
    };
    let mut one_of_a_few = by_percentage(20, 85);
    one_of_a_few.max_ejection_percent = 20;
    let mut at_least_one = by_percentage(20, 85);
    (
        at_least_one.max_ejection_percent,
        at_least_one.eject_at_least_one,
    ) = (1, true);
    // Envoy looks at them in an order of its own.
    let one_of_three = |policy| Row {
        alike: &[0, 1, 2],
        ..row(20, &[0, 0, 0, 20, 20], policy, &[0])
    };
    vec![
        // 96 less 1.9 times 8 is 80.8.
        row(20, &[20, 20, 20, 20, 16], by_rate(20, 1.9), &[4]),
        // 96 less 2.1 times 8 is 79.2.
        row(20, &[20, 20, 20, 20, 16], by_rate(20, 2.1), &[]),
        // 90 less 1.9 times 12.2 is 66.7, and 75 is more.
        row(20, &[20, 20, 20, 15, 15], by_rate(20, 1.9), &[]),
        // 65 less 30.8: two are worse, by a factor of one.
        row(20, &[18, 18, 18, 6, 5], by_rate(20, 1.0), &[3, 4]),
        // Not enough answers, and not enough endpoints.
        row(19, &[19, 19, 19, 19, 0], by_rate(20, 1.9), &[]),
        row(20, &[20, 20, 20, 0], by_rate(20, 1.0), &[]),
        // 85 of a hundred are too many, 80 are not.
        row(20, &[3, 4, 20, 20, 20], by_percentage(20, 85), &[0]),
        row(20, &[3, 0, 20, 20, 20], by_percentage(20, 85), &[0, 1]),
        row(19, &[0, 0, 19, 19, 19], by_percentage(20, 85), &[]),
        // As far as may be.
        one_of_three(one_of_a_few),
        one_of_three(at_least_one),
    ]
}

/// Answers of an endpoint, the bad ones first.
fn statuses(row: &Row, endpoint: usize) -> impl Iterator<Item = u16> {
    let bad = row.volume - row.good[endpoint];
    (0..row.volume).map(move |n| if n < bad { 500 } else { 200 })
}

fn yaml(rows: &[Row], endpoints: &[Vec<Scripted>]) -> String {
    let mut yaml = String::new();
    for (number, endpoints) in endpoints.iter().enumerate().take(rows.len()) {
        let all: Vec<_> = endpoints
            .iter()
            .map(|it| format!("{{address: 127.0.0.1, ports: {{http: {}}}}}", it.port))
            .collect();
        yaml += &served(number, &all, "retries: {attempts: 0}");
    }
    yaml.trim_start_matches("---\n").to_owned()
}

/// The same policy in Envoy's words.
fn write(cluster: &mut Value, policy: &OutlierDetectionPolicy) {
    let mut written = json!({
        "interval": format!("{}s", policy.interval.as_secs()),
        "base_ejection_time": "60s",
        "max_ejection_percent": policy.max_ejection_percent,
        "always_eject_one_host": policy.eject_at_least_one,
        "consecutive_5xx": 0, "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0, "enforcing_failure_percentage": 0,
    });
    if let Some(rate) = policy.success_rate {
        written["enforcing_success_rate"] = json!(100);
        written["success_rate_minimum_hosts"] = json!(rate.minimum_hosts);
        written["success_rate_request_volume"] = json!(rate.request_volume);
        let factor = (rate.stdev_factor * 1000.0).round();
        written["success_rate_stdev_factor"] = json!(factor as u32);
    }
    if let Some(percentage) = policy.failure_percentage {
        written["enforcing_failure_percentage"] = json!(100);
        written["failure_percentage_minimum_hosts"] = json!(percentage.minimum_hosts);
        written["failure_percentage_request_volume"] = json!(percentage.request_volume);
        written["failure_percentage_threshold"] = json!(percentage.threshold);
    }
    cluster["lb_policy"] = json!("ROUND_ROBIN");
    cluster["outlier_detection"] = written;
    cluster["common_lb_config"] = json!({"healthy_panic_threshold": {"value": 0}});
}

fn send(side: &Sidecar, row: usize) {
    let request = Request {
        method: "GET".to_owned(),
        target: "/".to_owned(),
        host: Some(format!("r{row}.test")),
        ..Request::default()
    };
    let bytes = wire::bytes(&request.text("comparison/rates"));
    let answer = Connection::new(side.address).exchange(&bytes);
    answer.expect("an answer");
}

/// Who of Envoy's endpoints is asked no more, once an interval has ended.
fn asked_of_envoy(side: &Sidecar, number: usize, row: &Row, endpoints: &[Scripted]) -> Vec<usize> {
    for (at, endpoint) in endpoints.iter().enumerate() {
        let steps: Vec<_> = statuses(row, at)
            .map(|it| Step(0, Act::Answer(it)))
            .collect();
        endpoint.begin(&steps);
    }
    for _ in 0..row.volume * endpoints.len() {
        send(side, number);
    }
    let before: Vec<_> = endpoints.iter().map(Scripted::seen).collect();
    assert!(
        before.iter().all(|it| *it == row.volume),
        "not in turn: {before:?}"
    );
    thread::sleep(INTERVAL + Duration::from_millis(1500));
    for _ in 0..4 * endpoints.len() {
        send(side, number);
    }
    let after = endpoints.iter().map(Scripted::seen);
    let still = after.zip(before).enumerate();
    still
        .filter(|(_, (after, before))| after == before)
        .map(|(at, _)| at)
        .collect()
}

/// The same of this crate's.
fn asked_of_us(row: &Row) -> Vec<usize> {
    let clock = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    clock.block_on(async {
        let endpoints: Vec<_> = (0..row.good.len())
            .map(|n| Endpoint::new(Address::new("127.0.0.1", 1 + n as u16), Arc::default()))
            .collect();
        let now = tokio::time::Instant::now();
        let outliers = OutlierDetection::new(row.policy.clone(), &endpoints, now);
        for place in 0..endpoints.len() {
            for status in statuses(row, place) {
                outliers.report(&endpoints, place, Outcome::Response(status));
            }
        }
        outliers.settle(&endpoints, now + INTERVAL);
        let out = endpoints
            .iter()
            .enumerate()
            .filter(|(_, it)| it.is_ejected());
        out.map(|(place, _)| place).collect()
    })
}

#[test]
#[ignore = "needs a real Envoy: run ci/envoy, then cargo test --test envoy -- --ignored"]
fn shares_of_good_answers_eject_alike() {
    let rows = rows();
    let scripted = |row: &Row| {
        let all = row.good.iter().map(|_| Scripted::start(Speaks::Http1));
        all.collect::<Vec<_>>()
    };
    let endpoints: Vec<_> = rows.iter().map(scripted).collect();
    let text = yaml(&rows, &endpoints);
    let mut translation = translated("rates", &text, &generate::client(true));
    for (number, row) in rows.iter().enumerate() {
        let name = format!("outbound|80||r{number}.test");
        let mut clusters = translation.clusters.iter_mut();
        let cluster = clusters.find(|it| it["name"] == name.as_str());
        write(cluster.expect("a cluster each"), &row.policy);
    }
    let mut wrong = Vec::new();
    for _ in 0..AGAIN {
        // Nobody is out any more in another one.
        let envoy = Sidecar::envoy('e', &translation);
        wrong = thread::scope(|scope| {
            let ask = |(number, row): (usize, &Row)| {
                let theirs = asked_of_envoy(&envoy, number, row, &endpoints[number]);
                let ours = asked_of_us(row);
                let count = theirs.len() == row.out.len();
                let fine = count && theirs.iter().all(|it| row.alike.contains(it));
                let fine = fine && ours == row.out;
                let (good, want) = (row.good, row.out);
                (!fine)
                    .then(|| format!("{number}: {good:?}: e {theirs:?}, g {ours:?}, not {want:?}"))
            };
            let asked: Vec<_> = rows
                .iter()
                .enumerate()
                .map(|it| scope.spawn(move || ask(it)))
                .collect();
            let told = asked
                .into_iter()
                .map(|it| it.join().expect("it does not panic"));
            told.flatten().collect()
        });
        if wrong.is_empty() {
            return;
        }
    }
    panic!("{}", wrong.join("\n"));
}
