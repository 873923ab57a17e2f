//! Services and subsets as Envoy clusters.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tower_mesh::api::{
    DestinationRule, Resource, Resources, ServiceEntryPort, Spec, Subset, TrafficPolicy,
    WorkloadEntry,
};

use super::actions::cluster_name;
use super::hosts::{complete, most_specific};
use super::{Client, Result, Service, balancing, connection_pool, is_visible, localities};

/// The namespace whose rules apply to everybody.
const ROOT: &str = "istio-system";

/// The DestinationRules for a host as one: the first policy, and every subset once.
#[derive(Default)]
pub(super) struct Rule {
    pub(super) policy: Option<TrafficPolicy>,
    pub(super) subsets: Vec<Subset>,
}

/// Outbound clusters: for every port of every service the whole service, and every subset
/// its DestinationRule defines; with the number of endpoints of each.
///
/// Source: `cluster.go buildOutboundClusters`, `cluster_builder.go applyDestinationRule`;
/// Subset.name.
pub(super) fn clusters(
    resources: &Resources,
    registry: &[Service],
    client: &Client,
) -> Result<(Vec<Value>, BTreeMap<String, usize>)> {
    let mut clusters = Vec::new();
    let mut counts = BTreeMap::new();
    for service in registry {
        let rule = rule_for(resources, service, client)?;
        let subsets = &rule.subsets;
        let whole = Subset::default();
        for port in service.ports.iter().filter(|port| is_http(port)) {
            for subset in std::iter::once(&whole).chain(subsets) {
                let (mut endpoints, mut places) = (Vec::new(), Vec::new());
                for endpoint in service.endpoints.iter().filter(|it| belongs(it, subset)) {
                    endpoints.push(address(service, endpoint, port)?);
                    places.push(endpoint.locality.clone());
                }
                let name = cluster_name(port.number, &subset.name, &service.host);
                let mut cluster = cluster(&name, &endpoints);
                let policy = rule.policy.as_ref();
                connection_pool::write(&mut cluster, policy, subset, port.number)?;
                let mut balancer = balancing::balancer(policy, subset, port.number);
                let setting = balancer
                    .as_mut()
                    .and_then(|it| it.locality_lb_setting.take());
                if let Some(setting) = setting {
                    localities::write(&mut cluster, &setting, &places)?;
                }
                // A key leads to one endpoint, so there is no choice to be different about.
                let choices = match balancing::write(&mut cluster, balancer)? {
                    true => endpoints.len().min(1),
                    false => endpoints.len(),
                };
                counts.insert(name, choices);
                clusters.push(cluster);
            }
        }
    }
    Ok((clusters, counts))
}

/// The name of the cluster for hosts nothing declares.
pub(super) const PASSTHROUGH: &str = "PassthroughCluster";

/// Outbound traffic policy ALLOW_ANY: the address the client had resolved. There is none in a
/// comparison, so it is read from the authority, which must be an address for that.
///
/// Source: `cluster_builder.go buildDefaultPassthroughCluster`; OriginalDstLbConfig.
pub(super) fn passthrough() -> Value {
    json!({
        "name": PASSTHROUGH,
        "type": "ORIGINAL_DST",
        "connect_timeout": "10s",
        "lb_policy": "CLUSTER_PROVIDED",
        "original_dst_lb_config": {"use_http_header": true, "http_header_name": ":authority"},
    })
}

/// HTTP/1.1 only for now: the endpoints of the comparison speak nothing else. Service ports: a
/// protocol that is not said is found out from what is sent, which here is HTTP.
///
/// Source: ServiceEntry reference, ServicePort.protocol; `protocol/instance.go Parse`.
pub(super) fn is_http(port: &ServiceEntryPort) -> bool {
    port.protocol.is_empty() || port.protocol.eq_ignore_ascii_case("http")
}

/// Subsets: endpoints that carry all of the labels; all endpoints where there are none.
///
/// Source: Subset.labels; `endpoint_builder.go` (subset labels).
fn belongs(endpoint: &WorkloadEntry, subset: &Subset) -> bool {
    let mut labels = subset.labels.iter();
    labels.all(|(key, value)| endpoint.labels.get(key) == Some(value))
}

/// Endpoint port: the endpoint's own for the port's name, else the target port, else the number.
///
/// Source: `serviceentry/conversion.go convertEndpoint`; WorkloadEntry.address, .ports, .weight,
/// ServicePort.targetPort.
fn address(service: &Service, endpoint: &WorkloadEntry, port: &ServiceEntryPort) -> Result<Value> {
    let mut rest = endpoint.clone();
    rest.address.clear();
    rest.ports.clear();
    rest.labels.clear();
    rest.weight = None;
    rest.locality.clear();
    if rest != WorkloadEntry::default() {
        return Err(format!("{}: not translated: {rest:?}", service.host));
    }
    let own = endpoint.ports.get(&port.name).copied();
    let number = own.or(port.target_port).unwrap_or(port.number);
    let socket = json!({"address": endpoint.address, "port_value": number});
    let weight = endpoint.weight.unwrap_or(1);
    Ok(json!({
        "endpoint": {"address": {"socket_address": socket}},
        "load_balancing_weight": weight,
    }))
}

/// Cluster settings of Istio without a traffic policy: least request, ten seconds to connect,
/// and no limits.
///
/// Source: `cluster_traffic_policy.go getDefaultCircuitBreakerThresholds`, `applyLoadBalancer`;
/// MeshConfig.connectTimeout; CircuitBreakers.Thresholds.
fn cluster(name: &str, endpoints: &[Value]) -> Value {
    let unlimited = u32::MAX;
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {"thresholds": [{
            "max_connections": unlimited,
            "max_pending_requests": unlimited,
            "max_requests": unlimited,
            "max_retries": unlimited,
        }]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": endpoints}],
        },
    })
}

/// Which DestinationRule: the first of the client's namespace, the service's and the root one
/// that has any for the host; there the most specific host, and the rules with that very host
/// that are exported alike together, a subset's first definition counting.
///
/// A client's own namespace offers what is exported to that namespace, others what is not
/// kept to themselves; whether that is exported to the client is asked of the host found.
///
/// Source: `push_context.go destinationRule`, `setDestinationRules`, `destination_rule.go
/// mergeDestinationRule`; DestinationRule reference, host, exportTo, subsets.
pub(super) fn rule_for(resources: &Resources, service: &Service, client: &Client) -> Result<Rule> {
    if client.namespace == ROOT {
        return Err("a client of the root namespace asks in another order".to_owned());
    }
    for namespace in [&*client.namespace, &*service.namespace, ROOT] {
        let own = namespace == client.namespace;
        let offered = |rule: &DestinationRule| match rule.export_to.as_slice() {
            to if own => is_visible(to, namespace, namespace),
            [only] => only != "." && only != namespace,
            _ => true,
        };
        let rules = resources.iter().filter_map(rule);
        let rules: Vec<_> = rules
            .filter(|(resource, _)| resource.metadata.namespace_or_default() == namespace)
            .filter(|(_, rule)| offered(rule))
            .map(|(resource, rule)| (complete(&rule.host, namespace), resource, rule))
            .collect();
        let hosts = rules.iter().map(|(host, ..)| (host.as_str(), ()));
        let Some((chosen, ())) = most_specific(&service.host, hosts) else {
            continue;
        };
        let same_host = rules.iter().filter(|(host, ..)| host == chosen);
        let visible: Vec<_> = same_host
            .filter(|(_, _, rule)| is_visible(&rule.export_to, namespace, &client.namespace))
            .collect();
        let Some((_, _, first)) = visible.first() else {
            continue;
        };
        let mut merged = Rule::default();
        let subsets = &mut merged.subsets;
        for (_, resource, rule) in &visible {
            check(resource, rule)?;
            if merged.policy.is_none() {
                merged.policy.clone_from(&rule.traffic_policy);
            }
            if rule.export_to != first.export_to {
                return Err(format!(
                    "{}: exported unlike another for its host",
                    resource.id()
                ));
            }
            for subset in &rule.subsets {
                if !subsets.iter().any(|it| it.name == subset.name) {
                    subsets.push(subset.clone());
                }
            }
        }
        return Ok(merged);
    }
    Ok(Rule::default())
}

fn rule(resource: &Resource) -> Option<(&Resource, &DestinationRule)> {
    match &resource.spec {
        Spec::DestinationRule(rule) => Some((resource, rule)),
        _ => None,
    }
}

/// Refuses selectors; what a policy may hold is said where it is translated.
fn check(resource: &Resource, rule: &DestinationRule) -> Result<()> {
    let mut rest = rule.clone();
    rest.host.clear();
    rest.subsets.clear();
    rest.export_to.clear();
    rest.traffic_policy = None;
    match rest == DestinationRule::default() {
        true => Ok(()),
        false => Err(format!("{}: a selector", resource.id())),
    }
}
