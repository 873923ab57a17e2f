//! Picks of whole balancers: exact where nothing is rolled, by stated error where something is.

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use proptest::prelude::{prop_assert_eq, proptest};

use super::{
    Algorithm, HashCookie, HashPolicy, Keyed, LoadBalancer, LoadBalancerPolicy, Maglev, Pick,
    RingHash, hash, hash_request,
};
use crate::endpoint::{Address, Endpoint};
use crate::rt::Rng;

mod anew;
mod places;

fn endpoints(weights: &[u32]) -> Vec<Endpoint> {
    let one = |(n, weight): (usize, &u32)| {
        let address = Address::new("127.0.0.1", 18_001 + n as u16);
        Endpoint::new(address, Arc::default()).with_weight(*weight)
    };
    weights.iter().enumerate().map(one).collect()
}

fn balancer(algorithm: Algorithm, weights: &[u32], start: usize) -> LoadBalancer {
    LoadBalancer::starting(
        LoadBalancerPolicy::new(algorithm),
        endpoints(weights).into(),
        Rng::default(),
        Some(start),
        None,
    )
}

/// How often each of as many endpoints is picked.
fn shares(balancer: &LoadBalancer, count: u32) -> Vec<u32> {
    let rng = Rng::seeded(11);
    let mut had = vec![0; balancer.endpoints().len()];
    for _ in 0..count {
        had[balancer
            .pick(Pick::rolled(rng.next_u64()))
            .expect("somebody")] += 1;
    }
    had
}

#[test]
fn nobody_is_picked_where_there_is_nobody() {
    for algorithm in [
        Algorithm::LeastRequest,
        Algorithm::RoundRobin,
        Algorithm::Random,
        Algorithm::RingHash {
            minimum_ring_size: 1024,
        },
        Algorithm::Maglev { table_size: 65_537 },
    ] {
        let picked = balancer(algorithm, &[], 3).pick(Pick::rolled(5));
        assert_eq!(picked, None, "{algorithm:?}");
        let picked = balancer(algorithm, &[7], 3).pick(Pick::rolled(u64::MAX));
        assert_eq!(picked, Some(0), "{algorithm:?}");
    }
}

#[test]
fn a_rotation_is_strict_and_begins_where_it_is_told() {
    let balancer = balancer(Algorithm::RoundRobin, &[5, 5, 5], 2);
    let picks: Vec<_> = (0..7)
        .filter_map(|_| balancer.pick(Pick::rolled(9)))
        .collect();
    assert_eq!(picks, [2, 0, 1, 2, 0, 1, 2]);
    let more = balancer.with_endpoints(endpoints(&[5, 5, 5, 5]));
    // Nine turns were had; the tenth of four is the second.
    let picks: Vec<_> = (0..4).filter_map(|_| more.pick(Pick::rolled(9))).collect();
    assert_eq!(picks, [1, 2, 3, 0]);
}

#[test]
fn a_rotation_by_weight_gives_envoys_order() {
    let balancer = balancer(Algorithm::RoundRobin, &[10, 20, 30], 0);
    let picks: Vec<_> = (0..12)
        .filter_map(|_| balancer.pick(Pick::rolled(9)))
        .collect();
    assert_eq!(picks, [2, 1, 2, 0, 1, 2, 2, 1, 2, 0, 1, 2]);
}

#[test]
fn a_rotation_of_odd_weights_keeps_their_shares() {
    let balancer = balancer(Algorithm::RoundRobin, &[1, 99_999], 1);
    let had = shares(&balancer, 100_000);
    assert!(had[0].abs_diff(1) <= 1, "{had:?}");
}

#[test]
fn random_goes_by_no_weight() {
    let had = shares(&balancer(Algorithm::Random, &[1, 2, 3], 0), 90_000);
    // Five standard deviations of a third of 90 000.
    assert!(had.iter().all(|it| it.abs_diff(30_000) < 708), "{had:?}");
}

#[test]
fn least_request_by_weight_gives_idle_endpoints_their_shares() {
    let had = shares(&balancer(Algorithm::LeastRequest, &[1, 2, 3], 0), 600);
    assert_eq!(had, [100, 200, 300]);
}

/// Endpoints of equal weight but one; the one of double weight has nine requests under way, so it
/// waits as one of a fifth of the weight.
#[test]
fn least_request_by_weight_counts_what_is_under_way() {
    let balancer = balancer(Algorithm::LeastRequest, &[2, 1, 1], 0);
    let busy: Vec<_> = (0..9).map(|_| balancer.endpoints()[0].begin()).collect();
    let had = shares(&balancer, 1100);
    assert!(
        had[0].abs_diff(100) <= 1 && had[1].abs_diff(500) <= 1,
        "{had:?}"
    );
    drop(busy);
}

proptest! {
    /// Whoever is picked twice in a row had the greatest `weight / (under way + 1)` owed to it: held
    /// against turns worked out one at a time from the same counters.
    #[test]
    fn least_request_by_weight_is_what_turns_one_by_one_come_to(
        weights in proptest::collection::vec(1_u32..50, 2..8),
        ends in proptest::collection::vec(0_usize..8, 40),
    ) {
        let balancer = balancer(Algorithm::LeastRequest, &weights, 0);
        let even = weights.iter().all(|it| *it == weights[0]);
        let mut due: Vec<f64> = weights.iter().map(|it| 1.0 / f64::from(*it)).collect();
        let mut since: Vec<usize> = (0..weights.len()).collect();
        let mut under_way = Vec::new();
        for (n, end) in ends.iter().enumerate() {
            let picked = balancer.pick(Pick::rolled(0)).expect("somebody");
            if !even {
                let want = (0..weights.len())
                    .min_by(|a, b| due[*a].total_cmp(&due[*b]).then(since[*a].cmp(&since[*b])))
                    .expect("somebody");
                prop_assert_eq!(picked, want);
            }
            let active = f64::from(balancer.endpoints()[picked].active());
            due[picked] += 1.0 / (f64::from(weights[picked]) / (active + 1.0));
            since[picked] = weights.len() + n;
            under_way.push(balancer.endpoints()[picked].begin());
            if *end < under_way.len() {
                drop(under_way.swap_remove(*end));
            }
        }
    }
}

/// The answers of Envoy 1.40: for each table, the endpoint of `key-0`, `key-1` and so on.
const VECTORS: &str = include_str!("envoy-hash-vectors.txt");

fn check_vectors(table: &str, pick: impl Fn(u64) -> Option<usize>) {
    let line = VECTORS
        .lines()
        .find_map(|line| line.strip_prefix(table)?.strip_prefix(": "));
    let want = line.expect("the table is there");
    let got: String = (0..want.len())
        .map(|n| {
            let place = pick(hash(format!("key-{n}").as_bytes())).expect("somebody");
            char::from(b'0' + place as u8)
        })
        .collect();
    assert_eq!(got, want, "{table}");
    assert_eq!(want.len(), 200);
}

#[test]
fn keys_lead_where_envoy_leads_them() {
    let keys: Vec<_> = (1..=5)
        .map(|n| format!("127.0.0.1:{}", 18_000 + n))
        .collect();
    let even: Vec<_> = keys.iter().map(|key| (key.as_str(), 1)).collect();
    let ring = RingHash::new(&even, 1024);
    assert_eq!(ring.size(), 1025);
    check_vectors("ring 1024, 1 1 1 1 1", |hash| ring.pick(hash, 0));
    let weighted: Vec<_> = keys.iter().map(String::as_str).zip([1, 2, 3]).collect();
    let table = Maglev::new(&even, 65_537);
    check_vectors("maglev 65537, 1 1 1 1 1", |hash| table.pick(hash, 0));
    let table = Maglev::new(&weighted, 1009);
    check_vectors("maglev 1009, 1 2 3", |hash| table.pick(hash, 0));
    let ring = RingHash::new(&weighted, 64);
    check_vectors("ring 64 to 200, 1 2 3", |hash| ring.pick(hash, 0));
}

#[test]
fn a_retry_goes_on_along_the_ring_and_elsewhere_in_the_table() {
    let even = [("a:1", 1), ("b:1", 1), ("c:1", 1)];
    let ring = RingHash::new(&even, 1024);
    let table = Maglev::new(&even, 65_537);
    for n in 0_u64..100 {
        let hash = hash(&n.to_be_bytes());
        let elsewhere =
            |pick: &dyn Fn(u32) -> Option<usize>| (1..30).any(|again| pick(again) != pick(0));
        assert!(elsewhere(&|again| ring.pick(hash, again)));
        assert!(elsewhere(&|again| table.pick(hash, again)));
    }
}

#[test]
fn endpoints_that_leave_take_only_their_own_keys_along() {
    let keys: Vec<_> = (0..10).map(|n| (format!("10.0.0.{n}:80"), 1)).collect();
    // A hundred hashes each, with ten as with nine.
    let (ten, nine) = (RingHash::new(&keys, 1000), RingHash::new(&keys[..9], 900));
    assert_eq!((ten.size(), nine.size()), (1000, 900));
    for n in 0..10_000_u32 {
        let hash = hash(&n.to_be_bytes());
        let before = ten.pick(hash, 0);
        assert!(before == Some(9) || before == nine.pick(hash, 0));
    }
}

fn hashed(policies: &[HashPolicy], request: &Keyed<'_>) -> (Option<u64>, Vec<HeaderValue>) {
    let mut set = Vec::new();
    let hash = hash_request(policies, request, 7, &mut set);
    (hash, set)
}

#[test]
fn keys_are_read_as_envoy_reads_them() {
    let mut headers = HeaderMap::new();
    headers.append("x-user", HeaderValue::from_static("b"));
    headers.append("x-user", HeaderValue::from_static("a"));
    headers.append("x-one", HeaderValue::from_static("abc"));
    headers.append("cookie", HeaderValue::from_static("a=1; user=\"abc\""));
    headers.append("cookie", HeaderValue::from_static("user=late; empty="));
    let mut request = Keyed::new("a.com:80", Some("x=%31&y&x=2"), &headers);
    request.source = Some([127, 0, 0, 1].into());
    let header = |name| HashPolicy::Header(http::HeaderName::from_static(name));
    let cookie = |name: &str| HashPolicy::Cookie(HashCookie::new(name));
    let query = |name: &str| HashPolicy::QueryParameter(name.to_owned());
    let check = |policies: &[HashPolicy], want: Option<u64>| {
        assert_eq!(
            hashed(policies, &request),
            (want, Vec::new()),
            "{policies:?}"
        );
    };
    // XXH64 of `abc` and of `127.0.0.1`, from its own test vectors.
    let abc = 4_952_883_123_889_572_249;
    check(&[header("x-one")], Some(abc));
    check(&[cookie("user")], Some(abc));
    check(&[cookie("empty")], None);
    check(&[cookie("us")], None);
    check(&[header("x-none")], None);
    check(&[HashPolicy::SourceIp], Some(13_874_206_750_357_698_471));
    check(&[HashPolicy::Authority], Some(hash(b"a.com:80")));
    check(&[query("x")], Some(hash(b"%31")));
    check(&[query("y")], Some(hash(b"")));
    check(&[query("z")], None);
    let chained = twox_hash::XxHash64::oneshot(hash(b"a"), b"b");
    check(&[header("x-user")], Some(chained));
    check(
        &[header("x-one"), header("x-none"), query("x")],
        Some(abc.rotate_left(1) ^ hash(b"%31")),
    );
}

#[test]
fn a_missing_cookie_is_made_where_it_has_a_life() {
    let headers = HeaderMap::new();
    let mut request = Keyed::new("a.com", None, &headers);
    let mut cookie = HashCookie::new("user");
    assert_eq!(
        hashed(&[HashPolicy::Cookie(cookie.clone())], &request),
        (None, Vec::new())
    );

    cookie.ttl = Some(std::time::Duration::from_millis(90_500));
    cookie.path = "/shop".to_owned();
    cookie.attributes = vec![
        ("SameSite".to_owned(), "Lax".to_owned()),
        ("Secure".to_owned(), String::new()),
    ];
    let (from, to) = (
        "10.0.0.9:5000".parse().expect("one"),
        "10.0.0.1:80".parse().expect("one"),
    );
    request.connection = Some((from, to));
    let (got, set) = hashed(&[HashPolicy::Cookie(cookie.clone())], &request);
    let value = format!("{:016x}", hash(b"10.0.0.9:500010.0.0.1:80"));
    assert_eq!(got, Some(hash(value.as_bytes())));
    let want = format!("user=\"{value}\"; Max-Age=90; Path=/shop; SameSite=Lax; Secure; HttpOnly");
    assert_eq!(set, [want]);

    cookie.ttl = Some(std::time::Duration::ZERO);
    cookie.path.clear();
    cookie.attributes.clear();
    request.connection = None;
    let (_, set) = hashed(&[HashPolicy::Cookie(cookie)], &request);
    assert_eq!(set, ["user=\"0000000000000007\"; HttpOnly"]);
}

/// Endpoints with very different weights come to the shares of their weights.
#[test]
fn rings_and_tables_keep_to_the_weights() {
    let keyed = [("a:1", 1), ("b:1", 2), ("c:1", 5)];
    let ring = RingHash::new(&keyed, 65_536);
    let table = Maglev::new(&keyed, 65_537);
    let share = |pick: &dyn Fn(u64) -> Option<usize>| {
        let mut had = HashMap::new();
        for n in 0..80_000_u32 {
            *had.entry(pick(hash(&n.to_be_bytes()))).or_insert(0_u32) += 1;
        }
        [0, 1, 2].map(|n| had[&Some(n)])
    };
    let near = |had: [u32; 3]| {
        // Three in a hundred: what the ring's own arcs differ by at this size, and more.
        had.iter()
            .zip([10_000_u32, 20_000, 50_000])
            .all(|(a, b)| a.abs_diff(b) < 1200)
    };
    let (by_ring, by_table) = (
        share(&|it| ring.pick(it, 0)),
        share(&|it| table.pick(it, 0)),
    );
    assert!(near(by_ring) && near(by_table), "{by_ring:?} {by_table:?}");
}

/// A walk over a table visits every slot only where their number is a prime.
#[test]
fn a_table_has_a_prime_number_of_slots_whatever_is_asked_for() {
    let endpoints = [("a", 1), ("b", 1), ("c", 1)];
    for (asked, slots) in [(0, 2), (2, 2), (4, 5), (100, 101)] {
        let table = Maglev::new(&endpoints, asked);
        assert_eq!(table.places().count(), slots, "{asked}");
        assert!(table.pick(7, 0).is_some_and(|it| it < 3), "{asked}");
    }
    assert_eq!(super::maglev::prime(u64::MAX), 5_000_011);
}

#[test]
fn who_has_no_weight_has_no_hash_on_a_ring_and_adds_none() {
    let ring = RingHash::new(&[("a", 0), ("b", 1), ("c", 1)], 64);
    assert_eq!(ring.size(), 64);
    assert!(ring.places().all(|it| it > 0));
    assert_eq!(RingHash::new(&[("a", 0)], 64).size(), 0);
}
