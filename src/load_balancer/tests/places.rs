//! Priorities, localities and warm-up: exact where nothing is rolled.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::shares;
use crate::api::{LocalityDistribute, LocalityFailover, LocalityLoadBalancerSetting};
use crate::endpoint::{Address, Endpoint, Locality};
use crate::load_balancer::locality::{Group, compile};
use crate::load_balancer::priorities::{Count, elsewhere, loads};
use crate::load_balancer::{Algorithm, LoadBalancer, LoadBalancerPolicy, Pick, Warmup};
use crate::rt::Rng;
use crate::source::Source;

fn at(place: &str) -> Endpoint {
    static PORT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(1);
    let port = PORT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let endpoint = Endpoint::new(Address::new("10.0.0.1", port), Arc::default());
    endpoint.with_locality(Locality::new(place))
}

fn client(place: &str) -> Source {
    Source {
        locality: Locality::new(place),
        ..Source::default()
    }
}

/// What a setting makes of these endpoints: of each group its priority, weight and places.
fn check_groups(
    setting: &LocalityLoadBalancerSetting,
    client: &Source,
    endpoints: &[Endpoint],
    want: &[(usize, u32, &[u32])],
) {
    let policy = compile(Some(setting), client, true).expect("in force");
    let want: Vec<Group> = want
        .iter()
        .map(|(priority, weight, places)| Group {
            priority: *priority,
            weight: *weight,
            places: places.to_vec(),
        })
        .collect();
    assert_eq!(policy.groups(endpoints), want, "{setting:?}");
}

fn to(shares: &[(&str, u32)]) -> IndexMap<String, u32> {
    let share = |(place, share): &(&str, u32)| ((*place).to_owned(), *share);
    shares.iter().map(share).collect()
}

fn distribute(from: &str, shares: &[(&str, u32)]) -> LocalityLoadBalancerSetting {
    LocalityLoadBalancerSetting {
        distribute: vec![LocalityDistribute {
            from: from.to_owned(),
            to: to(shares),
        }],
        ..LocalityLoadBalancerSetting::default()
    }
}

fn failover(from: &str, to: &str) -> LocalityLoadBalancerSetting {
    LocalityLoadBalancerSetting {
        failover: vec![LocalityFailover {
            from: from.to_owned(),
            to: to.to_owned(),
        }],
        ..LocalityLoadBalancerSetting::default()
    }
}

fn by_label(labels: &[&str]) -> LocalityLoadBalancerSetting {
    LocalityLoadBalancerSetting {
        failover_priority: labels.iter().map(|it| (*it).to_owned()).collect(),
        ..LocalityLoadBalancerSetting::default()
    }
}

#[test]
fn without_outlier_detection_nothing_fails_over() {
    let own = client("a/b/c");
    let mut setting = LocalityLoadBalancerSetting {
        enabled: Some(true),
        ..failover("a", "b")
    };
    assert_eq!(compile(Some(&setting), &own, false), None);
    assert_eq!(compile(None, &own, false), None);
    assert!(compile(None, &own, true).is_some());
    setting.enabled = Some(false);
    assert_eq!(compile(Some(&setting), &own, true), None);
    assert!(compile(Some(&distribute("*", &[("*", 100)])), &own, false).is_some());
}

#[test]
fn nearer_endpoints_come_first_without_gaps() {
    let own = client("region1/zone1/subzone1");
    let places = [
        "region2/zone1/subzone1",
        "region1/zone2/subzone1",
        "region1/zone1/subzone1",
        "region1/zone1/subzone2",
        "region3/zone1/subzone1",
    ];
    let endpoints = places.map(at);
    let usual = LocalityLoadBalancerSetting::default();
    let want: &[(usize, u32, &[u32])] =
        &[(0, 1, &[2]), (1, 1, &[3]), (2, 1, &[1]), (3, 2, &[0, 4])];
    check_groups(&usual, &own, &endpoints, want);
    let want: &[(usize, u32, &[u32])] = &[
        (0, 1, &[2]),
        (1, 1, &[3]),
        (2, 1, &[1]),
        (3, 1, &[4]),
        (4, 1, &[0]),
    ];
    check_groups(&failover("region1", "region3"), &own, &endpoints, want);
    // Another region's failover says nothing of this client.
    let want: &[(usize, u32, &[u32])] = &[(0, 1, &[1]), (1, 1, &[0]), (1, 1, &[2])];
    let some = [&endpoints[0], &endpoints[2], &endpoints[4]].map(Endpoint::clone);
    check_groups(&failover("region9", "region3"), &own, &some, want);
}

#[test]
fn labels_count_as_far_as_they_agree() {
    let mut own = client("r/z/s");
    own.labels.insert("app".to_owned(), "web".to_owned());
    let labelled = |place: &str, labels: &[(&str, &str)]| {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let address = at(place).address().clone();
        Endpoint::new(address, Arc::new(labels.collect())).with_locality(Locality::new(place))
    };
    let endpoints = [
        labelled("r/z/s", &[]),
        labelled("r/z/s", &[("app", "web"), ("v", "2")]),
        labelled("r/y/s", &[("app", "web"), ("v", "2")]),
        labelled("r/z/s", &[("app", "web"), ("v", "1")]),
    ];
    let setting = by_label(&["app", "topology.kubernetes.io/zone", "v=2"]);
    let want: &[(usize, u32, &[u32])] = &[(0, 1, &[1]), (1, 1, &[3]), (2, 1, &[2]), (3, 1, &[0])];
    check_groups(&setting, &own, &endpoints, want);
    // A client that has no labels at all prefers nobody.
    let want: &[(usize, u32, &[u32])] = &[(0, 1, &[2]), (0, 3, &[0, 1, 3])];
    check_groups(&setting, &Source::default(), &endpoints, want);
}

#[test]
fn other_networks_have_an_order_of_their_own() {
    let mut own = client("r/z");
    own.network = "n1".to_owned();
    let setting = by_label(&["topology.istio.io/network", "topology.kubernetes.io/zone"]);
    let endpoints = [("r/y", "n2"), ("r/z", "n2"), ("r/y", "n1"), ("r/z", "n1")];
    let endpoints = endpoints.map(|(place, network)| at(place).with_network(network));
    let want: &[(usize, u32, &[u32])] = &[(0, 1, &[3]), (1, 1, &[2]), (2, 1, &[1]), (3, 1, &[0])];
    check_groups(&setting, &own, &endpoints, want);
}

#[test]
fn shares_go_to_the_places_written_and_nowhere_else() {
    let own = client("region1/zone1/subzone1");
    let endpoints = [
        at("region1/zone1/subzone1"),
        at("region1/zone1/subzone2"),
        at("region1/zone1/subzone2"),
        at("region1/zone2/subzone1"),
        at("region2/zone1/subzone1"),
    ];
    let setting = distribute(
        "region1/*",
        &[("region1/zone1/*", 80), ("region1/zone2/*", 20)],
    );
    // A third and two thirds of 80, rounded up.
    let want: &[(usize, u32, &[u32])] = &[(0, 27, &[0]), (0, 54, &[1, 2]), (0, 20, &[3])];
    check_groups(&setting, &own, &endpoints, want);
    // Whom no entry is for, the weights of endpoints are for.
    let want: &[(usize, u32, &[u32])] =
        &[(0, 1, &[0]), (0, 2, &[1, 2]), (0, 1, &[3]), (0, 1, &[4])];
    check_groups(&setting, &client("region2/z"), &endpoints, want);
}

/// The percentages of each priority, and which of them panic.
fn check_loads(counts: &[(u64, u64)], threshold: u32, want: &[u64], panics: &[usize]) {
    let counts: Vec<Count> = counts
        .iter()
        .map(|it| Count {
            left: it.0,
            all: it.1,
        })
        .collect();
    let got = loads(&counts, threshold);
    let percents: Vec<u64> = got.iter().map(|it| it.percent).collect();
    let panicking = got.iter().enumerate().filter(|(_, it)| it.panics);
    let panicking: Vec<usize> = panicking.map(|(n, _)| n).collect();
    assert_eq!((&*percents, &*panicking), (want, panics), "{counts:?}");
}

#[test]
fn priorities_get_what_envoy_gives_them() {
    // What Envoy 1.40 was seen to do with five and five.
    check_loads(&[(5, 5), (5, 5)], 50, &[100, 0], &[]);
    check_loads(&[(4, 5), (5, 5)], 50, &[100, 0], &[]);
    check_loads(&[(3, 5), (5, 5)], 50, &[84, 16], &[]);
    check_loads(&[(2, 5), (5, 5)], 50, &[56, 44], &[]);
    check_loads(&[(1, 5), (5, 5)], 50, &[28, 72], &[]);
    check_loads(&[(0, 5), (5, 5)], 50, &[0, 100], &[]);
    // Envoy's own table for two and three priorities.
    check_loads(&[(25, 100), (25, 100)], 0, &[50, 50], &[]);
    check_loads(&[(72, 100), (72, 100)], 50, &[100, 0], &[]);
    check_loads(&[(25, 100), (0, 100)], 0, &[100, 0], &[]);
    check_loads(&[(5, 100), (65, 100)], 50, &[8, 92], &[0]);
    check_loads(&[(20, 100), (20, 100), (10, 100)], 0, &[40, 40, 20], &[]);
    check_loads(
        &[(20, 100), (20, 100), (10, 100)],
        50,
        &[34, 33, 33],
        &[0, 1, 2],
    );
    // All in panic: by how many there are.
    check_loads(&[(0, 3), (0, 6)], 50, &[34, 66], &[0, 1]);
    check_loads(&[(0, 3), (0, 6)], 0, &[100, 0], &[]);
    check_loads(&[(1, 2)], 50, &[100], &[]);
    check_loads(&[], 50, &[], &[]);
}

/// The priorities of the tries of a request that always fails, with one endpoint in each.
fn tries(healths: &[u64], count: usize) -> String {
    let mut tried: Vec<usize> = Vec::new();
    for _ in 0..count {
        let percents = elsewhere(healths, tried.iter().copied());
        let next = percents.map_or(0, |it| it.iter().position(|it| *it == 100).unwrap());
        tried.push(next);
    }
    tried.iter().map(ToString::to_string).collect()
}

#[test]
fn every_second_try_leaves_the_priorities_tried() {
    // As Envoy 1.40 was seen to do.
    assert_eq!(tries(&[100, 100, 100], 10), "0011220011");
    assert_eq!(tries(&[100], 5), "00000");
    // What has nobody left is never gone to.
    assert_eq!(tries(&[100, 0, 100], 8), "00220022");
    assert_eq!(elsewhere(&[0, 0], [0, 0].into_iter()), None);
    let shared = elsewhere(&[100, 50, 50], [0, 0].into_iter());
    assert_eq!(shared, Some(vec![0, 50, 50]));
}

/// Who failed may have been ejected for it by the time of the next try, and counts all the same.
#[test]
fn who_is_left_out_by_now_was_tried_all_the_same() {
    let endpoints: Vec<Endpoint> = ["a/b/c", "a/b/c", "a/b/d", "a/b/d"].map(at).into();
    let mut policy = LoadBalancerPolicy::new(Algorithm::Random);
    policy.locality = compile(None, &client("a/b/c"), true);
    let balancer = LoadBalancer::new(policy, endpoints.clone(), &Rng::seeded(1));
    let priority = |tried: &[u32]| {
        balancer
            .pick_elsewhere(Pick::rolled(0), tried)
            .map(|it| it / 2)
    };
    assert_eq!(priority(&[0, 0]), Some(1));
    endpoints[0].set_ejected(true);
    balancer.refresh();
    assert_eq!(priority(&[0, 0]), Some(1));
}

proptest! {
    /// Against the sentence in Envoy's documentation: each takes what it can of what is left.
    #[test]
    fn loads_add_up_and_go_in_order(
        counts in proptest::collection::vec((0_u64..20, 0_u64..20), 1..6),
    ) {
        let counts: Vec<Count> = counts
            .iter()
            .map(|(left, more)| Count { left: *left, all: left + more })
            .collect();
        let got = loads(&counts, 0);
        prop_assert_eq!(got.iter().map(|it| it.percent).sum::<u64>(), 100);
        let health = |it: &Count| (it.left * 140).checked_div(it.all).unwrap_or(0).min(100);
        let total = counts.iter().map(health).sum::<u64>().min(100);
        let mut before = 0;
        for (count, load) in counts.iter().zip(&got) {
            if total > 0 && count.left == 0 {
                prop_assert_eq!(load.percent, 0);
            }
            if total == 100 && before + health(count) >= 100 {
                // Whoever can take the rest takes it, but for what rounding gave to the first.
                prop_assert!(load.percent <= 100 - before);
                before = 100;
            } else if total == 100 {
                prop_assert!(load.percent >= health(count));
                before += health(count);
            }
        }
    }
}

fn balancer(
    algorithm: Algorithm,
    place: &str,
    setting: &LocalityLoadBalancerSetting,
    endpoints: Vec<Endpoint>,
) -> LoadBalancer {
    let mut policy = LoadBalancerPolicy::new(algorithm);
    policy.locality = compile(Some(setting), &client(place), true);
    LoadBalancer::new(policy, endpoints, &Rng::seeded(5))
}

#[test]
fn traffic_moves_on_as_endpoints_fail() {
    let usual = LocalityLoadBalancerSetting::default();
    for algorithm in [
        Algorithm::LeastRequest,
        Algorithm::RoundRobin,
        Algorithm::Maglev { table_size: 1009 },
    ] {
        let places = [
            "r/z", "r/z", "r/z", "r/z", "r/z", "r/y", "r/y", "r/y", "r/y", "r/y",
        ];
        let balancer = balancer(algorithm, "r/z", &usual, places.map(at).to_vec());
        let near = |balancer: &LoadBalancer| shares(balancer, 100_000)[..5].iter().sum::<u32>();
        assert_eq!(near(&balancer), 100_000);
        // Percents by the number left; within five standard deviations of 100 000 draws.
        for (left, percent) in [(4, 100), (3, 84), (2, 56), (1, 28), (0, 0)] {
            balancer.endpoints()[left].set_ejected(true);
            balancer.refresh();
            let had = near(&balancer);
            assert!(
                had.abs_diff(percent * 1000) < 800,
                "{algorithm:?} {left}: {had}"
            );
            assert!(shares(&balancer, 10_000)[left..5].iter().all(|it| *it == 0));
        }
        for n in 0..5 {
            balancer.endpoints()[n].set_ejected(false);
        }
        balancer.refresh();
        assert_eq!(near(&balancer), 100_000);
    }
}

#[test]
fn shares_of_localities_are_kept_and_shrink_with_what_is_left() {
    let setting = distribute("*", &[("r/a", 80), ("r/b", 20)]);
    let endpoints = || ["r/a", "r/b", "r/b", "r/c"].map(at).to_vec();
    let one = balancer(Algorithm::LeastRequest, "r/z", &setting, endpoints());
    let had = shares(&one, 10_000);
    assert!(had[0].abs_diff(8000) <= 1 && had[3] == 0, "{had:?}");
    // Half of a locality counts as seven tenths: 80 to 14.
    one.endpoints()[1].set_ejected(true);
    one.refresh();
    let had = shares(&one, 9400);
    assert!(had[0].abs_diff(8000) <= 1 && had[1] == 0, "{had:?}");
    one.endpoints()[0].set_ejected(true);
    one.refresh();
    assert_eq!(shares(&one, 100), [0, 0, 100, 0]);
    // On a ring a locality's share of keys; a thousand of them, so within what arcs differ by.
    let ring = Algorithm::RingHash {
        minimum_ring_size: 65_536,
    };
    let had = shares(&balancer(ring, "r/z", &setting, endpoints()), 100_000);
    assert!(had[0].abs_diff(80_000) < 1500 && had[3] == 0, "{had:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_endpoint_gets_its_share_little_by_little() {
    let mut policy = LoadBalancerPolicy::new(Algorithm::RoundRobin);
    policy.warmup = Some(Warmup::new(Duration::from_secs(100)));
    let old = LoadBalancer::new(policy, vec![at("r"), at("r")], &Rng::seeded(5));
    // Where all are new none is behind.
    let had = shares(&old, 1000);
    assert!(had[0].abs_diff(500) <= 1, "{had:?}");
    tokio::time::advance(Duration::from_secs(100)).await;
    let mut endpoints = old.endpoints().to_vec();
    endpoints.push(at("r"));
    let with_new = old.with_endpoints(endpoints);
    // Warm ones get ten times as much at first, then twice as much, then the same; a turn that
    // was fixed with the lesser share may come five turns late.
    for (after, want) in [(0, 100), (50, 420), (50, 700)] {
        tokio::time::advance(Duration::from_secs(after)).await;
        let had = shares(&with_new, 2100);
        assert!(had[2].abs_diff(want) <= 6, "{after}: {had:?}");
    }
    assert_eq!(with_new.pick(Pick::rolled(1)).map(|it| it < 3), Some(true));
}

#[test]
fn the_curve_of_a_warm_up_is_envoys() {
    let mut warmup = Warmup::new(Duration::from_secs(100));
    warmup.aggression = 2.0;
    warmup.minimum_percent = 20.0;
    assert_eq!(warmup.factor(Duration::from_secs(1)), 0.2);
    assert_eq!(warmup.factor(Duration::from_secs(25)), 0.5);
    assert_eq!(warmup.factor(Duration::from_secs(101)), 1.0);
}
