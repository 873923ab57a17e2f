//! `localityLbSetting.distribute` as the weights of localities.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tower_mesh::api::LocalityLoadBalancerSetting;

use super::Result;

/// Locality shares: for a client anywhere (`from: "*"`) every locality in `to` has its share as
/// weight, and endpoints elsewhere are not there; keys and picks then go by those weights.
///
/// `places` has the locality of each endpoint of the cluster, in order. Cases write localities
/// whole, so a share is for one locality, and have no outlier detection, so nothing fails over.
///
/// Source: `loadbalancer.go ApplyLocalityLoadBalancer`, `applyLocalityWeights`;
/// LocalityLoadBalancerSetting.distribute; LocalityLbEndpoints.load_balancing_weight.
pub(super) fn write(
    cluster: &mut Value,
    setting: &LocalityLoadBalancerSetting,
    places: &[String],
) -> Result<()> {
    let [only] = setting.distribute.as_slice() else {
        return Err(format!("not translated: {setting:?}"));
    };
    let mut others = LocalityLoadBalancerSetting::default();
    others.distribute.clone_from(&setting.distribute);
    if only.from != "*" || only.to.keys().any(|it| it.contains('*')) || others != *setting {
        return Err(format!("not translated: {setting:?}"));
    }
    let endpoints = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"].take();
    let mut localities: BTreeMap<&String, Vec<Value>> = BTreeMap::new();
    for (place, endpoint) in places
        .iter()
        .zip(endpoints.as_array().into_iter().flatten())
    {
        localities.entry(place).or_default().push(endpoint.clone());
    }
    let locality = |(place, endpoints): (&String, Vec<Value>)| {
        let weight = only.to.get(place)?;
        let mut parts = place.split('/');
        let mut part = || parts.next().unwrap_or_default();
        let locality = json!({"region": part(), "zone": part(), "sub_zone": part()});
        let weight = json!(weight);
        Some(json!({
            "locality": locality,
            "lb_endpoints": endpoints,
            "load_balancing_weight": weight,
        }))
    };
    let localities: Vec<Value> = localities.into_iter().filter_map(locality).collect();
    cluster["load_assignment"]["endpoints"] = json!(localities);
    cluster["common_lb_config"] = json!({"locality_weighted_lb_config": {}});
    Ok(())
}
