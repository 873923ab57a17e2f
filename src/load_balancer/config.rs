//! From `LoadBalancerSettings` as written to a policy and to the key of requests.

use http::HeaderName;

use super::hash_policy::{HashCookie, HashPolicy};
use super::maglev::{DEFAULT_TABLE_SIZE, MAXIMUM_TABLE_SIZE, is_prime};
use super::policy::{Algorithm, LoadBalancerPolicy};
use super::ring_hash::MAXIMUM_RING_SIZE;
use super::warmup;
use crate::api::{self, SimpleLoadBalancer};
use crate::diagnostic::{At, Code, Diagnostic, Diagnostics};

const DEFAULT_RING_SIZE: u64 = 1024;

/// Compiles a destination's balancer; whatever is wrong is told to `found`.
pub(crate) fn compile(
    written: &api::LoadBalancerSettings,
    at: At<'_>,
    found: &mut Diagnostics,
) -> LoadBalancerPolicy {
    if written.simple.is_some() && written.consistent_hash.is_some() {
        let message = "only one of simple and consistentHash can be set";
        found.push(Diagnostic::new(
            Code::Exclusive,
            at.field("consistentHash"),
            message,
        ));
    }
    let algorithm = match &written.consistent_hash {
        Some(hash) => {
            let at = at.field("consistentHash");
            check_keys(hash, at, found);
            by_hash(hash, at, found)
        }
        None => simple(
            written.simple.unwrap_or_default(),
            at.field("simple"),
            found,
        ),
    };
    LoadBalancerPolicy {
        warmup: warmup::compile(written),
        ..LoadBalancerPolicy::new(algorithm)
    }
}

fn simple(written: SimpleLoadBalancer, at: At<'_>, found: &mut Diagnostics) -> Algorithm {
    match written {
        SimpleLoadBalancer::LeastConn => {
            let message = "LEAST_CONN is deprecated, use LEAST_REQUEST instead";
            found.push(Diagnostic::new(Code::Deprecated, at, message));
            Algorithm::LeastRequest
        }
        SimpleLoadBalancer::Unspecified | SimpleLoadBalancer::LeastRequest => {
            Algorithm::LeastRequest
        }
        SimpleLoadBalancer::Random => Algorithm::Random,
        SimpleLoadBalancer::Passthrough => Algorithm::Passthrough,
        SimpleLoadBalancer::RoundRobin => Algorithm::RoundRobin,
    }
}

fn by_hash(written: &api::ConsistentHash, at: At<'_>, found: &mut Diagnostics) -> Algorithm {
    let deprecated = written.minimum_ring_size.filter(|size| *size != 0);
    if deprecated.is_some() {
        let message = "consistent hash MinimumRingSize is deprecated, use ConsistentHashLB's \
                       RingHash configuration instead";
        let at = at.field("minimumRingSize");
        found.push(Diagnostic::new(Code::Deprecated, at, message));
        if written.ring_hash.is_some() || written.maglev.is_some() {
            let message = "only one of MinimumRingSize or Maglev/Ringhash can be specified";
            found.push(Diagnostic::new(Code::Exclusive, at, message));
        }
    }
    if written.ring_hash.is_some() && written.maglev.is_some() {
        let message = "only one of ringHash and maglev can be set";
        found.push(Diagnostic::new(
            Code::Exclusive,
            at.field("maglev"),
            message,
        ));
    }
    if let Some(maglev) = &written.maglev {
        let at = at.field("maglev");
        return maglev_table(
            maglev.table_size.unwrap_or_default(),
            at.field("tableSize"),
            found,
        );
    }
    let ring = written
        .ring_hash
        .as_ref()
        .and_then(|it| it.minimum_ring_size);
    let size = ring.or(deprecated).unwrap_or(DEFAULT_RING_SIZE);
    if size > MAXIMUM_RING_SIZE {
        let message = format!("minimumRingSize {size} is more than {MAXIMUM_RING_SIZE}");
        let inner = at.field("ringHash");
        let at = match ring {
            Some(_) => inner.field("minimumRingSize"),
            None => at.field("minimumRingSize"),
        };
        found.push(Diagnostic::new(Code::InvalidValue, at, message));
    }
    Algorithm::RingHash {
        minimum_ring_size: size.min(MAXIMUM_RING_SIZE),
    }
}

fn maglev_table(size: u64, at: At<'_>, found: &mut Diagnostics) -> Algorithm {
    let refusal = match size {
        0 => Some("tableSize must be set for maglev"),
        MAXIMUM_TABLE_SIZE.. => Some("tableSize must be less than 5000011 for maglev"),
        _ if !is_prime(size) => Some("tableSize must be a prime number for maglev"),
        _ => None,
    };
    let table_size = match refusal {
        None => size,
        Some(message) => {
            found.push(Diagnostic::new(Code::InvalidValue, at, message));
            DEFAULT_TABLE_SIZE
        }
    };
    Algorithm::Maglev { table_size }
}

/// Says what is wrong with the keys of a consistent hash.
fn check_keys(written: &api::ConsistentHash, at: At<'_>, found: &mut Diagnostics) {
    let keys = [
        ("httpHeaderName", !written.http_header_name.is_empty()),
        ("httpCookie", written.http_cookie.is_some()),
        ("useSourceIp", written.use_source_ip.is_some()),
        (
            "httpQueryParameterName",
            !written.http_query_parameter_name.is_empty(),
        ),
    ];
    let mut set = keys.iter().filter(|(_, is_set)| *is_set);
    if set.next().is_none() {
        let message = "without a key every request goes to a random endpoint";
        found.push(Diagnostic::new(Code::NeverFires, at, message));
    }
    for (field, _) in set {
        let message = "only one of httpHeaderName, httpCookie, useSourceIp and \
                       httpQueryParameterName can be set";
        found.push(Diagnostic::new(Code::Exclusive, at.field(field), message));
    }
    let name = &written.http_header_name;
    if !name.is_empty() && header(name).is_none() {
        let message = format!("header name {name:?} cannot occur in a request");
        let at = at.field("httpHeaderName");
        found.push(Diagnostic::new(Code::InvalidValue, at, message));
    }
    if let Some(cookie) = &written.http_cookie {
        check_cookie(cookie, at.field("httpCookie"), found);
    }
}

fn check_cookie(written: &api::HttpCookie, at: At<'_>, found: &mut Diagnostics) {
    if written.name.is_empty() {
        let message = "name required for HttpCookie";
        found.push(Diagnostic::new(
            Code::MissingField,
            at.field("name"),
            message,
        ));
    }
    let attributes = at.field("attributes");
    for (n, attribute) in written.attributes.iter().enumerate() {
        let at = attributes.item(n);
        let name = &attribute.name;
        let earlier = written.attributes.iter().take(n);
        if name.is_empty() {
            let message = "cookie attribute name cannot be empty";
            found.push(Diagnostic::new(
                Code::MissingField,
                at.field("name"),
                message,
            ));
        } else if earlier.into_iter().any(|it| it.name == *name) {
            let message = format!("duplicate cookie attribute name: {name}");
            found.push(Diagnostic::new(
                Code::InvalidValue,
                at.field("name"),
                message,
            ));
        }
    }
    let text = [&written.name, &written.path];
    let attributes = written
        .attributes
        .iter()
        .flat_map(|it| [&it.name, &it.value]);
    if text
        .into_iter()
        .chain(attributes)
        .any(|it| it.chars().any(char::is_control))
    {
        let message = "a cookie may not contain control characters";
        found.push(Diagnostic::new(Code::InvalidValue, at, message));
    }
}

/// A header's key, where a request can have it.
fn header(name: &str) -> Option<HashPolicy> {
    if name.eq_ignore_ascii_case("host") || name == ":authority" {
        return Some(HashPolicy::Authority);
    }
    HeaderName::try_from(name).ok().map(HashPolicy::Header)
}

/// What requests are hashed by, whatever balancer their destination has; what is wrong with it is
/// said by [`compile`].
pub(crate) fn hash_policy(written: &api::ConsistentHash) -> Option<HashPolicy> {
    if !written.http_header_name.is_empty() {
        return header(&written.http_header_name);
    }
    if let Some(cookie) = &written.http_cookie {
        let attributes = cookie.attributes.iter();
        return Some(HashPolicy::Cookie(HashCookie {
            name: cookie.name.clone(),
            ttl: cookie.ttl,
            path: cookie.path.clone(),
            attributes: attributes
                .map(|it| (it.name.clone(), it.value.clone()))
                .collect(),
        }));
    }
    if let Some(by_source) = written.use_source_ip {
        return by_source.then_some(HashPolicy::SourceIp);
    }
    let name = &written.http_query_parameter_name;
    (!name.is_empty()).then(|| HashPolicy::QueryParameter(name.clone()))
}
