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

/// How often a request is sent again until both sides have rolled the same destination: round by
/// round, for most dice fall alike soon.
const ROLLS: [usize; 10] = [2, 2, 4, 8, 8, 16, 16, 24, 24, 24];
/// How often Envoy is asked what comes of one request.
pub(crate) const ROLLS_OF_ENVOY: usize = 16;
/// How often Envoy is asked again where none of those rolls came to its answer.
const MANY: usize = 400;
/// What it then gives less often is an answer that hangs on rare dice: of so many rolls
/// it may well be missing on the other side.
const SELDOM: usize = 8;
/// For how many requests of a batch that is asked; a fault would make it many more.
const MAX_SELDOM: usize = 8;

/// Both sides, and the configuration they have.
pub(crate) struct Sides {
    envoy: Option<Sidecar>,
    other: Option<Sidecar>,
    kind: Other,
    pub(crate) translation: Translation,
    /// The routes that leave the destination to the dice.
    splits: BTreeSet<String>,
    /// How many of Envoy's answers were put by, for its dice seldom fall so.
    pub(crate) seldom: u64,
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
            seldom: 0,
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
        self.roll(requests, &mut answers, &ROLLS);
        for at in self.open(requests, &answers).into_iter().take(MAX_SELDOM) {
            let many = vec![requests[at].clone(); MANY];
            let (envoy, _) = self.both();
            let many = exchange_many(envoy, &many);
            let pair = std::slice::from_mut(&mut answers[at]);
            let request = std::slice::from_ref(&requests[at]);
            match usual(&pair[0].0, &many, &self.translation.endpoints) {
                Some(usual) => {
                    self.seldom += 1;
                    pair[0].0 = usual;
                    self.roll(request, pair, &ROLLS);
                }
                // So many at once fall otherwise than a few: a busy endpoint is chosen less often.
                None => self.roll(request, pair, &[MANY]),
            }
        }
        answers
    }

    /// The requests whose answers differ where the dice may have decided.
    fn open(&self, requests: &[Request], answers: &[(Observation, Observation)]) -> Vec<usize> {
        let rolled_otherwise = |at: &usize| {
            let (envoy, other) = &answers[*at];
            self.is_split(envoy) && !self.unexcused(&requests[*at], envoy, other).0.is_empty()
        };
        (0..answers.len()).filter(rolled_otherwise).collect()
    }

    /// Asks the other side again until its dice have fallen as Envoy's have.
    fn roll(
        &mut self,
        requests: &[Request],
        answers: &mut [(Observation, Observation)],
        rounds: &[usize],
    ) {
        for &rolls in rounds {
            let open = self.open(requests, answers);
            if open.is_empty() {
                break;
            }
            let again = open
                .iter()
                .flat_map(|at| std::iter::repeat_n(requests[*at].clone(), rolls));
            let again: Vec<Request> = again.collect();
            let (_, other) = self.both();
            let rolled = exchange_many(other, &again);
            for (at, rolled) in open.iter().zip(rolled.chunks(rolls)) {
                let (envoy, _) = &answers[*at];
                let near = |it: &&Observation| self.unexcused(&requests[*at], envoy, it).0.len();
                if let Some(nearest) = rolled.iter().min_by_key(near) {
                    answers[*at].1 = nearest.clone();
                }
            }
        }
    }

    /// Whether the route that Envoy took leaves the destination to the dice.
    pub(crate) fn is_split(&self, envoy: &Observation) -> bool {
        let route = envoy.get("log.route_name").map_or("", |it| it);
        self.splits.contains(route)
    }

    /// Whether dice had a part in an answer: those of the route, or of the cluster's balancer.
    pub(crate) fn is_rolled(&self, envoy: &Observation) -> bool {
        let cluster = envoy.get("log.upstream_cluster");
        let count = cluster.and_then(|it| self.translation.endpoints.get(it));
        self.is_split(envoy) || count.is_some_and(|it| *it > 1)
    }

    /// Whether two answers of Envoy's are the same.
    pub(crate) fn is_same(&self, one: &Observation, other: &Observation) -> bool {
        differences(one, other, &self.translation.endpoints).is_empty()
    }

    /// Several answers of Envoy's to one request.
    pub(crate) fn rolls_of_envoy(&mut self, request: &Request) -> Vec<Observation> {
        let (envoy, _) = self.both();
        exchange_many(envoy, &vec![request.clone(); ROLLS_OF_ENVOY])
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

/// Where `first` is an answer that Envoy seldom gives, the one it gives most often of `many`.
fn usual(
    first: &Observation,
    many: &[Observation],
    endpoints: &BTreeMap<String, usize>,
) -> Option<Observation> {
    let like = |one: &Observation| {
        let same = many.iter();
        same.filter(|it| differences(one, it, endpoints).is_empty())
            .count()
    };
    if like(first) >= SELDOM {
        return None;
    }
    let mut counted: Vec<(usize, &Observation)> = Vec::new();
    for one in many {
        // What is counted already is not counted again.
        let is_new = |it: &(usize, &Observation)| !differences(it.1, one, endpoints).is_empty();
        if counted.iter().all(is_new) {
            counted.push((like(one), one));
        }
    }
    let most = counted.into_iter().max_by_key(|(count, _)| *count);
    most.map(|(_, one)| one.clone())
}

/// Of each endpoint of a cluster, whether it answers.
fn endpoints(cluster: &Value) -> Vec<bool> {
    let places = cluster["load_assignment"]["endpoints"].as_array();
    let endpoints = places.into_iter().flatten();
    let endpoints = endpoints.flat_map(|it| it["lb_endpoints"].as_array().into_iter().flatten());
    let answers = |it: &Value| {
        let socket = it.pointer("/endpoint/address/socket_address")?;
        let port = socket["port_value"].as_u64()?;
        Some(socket["address"] == "127.0.0.1" && upstream::answers(port))
    };
    endpoints.filter_map(answers).collect()
}

/// The names of the routes that leave something to the dice.
fn splits(translation: &Translation) -> BTreeSet<String> {
    let hosts = translation.routes["virtual_hosts"].as_array();
    let routes = hosts.into_iter().flatten();
    let routes = routes.flat_map(|host| host["routes"].as_array().into_iter().flatten());
    // Where a request has no key for a ring or a table, the dice choose an endpoint. Which of some
    // endpoints it was shows where not all of them answer.
    let shows = |cluster: &&Value| {
        let answers = endpoints(cluster);
        let is_keyed = matches!(cluster["lb_policy"].as_str(), Some("RING_HASH" | "MAGLEV"));
        is_keyed || (answers.len() > 1 && answers.contains(&false))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(endpoints: &[(&str, usize)]) -> Vec<Observation> {
        let some = endpoints.iter().map(|(endpoint, count)| {
            let one = Observation::from([("upstream[0].endpoint".into(), (*endpoint).into())]);
            std::iter::repeat_n(one, *count)
        });
        some.flatten().collect()
    }

    #[test]
    fn only_what_envoy_seldom_answers_is_put_by() {
        let first = answers(&[("alpha", 1)]).remove(0);
        let usual = |many: &[(&str, usize)]| {
            let usual = usual(&first, &answers(many), &BTreeMap::new())?;
            usual.get("upstream[0].endpoint").cloned()
        };
        let often = [("alpha", SELDOM), ("bravo", MANY)];
        assert_eq!(usual(&often), None, "what it often does has to be met");
        let seldom = [
            ("alpha", SELDOM - 1),
            ("bravo", 40),
            ("gamma", 50),
            ("bravo", 41),
        ];
        assert_eq!(usual(&seldom), Some("bravo".to_owned()));
    }
}
