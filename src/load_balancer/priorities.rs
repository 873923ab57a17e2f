//! How much of the traffic each priority gets, as Envoy works it out in whole percents.

/// Endpoints of one priority: how many are left in, and how many there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Count {
    pub(super) left: u64,
    pub(super) all: u64,
}

/// One priority's share of the traffic in percent, and whether all its endpoints are used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Load {
    pub(super) percent: u64,
    pub(super) panics: bool,
}

/// Endpoints left in count as 1.4 times as many: a priority is whole with five of seven.
pub(super) const OVERPROVISIONING: u64 = 140;

/// The loads of all priorities; `threshold` is the percentage of endpoints left in below which all
/// of a priority are used. Their sum is 100 wherever there is a priority.
pub(super) fn loads(counts: &[Count], threshold: u32) -> Vec<Load> {
    let health = |it: &Count| {
        let health = (OVERPROVISIONING * it.left).checked_div(it.all);
        health.unwrap_or_default().min(100)
    };
    let total = counts.iter().map(health).sum::<u64>().min(100);
    let panics =
        |it: &Count| total < 100 && (it.left * 100 < u64::from(threshold) * it.all || it.all == 0);
    let panics = |it: &Count| threshold > 0 && panics(it);
    let mut loads: Vec<Load> = counts
        .iter()
        .map(|it| Load {
            percent: 0,
            panics: panics(it),
        })
        .collect();
    if loads.iter().all(|it| it.panics) {
        // Nobody can be trusted: by how many there are.
        let all: u64 = counts.iter().map(|it| it.all).sum();
        deal(&mut loads, |n| counts.get(n).map_or(0, |it| it.all), all);
    } else if total > 0 {
        deal(&mut loads, |n| counts.get(n).map_or(0, health), total);
    } else if let Some(first) = loads.first_mut() {
        first.percent = 100;
    }
    loads
}

/// Deals 100 percent out by parts of `whole`, first come, first served; what rounding leaves goes
/// to the first that has any part.
fn deal(loads: &mut [Load], part: impl Fn(usize) -> u64, whole: u64) {
    let mut left = 100;
    for (n, load) in loads.iter_mut().enumerate() {
        let share = (part(n) * 100).checked_div(whole).unwrap_or_default();
        load.percent = share.min(left);
        left -= load.percent;
    }
    let first = (0..loads.len()).find(|n| part(*n) > 0).unwrap_or_default();
    if let Some(first) = loads.get_mut(first) {
        first.percent += left;
    }
}
