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

/// How whole a priority is, in percent.
pub(super) fn health(it: &Count) -> u64 {
    let health = (OVERPROVISIONING * it.left).checked_div(it.all);
    health.unwrap_or_default().min(100)
}

/// The percents of the priorities once tries at `tried`, one priority each, have failed:
/// `retryRemoteLocalities`. After every second try the priorities of all tries so far are left out;
/// when none is left it begins anew. Nothing where the loads stand as they are.
pub(super) fn elsewhere(healths: &[u64], tried: impl Iterator<Item = usize>) -> Option<Vec<u64>> {
    const EVERY: usize = 2;
    let mut excluded = vec![false; healths.len()];
    let mut seen = Vec::new();
    let mut percents = None;
    for priority in tried {
        seen.push(priority);
        if seen.len() < EVERY {
            percents = None;
            continue;
        }
        if !seen.len().is_multiple_of(EVERY) {
            continue;
        }
        for priority in &seen {
            if let Some(excluded) = excluded.get_mut(*priority) {
                *excluded = true;
            }
        }
        let left = |excluded: &[bool]| -> Vec<u64> {
            let healths = healths.iter().zip(excluded);
            healths
                .map(|(it, out)| if *out { 0 } else { *it })
                .collect()
        };
        let mut parts = left(&excluded);
        if parts.iter().all(|it| *it == 0) {
            excluded.fill(false);
            seen.clear();
            parts = left(&excluded);
        }
        let total = parts.iter().sum::<u64>().min(100);
        percents = (total > 0).then(|| {
            let mut loads = vec![Load::default(); parts.len()];
            deal(
                &mut loads,
                |n| parts.get(n).copied().unwrap_or_default(),
                total,
            );
            loads.iter().map(|it| it.percent).collect()
        });
    }
    percents
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
