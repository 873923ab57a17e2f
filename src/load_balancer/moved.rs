//! Where endpoints of another balancer are in the list of this one.

use crate::endpoint::{Endpoint, places_before};

/// The place each endpoint of before has now, where it is still there.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) places: Vec<Option<u32>>,
}

impl Moved {
    pub(super) fn of(before: &[Endpoint], now: &[Endpoint]) -> Self {
        let mut places = vec![None; before.len()];
        let addresses = now.iter().map(Endpoint::address);
        for (place, was) in places_before(addresses, before).into_iter().enumerate() {
            if let Some(of) = was.and_then(|was| places.get_mut(was as usize)) {
                *of = Some(place as u32);
            }
        }
        Self { places }
    }

    /// The place now of the endpoint that had this place.
    pub(super) fn now(&self, place: u32) -> Option<u32> {
        *self.places.get(place as usize)?
    }
}
