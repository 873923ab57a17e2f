//! The traffic policy in force for one host, port and subset, each setting with where it was written.
//!
//! Nothing is merged field by field. Settings for a port stand instead of all that
//! is said for the host. Of a subset's policy each block it sets stands instead of
//! that block, and its own settings for the port stand instead of all four.

use std::fmt;
use std::sync::Arc;

use crate::api;

/// A traffic policy as written, and the rule it stands in, as `namespace/name`.
#[derive(Clone, Debug)]
pub(super) struct Written<'r> {
    rule: Arc<str>,
    policy: &'r api::TrafficPolicy,
}

impl<'r> Written<'r> {
    pub(super) fn new(rule: &Arc<str>, policy: &'r api::TrafficPolicy) -> Self {
        let rule = rule.clone();
        Self { rule, policy }
    }

    fn port(&self, number: u16) -> Option<&'r api::PortTrafficPolicy> {
        let mut settings = self.policy.port_level_settings.iter();
        settings.find(|it| {
            it.port
                .as_ref()
                .is_some_and(|it| it.number == u32::from(number))
        })
    }

    /// The consistent hash that is said for a port, or for all of them.
    pub(super) fn hash_key(&self, port: Option<u16>) -> Option<&'r api::ConsistentHash> {
        let balancer = match port {
            Some(number) => self.port(number)?.load_balancer.as_ref(),
            None => self.policy.load_balancer.as_ref(),
        };
        balancer?.consistent_hash.as_ref()
    }

    fn origin(&self, level: Level) -> Origin {
        let rule = self.rule.clone();
        Origin { rule, level }
    }
}

/// Where in a DestinationRule a setting stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Level {
    /// `trafficPolicy`.
    Top,
    /// `trafficPolicy.portLevelSettings[]`.
    Port,
    /// `subsets[].trafficPolicy`.
    Subset,
    /// `subsets[].trafficPolicy.portLevelSettings[]`.
    SubsetPort,
}

/// The rule and the place in it that a setting comes from.
///
/// Prints as `DestinationRule namespace/name level`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Origin {
    pub(crate) rule: Arc<str>,
    pub(crate) level: Level,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Top => "top",
            Level::Port => "port",
            Level::Subset => "subset",
            Level::SubsetPort => "subset port",
        };
        write!(f, "DestinationRule {} {level}", self.rule)
    }
}

/// One block of the policy and where it comes from.
#[derive(Clone, Debug)]
pub(super) struct Setting<'r, T> {
    pub(super) written: &'r T,
    pub(super) origin: Origin,
}

macro_rules! blocks {
    ($($field:ident: $kind:ident, $name:literal;)*) => {
        /// The blocks in force; what is not set has Istio's default.
        #[derive(Clone, Debug, Default)]
        pub(super) struct EffectivePolicy<'r> {
            $( pub(super) $field: Option<Setting<'r, api::$kind>>, )*
        }

        impl EffectivePolicy<'_> {
            /// The fields that are set, as YAML spells them, and where.
            pub(super) fn origins(&self) -> Vec<(&'static str, Origin)> {
                let mut set = Vec::new();
                $( set.extend(self.$field.iter().map(|it| ($name, it.origin.clone()))); )*
                set
            }
        }
    };
}

blocks! {
    load_balancer: LoadBalancerSettings, "loadBalancer";
    connection_pool: ConnectionPoolSettings, "connectionPool";
    outlier_detection: OutlierDetection, "outlierDetection";
    tls: ClientTlsSettings, "tls";
    tunnel: Tunnel, "tunnel";
    proxy_protocol: ProxyProtocol, "proxyProtocol";
    retry_budget: RetryBudget, "retryBudget";
}

/// Sets each of the named blocks that `$from` has.
macro_rules! take {
    ($into:ident, $from:expr, $origin:expr; $($field:ident)*) => { $(
        if let Some(written) = &$from.$field {
            let origin = $origin;
            $into.$field = Some(Setting { written, origin });
        }
    )* };
}

impl<'r> EffectivePolicy<'r> {
    /// What a host's policy says for a port of it.
    pub(super) fn of_host(written: Option<&Written<'r>>, port: u16) -> Self {
        let mut policy = Self::default();
        let Some(written) = written else {
            return policy;
        };
        match written.port(port) {
            Some(own) => {
                take!(policy, own, written.origin(Level::Port);
                    load_balancer connection_pool outlier_detection tls);
            }
            None => {
                take!(policy, written.policy, written.origin(Level::Top);
                    load_balancer connection_pool outlier_detection tls
                    tunnel proxy_protocol retry_budget);
            }
        }
        policy
    }

    /// The same as a subset's policy has it.
    pub(super) fn refine(&mut self, written: &Written<'r>, port: u16) {
        match written.port(port) {
            Some(own) => {
                self.load_balancer = None;
                self.connection_pool = None;
                self.outlier_detection = None;
                self.tls = None;
                take!(self, own, written.origin(Level::SubsetPort);
                    load_balancer connection_pool outlier_detection tls);
            }
            None => {
                take!(self, written.policy, written.origin(Level::Subset);
                    load_balancer connection_pool outlier_detection tls);
            }
        }
        take!(self, written.policy, written.origin(Level::Subset);
            tunnel proxy_protocol retry_budget);
    }
}

#[cfg(test)]
mod tests {
    use super::{EffectivePolicy, Written};
    use crate::api::{
        ClientTlsSettings, ConnectionPoolSettings, LoadBalancerSettings, OutlierDetection,
        PortSelector, PortTrafficPolicy, RetryBudget, TrafficPolicy, Tunnel,
    };

    fn whole() -> TrafficPolicy {
        TrafficPolicy {
            load_balancer: Some(LoadBalancerSettings::default()),
            connection_pool: Some(ConnectionPoolSettings::default()),
            outlier_detection: Some(OutlierDetection::default()),
            tls: Some(ClientTlsSettings::default()),
            tunnel: Some(Tunnel::default()),
            ..TrafficPolicy::default()
        }
    }

    fn port(number: u32) -> PortTrafficPolicy {
        PortTrafficPolicy {
            port: Some(PortSelector { number }),
            tls: Some(ClientTlsSettings::default()),
            ..PortTrafficPolicy::default()
        }
    }

    /// What is in force on port 80, as explanations print it.
    fn check(host: Option<&TrafficPolicy>, subset: Option<&TrafficPolicy>, want: &[&str]) {
        let host = host.map(|policy| Written::new(&"ns/host".into(), policy));
        let mut policy = EffectivePolicy::of_host(host.as_ref(), 80);
        if let Some(subset) = subset {
            policy.refine(&Written::new(&"ns/other".into(), subset), 80);
        }
        let print = |(field, origin): &_| format!("{field}: {origin}");
        let printed: Vec<_> = policy.origins().iter().map(print).collect();
        assert_eq!(printed, want);
    }

    #[test]
    fn a_port_stands_instead_of_all_that_is_said_for_the_host() {
        let host = TrafficPolicy {
            port_level_settings: vec![port(81), port(80)],
            ..whole()
        };
        check(Some(&host), None, &["tls: DestinationRule ns/host port"]);
        let elsewhere = TrafficPolicy {
            port_level_settings: vec![port(81)],
            ..whole()
        };
        check(
            Some(&elsewhere),
            None,
            &[
                "loadBalancer: DestinationRule ns/host top",
                "connectionPool: DestinationRule ns/host top",
                "outlierDetection: DestinationRule ns/host top",
                "tls: DestinationRule ns/host top",
                "tunnel: DestinationRule ns/host top",
            ],
        );
        check(None, None, &[]);
    }

    #[test]
    fn a_subset_replaces_whole_blocks_and_inherits_the_rest() {
        let subset = TrafficPolicy {
            connection_pool: Some(ConnectionPoolSettings::default()),
            retry_budget: Some(RetryBudget::default()),
            ..TrafficPolicy::default()
        };
        check(
            Some(&whole()),
            Some(&subset),
            &[
                "loadBalancer: DestinationRule ns/host top",
                "connectionPool: DestinationRule ns/other subset",
                "outlierDetection: DestinationRule ns/host top",
                "tls: DestinationRule ns/host top",
                "tunnel: DestinationRule ns/host top",
                "retryBudget: DestinationRule ns/other subset",
            ],
        );
        check(
            None,
            Some(&subset),
            &[
                "connectionPool: DestinationRule ns/other subset",
                "retryBudget: DestinationRule ns/other subset",
            ],
        );
    }

    #[test]
    fn a_subsets_port_leaves_nothing_of_the_four_blocks_but_its_own() {
        let subset = TrafficPolicy {
            load_balancer: Some(LoadBalancerSettings::default()),
            port_level_settings: vec![port(80)],
            ..TrafficPolicy::default()
        };
        check(
            Some(&whole()),
            Some(&subset),
            &[
                "tls: DestinationRule ns/other subset port",
                "tunnel: DestinationRule ns/host top",
            ],
        );
    }
}
