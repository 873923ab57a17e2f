//! What the rooms find wrong in a DestinationRule's policies, level by level.

use super::{Options, not_built};
use crate::api;
use crate::connection_pool;
use crate::diagnostic::{At, Diagnostics};
use crate::load_balancer;
use crate::outlier_detection;
use crate::tls;

pub(super) fn check(
    written: &api::DestinationRule,
    options: &Options,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    if let Some(policy) = &written.traffic_policy {
        check_policy(policy, options, at.field("trafficPolicy"), found);
    }
    let subsets = at.field("subsets");
    for (n, subset) in written.subsets.iter().enumerate() {
        if let Some(policy) = &subset.traffic_policy {
            let at = subsets.item(n);
            check_policy(policy, options, at.field("trafficPolicy"), found);
        }
    }
    not_built::destination_rule(written, at, found);
}

fn check_policy(
    written: &api::TrafficPolicy,
    options: &Options,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    if let Some(pool) = &written.connection_pool {
        connection_pool::check(pool, at.field("connectionPool"), found);
    }
    if let Some(budget) = &written.retry_budget {
        connection_pool::check_budget(budget, at.field("retryBudget"), found);
    }
    if let Some(balancer) = &written.load_balancer {
        check_balancer(balancer, options, at.field("loadBalancer"), found);
    }
    if let Some(outliers) = &written.outlier_detection {
        outlier_detection::compile(outliers, at.field("outlierDetection"), found);
    }
    if let Some(tls) = &written.tls {
        tls::check(tls, &options.workload, at.field("tls"), found);
    }
    let settings = at.field("portLevelSettings");
    for (n, port) in written.port_level_settings.iter().enumerate() {
        let at = settings.item(n);
        if let Some(pool) = &port.connection_pool {
            connection_pool::check(pool, at.field("connectionPool"), found);
        }
        if let Some(balancer) = &port.load_balancer {
            check_balancer(balancer, options, at.field("loadBalancer"), found);
        }
        if let Some(outliers) = &port.outlier_detection {
            outlier_detection::compile(outliers, at.field("outlierDetection"), found);
        }
        if let Some(tls) = &port.tls {
            tls::check(tls, &options.workload, at.field("tls"), found);
        }
    }
}

fn check_balancer(
    written: &api::LoadBalancerSettings,
    options: &Options,
    at: At<'_>,
    found: &mut Diagnostics,
) {
    load_balancer::compile(written, at, found);
    if let Some(zones) = &written.zone_aware_lb_setting {
        let at = at.field("zoneAwareLbSetting");
        load_balancer::check_zones(zones, &options.source, at, found);
    }
}
