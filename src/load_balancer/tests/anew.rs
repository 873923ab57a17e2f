//! What a balancer goes on with when its endpoints change is what one made anew has.

use std::sync::Arc;

use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::{Algorithm, LoadBalancer, LoadBalancerPolicy};
use crate::endpoint::{Address, Endpoint};
use crate::rt::Rng;

/// What becomes of the endpoints; places are taken modulo how many there are.
#[derive(Clone, Debug)]
enum Change {
    Take(usize),
    /// An address and a weight, perhaps one that is there already.
    Add(usize, u8, u32),
    Replace(usize, u8, u32),
    Weigh(usize, u32),
    Swap(usize, usize),
    Turn(usize),
    Reverse,
}

fn endpoint(address: u8, weight: u32) -> Endpoint {
    let address = Address::new(&format!("10.0.0.{address}"), 80);
    Endpoint::new(address, Arc::default()).with_weight(weight)
}

fn change() -> impl Strategy<Value = Change> {
    let weight = || 1_u32..4;
    prop_oneof![
        any::<usize>().prop_map(Change::Take),
        (any::<usize>(), 0_u8..40, weight()).prop_map(|(at, a, w)| Change::Add(at, a, w)),
        (any::<usize>(), 0_u8..40, weight()).prop_map(|(at, a, w)| Change::Replace(at, a, w)),
        (any::<usize>(), weight()).prop_map(|(at, w)| Change::Weigh(at, w)),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Change::Swap(a, b)),
        any::<usize>().prop_map(Change::Turn),
        proptest::strategy::Just(Change::Reverse),
    ]
}

fn apply(endpoints: &mut Vec<Endpoint>, change: &Change) {
    let count = endpoints.len();
    match *change {
        Change::Add(at, address, weight) => {
            endpoints.insert(at % (count + 1), endpoint(address, weight));
        }
        _ if count == 0 => {}
        Change::Take(at) => drop(endpoints.remove(at % count)),
        Change::Replace(at, address, weight) => endpoints[at % count] = endpoint(address, weight),
        Change::Weigh(at, weight) => {
            endpoints[at % count] = endpoints[at % count].clone().with_weight(weight);
        }
        Change::Swap(a, b) => endpoints.swap(a % count, b % count),
        Change::Turn(by) => endpoints.rotate_left(by % count),
        Change::Reverse => endpoints.reverse(),
    }
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    let ring = |minimum_ring_size| Algorithm::RingHash { minimum_ring_size };
    let table = |table_size| Algorithm::Maglev { table_size };
    proptest::sample::select(vec![
        ring(1),
        ring(64),
        ring(1024),
        table(2),
        table(11),
        table(251),
        table(1009),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Bit for bit: each hash of a ring, each slot of a table. Several changes come at once, and
    /// addresses come twice.
    #[test]
    fn rings_and_tables_go_on_as_those_made_anew(
        algorithm in algorithm(),
        first in proptest::collection::vec((0_u8..40, 1_u32..4), 0..12),
        changes in proptest::collection::vec(proptest::collection::vec(change(), 1..5), 1..8),
    ) {
        let dice = Rng::seeded(5);
        let policy = LoadBalancerPolicy::new(algorithm);
        let mut endpoints: Vec<_> = first.iter().map(|(a, w)| endpoint(*a, *w)).collect();
        let mut balancer = LoadBalancer::new(policy.clone(), endpoints.clone(), &dice);
        for changes in &changes {
            for change in changes {
                apply(&mut endpoints, change);
            }
            balancer = balancer.with_endpoints(endpoints.clone());
            let anew = LoadBalancer::new(policy.clone(), endpoints.clone(), &dice);
            prop_assert_eq!(
                format!("{:?}", balancer.choice),
                format!("{:?}", anew.choice)
            );
        }
    }
}
