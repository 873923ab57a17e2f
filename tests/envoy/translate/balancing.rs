//! Load balancing settings as the policy of an Envoy cluster and the hash policies of routes.

use serde_json::{Value, json};
use tower_mesh::api::{
    ConsistentHash, LoadBalancerSettings, Resources, SimpleLoadBalancer, Subset, TrafficPolicy,
};

use super::actions::seconds;
use super::clusters::{Rule, rule_for};
use super::connection_pool::block;
use super::{Client, Result, Service};

/// The balancer in force for a port and subset.
///
/// Source: as of [`block`].
pub(super) fn balancer(
    host: Option<&TrafficPolicy>,
    subset: &Subset,
    port: u32,
) -> Option<LoadBalancerSettings> {
    block(
        host,
        subset,
        port,
        |it| it.load_balancer.clone(),
        |it| it.load_balancer.clone(),
    )
}

/// Writes a cluster's balancer; whether it is one that goes by key.
///
/// Source: `cluster_traffic_policy.go applyLoadBalancer`, `ApplyRingHashLoadBalancer`;
/// LoadBalancerSettings.simple, ConsistentHashLB.ringHash, .maglev, .minimumRingSize;
/// Cluster.lb_policy.
pub(super) fn write(cluster: &mut Value, balancer: Option<LoadBalancerSettings>) -> Result<bool> {
    let Some(mut balancer) = balancer else {
        return Ok(false);
    };
    let simple = balancer.simple.take();
    let hash = balancer.consistent_hash.take();
    if balancer != LoadBalancerSettings::default() {
        return Err(format!("not translated: {balancer:?}"));
    }
    let Some(hash) = hash else {
        cluster["lb_policy"] = json!(match simple.unwrap_or_default() {
            SimpleLoadBalancer::Random => "RANDOM",
            SimpleLoadBalancer::RoundRobin => "ROUND_ROBIN",
            SimpleLoadBalancer::Passthrough => return Err("the original destination".to_owned()),
            _ => "LEAST_REQUEST",
        });
        return Ok(false);
    };
    match hash.maglev {
        Some(maglev) => {
            cluster["lb_policy"] = json!("MAGLEV");
            cluster["maglev_lb_config"] =
                json!({"table_size": maglev.table_size.unwrap_or(65_537)});
        }
        None => {
            let size = hash.ring_hash.and_then(|it| it.minimum_ring_size);
            let size = size.or(hash.minimum_ring_size).unwrap_or(1024);
            cluster["lb_policy"] = json!("RING_HASH");
            cluster["ring_hash_lb_config"] = json!({"minimum_ring_size": size});
        }
    }
    Ok(true)
}

/// What routes have to ask of DestinationRules.
#[derive(Clone, Copy)]
pub(super) struct Hashes<'s> {
    pub(super) resources: &'s Resources,
    pub(super) registry: &'s [Service],
    pub(super) client: &'s Client,
}

impl Hashes<'_> {
    /// Hash policies: a route has those of all its destinations, in their order; whether its
    /// first destination has `consistentHash`, with a key or without.
    ///
    /// Source: `route.go processDestination`, `processWeightedDestination`;
    /// RouteAction.hash_policy.
    pub(super) fn write<'c>(
        self,
        action: &mut Value,
        clusters: impl Iterator<Item = &'c str>,
    ) -> Result<bool> {
        let (mut policies, mut first) = (Vec::new(), None);
        for cluster in clusters {
            let hash = self.of(cluster)?;
            first = first.or(Some(hash.is_some()));
            policies.extend(hash.and_then(policy));
        }
        if !policies.is_empty() {
            action["hash_policy"] = json!(policies);
        }
        Ok(first == Some(true))
    }

    /// The setting of a destination, by its cluster's name: the subset's, else the host's.
    ///
    /// Settings for a port count where the destination names the port; cases leave that out.
    ///
    /// Source: `route.go hashForHTTPDestination`, `hashForService`.
    fn of(self, cluster: &str) -> Result<Option<ConsistentHash>> {
        let parts: Vec<&str> = cluster.split('|').collect();
        let [_, _, subset, host] = parts.as_slice() else {
            return Ok(None);
        };
        let mut services = self.registry.iter();
        let Some(service) = services.find(|service| service.host == *host) else {
            return Ok(None);
        };
        let Rule { policy, subsets } = rule_for(self.resources, service, self.client)?;
        let hash = |policy: Option<&TrafficPolicy>| -> Result<Option<ConsistentHash>> {
            let Some(policy) = policy else {
                return Ok(None);
            };
            let mut ports = policy.port_level_settings.iter();
            if ports.any(|it| {
                it.load_balancer
                    .as_ref()
                    .is_some_and(|it| it.consistent_hash.is_some())
            }) {
                return Err(format!("{cluster}: a key for a port"));
            }
            let balancer = policy.load_balancer.as_ref();
            Ok(balancer.and_then(|it| it.consistent_hash.clone()))
        };
        let subset = subsets.iter().find(|it| it.name == *subset);
        let own = hash(subset.and_then(|it| it.traffic_policy.as_ref()))?;
        Ok(own.or(hash(policy.as_ref())?))
    }
}

/// A key as a hash policy; without one an endpoint is chosen at random.
///
/// Source: `route.go consistentHashToHashPolicy`; ConsistentHashLB.httpHeaderName, .httpCookie,
/// .useSourceIp, .httpQueryParameterName; RouteAction.HashPolicy.
fn policy(hash: ConsistentHash) -> Option<Value> {
    let is_keyed = hash.http_cookie.is_some() || hash.use_source_ip == Some(true);
    if !is_keyed && hash.http_header_name.is_empty() && hash.http_query_parameter_name.is_empty() {
        return None;
    }
    Some(if !hash.http_header_name.is_empty() {
        json!({"header": {"header_name": hash.http_header_name}})
    } else if let Some(cookie) = hash.http_cookie {
        let mut made = json!({"name": cookie.name, "path": cookie.path});
        if let Some(ttl) = cookie.ttl {
            made["ttl"] = json!(seconds(ttl));
        }
        let attributes = cookie.attributes.iter();
        let attributes = attributes.map(|it| json!({"name": it.name, "value": it.value}));
        made["attributes"] = json!(attributes.collect::<Vec<_>>());
        json!({"cookie": made})
    } else if hash.use_source_ip == Some(true) {
        json!({"connection_properties": {"source_ip": true}})
    } else {
        json!({"query_parameter": {"name": hash.http_query_parameter_name}})
    })
}
