//! `loadBalancer`: one algorithm, one key, and what may stand beside them.

use super::{check_duration, exclusive, invalid, locality, missing, tell};
use crate::api::{self, SimpleLoadBalancer};
use crate::diagnostic::{At, Code, Diagnostics};

/// `detects` tells whether endpoints that fail are noticed.
pub(super) fn check(
    written: &api::LoadBalancerSettings,
    detects: bool,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    one_of(
        &[
            ("simple", written.simple.is_some()),
            ("consistentHash", written.consistent_hash.is_some()),
            ("backendUtilization", written.backend_utilization.is_some()),
        ],
        at,
        found,
    );
    if written.simple == Some(SimpleLoadBalancer::LeastConn) {
        let message = "LEAST_CONN is deprecated, use LEAST_REQUEST instead";
        tell(found, Code::Deprecated, at.field("simple"), message);
    }
    if let Some(hash) = &written.consistent_hash {
        check_hash(hash, at.field("consistentHash"), found);
    }
    if written.backend_utilization.is_some() {
        let message = "Istio does not act on backendUtilization: least request is used";
        tell(
            found,
            Code::NeverFires,
            at.field("backendUtilization"),
            message,
        );
    }
    if written.locality_lb_setting.is_some() && written.zone_aware_lb_setting.is_some() {
        let message = "only one of localityLbSetting and zoneAwareLbSetting can be set";
        exclusive(found, at.field("zoneAwareLbSetting"), message);
    }
    if let Some(setting) = &written.locality_lb_setting {
        locality::check(setting, detects, at.field("localityLbSetting"), found);
    }
    if let Some(setting) = &written.zone_aware_lb_setting {
        locality::check_zones(setting, at.field("zoneAwareLbSetting"), found);
    }
    check_warmup(written, at, found);
}

/// Refuses all but the first of fields of which one may be set.
fn one_of(fields: &[(&str, bool)], at: At<'_>, found: &mut Diagnostics) {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    for (name, _) in fields.iter().filter(|(_, set)| *set).skip(1) {
        let message = format!("only one of {} may be set", names.join(", "));
        exclusive(found, at.field(name), message);
    }
}

fn check_hash(written: &api::ConsistentHash, at: At<'_>, found: &mut Diagnostics) {
    let keys = [
        ("httpHeaderName", !written.http_header_name.is_empty()),
        ("httpCookie", written.http_cookie.is_some()),
        ("useSourceIp", written.use_source_ip == Some(true)),
        (
            "httpQueryParameterName",
            !written.http_query_parameter_name.is_empty(),
        ),
    ];
    one_of(&keys, at, found);
    if keys.iter().all(|(_, set)| !set) {
        let message = "consistentHash without a key: endpoints are picked at random";
        tell(found, Code::NeverFires, at, message);
    }
    if let Some(cookie) = &written.http_cookie {
        check_cookie(cookie, at.field("httpCookie"), found);
    }
    let algorithm = written.ring_hash.is_some() || written.maglev.is_some();
    if written.minimum_ring_size.is_some() {
        let at = at.field("minimumRingSize");
        if algorithm {
            let message = "only one of MinimumRingSize or Maglev/Ringhash can be specified";
            exclusive(found, at, message);
        }
        let message = "consistent hash MinimumRingSize is deprecated, use ConsistentHash's \
                       RingHash configuration instead";
        tell(found, Code::Deprecated, at, message);
    }
    let algorithms = [
        ("ringHash", written.ring_hash.is_some()),
        ("maglev", written.maglev.is_some()),
    ];
    one_of(&algorithms, at, found);
    if let Some(maglev) = &written.maglev {
        check_maglev(maglev, at.field("maglev"), found);
    }
}

fn check_cookie(cookie: &api::HttpCookie, at: At<'_>, found: &mut Diagnostics) {
    if cookie.name.is_empty() {
        missing(found, at.field("name"), "name required for HttpCookie");
    }
    let at = at.field("attributes");
    for (n, attribute) in cookie.attributes.iter().enumerate() {
        let mut before = cookie.attributes.iter().take(n);
        if attribute.name.is_empty() {
            missing(
                found,
                at.item(n).field("name"),
                "cookie attribute name cannot be empty",
            );
        } else if before.any(|it| it.name == attribute.name) {
            let message = format!("duplicate cookie attribute name: {}", attribute.name);
            invalid(found, at.item(n).field("name"), message);
        }
    }
}

fn check_maglev(maglev: &api::Maglev, at: At<'_>, found: &mut Diagnostics) {
    match maglev.table_size {
        None | Some(0) => {
            missing(
                found,
                at.field("tableSize"),
                "tableSize must be set for maglev",
            );
        }
        Some(size) if size >= 5_000_011 => {
            let message = "tableSize must be less than 5000011 for maglev";
            invalid(found, at.field("tableSize"), message);
        }
        Some(size) if !is_prime(size) => {
            let message = "tableSize must be a prime number for maglev";
            invalid(found, at.field("tableSize"), message);
        }
        Some(_) => {}
    }
}

/// By trial, which is quick below five million.
fn is_prime(number: u64) -> bool {
    let mut divisors = (2..).take_while(|it| it * it <= number);
    number > 1 && divisors.all(|it| !number.is_multiple_of(it))
}

fn check_warmup(written: &api::LoadBalancerSettings, at: At<'_>, found: &mut Diagnostics) {
    if written.warmup_duration_secs.is_some() {
        let at = at.field("warmupDurationSecs");
        let message = "warmupDurationSecs is deprecated, use warmup.duration instead";
        tell(found, Code::Deprecated, at, message);
        check_duration(written.warmup_duration_secs, at, found);
        if written.warmup.is_some() {
            let message = "only one of warmup, warmupDurationSecs may be set";
            exclusive(found, at, message);
        }
    }
    let Some(warmup) = &written.warmup else {
        return;
    };
    let at = at.field("warmup");
    match warmup.duration {
        None => missing(found, at.field("duration"), "duration is required"),
        Some(_) => check_duration(warmup.duration, at.field("duration"), found),
    }
    if let Some(percent) = warmup.minimum_percent {
        let at = at.field("minimumPercent");
        if percent > 100.0 {
            let message = "minimumPercent value should be less than or equal to 100";
            invalid(found, at, message);
        } else if percent < 0.0 {
            invalid(found, at, "minimumPercent value should not be negative");
        }
    }
    if warmup.aggression.is_some_and(|it| it <= 0.0) {
        let message = "aggression should be greater than 0";
        invalid(found, at.field("aggression"), message);
    }
    let warms = written.consistent_hash.is_none()
        && !matches!(
            written.simple,
            Some(SimpleLoadBalancer::Random | SimpleLoadBalancer::Passthrough)
        );
    if !warms {
        let message = "warmup is for ROUND_ROBIN and LEAST_REQUEST: it has no effect here";
        tell(found, Code::NeverFires, at, message);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn primes_are_told_from_other_numbers() {
        let primes: Vec<u64> = (0..30).filter(|it| super::is_prime(*it)).collect();
        assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        assert!(super::is_prime(65_537) && !super::is_prime(65_536));
    }
}
