//! `localityLbSetting` and `zoneAwareLbSetting`: places, and where traffic goes from them.

use super::names::shortened;
use super::{exclusive, invalid, tell};
use crate::api;
use crate::diagnostic::{At, Code, Diagnostics};

/// The labels that name a place.
const PLACES: [(&str, &str); 3] = [
    ("topology.kubernetes.io/region", "region"),
    ("topology.kubernetes.io/zone", "zone"),
    ("topology.istio.io/subzone", "subzone"),
];

pub(super) fn check(
    written: &api::LocalityLoadBalancerSetting,
    detects: bool,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    if !written.distribute.is_empty() && !written.failover.is_empty() {
        let message = "can not simultaneously specify 'distribute' and 'failover'";
        exclusive(found, at.field("failover"), message);
    }
    let (region, _) = PLACES[0];
    let by_region = written
        .failover_priority
        .iter()
        .any(|it| it.split('=').next() == Some(region));
    if !written.failover.is_empty() && by_region {
        let message = format!(
            "can not simultaneously set 'failover' and topology label '{region}' in \
             'failover_priority'"
        );
        exclusive(found, at.field("failoverPriority"), message);
    }
    check_distribute(&written.distribute, at.field("distribute"), found);
    check_failover(&written.failover, at.field("failover"), found);
    let fails_over = !written.failover.is_empty() || !written.failover_priority.is_empty();
    if fails_over && !detects {
        let message = "outlier detection policy must be provided for failover";
        tell(found, Code::NeverFires, at, message);
    }
}

pub(super) fn check_zones(
    written: &api::ZoneAwareLoadBalancerSetting,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    check_failover(&written.failover, at.field("failover"), found);
    let at = at.field("failoverPriority");
    for (n, label) in written.failover_priority.iter().enumerate() {
        let name = label.split('=').next().unwrap_or_default();
        if PLACES.iter().any(|(place, _)| *place == name) {
            let message = format!(
                "topology label '{name}' is not allowed in 'failover_priority' of \
                 zoneAwareLbSetting"
            );
            invalid(found, at.item(n), message);
        }
    }
}

fn check_distribute(written: &[api::LocalityDistribute], at: At<'_>, found: &mut Diagnostics) {
    for (n, share) in written.iter().enumerate() {
        let at = at.item(n);
        if let Some(fault) = locality_fault(&share.from) {
            invalid(found, at.field("from"), fault);
        }
        let mut before = written.iter().take(n);
        if before.any(|it| covers(&it.from, &share.from) || covers(&share.from, &it.from)) {
            let message = format!(
                "locality {} overlaps an earlier one",
                shortened(&share.from)
            );
            invalid(found, at.field("from"), message);
        }
        let at = at.field("to");
        let mut total: u64 = 0;
        for (place, weight) in &share.to {
            total += u64::from(*weight);
            if !(1..=100).contains(weight) {
                let message = "locality weight must be in range [1, 100]";
                invalid(found, at.key(place), message);
            }
            if let Some(fault) = locality_fault(place) {
                invalid(found, at.key(place), fault);
            }
        }
        if total != 100 {
            invalid(found, at, format!("total locality weight {total} != 100"));
        }
    }
}

/// Whether a place lies within another, whose last part may be a star or missing.
fn covers(wide: &str, narrow: &str) -> bool {
    let mut narrow = narrow.split('/');
    wide.split('/')
        .all(|part| part == "*" || narrow.next() == Some(part))
}

fn locality_fault(text: &str) -> Option<String> {
    let shown = shortened(text);
    let parts: Vec<&str> = text.split('/').collect();
    if text.is_empty() || parts.iter().any(|part| part.is_empty()) || parts.len() > 3 {
        return Some(format!(
            "invalid locality {shown:?}: it is region/zone/subzone"
        ));
    }
    let stars = parts.iter().filter(|part| part.contains('*')).count();
    if stars > 1 || (stars == 1 && parts.last() != Some(&"*")) {
        let fault =
            format!("locality {shown} wildcard '*' number can not exceed 1 and must be in the end");
        return Some(fault);
    }
    None
}

fn check_failover(written: &[api::LocalityFailover], at: At<'_>, found: &mut Diagnostics) {
    for (n, failover) in written.iter().enumerate() {
        let at = at.item(n);
        if failover.from == failover.to {
            let message = "locality lb failover settings must specify different regions";
            invalid(found, at.field("to"), message);
        }
        for (field, place) in [("from", &failover.from), ("to", &failover.to)] {
            if place.contains('*') {
                let message = "locality lb failover settings should not contain '*' wildcard";
                invalid(found, at.field(field), message);
            } else if place.contains('/') {
                let message = "locality lb failover settings should only specify region";
                invalid(found, at.field(field), message);
            }
        }
    }
}
