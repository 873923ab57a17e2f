//! Both programs under the same rules: their answers to requests, with chance taken out of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::cases::translated;
use super::compare::{AGAIN, Difference, differences, is_of_time};
use super::deliberate;
use super::drawn::Other;
use super::exchange::{Observation, Request, exchange_many};
use super::generate::{self, Table};
use super::sidecar::Sidecar;
use super::translate::{Client, Translation};
use super::upstream;

/// How often a request is sent again until both sides have rolled the same destination.
const ROUNDS: usize = 16;
/// How many times at once.
const ROLLS: usize = 8;

/// Both sides, and the configuration they have.
pub(crate) struct Sides {
    envoy: Option<Sidecar>,
    other: Option<Sidecar>,
    kind: Other,
    pub(crate) translation: Translation,
    /// The routes that leave the destination to the dice.
    splits: BTreeSet<String>,
}

impl Sides {
    pub(crate) fn new(kind: Other) -> Self {
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
    pub(crate) fn answers(&mut self, requests: &[Request]) -> Vec<(Observation, Observation)> {
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
    pub(crate) fn is_split(&self, envoy: &Observation) -> bool {
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

/// One table with its client, for [`shrink`].
pub(crate) fn alone(sides: &mut Sides, client: &Client, table: &Table) {
    sides.configure(
        &generate::configuration(std::slice::from_ref(table)),
        client,
    );
}
